"""Members: the organization's record of a person, with state, role and bound identities.

Owns who a person is to an organization (`member.py`), what a role may do (`roles.py`) and their rows (`store.py`). Must
not take or free a seat: that is `sso_gate.seats`, reached only through `sso_gate.admission`.
"""
