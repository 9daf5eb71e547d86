"""The way in for an owner when single sign-on is down: a code that works once and opens the settings alone."""

from sqlalchemy import Connection

from sso_gate.admission.admit import Admission, Door
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, new_reference
from sso_gate.breakglass import store as codes
from sso_gate.errors import Reason, Refused
from sso_gate.identity import email_domain, new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

BREAKGLASS_USED = "breakglass.used"


async def admit_by_code(runtime: Runtime, door: Door, *, email: str, code: str, client: Client) -> Admission:
    """Return a session for the settings, having used the code up and told all owners.

    Raises:
        Refused: `token_invalid`, the same for every way in which address and code do not belong together.
    """
    used = await runtime.database.write(lambda tx: _use(tx, runtime, email, code, client))
    if used is None:
        raise Refused(Reason.TOKEN_INVALID)
    member, organization, generation = used
    return await door.admit_to_settings(member, slug=organization.slug, generation=generation)


def _use(
    tx: Connection, runtime: Runtime, email: str, code: str, client: Client
) -> tuple[Member, Organization, int] | None:
    now = runtime.clock.now()
    organization = organizations.by_domain(tx, email_domain(email))
    member = members.find(tx, organization.id, email) if organization else None
    if organization is None or member is None:
        return None
    may = organization.enabled and member.role in OWNERS and member.state is not MemberState.BLOCKED
    right = may and codes.use(tx, organization.id, member.id, code, now=now)
    event = Event(
        id=new_id("evt", runtime.clock),
        organization=organization.id,
        at=now,
        action=Action.BREAKGLASS_USE,
        actor=Actor("user", member.id, member.email),
        reason=None if right else Reason.TOKEN_INVALID,
        reference=new_reference(),
        client=client,
    )
    audit.record(tx, [event])
    if not right:
        return None
    outbox.add(tx, organization.id, BREAKGLASS_USED, clock=runtime.clock, subject=member.id)
    return member, organization, ledger.read(tx, organization.id, now=now).version
