"""The way in for an owner when single sign-on is down: a code that works once and opens the settings alone."""

import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from sso_gate.admission.admit import Admission, Door
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, new_reference
from sso_gate.audit.flood import record_unproved
from sso_gate.breakglass import store as codes
from sso_gate.errors import Reason, Refused
from sso_gate.identity import email_domain, new_id, normal_email
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.settings import Rate
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

BREAKGLASS_USED = "breakglass.used"
TRIES = Rate(count=10, period=timedelta(minutes=10))
"""How often one client may try."""
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+")


@dataclass(frozen=True, slots=True)
class _Used:
    member: Member
    organization: Organization
    generation: int


async def admit_by_code(runtime: Runtime, door: Door, *, email: str, code: str, client: Client) -> Admission:
    """Return a session for the settings, having used the code up and told all owners.

    Raises:
        Refused: `token_invalid`, the same for every way in which address and code do not belong together; it is on
            record where the address is in a domain of an organization.
    """
    used = await runtime.database.write(lambda tx: _use(tx, runtime, email, code, client))
    if used is None:
        refusal = Refused(Reason.TOKEN_INVALID)
        await record_refused_code(runtime, refusal, email=email, client=client)
        raise refusal
    return await door.admit_to_settings(used.member, slug=used.organization.slug, generation=used.generation)


async def record_refused_code(runtime: Runtime, refusal: Refused, *, email: str, client: Client) -> None:
    """Put a refused try on the record of the organization that the address belongs to, if there is one."""
    organization = await runtime.database.read(lambda tx: organizations.by_domain(tx, email_domain(email)))
    if organization is not None:
        event = _event(runtime, organization.id, None, client, refusal.reason)
        await record_unproved(runtime, event._replace(actor=Actor("user", "", _typed(runtime, email))))


def _typed(runtime: Runtime, text: str) -> str:
    """Return an address as it was typed, and a keyed hash of what is none: people type passwords into any field."""
    address = normal_email(text)
    return address if _ADDRESS.fullmatch(address) else f"typed:{runtime.keyring.keyed_hash(address)[:32]}"


def _use(tx: Connection, runtime: Runtime, email: str, code: str, client: Client) -> _Used | None:
    now = runtime.clock.now()
    issued = codes.living(tx, code, now=now)
    organization = organizations.get(tx, issued.organization) if issued else None
    member = members.get(tx, issued.organization, issued.member) if issued else None
    if issued is None or organization is None or member is None or not _is_theirs(organization, member, email):
        return None
    if not codes.use(tx, issued, now=now):
        return None
    audit.record(tx, [_event(runtime, organization.id, member, client, None)])
    outbox.add(tx, organization.id, BREAKGLASS_USED, clock=runtime.clock, subject=member.id)
    return _Used(member, organization, ledger.read(tx, organization.id, now=now).version)


def _is_theirs(organization: Organization, member: Member, email: str) -> bool:
    may = organization.enabled and member.role in OWNERS and member.state is not MemberState.BLOCKED
    return may and normal_email(member.email) == normal_email(email)


def _event(runtime: Runtime, organization: str, member: Member | None, client: Client, reason: Reason | None) -> Event:
    return Event(
        id=new_id("evt", runtime.clock),
        organization=organization,
        at=runtime.clock.now(),
        action=Action.BREAKGLASS_USE,
        actor=Actor("user", member.id if member else "", member.email if member else ""),
        reason=reason,
        reference=new_reference(),
        client=client,
    )
