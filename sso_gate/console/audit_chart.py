"""Denied logins by day and reason as bars: numbers in, geometry out; the picture's table says the same."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sso_gate.audit.store import Denials

DAYS = 14
LONGEST_DAYS = 92
HEIGHT, STEP, BAR = 120, 24, 18
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One reason on one day: a rectangle in the picture, and how strong its colour is, from 0.25 to 1."""

    x: int
    y: float
    height: float
    strength: float
    day: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, the picture's width, and the same as rows: day, reason, count."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    rows: tuple[tuple[str, str, int], ...]
    total: int


def span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return the whole days (UTC) to show: those that are asked for, at most 92, or the last fourteen."""
    end = min(until or now, now)
    begin = max(since or end - timedelta(days=DAYS - 1), end - timedelta(days=LONGEST_DAYS - 1))
    return begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0), end


def draw(found: Iterable[Denials], *, begin: datetime, end: datetime) -> Chart:
    """Return the picture of the denials between two instants."""
    counts = list(found)
    reasons = [reason for reason, _ in _by_reason(counts).most_common()]
    first = (begin.date() - _FIRST_DAY).days
    highest = max(_by_day(counts).values(), default=0)
    stacked: Counter[int] = Counter()
    bars = []
    for one in sorted(counts, key=lambda denials: (denials.day, reasons.index(denials.reason))):
        height = HEIGHT * one.count / highest
        stacked[one.day] += one.count
        top = HEIGHT - HEIGHT * stacked[one.day] / highest
        strength = max(0.25, 1 - 0.2 * reasons.index(one.reason))
        bars.append(
            Bar(
                x=(one.day - first) * STEP,
                y=round(top, 2),
                height=round(height, 2),
                strength=round(strength, 2),
                day=_name(one.day),
                reason=one.reason,
                count=one.count,
            )
        )
    days = (end.date() - begin.date()).days + 1
    rows = tuple((bar.day, bar.reason, bar.count) for bar in bars)
    return Chart(tuple(bars), days * STEP, HEIGHT, rows, sum(one.count for one in counts))


def _by_reason(counts: Iterable[Denials]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in counts:
        found[one.reason] += one.count
    return found


def _by_day(counts: Iterable[Denials]) -> Counter[int]:
    found: Counter[int] = Counter()
    for one in counts:
        found[one.day] += one.count
    return found


def _name(day: int) -> str:
    return (_FIRST_DAY + timedelta(days=day)).isoformat()
