"""Emergency codes: how an owner opens the settings when single sign-on is down.

Issued on the command line to owners only, kept as a hash, used once, ended by time. Owns the code (`code.py`) and its
rows (`store.py`). Must not open a session: that is `sso_gate.admission`.
"""
