"""The browser's journey out and back.

Start reading at `flow.py`: `begin_login` and `finish_saml`, `finish_oidc`. `pending.py` remembers a login between the
two, bound to one browser and used once; `return_to.py` says where it may end; `discovery.py` finds the connection;
`routes.py` is HTTP and no rules. Must not decide who may come in: that is `sso_gate.admission`.
"""
