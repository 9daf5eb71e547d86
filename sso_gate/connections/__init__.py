"""Connections: one identity provider configured for one organization.

Owns what is configured (`connection.py`) and its rows (`store.py`). Must not speak a protocol: bytes on the wire belong
to `sso_gate.protocols`. Start reading at `connection.py`.
"""
