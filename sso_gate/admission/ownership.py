"""Handing primary ownership to another owner: exactly one member has it, who always holds a seat."""

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, new_event
from sso_gate.errors import Conflict, NotFound
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.seats import ledger
from sso_gate.storage.runtime import Runtime


async def hand_over_ownership(runtime: Runtime, organization: str, taker: str, *, by: Actor) -> None:
    """Make the member `taker` the primary owner, and the one who was it an owner; `by` has to be that one.

    Raises:
        NotFound: `by` is not the primary owner, or there is no such member. Conflict: the taker is no owner with a
        seat.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> None:
        ledger.lock(tx, organization, now=now)
        giver, receiver = members.primary_owner(tx, organization), members.get(tx, organization, taker)
        if giver is None or giver.id != by.id or receiver is None:
            raise NotFound("only the primary owner hands primary ownership over")
        if not may_receive(receiver):
            raise Conflict(f"{receiver.email} is no owner with a seat")
        for member, role in ((giver, Role.OWNER), (receiver, Role.PRIMARY_OWNER)):
            members.appoint(tx, member.id, role)
            audit.record(tx, [_event(runtime, member, role, by)])

    await runtime.database.write(work)


def may_receive(member: Member) -> bool:
    """Return whether primary ownership can be handed to this member: an owner who holds a seat."""
    return member.role is Role.OWNER and member.state is MemberState.HELD


def _event(runtime: Runtime, member: Member, role: Role, by: Actor) -> Event:
    changes = {"role": [member.role, role]}
    return new_event(
        runtime.clock, member.organization, Action.ROLE_CHANGE, by,
        target=member.id, target_name=member.email, changes=changes,
    )  # fmt: skip
