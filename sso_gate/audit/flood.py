"""Floods of equal refusals: written one by one up to twenty a minute, counted from there, never dropped.

Only refusals of messages that proved nothing are counted so; a refusal of a person whom a connection has proved is
always an event of its own. All organizations' are counted in one place: whoever writes them down later asks once, not
every organization that had none.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference, repeatable_id
from sso_gate.clock import to_micros
from sso_gate.errors import Reason
from sso_gate.storage.redis import Redis, Script
from sso_gate.storage.runtime import Runtime

ONE_BY_ONE = 20
_COUNT = Script.load("sso_gate.audit", "flood.lua")
_FLOODS = "sso:{refusals}:floods"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Floods:
    """The refusals that are counted, by minute, organization, action, reason, address and connection or token."""

    redis: Redis

    async def counted_under(self, event: Event) -> str:
        """Return the reference of the flood that this refusal was counted in, or '' when it is to be written alone."""
        minute = to_micros(event.at) // to_micros(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
        via, program = event.via, event.actor.type if event.via.token else "user"
        words = [event.action, event.reason, event.origin.address, via.connection, via.protocol, via.token, program]
        field = json.dumps([minute, event.organization, *words])
        digest = hashlib.sha256(field.encode()).hexdigest()[:32]
        keys = [f"sso:{{refusals}}:flood:{digest}", _FLOODS]
        return str(await self.redis.run(_COUNT, keys, [field, ONE_BY_ONE, new_reference()]))

    async def over(self, *, now: datetime) -> list[tuple[str, Event]]:
        """Return (field, event) of every flood whose minute is over. Asking again gives the same events."""
        found = await self.redis.fields(_FLOODS)
        events = []
        for name, count in found.items():
            kind, _, field = name.partition("|")
            if kind == "count" and _begin(field) + _MINUTE <= now:
                reference = found.get(f"reference|{field}", "")
                events.append((field, _event(field, int(count), reference)))
        return events

    async def forget(self, field: str) -> None:
        """Forget a flood that is on record now."""
        await self.redis.drop_fields(_FLOODS, f"count|{field}", f"reference|{field}")


async def record_unproved(runtime: Runtime, event: Event) -> str:
    """Put a refusal of a message that proved nothing on record, by itself or counted; return the reference to tell."""
    counted = await Floods(runtime.redis).counted_under(event)
    if not counted:
        await runtime.database.write(lambda tx: store.record(tx, [event]))
    return counted or event.reference


def _begin(field: str) -> datetime:
    return datetime.fromtimestamp(json.loads(field)[0] * 60, UTC)


def _event(field: str, count: int, reference: str) -> Event:
    _, organization, action, reason, address, connection, protocol, token, program = json.loads(field)
    begin = _begin(field)
    return Event(
        id=repeatable_id(field, begin + _MINUTE),
        organization=organization,
        at=begin + _MINUTE,
        action=Action(action),
        actor=Actor(program, token),
        reason=Reason(reason),
        reference=reference,
        via=Via(connection, protocol, token),
        client=Client(address),
        repeat_count=count,
        repeat_first=begin,
    )
