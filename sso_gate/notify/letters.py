"""Which promise becomes which letters: the waiting person hears of their seat, owners hear of what concerns
all of them.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from sso_gate.clock import Clock
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.notify.chat import CHAT
from sso_gate.notify.mail import Letter
from sso_gate.notify.preferences import (
    CERTIFICATE,
    CODE_ISSUED,
    CODE_USED,
    PEOPLE_WAIT,
    SEATS_ADDED,
    SOLVED,
    STREAM_FAILS,
    THRESHOLD,
    addressees,
    chosen_for,
)
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage import outbox
from sso_gate.storage.outbox import Promise
from sso_gate.storage.tables import hold, waiting

LETTER = "mail.letter"

Writer = Callable[[Connection, Promise, Organization, str], list[Letter]]


def write_letters(tx: Connection, promise: Promise, *, origin: str, clock: Clock, mail: bool = True) -> None:
    """Turn a promise to tell people into one for each letter, and one for the chat, so that none goes out again for
    another's sake. Without `mail` the chat alone is told.
    """
    writer = _WRITERS.get(promise.kind)
    organization = organizations.get(tx, promise.organization) if writer else None
    letters = writer(tx, promise, organization, origin) if writer and organization and mail else []
    if organization and promise.kind in _TEMPLATES and chosen_for(tx, organization.id, promise.kind).chat:
        context = _owners_context(tx, promise, organization, origin)
        said = Letter("", organization.locale, _TEMPLATES[promise.kind], context)
        outbox.add(tx, promise.organization, CHAT, clock=clock, payload=asdict(said))
    for letter in letters:
        outbox.add(tx, promise.organization, LETTER, clock=clock, payload=asdict(letter))
    outbox.done(tx, promise, now=clock.now())


def sample(organization: Organization, kind: str, *, to: str, locale: str, origin: str) -> Letter:
    """Return the letter of this kind as somebody would get it, about nothing that has happened."""
    context = {
        "organization_name": organization.name,
        "person_email": to,
        "billing_url": f"{origin}/settings/billing",
        "add_url": f"{origin}/settings/billing/seats/edit",
        "access_url": f"{origin}/settings/access",
        "audit_url": f"{origin}/settings/audit",
        **_SAMPLES[kind],
    }
    return Letter(to, locale, _TEMPLATES[kind], context)


def letter_of(promise: Promise) -> Letter:
    """Return the letter that a promise of one letter holds."""
    return Letter(**promise.payload)


def _to_person(template: str) -> Writer:
    def write(tx: Connection, promise: Promise, organization: Organization, origin: str) -> list[Letter]:
        member = members.get(tx, organization.id, promise.subject)
        if member is None:
            return []
        context = {
            "organization_name": organization.name,
            "continue_url": f"{origin}/login?{urlencode({'org': organization.slug, 'email': member.email}, safe='@')}",
            "held_until": _held_until(tx, member.id),
            "answer": _answer(tx, member.id),
        }
        return [Letter(member.email, _locale(member, organization), template, context)]

    return write


def _to_owners(template: str) -> Writer:
    def write(tx: Connection, promise: Promise, organization: Organization, origin: str) -> list[Letter]:
        context = _owners_context(tx, promise, organization, origin)
        return [
            Letter(reader.email, reader.locale, template, context)
            for reader in addressees(tx, organization, promise.kind)
        ]

    return write


def _owners_context(tx: Connection, promise: Promise, organization: Organization, origin: str) -> dict[str, Any]:
    about = members.get(tx, organization.id, promise.subject) if promise.subject else None
    return {
        "organization_name": organization.name,
        "person_email": about.email if about else "",
        "billing_url": f"{origin}/settings/billing",
        "add_url": f"{origin}/settings/billing/seats/edit",
        "access_url": f"{origin}/settings/access",
        "audit_url": f"{origin}/settings/audit?action=audit.stream.fail",
        **promise.payload,
    }


def _locale(member: Member, organization: Organization) -> str:
    return member.locale or organization.locale


def _held_until(tx: Connection, member_id: str) -> int | None:
    return tx.execute(select(hold.c.until_at).where(hold.c.member == member_id)).scalar_one_or_none()


def _answer(tx: Connection, member_id: str) -> str:
    return tx.execute(select(waiting.c.answer).where(waiting.c.member == member_id)).scalar_one_or_none() or ""


_TEMPLATES = {
    SEATS_ADDED: "seats_added",
    CODE_ISSUED: "breakglass_issued",
    CODE_USED: "breakglass_used",
    PEOPLE_WAIT: "people_wait",
    SOLVED: "nobody_waits",
    THRESHOLD: "nearly_full",
    CERTIFICATE: "certificate",
    STREAM_FAILS: "stream_fails",
}
_SAMPLES: dict[str, dict[str, Any]] = {
    SEATS_ADDED: {"seats": 107, "invoice": "INV-0000"},
    CODE_ISSUED: {},
    CODE_USED: {},
    PEOPLE_WAIT: {"count": 3},
    THRESHOLD: {"left": 2, "purchased": 100},
    CERTIFICATE: {"days": 7, "connection_name": "Okta"},
    STREAM_FAILS: {"destination": "https://siem.example", "problem": "503", "switched_off": False},
}
_WRITERS: dict[str, Writer] = {
    "seat.held": _to_person("seat_ready"),
    "seat.declined": _to_person("declined"),
    "seat.invited": _to_person("invited"),
    **{kind: _to_owners(template) for kind, template in _TEMPLATES.items()},
}
