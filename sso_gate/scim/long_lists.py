"""What one process remembers of long lists for some seconds: how long they are, and where their pages begin.

Counting 100,000 rows, or skipping 90,000, takes longer than reading a page of them, and a client that imports everybody
asks for both at every page. Short lists are never remembered. RFC 7644 3.4.2.4 lets results change between pages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

LONG = 10_000
KEPT = timedelta(seconds=10)
MAX_NOTES = 1000


class LongLists:
    """The notes of one process, of all organizations; a change that this process makes is seen at once."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str, int], tuple[Any, datetime]] = {}

    def of(self, organization: str, *, now: datetime) -> "Notes":
        """Return the notes of one organization."""
        return Notes(self, organization, now)

    def forget(self, organization: str) -> None:
        """Drop what is known of an organization whose resources were changed."""
        for key in [key for key in tuple(self._notes) if key[0] == organization]:
            self._notes.pop(key, None)

    def read(self, key: tuple[str, str, int], now: datetime) -> Any:
        """Return the note, or None where there is none that still counts."""
        value, until = self._notes.get(key, (None, now))
        return value if now < until else None

    def write(self, key: tuple[str, str, int], value: Any, now: datetime) -> None:
        """Keep a note for a while."""
        if len(self._notes) >= MAX_NOTES:
            self._notes.clear()
        self._notes[key] = value, now + KEPT


@dataclass(frozen=True, slots=True)
class Notes:
    """What is remembered of one organization's lists; `question` names a list: resource, filter and order."""

    lists: LongLists
    organization: str
    now: datetime

    def total(self, question: str, count: Callable[[], int]) -> int:
        """Return how long the list is, counted now unless it was long a moment ago."""
        key = (self.organization, question, 0)
        known = self.lists.read(key, self.now)
        if known is not None:
            return int(known)
        found = count()
        if found >= LONG:
            self.lists.write(key, found, self.now)
        return found

    def place(self, question: str, start: int) -> tuple[Any, str] | None:
        """Return sort key and id of the row before the page that begins at `start` (from 1), where they are known."""
        found: tuple[Any, str] | None = self.lists.read((self.organization, question, start), self.now)
        return found

    def note_place(self, question: str, start: int, last: tuple[Any, str]) -> None:
        """Remember the row before the page that begins at `start`, where skipping would cost."""
        if start >= LONG:
            self.lists.write((self.organization, question, start), last, self.now)
