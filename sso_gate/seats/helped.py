"""Who waited when seats were bought, and where each of them stands: what the page of an order tells."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, insert, select

from sso_gate.clock import from_micros, to_micros
from sso_gate.members.member import MemberState
from sso_gate.storage.tables import hold, member, order_helped, waiting

Where = Literal["in", "returns", "waits", "gone"]


@dataclass(frozen=True, slots=True)
class Helped:
    """One person who waited: they have come in, a seat is kept for them until `held_until`, they still wait, or they
    are not waiting any more.
    """

    email: str
    where: Where
    held_until: datetime | None


def waited(tx: Connection, organization: str) -> dict[str, bool]:
    """Return the members who wait now, and whether a seat is kept for each."""
    query = select(waiting.c.member, hold.c.member.label("kept")).join(member, member.c.id == waiting.c.member)
    mine = query.outerjoin(hold, hold.c.member == waiting.c.member).where(
        waiting.c.organization == organization, member.c.state == MemberState.WAITING
    )
    return {row.member: row.kept is not None for row in tx.execute(mine)}


def note(tx: Connection, organization: str, order: str, members: Collection[str]) -> None:
    """Remember that these waited for a seat when the order was placed."""
    rows = [{"order_id": order, "member": who, "organization": organization} for who in sorted(members)]
    if rows:
        tx.execute(insert(order_helped), rows)


def of_order(tx: Connection, organization: str, order: str, *, now: datetime) -> list[Helped]:
    """Return where everybody stands who waited for a seat when the order was placed: who is in first, then by name."""
    kept = (hold.c.member == member.c.id) & (hold.c.until_at > to_micros(now))
    query = (
        select(member.c.email, member.c.state, hold.c.until_at)
        .join(order_helped, order_helped.c.member == member.c.id)
        .outerjoin(hold, kept)
        .where(order_helped.c.order_id == order, order_helped.c.organization == organization)
        .order_by(member.c.email_key)
    )
    found = [_helped(row.email, MemberState(row.state), row.until_at) for row in tx.execute(query)]
    return sorted(found, key=lambda one: ("in", "returns", "waits", "gone").index(one.where))


def _helped(email: str, state: MemberState, until: int | None) -> Helped:
    if state is MemberState.HELD:
        return Helped(email, "in", None)
    if until is not None:
        return Helped(email, "returns", from_micros(until))
    return Helped(email, "waits" if state is MemberState.WAITING else "gone", None)
