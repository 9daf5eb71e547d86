"""Admission: may this person come in, and if so, with which seat. One decision, one door.

`decision.py` decides (pure, total), `admit.py` carries it out in one transaction with the audit record, `combiner.py`
lets logins of one organization share that transaction, `recheck.py` asks again while a session lives, `revoke.py` ends
what was given, `reconcile.py` proves that the books agree, Only this package opens sessions and takes seats.
"""
