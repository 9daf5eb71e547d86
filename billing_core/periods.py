"""The calendar of a contract: dates in its zone, and the grid of month boundaries that starts at its anchor date.

Boundary `b[k]` is the anchor plus k calendar months, its day clamped to the month's length, and always computed from
the anchor: adding a month to the previous boundary would drift from the 31st to the 28th for ever.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing_core.errors import ContractInvalid, InstantInvalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Dates that a contract may name: room enough for every term after the anchor, and for zones on both sides."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises `ContractInvalid`: a zone is never guessed."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise ContractInvalid(f"timezone: {name!r} is not an IANA time zone") from None


def in_utc(instant: object) -> datetime:
    """The same instant in UTC. Raises `InstantInvalid` when it has no offset, or a year that no contract can have."""
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise InstantInvalid(f"{instant!r} is not an instant with an offset")
    if not 1900 <= instant.year <= LAST_YEAR:
        raise InstantInvalid(f"{instant!r} is not between the years 1900 and {LAST_YEAR}")
    return instant.astimezone(UTC)


def micros(instant: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z: how instants are stored."""
    return (in_utc(instant) - EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """The instant that `micros` stored."""
    return EPOCH + timedelta(microseconds=value)


@lru_cache(maxsize=8192)
def day_start(day: date, timezone: str) -> datetime:
    """The first instant (UTC) at which the wall clock of the zone shows `day` or a later date.

    Where midnight does not exist, because the clock jumps over it, this is the instant of the jump.
    """
    tz = zone(timezone)
    midnight = datetime.combine(day, time(0), tzinfo=tz).astimezone(UTC)
    before = midnight - timedelta(microseconds=1)
    if before.astimezone(tz).date() < day:
        return midnight
    return _jump_before(midnight, day, tz)


def _jump_before(midnight: datetime, day: date, tz: ZoneInfo) -> datetime:
    """A clock that jumped from before midnight to after it (Toronto 1919) has already passed `day`'s start."""
    low, high = midnight - timedelta(days=1), midnight
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) // 2
        low, high = (low, middle) if middle.astimezone(tz).date() >= day else (middle, high)
    return high


def local_date(instant: object, timezone: str) -> date:
    """The date in the zone at that instant. A date that has begun does not end because the clock is turned back."""
    utc = in_utc(instant)
    shown = utc.astimezone(zone(timezone)).date()
    tomorrow = shown + timedelta(days=1)
    return tomorrow if day_start(tomorrow, timezone) <= utc else shown


@lru_cache(maxsize=16_384)
def boundary(anchor: date, k: int) -> date:
    """`b[k]`: the anchor plus k months, its day clamped to the month's length."""
    years, month0 = divmod(anchor.month - 1 + k, 12)
    year, month = anchor.year + years, month0 + 1
    return date(year, month, min(anchor.day, calendar.monthrange(year, month)[1]))


def month_index(anchor: date, day: date) -> int:
    """The contract month that holds `day`: the largest k with `b[k] <= day`; negative before the anchor."""
    k = (day.year - anchor.year) * 12 + day.month - anchor.month
    return k if boundary(anchor, k) <= day else k - 1


@dataclass(frozen=True, slots=True)
class Term:
    """Term `index` of a contract: `[starts_on, ends_on)` in dates, `[starts_at, ends_at)` in instants."""

    index: int
    starts_on: date
    ends_on: date
    starts_at: datetime
    ends_at: datetime

    @property
    def last_day(self) -> date:
        """The last day that belongs to the term."""
        return self.ends_on - timedelta(days=1)


def term(anchor: date, term_months: int, index: int, timezone: str) -> Term:
    """Term `index`: `[b[index * term_months], b[(index + 1) * term_months])`."""
    starts_on = boundary(anchor, index * term_months)
    ends_on = boundary(anchor, (index + 1) * term_months)
    return Term(index, starts_on, ends_on, day_start(starts_on, timezone), day_start(ends_on, timezone))
