"""Seats: how many are bought, held and kept; the counter in Redis that is asked first, and the ledger in SQL that has
the last word.

Owns the pool row, the holds and the counter. Must not decide who may have a seat: that is `sso_gate.admission`. Nobody
else changes `seat_pool` or a member's state to or from `held`. Start reading at `ledger.py`.
"""
