"""Where things are kept: the SQL database and Redis, their drivers and the tables; no rules.

`database.py` runs a function in one transaction, `redis.py` opens a client from a URL and runs Lua, `tables.py` lists
every table of the gate, `keyring.py` seals what must not lie in SQL in the clear, `runtime.py` holds what a process was
started with. SQL is the record. Nothing in Redis is the only copy of anything but sessions and pending logins, which
may be lost.
"""
