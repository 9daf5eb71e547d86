"""Small parts of a token's budgets that one process has taken, so that Redis is asked once for many requests.

A part is a hundredth of a budget, or one request of a small one: what a process takes and does not use is lost to the
others for a window, and no more than that is spent beyond a budget. Redis alone says how much was taken in all.
"""

from datetime import datetime

SHARE = 100
MAX_KEPT = 3000  # budgets of tokens that one process remembers


class Rations:
    """What one process has left of each budget, and until when that counts."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[int, datetime]] = {}

    def pay(self, budget: str, *, now: datetime) -> bool:
        """Return whether one request was paid from what is left here."""
        left, until = self._left.get(budget, (0, now))
        if left <= 0 or now >= until:
            return False
        self._left[budget] = left - 1, until
        return True

    def fill(self, budget: str, requests: int, *, until: datetime) -> None:
        """Keep what was taken of a budget."""
        if len(self._left) >= MAX_KEPT:
            self._left.clear()
        self._left[budget] = requests, until

    def forget(self, budget: str) -> None:
        """Give up what is left here."""
        self._left.pop(budget, None)


def portion(budget: int) -> int:
    """Return how many requests are taken of a budget at once."""
    return max(1, budget // SHARE)
