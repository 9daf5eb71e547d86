"""The audit log: what happened, who did it, and why it was refused, written in the transaction that decides it.

Owns the event (`event.py`) and its rows (`store.py`). Must not decide anything. Start reading at `event.py`.
"""
