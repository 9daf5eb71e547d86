"""What owners were told without having asked, or have put away: remembered, so that it is told once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from sso_gate.clock import from_micros, to_micros
from sso_gate.storage.tables import notice


@dataclass(frozen=True, slots=True)
class Told:
    """When something was told last, and a number that goes with it; microseconds since 1970, 0 for never."""

    at: int
    value: int

    @property
    def instant(self) -> datetime:
        """The same as an instant."""
        return from_micros(self.at)


def told(tx: Connection, organization: str, kind: str) -> Told:
    """Return what is remembered of this kind of notice; zeros where nothing is."""
    query = select(notice.c.told_at, notice.c.value)
    row = tx.execute(query.where(notice.c.organization == organization, notice.c.kind == kind)).one_or_none()
    return Told(row.told_at, row.value) if row else Told(0, 0)


def remember(tx: Connection, organization: str, kind: str, *, value: int, now: datetime) -> None:
    """Remember that this was told now, instead of what was remembered before."""
    values = {"told_at": to_micros(now), "value": value}
    same = (notice.c.organization == organization) & (notice.c.kind == kind)
    if tx.execute(update(notice).where(same).values(values)).rowcount == 0:
        tx.execute(insert(notice).values(organization=organization, kind=kind, **values))
