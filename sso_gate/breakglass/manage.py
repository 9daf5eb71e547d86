"""Issuing and ending emergency codes, with the audit record of it: the same for the settings and the command line."""

from datetime import timedelta

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.breakglass import store as codes
from sso_gate.breakglass.code import IssuedCode, new_code
from sso_gate.errors import NotFound
from sso_gate.members import store as members
from sso_gate.members.roles import OWNERS
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

BREAKGLASS_ISSUED = "breakglass.issued"
LIFETIME = timedelta(days=7)


class NotAnOwner(Exception):
    """Emergency codes are for owners only."""


async def issue_code(
    runtime: Runtime, organization: str, email: str, *, lifetime: timedelta = LIFETIME, by: Actor
) -> str:
    """Return a new code for the owner with this address, which is nowhere kept; all owners are told.

    Raises:
        NotFound: nobody has this address.
        NotAnOwner: the member is no owner.
    """
    clock, code = runtime.clock, new_code()

    def work(tx: Connection) -> None:
        member = members.find(tx, organization, email)
        if member is None:
            raise NotFound(f"no member {email}")
        if member.role not in OWNERS:
            raise NotAnOwner(f"{email} is no owner")
        code_id = codes.add(tx, organization, member.id, code, expires=clock.now() + lifetime, clock=clock)
        event = new_event(clock, organization, Action.BREAKGLASS_ISSUE, by, target=member.id, target_name=member.email)
        audit.record(tx, [event])
        outbox.add(tx, organization, BREAKGLASS_ISSUED, clock=clock, subject=member.id, payload={"code": code_id})

    await runtime.database.write(work)
    return code


async def revoke_code(runtime: Runtime, organization: str, code_id: str, *, by: Actor) -> None:
    """End a code that was not used.

    Raises:
        NotFound: the organization has no such living code.
    """

    def work(tx: Connection) -> None:
        if not codes.revoke(tx, organization, code_id, now=runtime.clock.now()):
            raise NotFound(f"no living code {code_id}")
        audit.record(tx, [new_event(runtime.clock, organization, Action.BREAKGLASS_REVOKE, by, target=code_id)])

    await runtime.database.write(work)


async def issued_codes(runtime: Runtime, organization: str) -> list[IssuedCode]:
    """Return the organization's codes, oldest first, without their texts."""
    return await runtime.database.read(lambda tx: codes.of_organization(tx, organization))
