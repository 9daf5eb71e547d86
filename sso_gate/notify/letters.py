"""Which promise becomes which letters: the waiting person hears of their seat, owners hear of what concerns
all of them.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from sso_gate.audit.stored_exports import EXPORT_READY
from sso_gate.clock import Clock
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.notify.chat import CHAT
from sso_gate.notify.hook_notices import promise_notices
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
INVOICE = "invoice"
"""The letter that the document goes with; its context names it under `invoice`."""

Writer = Callable[[Connection, Promise, Organization, str], list[Letter]]


def write_letters(tx: Connection, promise: Promise, *, origin: str, clock: Clock, mail: bool = True) -> None:
    """Turn a promise to tell people into one for each letter, the chat and each webhook, so that none goes out again
    for another's sake. Without `mail` no letters are made.
    """
    writer = _WRITERS.get(promise.kind)
    organization = organizations.get(tx, promise.organization) if writer else None
    letters = writer(tx, promise, organization, origin) if writer and organization and mail else []
    chosen = chosen_for(tx, organization.id, promise.kind) if organization and promise.kind in _TEMPLATES else None
    if organization and chosen and chosen.webhook:
        promise_notices(tx, organization.id, promise.kind, promise.payload, member=promise.subject, clock=clock)
    if organization and chosen and chosen.chat:
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


def sample_told(kind: str) -> dict[str, Any]:
    """Return what a sample of this kind tells of, marked as one."""
    return {**_SAMPLES[kind], "sample": True}


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


def _export_ready(tx: Connection, promise: Promise, organization: Organization, origin: str) -> list[Letter]:
    member = members.get(tx, organization.id, promise.subject)
    if member is None:
        return []
    address = f"{origin}/settings/audit/exports/{promise.payload['export']}"
    context = {"organization_name": organization.name, "export_url": address, "events": promise.payload["events"]}
    return [Letter(member.email, _locale(member, organization), "export_ready", context)]


def _to_contacts(_tx: Connection, promise: Promise, organization: Organization, _origin: str) -> list[Letter]:
    """To whoever gets invoices, who need not be members: in the organization's language, as the document."""
    told = {name: value for name, value in promise.payload.items() if name != "to"}
    context = {"organization_name": organization.name, **told}
    return [Letter(to, organization.locale, INVOICE, context) for to in promise.payload["to"]]


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
    "invoice.issued": _to_contacts,
    EXPORT_READY: _export_ready,
    **{kind: _to_owners(template) for kind, template in _TEMPLATES.items()},
}
