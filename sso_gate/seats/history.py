"""How the seats in use came about, day by day, from the entries of every grant and release."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, case, func, select

from sso_gate.clock import to_micros
from sso_gate.seats.forecast import Day
from sso_gate.storage.tables import seat_entry

_DAY_MICROS = 24 * 3600 * 1_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DayInUse:
    """How many seats were in use at the end of a day (UTC)."""

    day: date
    in_use: int


def daily(tx: Connection, organization: str, *, since: datetime, now: datetime) -> list[Day]:
    """Return one entry for each day (UTC) from the later of `since` and the first grant until today, oldest first."""
    entry = seat_entry.c
    day = (entry.at // _DAY_MICROS).label("day")
    taken = func.sum(case((entry.delta > 0, 1), else_=0)).label("taken")
    released = func.sum(case((entry.delta < 0, 1), else_=0)).label("released")
    query = select(day, taken, released).where(entry.organization == organization, entry.at >= to_micros(since))
    found = {int(row.day): row for row in tx.execute(query.group_by("day"))}
    begin = max(_number(since), _first(tx, organization, default=_number(now)))
    return [
        Day(_EPOCH + timedelta(days=at), int(found[at].taken), int(found[at].released))
        if at in found
        else Day(_EPOCH + timedelta(days=at), 0, 0)
        for at in range(begin, _number(now) + 1)
    ]


def in_use_by_day(days: Sequence[Day], *, in_use: int) -> list[DayInUse]:
    """Return the seats in use at the end of each day, counted back from how many are in use now."""
    rows, number = [], in_use
    for one in reversed(days):
        rows.append(DayInUse(one.day, number))
        number -= one.taken - one.released
    return rows[::-1]


def _first(tx: Connection, organization: str, *, default: int) -> int:
    first = select(func.min(seat_entry.c.at)).where(seat_entry.c.organization == organization)
    micros = tx.execute(first).scalar_one()
    return default if micros is None else micros // _DAY_MICROS


def _number(instant: datetime) -> int:
    return (instant.astimezone(UTC).date() - _EPOCH).days
