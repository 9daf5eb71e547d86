"""Bearer tokens of programs: made for one organization with scopes, shown once, kept as a hash.

Owns the token (`token.py`), its rows (`store.py`) and its making and ending (`manage.py`). Must not know what a scope
lets one do.
"""
