"""A test login: the whole road with a real identity provider, but no seat is taken, nothing is bound and no session
made.

A trial is asked for on the command line or by an owner; its link is opened in a browser within ten minutes; what came
of it is kept sealed for a day.
"""

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection as Transaction

from sso_gate.admission.decision import Admit, AdmitIfSeat, AdmitToSettings, Refuse, Tie, decide
from sso_gate.admission.facts import Gathered, gather
from sso_gate.admission.settle import role_of
from sso_gate.clock import from_micros, iso
from sso_gate.connections.connection import Connection
from sso_gate.errors import Reason, Refused
from sso_gate.identity import Identity
from sso_gate.login.answer import Said
from sso_gate.login.trace import (
    ANSWERED,
    DOMAIN,
    ROLE,
    SENT,
    TIMES,
    Step,
    Steps,
    noted,
    steps_passed,
    steps_until,
    timed,
)
from sso_gate.members.roles import Role
from sso_gate.seats import ledger
from sso_gate.storage.keyring import CannotUnseal, Keyring
from sso_gate.storage.redis import Redis
from sso_gate.storage.runtime import Runtime

LIFETIME_SECONDS = 600
KEPT_SECONDS = 24 * 3600
MAX_LENGTH = 64
_ = str
_HOLDS = _("holds a seat already")
_SETTINGS = _("would open the settings alone: the contract is over")
_SETTINGS_FULL = _("no seat is free: would open the settings alone")
_KEPT = _("would take the seat that is kept for them")
_TAKES = _("would take a seat: yes, %(left)s left")
_NO_SEAT = _("would take a seat: no, %(used)s of %(purchased)s in use")
_CLOCKS = _("clock difference %(seconds)s s")
_KNOWN = _("not asked: known from an earlier login")
_ROLES = {
    Role.USER: _("would be a User"),
    Role.ADMIN: _("would be an Admin"),
    Role.OWNER: _("would be an Owner"),
    Role.PRIMARY_OWNER: _("is the Primary Owner"),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test login: the checks in their order, what the provider said of the person as it was understood,
    the reason of the check that failed, if one did, and every claim with its values masked.
    """

    steps: Steps
    person: dict[str, str]
    reason: str = ""
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def proves_connection(self) -> bool:
        """Whether the connection works: nothing but a free seat was missing."""
        return self.reason in {"", Reason.SEAT_UNAVAILABLE}

    @property
    def refusal(self) -> Refused | None:
        """Why this login would have been refused, or None."""
        return Refused(Reason(self.reason)) if self.reason else None

    def on_the_way(self, *, sent_at: int, answered: datetime) -> Self:
        """Return the trial with the times of its request (microseconds since 1970; 0 where it never left) and of the
        answer.
        """
        if not sent_at:
            return self
        sent = from_micros(sent_at)
        took_ms = round((answered - sent).total_seconds() * 1000)
        steps = timed(timed(self.steps, SENT, sent), ANSWERED, answered, took_ms=took_ms)
        return replace(self, steps=steps)


@dataclass(frozen=True, slots=True)
class Trials:
    """The test logins that were asked for in the last ten minutes, and what came of those of a day, by connection."""

    redis: Redis
    keyring: Keyring

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return the test logins of this installation."""
        return cls(runtime.redis, runtime.keyring)

    async def ask(self, connection: str) -> str:
        """Return the name of a new trial: whoever opens its link runs it."""
        name = secrets.token_urlsafe(24)
        await self.redis.put(_asked_key(connection, name), "1", seconds=LIFETIME_SECONDS)
        return name

    async def is_asked(self, connection: str, name: str) -> bool:
        """Return whether the link of this trial still works."""
        return 0 < len(name) <= MAX_LENGTH and await self.redis.get(_asked_key(connection, name)) is not None

    async def keep(self, connection: Connection, name: str, trial: Trial) -> None:
        """Keep what came of it, and which revision of the connection passed."""
        text = self.keyring.seal(json.dumps(asdict(trial), default=iso))
        await self.redis.put(_key(connection.id, name), text, seconds=KEPT_SECONDS)
        await self.redis.put(_last_key(connection.id), name, seconds=KEPT_SECONDS)
        if trial.proves_connection:
            await self.redis.put(_passed_key(connection.id), str(connection.revision), seconds=KEPT_SECONDS)

    async def passed(self, connection: Connection) -> bool:
        """Return whether the connection passed a test login within a day, with the settings that it has now."""
        return await self.redis.get(_passed_key(connection.id)) == str(connection.revision)

    async def last(self, connection: str) -> Trial | None:
        """Return the newest trial of this connection that somebody came back from."""
        name = await self.redis.get(_last_key(connection))
        return await self.result(connection, name) if name else None

    async def result(self, connection: str, name: str) -> Trial | None:
        """Return what came of it, or None while nobody has come back."""
        text = await self.redis.get(_key(connection, name)) if 0 < len(name) <= MAX_LENGTH else None
        try:
            return _read(json.loads(self.keyring.unseal(text))) if text else None
        except CannotUnseal:
            return None


def _read(values: dict[str, Any]) -> Trial:
    steps = tuple(Step(**{**step, "at": _instant(step["at"])}) for step in values["steps"])
    claims = tuple((name, said) for name, said in values["claims"])
    return Trial(steps, values["person"], values["reason"], claims)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def failed_trial(refusal: Refused, *, at: str = "") -> Trial:
    """Return the trial of a login whose message was refused; `at` names the step, where the reason does not say it."""
    return Trial(steps_until(refusal.reason, refusal.detail, at=at), {}, refusal.reason)


async def try_admission(runtime: Runtime, identity: Identity, mapped: Role | None, said: Said) -> Trial:
    """Return what the door would do with this person now, whose groups bring the role `mapped`; nothing is changed. A
    connection that is not enabled yet is tried as if it were.
    """
    steps, reason = await runtime.database.read(lambda tx: _steps(tx, runtime, identity, mapped))
    if said.issued:
        seconds = round((runtime.clock.now() - said.issued).total_seconds(), 1)
        steps = noted(steps, TIMES, _CLOCKS, seconds=seconds)
    person = {
        "subject": identity.subject,
        "email": identity.email or "",
        "name": identity.name or "",
        "groups": ", ".join(identity.groups),
    }
    return Trial(steps, person, reason, said.claims)


def _steps(tx: Transaction, runtime: Runtime, identity: Identity, mapped: Role | None) -> tuple[Steps, str]:
    now = runtime.clock.now()
    known = gather(tx, identity.organization, [identity], now=now)[0]
    role = role_of(known.member, mapped) if known.member else mapped or Role.USER
    steps, reason = _decided(tx, identity, known, role, now)
    if known.facts.tie is Tie.BOUND:
        steps = noted(steps, DOMAIN, _KNOWN, mark="not done")
    return noted(steps, ROLE, _ROLES[role]), reason


def _decided(tx: Transaction, identity: Identity, known: Gathered, role: Role, now: datetime) -> tuple[Steps, str]:
    pool = ledger.read(tx, identity.organization, now=now)
    facts = known.facts._replace(connection_enabled=True, role=role if known.member else None)
    match decide(facts):
        case Refuse(reason):
            return steps_until(reason), reason
        case Admit():
            return steps_passed(_HOLDS), ""
        case AdmitToSettings():
            return steps_passed(_SETTINGS), ""
        case AdmitIfSeat(settings_without_seat):
            if known.kept:
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


def _asked_key(connection: str, name: str) -> str:
    return f"sso:{{connection:{connection}}}:trial-asked:{name}"


def _key(connection: str, name: str) -> str:
    return f"sso:{{connection:{connection}}}:trial:{name}"
