"""The JSON API under `/api/v1`: bearer tokens, RFC 9457 errors, the same use cases as the pages.

`caller.py` is the door (token and scope, before anything else), `routes.py` the resources, `forms.py` how values look
as JSON.
"""
