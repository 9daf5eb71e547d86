"""Bearer tokens of programs: made for one organization with scopes, shown once, kept as a hash.

Owns the token (`token.py`) and its rows (`store.py`). Must not know what a scope lets one do.
"""
