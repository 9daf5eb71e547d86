"""Whose messages are looked at now: a storm on one connection must not hold everybody else's logins up.

Reading and verifying a message is work of the processor alone, a hundred times as much for the largest ones as for
usual ones, and nobody has proved anything before it is done. So each connection has as many turns at once as it can
use well, and whoever else knocks there waits behind its own, not in front of other people.
"""

import asyncio
from weakref import WeakValueDictionary

AT_ONCE = 1


class Turns:
    """The turns of every connection, in one process."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, connection: str) -> asyncio.Semaphore:
        """Return what to hold while a message is looked at that came in by this connection, be there one or not."""
        turn = self._turns.get(connection)
        if turn is None:
            turn = self._turns[connection] = asyncio.Semaphore(AT_ONCE)
        return turn
