"""Making and changing connections, with the audit record of it: the same for the settings and the command line."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import IntegrityError

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, new_event
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection
from sso_gate.errors import Conflict, NotFound
from sso_gate.storage.runtime import Runtime

CONSOLE = "console"
"""The maker of the connections that owners made in the settings; every other maker wrote them from a file."""


async def made_in_console(runtime: Runtime, connection_id: str) -> bool:
    """Return whether owners may change this connection in the settings: whether no file says what it is."""
    return await runtime.database.read(lambda tx: connections.maker_of(tx, connection_id)) == CONSOLE


async def connection_of(runtime: Runtime, organization: str, connection_id: str) -> Connection:
    """Return the organization's connection with this id.

    Raises:
        NotFound: there is none, or it is another organization's.
    """
    return await runtime.database.read(lambda tx: _get(tx, runtime, organization, connection_id))


async def change_connection(
    runtime: Runtime,
    organization: str,
    connection_id: str,
    changed: Callable[[Connection], Connection],
    *,
    changes: Mapping[str, object],
    by: Actor,
    only_if_made_by: str = "",
) -> None:
    """Change the connection as it is in this very transaction; `changes` is what the audit record says of it.

    Raises:
        NotFound: the organization has no such connection. Whatever `changed` raises leaves everything as it was.
        Conflict: somebody else than `only_if_made_by` made it, or it was handed over.
    """

    def write(tx: Transaction) -> None:
        current = _get(tx, runtime, organization, connection_id)
        if only_if_made_by and connections.maker_of(tx, connection_id) != only_if_made_by:
            raise Conflict(f"{connection_id} is what its file says")
        wanted = changed(current)
        connections.change(tx, runtime.keyring, wanted, at=runtime.clock.now())
        audit.record(tx, [_event(runtime, current, change_action(current, wanted), by, changes)])

    await runtime.database.write(write)


async def create_connection(runtime: Runtime, value: Connection, *, maker: str, by: Actor) -> None:
    """Add a connection.

    Raises:
        Conflict: its id is taken, perhaps by another organization.
    """

    def write(tx: Transaction) -> None:
        if connections.get(tx, runtime.keyring, value.id):
            raise Conflict(f"the id {value.id} is taken")
        connections.save(tx, runtime.keyring, value, maker=maker, at=runtime.clock.now())
        audit.record(tx, [_event(runtime, value, Action.CONNECTION_CREATE, by, {"protocol": value.protocol})])

    try:
        await runtime.database.write(write)
    except IntegrityError as error:  # another organization took it between the look and the insert
        raise Conflict(f"the id {value.id} is taken") from error


async def remove_connection(runtime: Runtime, organization: str, connection_id: str, *, by: Actor) -> None:
    """Take away a connection that owners made in the settings and have switched off. Who came by it is known by their
    verified address again, at their next login by another one.

    Raises:
        NotFound: the organization has no such connection. Conflict: it is switched on, or a file says what it is.
    """

    def write(tx: Transaction) -> None:
        current = _get(tx, runtime, organization, connection_id)
        if current.enabled or connections.maker_of(tx, connection_id) != CONSOLE:
            raise Conflict(f"{connection_id} is switched on, or is what its file says")
        connections.remove(tx, connection_id)
        audit.record(tx, [_event(runtime, current, Action.CONNECTION_DELETE, by, {"protocol": current.protocol})])

    await runtime.database.write(write)


def _get(tx: Transaction, runtime: Runtime, organization: str, connection_id: str) -> Connection:
    found = connections.get(tx, runtime.keyring, connection_id)
    removed = connections.maker_of(tx, connection_id) == connections.REMOVED
    if found is None or found.organization != organization or removed:
        raise NotFound(f"no connection {connection_id}")
    return found


def change_action(before: Connection, after: Connection) -> Action:
    """Return what the audit record calls the change: another certificate is what an attacker would want."""
    old, new = (getattr(one.settings, "certificates", ()) for one in (before, after))
    return Action.CONNECTION_UPDATE if old == new else Action.CONNECTION_CERTIFICATE


def _event(runtime: Runtime, about: Connection, action: Action, by: Actor, changes: Mapping[str, object]) -> Event:
    return new_event(
        runtime.clock, about.organization, action, by, target=about.id, target_name=about.name, changes=changes
    )
