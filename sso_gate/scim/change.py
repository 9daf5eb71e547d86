"""One changing request: a transaction under the pool's lock, whose refusal undoes all of it and is on the audit record.

Both in the same transaction: the audit tells what was done, or that it was not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection

from sso_gate.admission.provision import Provision, Provisioner
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event, SeatCount
from sso_gate.scim import refusals
from sso_gate.scim.caller import Caller
from sso_gate.scim.rejection import Rejected
from sso_gate.storage.prepared import undone_by

T = TypeVar("T")


@dataclass(slots=True)
class Change:
    """One request: what it is to leave on the audit record, filled as it becomes known."""

    caller: Caller
    provision: Provision
    event: Event

    @property
    def tx(self) -> Connection:
        """The transaction."""
        return self.provision.tx

    @property
    def organization(self) -> str:
        """The id of the organization whose token it is."""
        return self.provision.organization_id

    def done(self, action: Action, target: str, changes: dict[str, Any]) -> None:
        """Write the event of what was done."""
        pool = self.provision.pool
        seats = SeatCount(pool.purchased, pool.used)
        audit.record(self.tx, [replace(self.event, action=action, target=target, changes=changes, seat=seats)])


async def changing(caller: Caller, action: Action, target: str, work: Callable[[Change], T]) -> T:
    """Return what `work` returned, committed.

    Raises:
        Rejected: by `work`; it is on the audit record then, as this action on this target unless the change says more.
    """

    def run(provision: Provision) -> T | Rejected:
        change = Change(caller, provision, caller.event(action, target=target[:64]))
        try:
            with undone_by(Rejected, provision.tx):
                return work(change)
        except Rejected as rejected:
            audit.record(provision.tx, [refusals.denied(change.event, rejected, provision.pool)])
            return rejected.recorded()

    result = await Provisioner.of(caller.runtime).change(caller.organization.id, run)
    caller.remembered.lists.forget(caller.organization.id)
    if isinstance(result, Rejected):
        raise result
    return result
