"""Sessions: the browser's key after admission, kept on the server, in Redis.

Owns their form (`session.py`) and their keys (`store.py` and its Lua). A session is written as pending before the seat
is decided, becomes active afterwards, and belongs to one generation of the member's seat: when the seat goes, it dies
for good. Only `sso_gate.admission` opens sessions.
"""
