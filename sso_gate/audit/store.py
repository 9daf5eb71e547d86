"""Rows of the audit log: written in somebody's transaction, read page by page once they are sealed."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select, union_all

from sso_gate.audit.canonical import canonical_form, readable_text
from sso_gate.audit.event import Action, Event
from sso_gate.clock import to_micros
from sso_gate.errors import InvalidInput, Reason
from sso_gate.identity import normal_email
from sso_gate.storage.prepared import inserting
from sso_gate.storage.tables import audit_chain, audit_event

MAX_PAGE = 200
CLOSED: Mapping[str, frozenset[str]] = {
    "outcome": frozenset({"success", "denied"}),
    "reason": frozenset(Reason),
    "action": frozenset(Action),
}
FILTERED = ("outcome", "reason", "action", "person", "connection", "address", "reference")
_RECORD = inserting(audit_event, leave_out={"position", "prev", "hash"})


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list; an empty text means any. `after` is the position, or the id, of the last event already
    seen; `since` is the first instant, `until` the first one no longer wanted.
    """

    outcome: str = ""
    reason: str = ""
    action: str = ""
    person: str = ""
    connection: str = ""
    address: str = ""
    reference: str = ""
    after: str = ""
    newest_first: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def narrowed(self, words: Mapping[str, str]) -> "AuditFilter":
        """Return this filter with the named columns set to these words.

        Raises:
            InvalidInput: a word that is on none of the closed lists of outcomes, reasons and actions.
        """
        for name, known in CLOSED.items():
            if words.get(name) and words[name] not in known:
                raise InvalidInput(name, f"no {name} of the audit log")
        return replace(self, **{name: words[name] for name in FILTERED if name in words})  # type: ignore[arg-type]  # text columns alone

    @property
    def is_open(self) -> bool:
        """Whether every event fits."""
        return not (self.since or self.until or any(getattr(self, name) for name in FILTERED))


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events as their JSON lines; `next_after` continues the list, empty at its end."""

    events: tuple[str, ...]
    next_after: str


def record(tx: Connection, events: Sequence[Event]) -> None:
    """Write the events in this transaction: they are there if, and only if, what they tell of was done.

    Raises:
        sqlalchemy.exc.IntegrityError: a `login_id` was used before.
    """
    _RECORD.run_many(tx, [_row(event) for event in events])


def _row(event: Event) -> dict[str, object]:
    body, personal = canonical_form(event)
    return {
        "id": event.id,
        "organization": event.organization,
        "happened_at": to_micros(event.at),
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason or "",
        "reference": event.reference,
        "login_id": event.login_id,
        "attempt": event.attempt,
        "person": _word(normal_email(event.actor.name), 320) if event.actor.type == "user" else "",
        "about": _word(normal_email(event.target_name), 320) if event.target_type == "member" else "",
        "connection": event.via.connection,
        "address": _word(event.origin.address, 64),
        "repeats": event.repeat_count,
        "body": body,
        "personal": personal,
    }


def _word(text: str, length: int) -> str:
    """Return what can be searched for: a column takes no NUL and no half characters, JSON does."""
    if not text.isprintable():
        text = "".join(letter for letter in text if letter.isprintable())
    return text[:length]


def page(tx: Connection, organization: str, wanted: AuditFilter, *, limit: int = 50) -> AuditPage:
    """Return at most `limit` (1 to 200) sealed events of the organization, in the order of their positions, oldest
    first unless the filter says otherwise. `audit.reading.read` seals first, so that nothing committed is left out.

    Raises:
        InvalidInput: `after` is neither a position nor the id of one of the organization's events.
    """
    limit = max(1, min(limit, MAX_PAGE))
    wanted = replace(wanted, after=_position(tx, organization, wanted.after))
    found = rows(tx, organization, wanted, limit=limit + 1)
    more = len(found) > limit
    return AuditPage(tuple(event_line(row) for row in found[:limit]), str(found[limit - 1].position) if more else "")


def rows(tx: Connection, organization: str, wanted: AuditFilter, *, limit: int) -> Sequence[Row[Any]]:
    """Return sealed rows as `page` orders them: position, prev, hash, body (the canonical text), personal (JSON)."""
    table = audit_event.c
    columns = (table.position, table.prev, table.hash, table.body, table.personal)
    query: Select[Any] = select(*columns).where(*_fits(organization, wanted))
    order = table.position.desc() if wanted.newest_first else table.position
    return tx.execute(query.order_by(order).limit(limit)).all()


def event_line(row: Row[Any]) -> str:
    """Return a sealed row as one line of JSON: the event with its personal data, and its place in the chain."""
    event = readable_text(row.body, json.loads(row.personal))
    return f'{event[:-1]},"chain":{{"pos":{row.position},"prev":"{row.prev}","hash":"{row.hash}"}}}}'


def _fits(organization: str, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    table = audit_event.c
    expired = select(audit_chain.c.expired).where(audit_chain.c.organization == organization).scalar_subquery()
    fits = [table.organization == organization, table.position > func.coalesce(expired, 0)]
    for name in FILTERED:
        value = getattr(wanted, name)
        if value:
            fits.append(_concerns(organization, normal_email(value)) if name == "person" else table[name] == value)
    if wanted.since:
        fits.append(table.happened_at >= to_micros(wanted.since))
    if wanted.until:
        fits.append(table.happened_at < to_micros(wanted.until))
    if wanted.after:
        place = int(wanted.after)
        fits.append(table.position < place if wanted.newest_first else table.position > place)
    return fits


def _concerns(organization: str, person: str) -> ColumnElement[bool]:
    """What they did, and what was done to them: each found by its own index, which an `or` of both would not be."""
    seen = audit_event.alias("seen").c
    mine = select(seen.id).where(seen.organization == organization, seen.position.is_not(None))
    return audit_event.c.id.in_(union_all(mine.where(seen.person == person), mine.where(seen.about == person)))


def _position(tx: Connection, organization: str, after: str) -> str:
    """Return the position that `after` names, as a text; an empty one stays."""
    if not after or (after.isascii() and after.isdecimal()):
        return after[:18]
    known = (audit_event.c.organization == organization) & (audit_event.c.id == after)
    position = tx.execute(select(audit_event.c.position).where(known)).scalar_one_or_none()
    if position is None:
        raise InvalidInput("after", "no position, and no id of an event that is there")
    return str(position)


def find(tx: Connection, organization: str, name: str) -> str | None:
    """Return the sealed event with this id, or the newest with this reference, as its JSON line; None for neither."""
    table = audit_event.c
    columns = (table.position, table.prev, table.hash, table.body, table.personal)
    named = (table.id == name) | (table.reference == name)
    query: Select[Any] = select(*columns).where(*_fits(organization, AuditFilter()), named)
    row = tx.execute(query.order_by(table.position.desc()).limit(1)).one_or_none()
    return event_line(row) if row else None


def beside(tx: Connection, organization: str, person: str, position: int) -> tuple[str, str]:
    """Return the ids of the events that concern the person before and after a position, or empty texts."""
    table = audit_event.c
    theirs = [*_fits(organization, AuditFilter(person=person))]
    before = select(table.id).where(*theirs, table.position < position).order_by(table.position.desc()).limit(1)
    after = select(table.id).where(*theirs, table.position > position).order_by(table.position).limit(1)
    earlier, later = (tx.execute(query).scalar_one_or_none() or "" for query in (before, after))
    return earlier, later


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events fit a filter, how many of them are denials, and of how many people; `more`: only the newest were
    counted. What a flood's one event stands for counts as it came.
    """

    events: int
    denied: int
    people: int
    more: bool


MAX_COUNTED = 10_000


def summary(tx: Connection, organization: str, wanted: AuditFilter) -> Summary:
    """Return the numbers of the events that fit, looking at no more than the newest ten thousand."""
    table = audit_event.c
    fits = _fits(organization, replace(wanted, after=""))
    columns = (table.outcome, table.person, table.repeats)
    found = select(*columns).where(*fits).order_by(table.position.desc()).limit(MAX_COUNTED).subquery()
    denied = func.sum(case((found.c.outcome == "denied", found.c.repeats), else_=0))
    people = func.count(func.nullif(found.c.person, "").distinct())
    row = tx.execute(select(func.sum(found.c.repeats), denied, people, func.count())).one()
    return Summary(int(row[0] or 0), int(row[1] or 0), int(row[2]), int(row[3]) == MAX_COUNTED)


def exceeds(tx: Connection, organization: str, wanted: AuditFilter, most: int) -> bool:
    """Return whether more events fit than this."""
    fits = _fits(organization, replace(wanted, after=""))
    beyond = select(audit_event.c.id).where(*fits).order_by(audit_event.c.position.desc()).offset(most).limit(1)
    return tx.execute(beyond).first() is not None


def count(tx: Connection, organization: str, wanted: AuditFilter, most: int) -> int:
    """Return how many events fit, looking at no more than `most`."""
    fits = _fits(organization, replace(wanted, after=""))
    found = select(audit_event.c.id).where(*fits).limit(most).subquery()
    return tx.execute(select(func.count()).select_from(found)).scalar_one()


@dataclass(frozen=True, slots=True)
class Denials:
    """How many logins were denied on one day (UTC, days since 1970) for one reason."""

    day: int
    reason: str
    count: int


_DAY_MICROS = 24 * 60 * 60 * 1_000_000


def denials_by_day(tx: Connection, organization: str, *, since: datetime, until: datetime) -> list[Denials]:
    """Return the logins denied in a span of time by day and reason, counted floods included, in that order."""
    table = audit_event.c
    day = (table.happened_at // _DAY_MICROS).label("day")
    fits = _fits(organization, AuditFilter(outcome="denied", action="auth.login", since=since, until=until))
    counted = select(day, table.reason, func.sum(table.repeats).label("logins")).where(*fits)
    rows = tx.execute(counted.group_by("day", table.reason).order_by("day", table.reason))
    return [Denials(int(row.day), row.reason, int(row.logins)) for row in rows]


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """The login that used a proof up: which try it was, and how it ended."""

    attempt: str
    reason: str
    reference: str
    changes: dict[str, Any]


def login_attempts(tx: Connection, login_ids: Collection[str]) -> dict[str, LoginAttempt]:
    """Return the logins that used up these proofs, by proof; a proof that nobody has used is left out."""
    table = audit_event.c
    query = select(table.login_id, table.attempt, table.reason, table.reference, table.body)
    rows = tx.execute(query.where(table.login_id.in_(list(login_ids))))
    return {
        row.login_id: LoginAttempt(row.attempt, row.reason, row.reference, json.loads(row.body)["changes"])
        for row in rows
    }
