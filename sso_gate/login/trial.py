"""A test login: the whole road with a real identity provider, but no seat is taken, nothing is bound and no session
made.

A trial is asked for on the command line or by an owner; its link is opened in a browser; what came of it is kept for
ten minutes.
"""

import json
import secrets
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection as Transaction

from sso_gate.admission.decision import Admit, AdmitIfSeat, AdmitToSettings, Refuse, decide
from sso_gate.admission.facts import gather
from sso_gate.connections.connection import Connection
from sso_gate.errors import Reason, Refused
from sso_gate.identity import Identity
from sso_gate.login.trace import Step, steps_passed, steps_until
from sso_gate.seats import ledger
from sso_gate.storage.redis import Redis
from sso_gate.storage.runtime import Runtime

LIFETIME_SECONDS = 600
PASSED_SECONDS = 24 * 3600
MAX_LENGTH = 64
_ = str
_HOLDS = _("holds a seat already")
_SETTINGS = _("would open the settings alone: the contract is over")
_SETTINGS_FULL = _("no seat is free: would open the settings alone")
_KEPT = _("would take the seat that is kept for them")
_TAKES = _("would take a seat: yes, %(left)s left")
_NO_SEAT = _("would take a seat: no, %(used)s of %(purchased)s in use")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test login: the checks in their order, what the provider said of the person, and the reason of
    the check that failed, if one did.
    """

    steps: tuple[Step, ...]
    person: dict[str, str]
    reason: str = ""

    @property
    def proves_connection(self) -> bool:
        """Whether the connection works: nothing but a free seat was missing."""
        return self.reason in {"", Reason.SEAT_UNAVAILABLE}

    @property
    def refusal(self) -> Refused | None:
        """Why this login would have been refused, or None."""
        return Refused(Reason(self.reason)) if self.reason else None


@dataclass(frozen=True, slots=True)
class Trials:
    """The test logins of the last ten minutes, by connection."""

    redis: Redis

    async def ask(self, connection: str) -> str:
        """Return the name of a new trial: whoever opens its link runs it."""
        name = secrets.token_urlsafe(24)
        await self.redis.put(_key(connection, name), "", seconds=LIFETIME_SECONDS)
        return name

    async def is_asked(self, connection: str, name: str) -> bool:
        """Return whether this trial was asked for and still counts."""
        return 0 < len(name) <= MAX_LENGTH and await self.redis.get(_key(connection, name)) is not None

    async def keep(self, connection: Connection, name: str, trial: Trial) -> None:
        """Keep what came of it, and which revision of the connection passed."""
        await self.redis.put(_key(connection.id, name), json.dumps(asdict(trial)), seconds=LIFETIME_SECONDS)
        await self.redis.put(_last_key(connection.id), name, seconds=LIFETIME_SECONDS)
        if trial.proves_connection:
            await self.redis.put(_passed_key(connection.id), str(connection.revision), seconds=PASSED_SECONDS)

    async def passed(self, connection: Connection) -> bool:
        """Return whether the connection passed a test login within a day, with the settings that it has now."""
        return await self.redis.get(_passed_key(connection.id)) == str(connection.revision)

    async def last(self, connection: str) -> Trial | None:
        """Return the newest trial of this connection that somebody came back from."""
        name = await self.redis.get(_last_key(connection))
        return await self.result(connection, name) if name else None

    async def result(self, connection: str, name: str) -> Trial | None:
        """Return what came of it, or None while nobody has come back."""
        text = await self.redis.get(_key(connection, name))
        if not text:
            return None
        values = json.loads(text)
        return Trial(tuple(Step(**step) for step in values["steps"]), values["person"], values["reason"])


def failed_trial(refusal: Refused) -> Trial:
    """Return the trial of a login whose message was refused."""
    return Trial(steps_until(refusal.reason, refusal.detail), {}, refusal.reason)


async def try_admission(runtime: Runtime, identity: Identity) -> Trial:
    """Return what the door would do with this person now; nothing is changed. A connection that is not enabled yet is
    tried as if it were.
    """
    steps, reason = await runtime.database.read(lambda tx: _steps(tx, runtime, identity))
    person = {
        "subject": identity.subject,
        "email": identity.email or "",
        "name": identity.name or "",
        "groups": ", ".join(identity.groups),
    }
    return Trial(steps, person, reason)


def _steps(tx: Transaction, runtime: Runtime, identity: Identity) -> tuple[tuple[Step, ...], str]:
    now = runtime.clock.now()
    known = gather(tx, identity.organization, [identity], now=now)[0]
    pool = ledger.read(tx, identity.organization, now=now)
    match decide(replace(known.facts, connection_enabled=True)):
        case Refuse(reason):
            return steps_until(reason), reason
        case Admit():
            return steps_passed(_HOLDS), ""
        case AdmitToSettings():
            return steps_passed(_SETTINGS), ""
        case AdmitIfSeat(settings_without_seat):
            kept = known.member is not None and ledger.kept(tx, [known.member.id], now=now)
            if kept:
                return steps_passed(_KEPT), ""
            if pool.available:
                return steps_passed(_TAKES, left=pool.available), ""
            if settings_without_seat:
                return steps_passed(_SETTINGS_FULL), ""
            refused = Reason.SEAT_UNAVAILABLE
            return steps_until(refused, note=_NO_SEAT, used=pool.used, purchased=pool.purchased), refused


def _passed_key(connection: str) -> str:
    return f"sso:{{connection:{connection}}}:passed"


def _last_key(connection: str) -> str:
    return f"sso:{{connection:{connection}}}:last-trial"


def _key(connection: str, name: str) -> str:
    return f"sso:{{connection:{connection}}}:trial:{name}"
