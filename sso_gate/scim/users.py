"""People, created, changed and removed by a provisioning client: each request is one transaction under the pool's lock.

The order of refusals is: 404, 412, 400 that need the resource, 409 uniqueness, 403 protection, 403 seat. A refusal
undoes the whole request and is on the audit record, in the same transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from sso_gate.admission.provision import Seated
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action
from sso_gate.errors import Reason
from sso_gate.identity import email_domain, new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS, Role
from sso_gate.scim import group_rows, preconditions, refusals, user_rows, user_search
from sso_gate.scim.caller import Caller
from sso_gate.scim.change import Change, changing
from sso_gate.scim.definitions import SEAT_URN, USERS
from sso_gate.scim.patch import Operation, apply_patch
from sso_gate.scim.person import Person, display_name, shown
from sso_gate.scim.projection import Projection
from sso_gate.scim.reading import Reader, Resource, Shown
from sso_gate.scim.rejection import not_there, not_unique
from sso_gate.scim.values import read_resource, read_user_name, required


def _find(change: Change, user_id: str, if_match: str) -> Person:
    """Return the person, as they are under the lock."""
    person = user_rows.find(change.tx, change.organization, user_id)
    if person is None:
        raise not_there(f"User {user_id[:64]}")
    change.about(person.id, person.user_name)
    preconditions.require_match(if_match, person)
    return person


def _require_free(change: Change, user_name: str, but: str = "") -> None:
    """Raise the 409 for a userName that another person has, in any letter case."""
    taken = members.find(change.tx, change.organization, user_name)
    if taken and taken.id != but:
        raise not_unique(f"userName {user_name} belongs to another user")


def _activate(change: Change, person: Member) -> Seated:
    """Return `held` or `waiting`, or raise the 403 for the reason why there is no seat."""
    seated = change.provision.activate(person, event=change.event_id)
    if isinstance(seated, Reason):
        raise refusals.no_seat(seated, change.provision.pool, change.reference)
    return seated


def _answered(change: Change, person: Person, projection: Projection | None) -> Shown:
    return READER.shown(change.tx, change.caller, person, projection)


async def create(caller: Caller, body: Any, projection: Projection | None) -> Shown:
    """Return the new person; `Rejected`: 400, 409 `uniqueness`, 403 `not_assigned`, `seat_unavailable`."""
    document = _read(caller, body)

    def work(change: Change) -> Shown:
        return _answered(change, _create(change, document), projection)

    return await changing(caller, Action.SCIM_USER_CREATE, "", work)


def _read(caller: Caller, body: Any) -> Resource:
    document = read_resource(USERS, body, caller.dialect)
    missing = required(USERS, document)
    if missing:
        raise missing
    document["userName"] = read_user_name(document["userName"])
    return document


def _create(change: Change, document: Resource) -> Person:
    change.about("", document["userName"])
    _require_free(change, document["userName"])
    if change.caller.organization.provisioning == "invite_only":
        raise refusals.invite_only()
    active = document.pop("active", True)
    member = Member(
        id=new_id("mem", change.provision.clock),
        organization=change.organization,
        email=document["userName"],
        name=display_name(document),
        listed_role=Role.USER,
        role=Role.USER,
        grants=frozenset(),
        state=MemberState.RELEASED if active else MemberState.BLOCKED,
        generation=0,
        locale="",
    )
    members.add(change.tx, [member], source="scim", at=change.provision.now)
    change.about(member.id, member.email)
    seat = _activate(change, member) if active else "none"
    _save(change, member, document, active=active)
    change.done(Action.SCIM_USER_CREATE, {"attributes": sorted(document), "active": active, "seat": seat})
    return _again(change, member.id)


def _save(
    change: Change, whose: user_rows.Named, document: Resource, *, active: bool, before: Resource | None = None
) -> Resource:
    name, now = display_name(document) or whose.name, change.provision.now
    return user_rows.save(change.tx, whose, document, active=active, name=name, now=now, before=before)


def _again(change: Change, member_id: str) -> Person:
    person = user_rows.find(change.tx, change.organization, member_id)
    assert person is not None  # noqa: S101 - it was just written
    return person


async def put(caller: Caller, user_id: str, body: Any, if_match: str, projection: Projection | None) -> Shown:
    """Return the person, replaced by what was sent; `active` missing means unchanged, not true."""
    document = _read(caller, body)
    return await _replace(caller, user_id, if_match, projection, lambda _: dict(document))


async def patch(
    caller: Caller, user_id: str, operations: list[Operation], if_match: str, projection: Projection | None
) -> Shown:
    """Return the person as the operations leave them."""
    return await _replace(
        caller, user_id, if_match, projection, lambda old: apply_patch(USERS, old, operations, caller.dialect)
    )


async def _replace(
    caller: Caller, user_id: str, if_match: str, projection: Projection | None, make: Callable[[Resource], Resource]
) -> Shown:
    def work(change: Change) -> Shown:
        return _answered(change, _change_to(change, _find(change, user_id, if_match), make), projection)

    return await changing(caller, Action.SCIM_USER_UPDATE, user_id, work)


def _change_to(change: Change, person: Person, make: Callable[[Resource], Resource]) -> Person:
    """Write what `make` makes of the person; it says `active` only where the client did."""
    old = {name: value for name, value in person.document().items() if name != "active"}
    new = make(old)
    wish = new.pop("active", None)
    missing = required(USERS, new)
    if missing:
        raise missing
    new["userName"] = read_user_name(new["userName"])
    _check_name(change, person, new["userName"])
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    active, action = _seat(change, person, wish)
    if names or action is not Action.SCIM_USER_UPDATE or active is not person.active:
        before = old if person.said is not None else None
        written = _save(change, person.row, new, active=active, before=before)
        change.done(action, {"attributes": names, "active": active})
        person = person.rewritten(written) if action is Action.SCIM_USER_UPDATE else _again(change, person.id)
    return person


def _check_name(change: Change, person: Person, user_name: str) -> None:
    if user_name == person.user_name:
        return
    _require_free(change, user_name, but=person.id)
    if person.member.role in OWNERS:
        raise refusals.protected("the address of an owner is changed by an owner, not by provisioning")


def _seat(change: Change, person: Person, wish: bool | None) -> tuple[bool, Action]:
    """Take or give back what the wish says; return whether the person is active then, and which action that was."""
    state = person.state
    if wish is True and state is not MemberState.HELD:
        return _wake(change, person)
    if wish is False and state is not MemberState.BLOCKED:
        change.action = Action.SCIM_USER_DEACTIVATE
        _require_dispensable(change, person)
        change.provision.deactivate(person.member, event=change.event_id)
        _note_sessions_ended(change, person)
        return False, Action.SCIM_USER_DEACTIVATE
    return person.active, Action.SCIM_USER_UPDATE


def _wake(change: Change, person: Person) -> tuple[bool, Action]:
    if not person.active:
        change.action = Action.SCIM_USER_ACTIVATE
        _activate(change, person.member)
        return True, Action.SCIM_USER_ACTIVATE
    # They wait already, and the client says again that it wants them active.
    held = change.provision.activate(person.member, event=change.event_id) == "held"
    return True, Action.SCIM_USER_ACTIVATE if held else Action.SCIM_USER_UPDATE


def _require_dispensable(change: Change, person: Person) -> None:
    if change.provision.is_last_owner(person.member):
        raise refusals.protected("an organization keeps its primary owner and its last owner")


def _note_sessions_ended(change: Change, person: Person) -> None:
    told = change.caller.event(
        Action.SESSION_REVOKE, target=person.id, target_name=person.user_name, changes={"cause": change.action}
    )
    audit.record(change.tx, [told])


async def delete(caller: Caller, user_id: str, if_match: str) -> None:
    """Remove the person: seat, sessions, groups; the userName is free again."""

    def work(change: Change) -> None:
        person = _find(change, user_id, if_match)
        _require_dispensable(change, person)
        group_rows.forget_member(change.tx, person.id, now=change.provision.now)
        user_rows.forget(change.tx, person.id)
        change.provision.delete(person.member, event=change.event_id)
        _note_sessions_ended(change, person)
        change.done(Action.SCIM_USER_DELETE, {"active": person.active})

    await changing(caller, Action.SCIM_USER_DELETE, user_id, work)


def _show(tx: Connection, caller: Caller, people: Sequence[Person], projection: Projection) -> list[str]:
    ids = [person.id for person in people]
    groups = user_rows.groups_of(tx, ids) if ids and projection.wants("groups") else {}
    bound = user_rows.bound(tx, ids) if projection.asks_for(SEAT_URN, "signIn") else None
    base = caller.base
    return [
        shown(
            person,
            base,
            groups.get(person.id, []),
            "" if bound is None else _sign_in(caller, person, person.id in bound),
            projection,
        )
        for person in people
    ]


def _sign_in(caller: Caller, person: Person, is_bound: bool) -> str:
    """Return how single sign-on will find the person: what is to be known before a login fails."""
    if person.state is MemberState.BLOCKED:
        return "blocked"
    if is_bound:
        return "bound"
    if email_domain(person.user_name) in caller.organization.domains:
        return "by_email"
    return "by_subject_alone" if person.external_id else "blocked"


READER = Reader("User", user_rows.find, user_search.PEOPLE, _show)
