"""When owners are told without having asked: people wait, seats run short, a certificate expires. Once for each
crossing.

What was told is remembered in the transaction that promises the letter, so that any number of processes tell it once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, case, func, or_, select, union

from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import last_end
from sso_gate.connections.store import Pinned
from sso_gate.notify.notices import Told, remember, told
from sso_gate.notify.preferences import CERTIFICATE, PEOPLE_WAIT, SOLVED, THRESHOLD
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import notice, notification, seat_pool, waiting

QUIET = timedelta(hours=1)  # the first blocked person in a quiet hour is told at once, the later ones together
REMIND_AFTER = timedelta(hours=24)
REMINDED = f"{PEOPLE_WAIT}:reminded"
CERTIFICATE_DAYS = (21, 7, 1)
# Seats left at which an organization of so many seats counts as nearly full.
_SMALL = ((15, 1), (25, 2))
_SHARES = ((99, 10), (999, 8))
_LARGE_SHARE = 5
# In SQL, as `left_when_nearly_full` says it: of a hundred thousand pools those alone are read that have crossed.
_FEW_BY_SIZE = case(
    *((seat_pool.c.purchased <= size, left) for size, left in _SMALL),
    *((seat_pool.c.purchased <= size, seat_pool.c.purchased * share // 100) for size, share in _SHARES),
    else_=seat_pool.c.purchased * _LARGE_SHARE // 100,
)
_FEW = func.coalesce(notification.c.seats_left, _FEW_BY_SIZE)
_LEFT = seat_pool.c.purchased - seat_pool.c.used - ledger.holds_of(seat_pool.c.organization)[0].element
_IS_SHORT = func.coalesce(notice.c.value, 0) != 0
_CROSSED = (
    select(seat_pool.c.organization, (~_IS_SHORT).label("crossed"))
    .outerjoin(notice, (notice.c.organization == seat_pool.c.organization) & (notice.c.kind == THRESHOLD))
    .outerjoin(
        notification, (notification.c.organization == seat_pool.c.organization) & (notification.c.kind == THRESHOLD)
    )
    # Well above it again: the next crossing is told.
    .where(or_(~_IS_SHORT & (_LEFT <= _FEW), _IS_SHORT & (_LEFT > 2 * _FEW)))
)


async def tell_owners(runtime: Runtime) -> None:
    """Promise the letters that are due now; without a mail server none are, and pages alone tell of short seats."""
    for organization in await runtime.database.read(partial(_with_news, runtime=runtime)):
        await runtime.database.write(partial(_tell, runtime=runtime, organization=organization))


async def tell_of_certificates(runtime: Runtime) -> None:
    """Promise a letter for each provider's certificate that comes near its end."""
    for organization in await runtime.database.read(partial(_with_ends, runtime=runtime)):
        await runtime.database.write(partial(_certificates, runtime=runtime, organization=organization))


def _with_news(tx: Connection, *, runtime: Runtime) -> list[str]:
    """Return where there may be something to tell: in as many statements for a thousand organizations as for one."""
    people = union(
        select(waiting.c.organization),
        select(notice.c.organization).where(notice.c.kind == PEOPLE_WAIT, notice.c.value > 0),
    )
    hoped = _listening(tx, set(tx.execute(people).scalars()), runtime=runtime)
    return sorted(hoped | set(_crossings(tx, now=runtime.clock.now())))


def _with_ends(tx: Connection, *, runtime: Runtime) -> list[str]:
    """Return where a certificate has come nearer to its end than was told, or further away."""
    now = runtime.clock.now()
    kinds = notice.c.kind.startswith(f"{CERTIFICATE}:", autoescape=True)
    rows = tx.execute(select(notice.c.organization, notice.c.kind, notice.c.value).where(kinds))
    known = {(row.organization, row.kind): row.value for row in rows}
    near = {
        one.organization
        for one in connections.pinned(tx)
        if _certificate_step(one, now=now) != known.get((one.organization, _kind(one)), 0)
    }
    return sorted(_listening(tx, near, runtime=runtime))


def _listening(tx: Connection, among: set[str], *, runtime: Runtime) -> set[str]:
    """Return those of these organizations that hear more than what their pages show: by mail all do."""
    if runtime.settings.smtp_url or not among:
        return among
    programs = notification.c.chat | notification.c.webhook
    return among & set(tx.execute(select(notification.c.organization).where(programs)).scalars())


def _tell(tx: Connection, *, runtime: Runtime, organization: str) -> None:
    if _listening(tx, {organization}, runtime=runtime):
        _people_wait(tx, runtime, organization, runtime.clock.now())
    _nearly_full(tx, runtime=runtime, organization=organization)


def _people_wait(tx: Connection, runtime: Runtime, organization: str, now: datetime) -> None:
    known = told(tx, organization, PEOPLE_WAIT)
    rows = [row for row in waitlist.in_order(tx, organization, now=now) if row.held_until is None]
    hoping = any(row.declined is None for row in rows)
    newest = max((to_micros(max(row.first_refused, row.asked or row.first_refused)) for row in rows), default=0)
    if known.value and not hoping:
        outbox.add(tx, organization, SOLVED, clock=runtime.clock)
        remember(tx, organization, PEOPLE_WAIT, value=0, now=now)
        return
    new = newest > known.at and known.at <= to_micros(now - QUIET)
    if new or (hoping and _forgotten(tx, organization, known, now=now)):
        outbox.add(tx, organization, PEOPLE_WAIT, clock=runtime.clock, payload={"count": len(rows)})
        remember(tx, organization, PEOPLE_WAIT, value=len(rows), now=now)
        if not new:
            remember(tx, organization, REMINDED, value=1, now=now)


def _forgotten(tx: Connection, organization: str, known: Told, *, now: datetime) -> bool:
    """Return whether owners were told a day ago, and nothing since; of the same people they are reminded once."""
    due = known.value > 0 and known.at <= to_micros(now - REMIND_AFTER)
    return due and told(tx, organization, REMINDED).at < known.at


def _nearly_full(tx: Connection, *, runtime: Runtime, organization: str) -> None:
    now = runtime.clock.now()
    crossed = _crossings(tx, now=now, organization=organization).get(organization)
    if crossed is None:
        return
    remember(tx, organization, THRESHOLD, value=int(crossed), now=now)
    if crossed:
        pool = ledger.read(tx, organization, now=now)
        payload = {"left": pool.available, "purchased": pool.purchased}
        outbox.add(tx, organization, THRESHOLD, clock=runtime.clock, payload=payload)


def _crossings(tx: Connection, *, now: datetime, organization: str | None = None) -> dict[str, bool]:
    """Return where seats have begun to run short, or are plenty again; not where nothing has changed."""
    query = _CROSSED if organization is None else _CROSSED.where(seat_pool.c.organization == organization)
    rows = tx.execute(query, {"now": to_micros(now)})
    return {row.organization: bool(row.crossed) for row in rows}


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


def _certificates(tx: Connection, *, runtime: Runtime, organization: str) -> None:
    now = runtime.clock.now()
    for one in connections.pinned(tx, organization):
        step, known = _certificate_step(one, now=now), told(tx, organization, _kind(one)).value
        if step and step != known:
            payload = {"days": max(_days_left(one, now=now), 0), "connection_name": one.name}
            outbox.add(tx, organization, CERTIFICATE, clock=runtime.clock, payload=payload)
        if step != known:
            remember(tx, organization, _kind(one), value=step, now=now)


def _certificate_step(one: Pinned, *, now: datetime) -> int:
    """Return of how many days before its end owners should have been told by now; 0 while there is time."""
    return _step(_days_left(one, now=now), CERTIFICATE_DAYS)


def _days_left(one: Pinned, *, now: datetime) -> int:
    end = last_end(one.certificates)
    return (end - now).days if end else CERTIFICATE_DAYS[0] + 1


def _kind(one: Pinned) -> str:
    return f"{CERTIFICATE}:{one.connection}"


def _step(days: int, steps: Iterable[int]) -> int:
    return min((step for step in steps if days <= step), default=0)
