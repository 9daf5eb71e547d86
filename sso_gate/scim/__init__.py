"""SCIM 2.0: the identity provider's own changes to members (`/scim/v2/…`), by RFC 7643, 7644 and 9865.

Owns the wire: the attribute table (`schema.py`, `definitions.py`), the filter parser, the one PATCH function over
dicts (`patch.py`), the rows of what a client says of people and groups, and the dialects that Entra ID and Okta speak.
Must not take or free a seat: that is `sso_gate.admission.provision`. Start with `users.py`; `kinds.py` is what routes
and Bulk know of users and groups, `change.py` and `reading.py` are what both have in common.
"""
