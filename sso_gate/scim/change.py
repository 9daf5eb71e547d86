"""One changing request: a transaction under the pool's lock, whose refusal undoes all of it and is on the audit record.

Both in the same transaction: the audit tells what was done, or that it was not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from sso_gate.admission.provision import Provision, provision
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event, SeatCount, new_reference
from sso_gate.identity import new_id
from sso_gate.scim.caller import Caller
from sso_gate.scim.rejection import Rejected
from sso_gate.storage.prepared import undone_by

T = TypeVar("T")


@dataclass(slots=True)
class Change:
    """One request: what it is to leave on the audit record, filled as it becomes known."""

    caller: Caller
    provision: Provision
    action: Action
    target: str
    event_id: str
    reference: str
    target_name: str = ""

    @property
    def tx(self) -> Connection:
        """The transaction."""
        return self.provision.tx

    @property
    def organization(self) -> str:
        """The id of the organization whose token it is."""
        return self.provision.organization_id

    def about(self, target: str, name: str) -> None:
        """Say whom or what the request is about, now that it is known."""
        self.target, self.target_name = target, name

    def done(self, action: Action, changes: dict[str, Any]) -> None:
        """Write the event of what was done."""
        self.action = action
        audit.record(self.tx, [self._told(changes=changes)])

    def denied(self, rejected: Rejected) -> Event:
        """Return the event of a request that was not done."""
        return self._told(reason=rejected.reason, check=rejected.check)

    def _told(self, **parts: Any) -> Event:
        return self.caller.event(
            self.action,
            event_id=self.event_id,
            reference=self.reference,
            target=self.target,
            target_name=self.target_name,
            seat=self._seats(),
            **parts,
        )

    def _seats(self) -> SeatCount | None:
        """The seats as they are now, where the request has to do with any, and what is done when they are all taken."""
        pool = self.provision.looked
        return SeatCount(pool.purchased, pool.used, self.caller.organization.scim_when_full) if pool else None


async def changing(caller: Caller, action: Action, target: str, work: Callable[[Change], T]) -> T:
    """Return what `work` returned, committed.

    Raises:
        Rejected: by `work`; it is on the audit record then, as this action on this target unless the change says more.
    """
    runtime = caller.runtime

    def run(under_lock: Provision) -> T | Rejected:
        change = Change(caller, under_lock, action, target[:64], new_id("evt", runtime.clock), new_reference())
        try:
            with undone_by(Rejected, under_lock.tx):
                return work(change)
        except Rejected as rejected:
            event = change.denied(rejected)
            under_lock.undone()
            audit.record(under_lock.tx, [event])
            return rejected.recorded()

    result = await provision(runtime, caller.organization.id, run)
    caller.remembered.lists.forget(caller.organization.id)
    if isinstance(result, Rejected):
        raise result
    return result
