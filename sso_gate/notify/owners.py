"""When owners are told without having asked: people wait, seats run short, a certificate expires. Once for each
crossing.

What was told is remembered in the transaction that promises the letter, so that any number of processes tell it once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert, select, update

from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.connections.connection import SamlSettings
from sso_gate.notify.preferences import CERTIFICATE, PEOPLE_WAIT, THRESHOLD, preferences
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import notice

QUIET = timedelta(hours=1)  # the first blocked person in a quiet hour is told at once, the later ones together
CERTIFICATE_DAYS = (21, 7, 1)
# Seats left at which an organization of so many seats counts as nearly full.
_SMALL = ((15, 1), (25, 2))
_SHARES = ((99, 10), (999, 8))
_LARGE_SHARE = 5


@dataclass(frozen=True, slots=True)
class _Told:
    at: int
    value: int


async def tell_owners(runtime: Runtime) -> None:
    """Promise the letters that are due now; without a mail server none are."""
    if not runtime.settings.smtp_url:
        return
    for organization in await runtime.database.read(organizations.every):
        await runtime.database.write(partial(_tell, runtime=runtime, organization=organization))


def _tell(tx: Connection, *, runtime: Runtime, organization: Organization) -> None:
    now = runtime.clock.now()
    _people_wait(tx, runtime, organization, now)
    _nearly_full(tx, runtime, organization, now)
    _certificates(tx, runtime, organization, now)


def _people_wait(tx: Connection, runtime: Runtime, organization: Organization, now: datetime) -> None:
    told = _told(tx, organization.id, PEOPLE_WAIT)
    rows = [row for row in waitlist.in_order(tx, organization.id, now=now) if row.held_until is None]
    newest = max((max(row.first_refused, row.asked or row.first_refused) for row in rows), default=None)
    if newest is None or to_micros(newest) <= told.at or to_micros(now - QUIET) < told.at:
        return
    _promise(tx, runtime, organization, PEOPLE_WAIT, {"count": len(rows)}, value=len(rows), now=now)


def _nearly_full(tx: Connection, runtime: Runtime, organization: Organization, now: datetime) -> None:
    pool = ledger.read(tx, organization.id, now=now)
    told, few = _told(tx, organization.id, THRESHOLD), left_when_short(tx, organization.id, pool.purchased)
    short = pool.available <= few
    if short and not told.value:
        payload = {"left": pool.available, "purchased": pool.purchased}
        _promise(tx, runtime, organization, THRESHOLD, payload, value=1, now=now)
    elif told.value and pool.available > 2 * few:
        _remember(tx, organization.id, THRESHOLD, value=0, now=now)  # well above it again: the next crossing is told


def left_when_short(tx: Connection, organization: str, purchased: int) -> int:
    """Return how many free seats count as short here: the owners' own number, or the one of this size."""
    chosen = preferences(tx, organization)[THRESHOLD].seats_left
    return left_when_nearly_full(purchased) if chosen is None else chosen


def left_when_nearly_full(purchased: int) -> int:
    """Return how many seats are left when an organization of this size counts as nearly full."""
    for size, left in _SMALL:
        if purchased <= size:
            return left
    share = next((share for size, share in _SHARES if purchased <= size), _LARGE_SHARE)
    return purchased * share // 100


def _certificates(tx: Connection, runtime: Runtime, organization: Organization, now: datetime) -> None:
    for one in connections.of_organization(tx, runtime.keyring, organization.id):
        if not one.enabled or not isinstance(one.settings, SamlSettings):
            continue
        expiries = certificates_expiry(one.settings.certificates, now=now)
        days = max((expiry.days_left for expiry in expiries), default=CERTIFICATE_DAYS[0] + 1)
        step = _step(days, CERTIFICATE_DAYS)
        kind = f"{CERTIFICATE}:{one.id}"
        told = _told(tx, organization.id, kind).value
        if step and step != told:
            outbox_payload = {"days": max(days, 0), "connection_name": one.name}
            outbox.add(tx, organization.id, CERTIFICATE, clock=runtime.clock, payload=outbox_payload)
            _remember(tx, organization.id, kind, value=step, now=now)
        elif not step and told:
            _remember(tx, organization.id, kind, value=0, now=now)


def _step(days: int, steps: Iterable[int]) -> int:
    return min((step for step in steps if days <= step), default=0)


def _promise(
    tx: Connection,
    runtime: Runtime,
    organization: Organization,
    kind: str,
    payload: dict[str, int],
    *,
    value: int,
    now: datetime,
) -> None:
    outbox.add(tx, organization.id, kind, clock=runtime.clock, payload=dict(payload))
    _remember(tx, organization.id, kind, value=value, now=now)


def _told(tx: Connection, organization: str, kind: str) -> _Told:
    query = select(notice.c.told_at, notice.c.value)
    row = tx.execute(query.where(notice.c.organization == organization, notice.c.kind == kind)).one_or_none()
    return _Told(row.told_at, row.value) if row else _Told(0, 0)


def _remember(tx: Connection, organization: str, kind: str, *, value: int, now: datetime) -> None:
    values = {"told_at": to_micros(now), "value": value}
    same = (notice.c.organization == organization) & (notice.c.kind == kind)
    if tx.execute(update(notice).where(same).values(values)).rowcount == 0:
        tx.execute(insert(notice).values(organization=organization, kind=kind, **values))
