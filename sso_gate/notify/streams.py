"""Destinations of the audit log: where each organization's events go, and how far each destination is.

A destination has a cursor of its own, so one that stands still holds up nobody, and goes on from where it was.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, insert, select, update

from sso_gate.audit.forms import Form
from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.errors import InvalidInput
from sso_gate.identity import new_id
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.tables import audit_chain, audit_delivery, audit_stream

Kind = Literal["webhook", "splunk", "syslog", "s3"]
FORMS: Mapping[Kind, tuple[Form, ...]] = {
    "webhook": ("json", "ocsf", "ecs"),
    "splunk": ("json", "ocsf", "ecs"),
    "syslog": ("json", "ocsf", "ecs", "cef"),
    "s3": ("json", "ocsf", "ecs"),
}
# Whoever claims a destination and dies leaves it to the next after this time; one attempt takes a sixth of it.
LEASE = timedelta(seconds=90)
RETRIES = tuple(
    timedelta(**{unit: number})
    for number, unit in (
        (5, "seconds"), (5, "minutes"), (30, "minutes"), (2, "hours"), (5, "hours"), (10, "hours"), (14, "hours"),
        (20, "hours"), (24, "hours"),
    )
)  # fmt: skip
BOTH_SECRETS_FOR = timedelta(hours=24)
Headers = Sequence[tuple[str, str]]
MAX_HEADERS = 10
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$%&'*+.^_`|~-]{0,63}")  # RFC 9110 5.6.2, within bounds
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")  # RFC 9110 5.5, visible ASCII alone
# What says whose message it is, or how long it is, is not for others to say.
_OURS = re.compile(r"(webhook|content|proxy)-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect")


@dataclass(frozen=True, slots=True)
class Stream:
    """One destination: `position` was delivered, `sending` is where the batch under way ends; empty filters fit all.

    `headers` are sent beside our own, `form` says in whose words events are written, `region` where a bucket is.
    """

    id: str
    organization: str
    kind: Kind
    url: str
    secrets: tuple[str, ...]
    outcome: str
    actions: tuple[str, ...]
    enabled: bool
    position: int
    sending: int
    attempts: int
    due: datetime
    delivered: datetime | None
    problem: str
    form: Form = "json"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    region: str = ""

    def wants(self, event: dict[str, Any]) -> bool:
        """Whether the event is one that the destination asked for."""
        fits = not self.outcome or event["outcome"] == self.outcome
        return fits and (not self.actions or event["action"] in self.actions)


def shown(url: str) -> str:
    """Return what may be told of a destination's address: no path and no name, some of them are secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def create(
    tx: Connection,
    organization: str,
    kind: Kind,
    url: str,
    secret: str,
    *,
    outcome: str = "",
    actions: tuple[str, ...] = (),
    position: int | None = None,
    form: Form = "json",
    headers: Headers = (),
    region: str = "",
    keyring: Keyring,
    clock: Clock,
) -> str:
    """Add a destination and return its id. It begins behind `position`; by default, with what happens from now on.

    Raises:
        InvalidInput: headers or a form that this kind of destination does not take.
    """
    _check_shape(kind, form, headers)
    now, stream = to_micros(clock.now()), new_id("str", clock)
    if position is None:
        size = select(audit_chain.c.size).where(audit_chain.c.organization == organization)
        position = tx.execute(size).scalar_one_or_none() or 0
    row = {"id": stream, "organization": organization, "kind": kind, "url": url, "enabled": True, "position": position}
    row |= {"settings": json.dumps({"outcome": outcome, "actions": list(actions), "form": form, "region": region})}
    row |= {"sealed_secret": _sealed(keyring, [[secret, None]], headers)}
    tx.execute(insert(audit_stream).values(**row, sending=0, attempts=0, due_at=now, problem="", created_at=now))
    return stream


def _check_shape(kind: Kind, form: Form, headers: Headers) -> None:
    if form not in FORMS[kind]:
        raise InvalidInput("format", f"{kind} takes {', '.join(FORMS[kind])}")
    if headers and kind != "webhook":
        raise InvalidInput("header", "only webhooks have headers of their own")
    if len(headers) > MAX_HEADERS:
        raise InvalidInput("header", f"more than {MAX_HEADERS}")
    for name, value in headers:
        fits = _HEADER_NAME.fullmatch(name) and not _OURS.fullmatch(name.lower())
        if not fits or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput("header", f"{name[:64]}: not a header that can be added")


def _sealed(keyring: Keyring, secrets: list[list[Any]], headers: Headers) -> str:
    return keyring.seal(json.dumps({"secrets": secrets, "headers": [list(one) for one in headers]}))


def of_organization(tx: Connection, organization: str, *, keyring: Keyring, now: datetime) -> list[Stream]:
    """Return the organization's destinations in the order of their making."""
    table = audit_stream.c
    query = select(audit_stream).where(table.organization == organization).order_by(table.created_at, table.id)
    return [_stream(row, keyring, now) for row in tx.execute(query)]


def remove(tx: Connection, organization: str, stream: str) -> bool:
    """Delete a destination; return whether it was there."""
    table = audit_stream.c
    mine = select(table.id).where(table.organization == organization, table.id == stream).scalar_subquery()
    tx.execute(delete(audit_delivery).where(audit_delivery.c.stream == mine))
    return bool(tx.execute(delete(audit_stream).where(table.organization == organization, table.id == stream)).rowcount)


def claim(tx: Connection, *, keyring: Keyring, now: datetime, limit: int = 32) -> list[Stream]:
    """Return destinations with something to deliver that nobody else is at; they are this caller's for the lease."""
    table = audit_stream.c
    behind = (audit_chain.c.organization == table.organization) & (audit_chain.c.size > table.position)
    ready = (table.enabled.is_(True), table.due_at <= to_micros(now), select(audit_chain.c.size).where(behind).exists())
    query = select(audit_stream).where(*ready).order_by(table.due_at).limit(limit)
    rows = tx.execute(query.with_for_update(skip_locked=True)).all()
    if rows:
        mine = update(audit_stream).where(table.id.in_([row.id for row in rows]))
        tx.execute(mine.values(due_at=to_micros(now + LEASE)))
    return [_stream(row, keyring, now) for row in rows]


def any_due(tx: Connection, *, now: datetime) -> bool:
    """Return whether `claim` may find something."""
    table = audit_stream.c
    due = select(table.id).where(table.enabled.is_(True), table.due_at <= to_micros(now)).limit(1)
    return tx.execute(due).first() is not None


def begin(tx: Connection, stream: Stream, *, upto: int) -> None:
    """Note where the batch under way ends: tried again, it is the same batch with the same id."""
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(sending=upto))


def advance(tx: Connection, stream: Stream, *, upto: int, now: datetime, more: bool) -> None:
    """Note that everything up to a position was delivered; `more` keeps the lease for the next batch."""
    due = to_micros(now + LEASE if more else now)
    values = {"position": upto, "sending": 0, "attempts": 0, "due_at": due, "problem": ""}
    # A destination that was moved back meanwhile stays where it was moved to.
    here = (audit_stream.c.id == stream.id) & (audit_stream.c.position == stream.position)
    tx.execute(update(audit_stream).where(here).values(**values, delivered_at=to_micros(now)))


def rest(tx: Connection, stream: Stream, *, until: datetime) -> None:
    """Leave the destination alone until then: what there is for it is not complete yet."""
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(due_at=to_micros(until)))


def postpone(tx: Connection, stream: Stream, *, problem: str, now: datetime, off: bool) -> None:
    """Note a failed attempt: the next one follows the schedule; `off` ends the attempts until somebody enables it."""
    wait = RETRIES[min(stream.attempts, len(RETRIES) - 1)]
    values = {"attempts": stream.attempts + 1, "due_at": to_micros(now + wait), "problem": problem[:500]}
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(**values, enabled=not off))


def move(tx: Connection, stream: Stream, *, now: datetime, position: int | None = None) -> None:
    """Enable the destination again, at once; from a position on where one is given."""
    values: dict[str, Any] = {"enabled": True, "attempts": 0, "due_at": to_micros(now), "problem": ""}
    if position is not None:
        values |= {"position": position, "sending": 0}
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(values))


def switch_off(tx: Connection, stream: Stream) -> None:
    """Deliver nothing more to the destination until somebody enables it; it goes on where it was."""
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(enabled=False))


def choose(tx: Connection, stream: Stream, *, outcome: str, actions: tuple[str, ...]) -> None:
    """Deliver these events from now on; empty choices fit all."""
    more = {"form": stream.form, "region": stream.region}
    settings = json.dumps({"outcome": outcome, "actions": list(actions), **more})
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(settings=settings))


def exchange_secret(tx: Connection, stream: Stream, secret: str, *, keyring: Keyring, now: datetime) -> None:
    """Sign with a new secret; the one before signs too for a day, so that the receiver can change at any time."""
    kept: list[list[Any]] = [[secret, None], *([one, to_micros(now + BOTH_SECRETS_FOR)] for one in stream.secrets[:1])]
    sealed = _sealed(keyring, kept, stream.headers)
    tx.execute(update(audit_stream).where(audit_stream.c.id == stream.id).values(sealed_secret=sealed))


def _stream(row: Row[Any], keyring: Keyring, now: datetime) -> Stream:
    settings = json.loads(row.settings)
    sealed = json.loads(keyring.unseal(row.sealed_secret))
    return Stream(
        id=row.id,
        organization=row.organization,
        kind=cast("Kind", row.kind),
        url=row.url,
        secrets=tuple(secret for secret, until in sealed["secrets"] if until is None or until > to_micros(now)),
        outcome=settings["outcome"],
        actions=tuple(settings["actions"]),
        enabled=row.enabled,
        position=row.position,
        sending=row.sending,
        attempts=row.attempts,
        due=from_micros(row.due_at),
        delivered=from_micros(row.delivered_at) if row.delivered_at is not None else None,
        problem=row.problem,
        form=settings["form"],
        region=settings["region"],
        headers=tuple((name, value) for name, value in sealed["headers"]),
    )
