"""When owners are told without having asked: people wait, seats run short, a certificate expires. Once for each
crossing.

What was told is remembered in the transaction that promises the letter, so that any number of processes tell it once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.connections.connection import SamlSettings
from sso_gate.notify.notices import Told, remember, told
from sso_gate.notify.preferences import CERTIFICATE, PEOPLE_WAIT, SOLVED, THRESHOLD, preferences
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

QUIET = timedelta(hours=1)  # the first blocked person in a quiet hour is told at once, the later ones together
REMIND_AFTER = timedelta(hours=24)
REMINDED = f"{PEOPLE_WAIT}:reminded"
CERTIFICATE_DAYS = (21, 7, 1)
# Seats left at which an organization of so many seats counts as nearly full.
_SMALL = ((15, 1), (25, 2))
_SHARES = ((99, 10), (999, 8))
_LARGE_SHARE = 5


async def tell_owners(runtime: Runtime) -> None:
    """Promise the letters that are due now; without a mail server none are, and pages alone tell of short seats."""
    for organization in await runtime.database.read(organizations.every):
        told_by_mail = bool(runtime.settings.smtp_url)
        if told_by_mail or await runtime.database.read(partial(_has_chat, organization=organization.id)):
            await runtime.database.write(partial(_tell, runtime=runtime, organization=organization))
        elif await runtime.database.read(partial(_crossed, runtime=runtime, organization=organization)) is not None:
            await runtime.database.write(partial(_nearly_full, runtime=runtime, organization=organization))


def _has_chat(tx: Connection, organization: str) -> bool:
    return any(one.chat for one in preferences(tx, organization).values())


def _tell(tx: Connection, *, runtime: Runtime, organization: Organization) -> None:
    now = runtime.clock.now()
    _people_wait(tx, runtime, organization, now)
    _nearly_full(tx, runtime=runtime, organization=organization)
    _certificates(tx, runtime, organization, now)


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
    crossed = _crossed(tx, runtime=runtime, organization=organization)
    if crossed is None:
        return
    now = runtime.clock.now()
    remember(tx, organization.id, THRESHOLD, value=int(crossed), now=now)
    if crossed:
        pool = ledger.read(tx, organization.id, now=now)
        payload = {"left": pool.available, "purchased": pool.purchased}
        outbox.add(tx, organization.id, THRESHOLD, clock=runtime.clock, payload=payload)


def _crossed(tx: Connection, *, runtime: Runtime, organization: Organization) -> bool | None:
    """Return whether seats have begun to run short, or are plenty again; None where nothing has changed."""
    pool = ledger.read(tx, organization.id, now=runtime.clock.now())
    was_short, few = told(tx, organization.id, THRESHOLD).value, left_when_short(tx, organization.id, pool.purchased)
    if not was_short and pool.available <= few:
        return True
    return False if was_short and pool.available > 2 * few else None  # well above it: the next crossing is told


def short_since(tx: Connection, organization: str) -> datetime | None:
    """Return when the seats began to run short; None while they do not."""
    found = told(tx, organization, THRESHOLD)
    return found.instant if found.value else None


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
        known = told(tx, organization.id, kind).value
        if step and step != known:
            outbox_payload = {"days": max(days, 0), "connection_name": one.name}
            outbox.add(tx, organization.id, CERTIFICATE, clock=runtime.clock, payload=outbox_payload)
            remember(tx, organization.id, kind, value=step, now=now)
        elif not step and known:
            remember(tx, organization.id, kind, value=0, now=now)


def _step(days: int, steps: Iterable[int]) -> int:
    return min((step for step in steps if days <= step), default=0)
