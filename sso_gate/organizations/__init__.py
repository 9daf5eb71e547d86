"""Organizations: the customers. Owns their name, their verified domains and the few rules that they choose.

Must not know members, seats or contracts; when the contract admits people and until when is written here by
`sso_gate.billing`.
"""
