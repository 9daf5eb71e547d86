"""The banner above the pages of who may add seats: people wait, or seats run short. Put away, it comes back with the
next one who is refused, when an administrator asks, or the next time that seats begin to run short.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sso_gate.clock import to_micros
from sso_gate.notify.asking import asked_to_look
from sso_gate.notify.notices import remember, told
from sso_gate.notify.owners import short_since
from sso_gate.seats import ledger, waitlist


@dataclass(frozen=True, slots=True)
class Banner:
    """What the banner says: how many people wait, or else how many seats are left; `seen` is its moment, in
    microseconds since 1970.
    """

    waiting: int
    left: int
    seen: int


def banner(tx: Connection, organization: str, member: str, *, now: datetime) -> Banner | None:
    """Return what this member has to be told; None where there is nothing that they have not put away."""
    pool, seen = ledger.read(tx, organization, now=now), to_micros(now)
    put_away = told(tx, organization, _kind(member)).instant
    since = waitlist.newest_wish(tx, organization, now=now)
    if since is not None:
        waiting = waitlist.count(tx, organization, now=now)
        news = max(since, asked_to_look(tx, organization) or since)
        return Banner(waiting, pool.available, seen) if news > put_away else None
    short = short_since(tx, organization)
    return Banner(0, pool.available, seen) if short is not None and short > put_away else None


def put_banner_away(tx: Connection, organization: str, member: str, *, seen: datetime) -> None:
    """Show this member nothing more of what there was at that instant."""
    remember(tx, organization, _kind(member), value=0, now=seen)


def _kind(member: str) -> str:
    return f"banner:{member}"
