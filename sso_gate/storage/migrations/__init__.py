"""The database's versions: expand first, contract a release later, so that the release before can run beside the new
one.

`versions/` holds one file for each step, `migrate.py` beside this folder runs them. The tables of money are made here
too, from `billing_core`'s own description; a test holds both descriptions against a migrated database.
"""
