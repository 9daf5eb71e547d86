"""When the seats run out, at the current pace, with an honest range: pure arithmetic on counts.

Arrivals and departures are counted as independent Poisson processes over the last 56 days, so the net change over
`t` days ahead has mean `rate · t` and variance `turnover · t`. The seats run out on the first day when the mean
reaches what is free; the range holds that day four times out of five (10 % and 90 % quantiles by the normal
approximation with continuity correction).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WINDOW_DAYS = 56
MINIMUM_DAYS = 14
HORIZON_DAYS = 365
# The 90 % quantile of the standard normal distribution: eight of ten lie between minus and plus as many deviations.
_NORMAL_90 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class Day:
    """Seats taken and given back on one day."""

    day: date
    taken: int
    released: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected: the day when seats run out and its 80 % range, all None when that is not within a year.

    `days` were counted, with `change` more seats at their end; `ahead` is the expected number in use, day by day.
    """

    runs_out: date | None
    earliest: date | None
    latest: date | None
    days: int
    change: int
    ahead: tuple[float, ...]


def forecast(
    history: Sequence[Day], *, in_use: int, free: int, known: int = 0, ahead_days: int = 30
) -> Forecast | None:
    """Return the forecast after the last day of `history`, or None with fewer than 14 days of it.

    `free` seats are left after `in_use` and whatever is reserved; `known` people are certain to come (invited,
    assigned by a directory) and are counted at once. `history` has one entry a day, oldest first; only the last 56
    count.
    """
    window = history[-WINDOW_DAYS:]
    if len(window) < MINIMUM_DAYS:
        return None
    taken, released = sum(one.taken for one in window), sum(one.released for one in window)
    rate, turnover = (taken - released) / len(window), (taken + released) / len(window)
    last, left = window[-1].day, free - known
    return Forecast(
        runs_out=_day(last, _crossing(left, rate, turnover, 0)) if rate > 0 else None,
        earliest=_day(last, _crossing(left, rate, turnover, _NORMAL_90)) if rate > 0 else None,
        latest=_day(last, _crossing(left, rate, turnover, -_NORMAL_90)) if rate > 0 else None,
        days=len(window),
        change=taken - released,
        ahead=tuple(round(in_use + known + rate * step, 2) for step in range(1, ahead_days + 1)),
    )


def _crossing(left: int, rate: float, turnover: float, deviations: float) -> int | None:
    """Return the days until `left` more seats are taken: the first `t` with rate·t + deviations·√(turnover·t) ≥ left
    + ½.
    """
    if left <= 0:
        return 0
    # A quadratic in √t: rate·x² + deviations·√turnover·x − (left + ½) = 0, whose positive root is wanted.
    spread, target = deviations * math.sqrt(turnover), left + (0.5 if deviations else 0)
    root = (-spread + math.sqrt(spread * spread + 4 * rate * target)) / (2 * rate)
    days = math.ceil(root * root - 1e-9)
    return days if days <= HORIZON_DAYS else None


def _day(last: date, days: int | None) -> date | None:
    return None if days is None else last + timedelta(days=days)
