"""Bytes on the wire become one `Identity` or one refusal with one reason; nothing after this package knows which
protocol it was.

`saml/` is the only importer of python3-saml, `oidc/` the only one of authlib and joserfc, `fetch.py` the one guarded
client for outgoing requests, `replay.py` the guard against a message used twice. Must not know members, seats, sessions
or HTTP routes.
"""
