"""Names what was done to rows that do not form one chain: changed, missing, swapped, inserted, duplicated.

Rows are taken for what their hashes say, not for the numbers beside them: whoever tampers with a file can number it
anew.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

# Each break looks through what is left: a file that is broken everywhere is not worth hours.
MAX_BREAKS = 200


class Kind(StrEnum):
    """What is wrong at a place."""

    CHANGED = "changed"
    MISSING = "missing"
    SWAPPED = "swapped"
    INSERTED = "inserted"
    DUPLICATED = "duplicated"
    CUT = "cut"
    CHECKPOINT = "checkpoint"
    REWRITTEN = "rewritten"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: at which position, in which line of the file (0: in none), and in words."""

    kind: Kind
    position: int
    line: int
    words: str


class Linked(Protocol):
    """Rows as `verify.Rows` keeps them."""

    @property
    def positions(self) -> Sequence[int]:
        """The numbers beside the rows."""
        ...

    @property
    def intact(self) -> Sequence[int]:
        """Whether each row is the one that its hash was made of."""
        ...

    def __len__(self) -> int: ...

    def prev(self, at: int) -> bytes:
        """Return the hash that the row says comes before it."""
        ...

    def hash(self, at: int) -> bytes:
        """Return the hash that the row says it has."""
        ...


def diagnose(rows: Linked, *, first: int, last: int, prev: bytes) -> tuple[list[int], list[Finding]]:
    """Return the rows (by their place in the file) in the order of the chain, and what contradicts it."""
    walk = _Walk(rows, first, last)
    walk.index()
    walk.follow(prev)
    walk.name_strangers()
    walk.name_displaced()
    walk.name_renumbered()
    return walk.order, walk.findings


@dataclass(slots=True)
class _Walk:
    rows: Linked
    first: int
    last: int
    order: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _after: dict[bytes, list[int]] = field(default_factory=lambda: defaultdict(list))
    _at_position: dict[int, int] = field(default_factory=dict)
    _left: set[int] = field(default_factory=set)
    _position: int = 0

    def index(self) -> None:
        """Sort the rows by predecessor and by position; the second of two equal rows is a finding."""
        seen: set[bytes] = set()
        for at in range(len(self.rows)):
            own = self.rows.hash(at)
            if own in seen:
                self._note(Kind.DUPLICATED, at, "the same event stands in the file before")
                continue
            seen.add(own)
            self._left.add(at)
            self._after[self.rows.prev(at)].append(at)
        for at in sorted(self._left, key=lambda one: (not self.rows.intact[one], one), reverse=True):
            self._at_position[self.rows.positions[at]] = at  # of two, an intact one, and the earlier

    def follow(self, prev: bytes) -> None:
        """Walk along the chain from its beginning, over every break, until no row is left to go to."""
        self._position = self.first
        while True:
            at = self._next(prev)
            if at is None:
                at = self._over_the_break()
            if at is None:
                return
            self._left.discard(at)
            self.order.append(at)
            self._position += 1
            prev = self.rows.hash(at)

    def _next(self, prev: bytes) -> int | None:
        """The row that follows this hash. Of several, the one that others follow, or whose number fits."""
        open_ones = [at for at in self._after.get(prev, ()) if at in self._left]
        if len(open_ones) > 1:
            open_ones.sort(
                key=lambda at: (bool(self._after.get(self.rows.hash(at))), self._fits(at), -at), reverse=True
            )
        return open_ones[0] if open_ones else None

    def _fits(self, at: int) -> bool:
        return bool(self.rows.intact[at]) and self.rows.positions[at] == self._position

    def _over_the_break(self) -> int | None:
        """Return the row to go on with where none follows, and say what happened in between."""
        if len(self.findings) >= MAX_BREAKS:
            self._left.clear()
            return None
        numbered = [self.rows.positions[at] for at in self._left if self.rows.positions[at] >= self._position]
        reachable = self._heads()
        if not numbered or not reachable:
            return None
        at = min(reachable, key=lambda one: (self.rows.positions[one], one))
        number = self.rows.positions[at]
        short = (self.last - self._position + 1) - len(self._left)
        if number > self._position or short > 0:
            gone = max(number - self._position, short if number <= self._position else 0)
            self._missing(gone)
        elif self.order and self.rows.intact[self.order[-1]]:
            self._note(Kind.CHANGED, self.order[-1], "its successor was sealed behind another text")
        return at

    def _heads(self) -> list[int]:
        """The remaining rows that no other remaining row precedes: where a piece of the chain begins."""
        hashes = {self.rows.hash(at) for at in self._left}
        return [
            at
            for at in self._left
            if self.rows.prev(at) not in hashes
            and self.rows.positions[at] >= self._position
            and self._at_position.get(self.rows.positions[at]) == at
        ]

    def _missing(self, count: int) -> None:
        upto = self._position + count - 1
        said = f"position {upto} is" if count == 1 else f"positions {self._position} to {upto} are"
        self.findings.append(Finding(Kind.MISSING, self._position, 0, f"{said} not in the file"))
        self._position += count

    def name_strangers(self) -> None:
        """Whatever the walk did not come by does not belong to the chain."""
        for at in sorted(self._left):
            self._note(Kind.INSERTED, at, "nothing in the chain leads to it")

    def name_displaced(self) -> None:
        """Rows that are part of the chain and stand elsewhere in the file, and those in whose places they stand."""
        kept = set(_longest_rising(self.order))
        file_order = sorted(self.order)
        rank = {at: place for place, at in enumerate(file_order)}
        displaced = {at for at in self.order if at not in kept}
        displaced |= {self.order[rank[at]] for at in displaced}
        for at in sorted(displaced):
            self._note(Kind.SWAPPED, at, "it stands in another place than the chain says")

    def name_renumbered(self) -> None:
        """Where nothing else is wrong, a number that is not the row's place in the chain is."""
        if self.findings:
            return
        for place, at in enumerate(self.order):
            if self.rows.positions[at] != self.first + place and self.rows.intact[at]:
                self._note(Kind.CHANGED, at, f"its number is not its place, {self.first + place}")

    def _note(self, kind: Kind, at: int, words: str) -> None:
        self.findings.append(Finding(kind, self.rows.positions[at], at + 2, words))


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """Return a longest rising subsequence: what can stay in place when the rest is moved."""
    tails: list[int] = []
    tail_places: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_left(tails, number)
        before.append(tail_places[length - 1] if length else -1)
        tails[length : length + 1] = [number]
        tail_places[length : length + 1] = [place]
    rising, place = [], tail_places[-1] if tail_places else -1
    while place >= 0:
        rising.append(numbers[place])
        place = before[place]
    return rising
