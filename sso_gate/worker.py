"""What has to happen without anybody asking: keep the outbox's promises, pass on holds that ran out, renew contracts,
reconcile.

Any number of processes may run it: every duty is a transaction that finds its own work, and doing it twice changes
nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sso_gate.admission.reconcile import reconcile
from sso_gate.admission.revoke import PURGE, Revoker
from sso_gate.apply.metadata_refresh import refresh_metadata
from sso_gate.audit import store as audit
from sso_gate.audit.flood import Floods
from sso_gate.audit.proving import prove_logs
from sso_gate.audit.retention import expire
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.stored_exports import make_exports
from sso_gate.billing import documents
from sso_gate.billing.renewal import renew_due
from sso_gate.errors import SsoGateError
from sso_gate.metrics import BOOKS_CHECKED, SEAT_DRIFT
from sso_gate.notify.chat import CHAT, post_to_chat
from sso_gate.notify.hook_notices import HOOK, post_notice
from sso_gate.notify.letters import INVOICE, LETTER, letter_of, write_letters
from sso_gate.notify.mail import Enclosure, Letter, send
from sso_gate.notify.owners import tell_of_certificates, tell_owners
from sso_gate.notify.streams_delivery import Courier
from sso_gate.organizations import store as organizations
from sso_gate.protocols.outgoing import GuardedOutgoing
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.storage import outbox
from sso_gate.storage.outbox import Promise
from sso_gate.storage.runtime import Runtime

OUTBOX_EVERY = timedelta(seconds=1)
HOLDS_EVERY = timedelta(seconds=15)
RENEWAL_EVERY = timedelta(minutes=5)
RECONCILE_EVERY = timedelta(hours=1)
METADATA_EVERY = timedelta(hours=1)
FLOODS_EVERY = timedelta(seconds=15)
TELL_EVERY = timedelta(seconds=10)
CERTIFICATES_EVERY = timedelta(hours=1)
SEAL_EVERY = timedelta(milliseconds=100)
SIGN_EVERY = timedelta(seconds=1)
EXPIRE_EVERY = timedelta(hours=1)
DELIVER_EVERY = timedelta(seconds=1)
PROVE_EVERY = timedelta(minutes=10)
EXPORTS_EVERY = timedelta(seconds=2)
KEPT_PROMISES_FOR = timedelta(days=30)
_POSTED = {CHAT: post_to_chat, HOOK: post_notice}
_log = logging.getLogger(__name__)


async def work(runtime: Runtime) -> None:
    """Do every duty for ever, each at its own pace; one that fails is logged and tried again."""
    outgoing = GuardedOutgoing(runtime.settings.allow_private_networks)
    courier = Courier(outgoing)
    duties: list[tuple[Callable[[Runtime], Awaitable[object]], timedelta]] = [
        (keep_promises, OUTBOX_EVERY),
        (pass_on_holds, HOLDS_EVERY),
        (renew_due, RENEWAL_EVERY),
        (watch_books, RECONCILE_EVERY),
        (refresh_metadata, METADATA_EVERY),
        (record_floods, FLOODS_EVERY),
        (tell_owners, TELL_EVERY),
        (tell_of_certificates, CERTIFICATES_EVERY),
        (seal, SEAL_EVERY),
        (sign_due, SIGN_EVERY),
        (expire, EXPIRE_EVERY),
        (prove_logs, PROVE_EVERY),
        (make_exports, EXPORTS_EVERY),
        (courier.begin_due, DELIVER_EVERY),
    ]
    try:
        await asyncio.gather(*(_repeat(runtime, duty, every) for duty, every in duties))
    finally:
        await courier.aclose()
        await outgoing.aclose()


async def _repeat(runtime: Runtime, duty: Callable[[Runtime], Awaitable[object]], every: timedelta) -> None:
    while True:
        try:
            await duty(runtime)
        except SsoGateError as error:
            _log.warning("%s: %s", duty.__name__, error)
        except Exception:  # noqa: BLE001 - a duty that fails must not end the others
            _log.exception("%s failed", duty.__name__)
        await asyncio.sleep(every.total_seconds())


async def keep_promises(runtime: Runtime) -> int:
    """Do what the outbox holds and is due; return how many promises were kept."""
    promises = await runtime.database.write(lambda tx: outbox.claim(tx, now=runtime.clock.now()))
    kept = 0
    for promise in promises:
        try:
            await _keep(runtime, promise)
        except SsoGateError as error:
            _log.warning("outbox %s: %s", promise.kind, error)  # tried again later: claiming it has put it off
        else:
            await runtime.database.write(partial(outbox.done, promise=promise, now=runtime.clock.now()))
            kept += 1
    return kept


async def _keep(runtime: Runtime, promise: Promise) -> None:
    if promise.kind == PURGE:
        await Revoker.of(runtime).purge(promise.organization, promise.subject, below=promise.generation)
    elif promise.kind in _POSTED:
        outgoing = GuardedOutgoing(runtime.settings.allow_private_networks)
        try:
            await _POSTED[promise.kind](runtime, outgoing, promise)
        finally:
            await outgoing.aclose()
    elif promise.kind == LETTER and runtime.settings.smtp_url:
        letter = letter_of(promise)
        enclosed = await _enclosed(runtime, promise.organization, letter)
        await send(letter, runtime.settings, clock=runtime.clock, enclosed=enclosed)
    elif promise.kind != LETTER:
        origin, mail = runtime.settings.origin, bool(runtime.settings.smtp_url)
        letters = partial(write_letters, promise=promise, origin=origin, clock=runtime.clock, mail=mail)
        await runtime.database.write(letters)


async def _enclosed(runtime: Runtime, organization_id: str, letter: Letter) -> Enclosure | None:
    """Return the document that goes with the letter, if it is one about an invoice."""
    if letter.template != INVOICE:
        return None
    organization = await runtime.database.read(lambda tx: organizations.get(tx, organization_id))
    number = letter.context["invoice"]
    found = await documents.invoice(runtime, organization, number) if organization else None
    return Enclosure(f"{number}.pdf", documents.invoice_pdf(found)) if found else None


async def record_floods(runtime: Runtime) -> None:
    """Put every counted flood whose minute is over on the audit record, once."""
    floods, now = Floods(runtime.redis), runtime.clock.now()
    for organization in await runtime.database.read(organizations.every):
        for field, event in await floods.over(organization.id, now=now):
            with contextlib.suppress(IntegrityError):  # another process was quicker: it is on record
                await runtime.database.write(partial(audit.record, events=[event]))
            await floods.forget(organization.id, field)


async def watch_books(runtime: Runtime) -> None:
    """Prove that the books of seats agree, show what does not to those on call, and forget promises kept long ago."""
    SEAT_DRIFT.set(len(await reconcile(runtime)))
    BOOKS_CHECKED.set(runtime.clock.now().timestamp())
    before = runtime.clock.now() - KEPT_PROMISES_FOR
    await runtime.database.write(lambda tx: outbox.forget_done(tx, before=before))


async def pass_on_holds(runtime: Runtime) -> None:
    """Give seats whose hold has run out, and free ones, to the next who waits; tell the counter."""
    now = runtime.clock.now()
    for organization in await runtime.database.read(lambda tx: waitlist.to_be_offered(tx, now=now)):
        pool = await runtime.database.write(partial(_offer, runtime=runtime, organization=organization))
        await SeatCounter(runtime.redis).publish(organization, pool)


def _offer(tx: Connection, *, runtime: Runtime, organization: str) -> ledger.Pool:
    now = runtime.clock.now()
    ledger.lock(tx, organization, now=now)
    return waitlist.offer(tx, organization, clock=runtime.clock, until=now + runtime.settings.seat_hold)
