"""What has to happen without anybody asking: keep the outbox's promises, pass on holds that ran out, renew contracts,
reconcile.

Any number of processes may run it: every duty is a transaction that finds its own work, and doing it twice changes
nothing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from sso_gate.billing.allocation import publish
from sso_gate.billing.purchase import forget_quotes
from sso_gate.billing.renewal import renew_due
from sso_gate.errors import SsoGateError, Unavailable
from sso_gate.metrics import BOOKS_CHECKED, SEAT_DRIFT
from sso_gate.notify.chat import CHAT, post_to_chat
from sso_gate.notify.hook_notices import HOOK, post_notice
from sso_gate.notify.letters import INVOICE, LETTER, letter_of, write_letters
from sso_gate.notify.mail import GIVE_UP_AFTER, Enclosure, Letter, send
from sso_gate.notify.owners import tell_of_certificates, tell_owners
from sso_gate.notify.streams_delivery import Courier
from sso_gate.organizations import store as organizations
from sso_gate.protocols.outgoing import GuardedOutgoing
from sso_gate.seats import ledger, waitlist
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
RETRY_SECONDS = 1.0  # a duty that failed waits so long, however quick its own pace
TELL_SECONDS = 60.0  # how often a trouble that lasts is logged
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
        await asyncio.gather(*(repeat(duty.__name__, partial(duty, runtime), every) for duty, every in duties))
    finally:
        await courier.aclose()
        await outgoing.aclose()


async def repeat(name: str, duty: Callable[[], Awaitable[object]], every: timedelta) -> None:
    """Do the duty for ever. One that fails is tried again; its first failure is logged, then one a minute, and at last
    that it works again.
    """
    trouble = _Trouble(name)
    while True:
        try:
            await duty()
        except Exception as error:  # noqa: BLE001 - a duty that fails must not end the others
            trouble.tell(error, at=time.monotonic())
        else:
            trouble.over(at=time.monotonic())
        await asyncio.sleep(max(every.total_seconds(), RETRY_SECONDS if trouble.failures else 0))


@dataclass(slots=True)
class _Trouble:
    """What keeps a duty from being done: how often it has failed in a row, since when, and when that was told."""

    name: str
    failures: int = 0
    began: float = 0
    told: float = 0

    def tell(self, error: Exception, *, at: float) -> None:
        self.failures += 1
        if self.failures == 1:
            self.began = at
        elif at - self.told < TELL_SECONDS:
            return
        self.told = at
        if isinstance(error, SsoGateError):
            _log.warning("%s: %s", self.name, error)
        else:
            _log.error("%s failed", self.name, exc_info=error)

    def over(self, *, at: float) -> None:
        if self.failures:
            _log.warning("%s works again after %d failures in %d s", self.name, self.failures, at - self.began)
        self.failures = 0


async def keep_promises(runtime: Runtime) -> int:
    """Do what the outbox holds and is due; return how many promises were kept.

    Sessions that have to end wait for no letter, and nobody waits for what is posted to somebody else's server.
    """
    promises = await runtime.database.write(lambda tx: outbox.claim(tx, now=runtime.clock.now()))
    posted = [one for one in promises if one.kind in _POSTED]
    letters = [one for one in promises if one.kind == LETTER]
    ours = [one for one in promises if one.kind not in {LETTER, *_POSTED}]
    kept = await _keep_all(runtime, ours) + await _keep_all(runtime, letters)
    return kept + sum(await asyncio.gather(*(_keep_all(runtime, [one]) for one in posted)))


async def _keep_all(runtime: Runtime, promises: list[Promise]) -> int:
    """Keep one after another; one that cannot be kept is tried again later, as claiming it has put it off."""
    kept = 0
    for promise in promises:
        try:
            await _keep(runtime, promise)
        except SsoGateError as error:
            _log.warning("outbox %s: %s", promise.kind, error)
        except Exception:  # noqa: BLE001 - one that nobody can keep must not hold up those behind it
            _log.exception("outbox %s %s", promise.kind, promise.id)
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
        await _mail(runtime, promise)
    elif promise.kind != LETTER:
        origin, mail = runtime.settings.origin, bool(runtime.settings.smtp_url)
        letters = partial(write_letters, promise=promise, origin=origin, clock=runtime.clock, mail=mail)
        await runtime.database.write(letters)


async def _mail(runtime: Runtime, promise: Promise) -> None:
    letter = letter_of(promise)
    enclosed = await _enclosed(runtime, promise.organization, letter)
    try:
        await send(letter, runtime.settings, clock=runtime.clock, enclosed=enclosed)
    except Unavailable as error:
        if promise.attempts < GIVE_UP_AFTER:
            raise
        _log.warning("letter %s: %s, given up", promise.id, error)


async def _enclosed(runtime: Runtime, organization_id: str, letter: Letter) -> Enclosure | None:
    """Return the document that goes with the letter, if it is one about an invoice."""
    if letter.template != INVOICE:
        return None
    organization = await runtime.database.read(lambda tx: organizations.get(tx, organization_id))
    number = letter.context["invoice"]
    found = await documents.invoice(runtime, organization, number) if organization else None
    return Enclosure(f"{number}.pdf", await asyncio.to_thread(documents.invoice_pdf, found)) if found else None


async def record_floods(runtime: Runtime) -> None:
    """Put every counted flood whose minute is over on the audit record, once."""
    floods, now = Floods(runtime.redis), runtime.clock.now()
    for field, event in await floods.over(now=now):
        with contextlib.suppress(IntegrityError):  # another process was quicker: it is on record
            await runtime.database.write(partial(audit.record, events=[event]))
        await floods.forget(field)


async def watch_books(runtime: Runtime) -> None:
    """Prove that the books of seats agree, show what does not to those on call, and forget promises kept long ago, and
    quotes that nobody ordered.
    """
    SEAT_DRIFT.set(len(await reconcile(runtime)))
    BOOKS_CHECKED.set(runtime.clock.now().timestamp())
    before = runtime.clock.now() - KEPT_PROMISES_FOR
    await runtime.database.write(lambda tx: outbox.forget_done(tx, before=before))
    await forget_quotes(runtime)


async def pass_on_holds(runtime: Runtime) -> None:
    """Give seats whose hold has run out, and free ones, to the next who waits; tell the counter."""
    now = runtime.clock.now()
    for organization in await runtime.database.read(lambda tx: waitlist.to_be_offered(tx, now=now)):
        pool = await runtime.database.write(partial(_offer, runtime=runtime, organization=organization))
        await publish(runtime, organization, pool)


def _offer(tx: Connection, *, runtime: Runtime, organization: str) -> ledger.Pool:
    now = runtime.clock.now()
    ledger.lock(tx, organization, now=now)
    return waitlist.offer(tx, organization, clock=runtime.clock, until=now + runtime.settings.seat_hold)
