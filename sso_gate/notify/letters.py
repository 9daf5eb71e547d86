"""Which promise becomes which letters: the waiting person hears of their seat, owners hear of what concerns
all of them.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select

from sso_gate.clock import Clock
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.notify.mail import Letter
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage import outbox
from sso_gate.storage.outbox import Promise
from sso_gate.storage.tables import hold, waiting

LETTER = "mail.letter"
PEOPLE_WAIT = "mail.people_wait"
THRESHOLD = "mail.threshold"
CERTIFICATE = "mail.certificate"

Writer = Callable[[Connection, Promise, Organization, str], list[Letter]]


def write_letters(tx: Connection, promise: Promise, *, origin: str, clock: Clock) -> None:
    """Turn a promise to tell people into one for each letter, so that none goes out again for another's sake."""
    writer = _WRITERS.get(promise.kind)
    organization = organizations.get(tx, promise.organization) if writer else None
    letters = writer(tx, promise, organization, origin) if writer and organization else []
    for letter in letters:
        outbox.add(tx, promise.organization, LETTER, clock=clock, payload=asdict(letter))
    outbox.done(tx, promise, now=clock.now())


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
            "continue_url": f"{origin}/login?org={organization.slug}&email={member.email}",
            "held_until": _held_until(tx, member.id),
            "answer": _answer(tx, member.id),
        }
        return [Letter(member.email, _locale(member, organization), template, context)]

    return write


def _to_owners(template: str) -> Writer:
    def write(tx: Connection, promise: Promise, organization: Organization, origin: str) -> list[Letter]:
        about = members.get(tx, organization.id, promise.subject) if promise.subject else None
        context: dict[str, Any] = {
            "organization_name": organization.name,
            "person_email": about.email if about else "",
            "billing_url": f"{origin}/settings/billing",
            "add_url": f"{origin}/settings/billing/seats/edit",
            "access_url": f"{origin}/settings/access",
            **promise.payload,
        }
        return [
            Letter(owner.email, _locale(owner, organization), template, context)
            for owner in members.owners(tx, organization.id)
        ]

    return write


def _locale(member: Member, organization: Organization) -> str:
    return member.locale or organization.locale


def _held_until(tx: Connection, member_id: str) -> int | None:
    return tx.execute(select(hold.c.until_at).where(hold.c.member == member_id)).scalar_one_or_none()


def _answer(tx: Connection, member_id: str) -> str:
    return tx.execute(select(waiting.c.answer).where(waiting.c.member == member_id)).scalar_one_or_none() or ""


_WRITERS: dict[str, Writer] = {
    "seat.held": _to_person("seat_ready"),
    "seat.declined": _to_person("declined"),
    "seats.increased": _to_owners("seats_added"),
    "breakglass.issued": _to_owners("breakglass_issued"),
    "breakglass.used": _to_owners("breakglass_used"),
    PEOPLE_WAIT: _to_owners("people_wait"),
    THRESHOLD: _to_owners("nearly_full"),
    CERTIFICATE: _to_owners("certificate"),
}
