"""Emergency codes: how an owner opens the settings when single sign-on is down.

Issued to owners only, kept as a hash, used once, ended by time. Owns the code (`code.py`),
its rows (`store.py`) and its issuing and ending (`manage.py`). Must not open a session: that is `sso_gate.admission`.
"""
