"""When owners are told without having asked: people wait, seats run short, a certificate expires. Once for each
crossing.

What was told is remembered in the transaction that promises the letter, so that any number of processes tell it once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select, union

from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.connections.connection import SamlSettings
from sso_gate.notify.notices import Told, remember, told
from sso_gate.notify.preferences import CERTIFICATE, PEOPLE_WAIT, SOLVED, THRESHOLD
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import notice, notification, seat_pool, waiting

QUIET = timedelta(hours=1)  # the first blocked person in a quiet hour is told at once, the later ones together
REMIND_AFTER = timedelta(hours=24)
REMINDED = f"{PEOPLE_WAIT}:reminded"
CERTIFICATE_DAYS = (21, 7, 1)
_POOLS = (
    select(
        seat_pool,
        *ledger.holds_of(seat_pool.c.organization),
        notice.c.value.label("was_short"),
        notification.c.seats_left,
    )
    .outerjoin(notice, (notice.c.organization == seat_pool.c.organization) & (notice.c.kind == THRESHOLD))
    .outerjoin(
        notification, (notification.c.organization == seat_pool.c.organization) & (notification.c.kind == THRESHOLD)
    )
)
# Seats left at which an organization of so many seats counts as nearly full.
_SMALL = ((15, 1), (25, 2))
_SHARES = ((99, 10), (999, 8))
_LARGE_SHARE = 5


async def tell_owners(runtime: Runtime) -> None:
    """Promise the letters that are due now; without a mail server none are, and pages alone tell of short seats."""
    for organization in await runtime.database.read(partial(_with_news, runtime=runtime)):
        await runtime.database.write(partial(_tell, runtime=runtime, organization=organization))


async def tell_of_certificates(runtime: Runtime) -> None:
    """Promise a letter for each provider's certificate that comes near its end."""
    listening = await runtime.database.read(partial(_listening, runtime=runtime))
    for organization in await runtime.database.read(organizations.every):
        if organization.id in listening:
            await runtime.database.write(partial(_certificates, runtime=runtime, organization=organization))


def _with_news(tx: Connection, *, runtime: Runtime) -> list[Organization]:
    """Return where there may be something to tell: in as many statements for a thousand organizations as for one."""
    people = union(
        select(waiting.c.organization),
        select(notice.c.organization).where(notice.c.kind == PEOPLE_WAIT, notice.c.value > 0),
    )
    hoped = set(tx.execute(people).scalars()) & _listening(tx, runtime=runtime)
    found = hoped | set(_crossings(tx, now=runtime.clock.now()))
    return [organization for organization in organizations.every(tx) if organization.id in found] if found else []


def _listening(tx: Connection, *, runtime: Runtime) -> set[str]:
    """Return the organizations that hear more than what their pages show: by mail all do."""
    if runtime.settings.smtp_url:
        return set(tx.execute(select(seat_pool.c.organization)).scalars())
    programs = notification.c.chat | notification.c.webhook
    return set(tx.execute(select(notification.c.organization).where(programs)).scalars())


def _tell(tx: Connection, *, runtime: Runtime, organization: Organization) -> None:
    if organization.id in _listening(tx, runtime=runtime):
        _people_wait(tx, runtime, organization, runtime.clock.now())
    _nearly_full(tx, runtime=runtime, organization=organization)


def _people_wait(tx: Connection, runtime: Runtime, organization: Organization, now: datetime) -> None:
    known = told(tx, organization.id, PEOPLE_WAIT)
    rows = [row for row in waitlist.in_order(tx, organization.id, now=now) if row.held_until is None]
    hoping = any(row.declined is None for row in rows)
    newest = max((to_micros(max(row.first_refused, row.asked or row.first_refused)) for row in rows), default=0)
    if known.value and not hoping:
        outbox.add(tx, organization.id, SOLVED, clock=runtime.clock)
        remember(tx, organization.id, PEOPLE_WAIT, value=0, now=now)
        return
    new = newest > known.at and known.at <= to_micros(now - QUIET)
    if new or (hoping and _forgotten(tx, organization.id, known, now=now)):
        outbox.add(tx, organization.id, PEOPLE_WAIT, clock=runtime.clock, payload={"count": len(rows)})
        remember(tx, organization.id, PEOPLE_WAIT, value=len(rows), now=now)
        if not new:
            remember(tx, organization.id, REMINDED, value=1, now=now)


def _forgotten(tx: Connection, organization: str, known: Told, *, now: datetime) -> bool:
    """Return whether owners were told a day ago, and nothing since; of the same people they are reminded once."""
    due = known.value > 0 and known.at <= to_micros(now - REMIND_AFTER)
    return due and told(tx, organization, REMINDED).at < known.at


def _nearly_full(tx: Connection, *, runtime: Runtime, organization: Organization) -> None:
    now = runtime.clock.now()
    crossed = _crossings(tx, now=now, organization=organization.id).get(organization.id)
    if crossed is None:
        return
    remember(tx, organization.id, THRESHOLD, value=int(crossed), now=now)
    if crossed:
        pool = ledger.read(tx, organization.id, now=now)
        payload = {"left": pool.available, "purchased": pool.purchased}
        outbox.add(tx, organization.id, THRESHOLD, clock=runtime.clock, payload=payload)


def _crossings(tx: Connection, *, now: datetime, organization: str | None = None) -> dict[str, bool]:
    """Return where seats have begun to run short, or are plenty again; not where nothing has changed."""
    query = _POOLS if organization is None else _POOLS.where(seat_pool.c.organization == organization)
    rows = tx.execute(query, {"now": to_micros(now)})
    found = {row.organization: _crossed(row) for row in rows}
    return {name: crossed for name, crossed in found.items() if crossed is not None}


def _crossed(row: Row[Any]) -> bool | None:
    available = ledger.pool_of(row).available
    few = left_when_nearly_full(row.purchased) if row.seats_left is None else row.seats_left
    if not row.was_short and available <= few:
        return True
    return False if row.was_short and available > 2 * few else None  # well above it: the next crossing is told


def short_since(tx: Connection, organization: str) -> datetime | None:
    """Return when the seats began to run short; None while they do not."""
    found = told(tx, organization, THRESHOLD)
    return found.instant if found.value else None


def left_when_nearly_full(purchased: int) -> int:
    """Return how many seats are left when an organization of this size counts as nearly full."""
    for size, left in _SMALL:
        if purchased <= size:
            return left
    share = next((share for size, share in _SHARES if purchased <= size), _LARGE_SHARE)
    return purchased * share // 100


def _certificates(tx: Connection, *, runtime: Runtime, organization: Organization) -> None:
    now = runtime.clock.now()
    for one in connections.of_organization(tx, runtime.keyring, organization.id):
        if not one.enabled or not isinstance(one.settings, SamlSettings):
            continue
        expiries = certificates_expiry(one.settings.certificates, now=now)
        days = max((expiry.days_left for expiry in expiries), default=CERTIFICATE_DAYS[0] + 1)
        step = _step(days, CERTIFICATE_DAYS)
        kind = f"{CERTIFICATE}:{one.id}"
        known = told(tx, organization.id, kind).value
        if step and step != known:
            outbox_payload = {"days": max(days, 0), "connection_name": one.name}
            outbox.add(tx, organization.id, CERTIFICATE, clock=runtime.clock, payload=outbox_payload)
            remember(tx, organization.id, kind, value=step, now=now)
        elif not step and known:
            remember(tx, organization.id, kind, value=0, now=now)


def _step(days: int, steps: Iterable[int]) -> int:
    return min((step for step in steps if days <= step), default=0)
