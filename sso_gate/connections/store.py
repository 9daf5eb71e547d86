"""Rows of connections; a client secret is sealed, everything else is readable JSON."""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import bindparam, delete, insert, literal_column, select, update

from sso_gate.clock import to_micros
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.prepared import Prepared
from sso_gate.storage.tables import connection, identity

REMOVED = "removed"
"""The maker of what was removed: its id is never another connection's, and its revisions go on."""
_COLUMNS = connection.c
# In the text itself: a prepared statement takes no other constants.
_THERE = _COLUMNS.made_by != literal_column(f"'{REMOVED}'")
_GET = Prepared(select(connection).where(_COLUMNS.id == bindparam("id")))
_SETTINGS = Prepared(select(_COLUMNS.settings).where(_COLUMNS.organization == bindparam("organization"), _THERE))


def get(tx: Transaction, keyring: Keyring, connection_id: str) -> Connection | None:
    """Return the connection with this id, enabled or not, or None; one that was removed is there, and disabled."""
    rows = _GET.rows(tx, id=connection_id)
    return _connection(rows[0], keyring) if rows else None


def of_organization(tx: Transaction, keyring: Keyring, organization: str) -> list[Connection]:
    """Return the organization's connections by id."""
    there = select(connection).where(_COLUMNS.organization == organization, _THERE)
    rows = tx.execute(there.order_by(_COLUMNS.id))
    return [_connection(row, keyring) for row in rows]


def roles_of_organization(tx: Transaction, organization: str) -> list[tuple[str, str]]:
    """Return (group, role) of every mapping that the organization's connections have."""
    rows = _SETTINGS.rows(tx, organization=organization)
    return [pair for row in rows for pair in _body(row.settings)["roles"].items()]


def made_by(tx: Transaction, maker: str) -> list[str]:
    """Return the ids of the connections that `maker` made."""
    return list(tx.execute(select(_COLUMNS.id).where(_COLUMNS.made_by == maker)).scalars())


def maker_of(tx: Transaction, connection_id: str) -> str:
    """Return who made the connection, or an empty text where there is none."""
    return tx.execute(select(_COLUMNS.made_by).where(_COLUMNS.id == connection_id)).scalar_one_or_none() or ""


def remove(tx: Transaction, connection_id: str) -> None:
    """Let nobody log in by the connection ever again, and forget its secret and whom it has identified."""
    tx.execute(delete(identity).where(identity.c.connection == connection_id))
    values = {"made_by": REMOVED, "enabled": False, "sealed_secret": "", "revision": _COLUMNS.revision + 1}
    tx.execute(update(connection).where(_COLUMNS.id == connection_id).values(values))


def hand_over(tx: Transaction, connection_id: str, *, maker: str) -> None:
    """Let the connection be somebody else's from now on."""
    tx.execute(update(connection).where(_COLUMNS.id == connection_id).values(made_by=maker))


def save(tx: Transaction, keyring: Keyring, value: Connection, *, maker: str, at: datetime) -> Connection:
    """Insert the connection or change the one with its id; return it with its new revision. Equal content changes
    nothing.
    """
    known = get(tx, keyring, value.id)
    if known and replace(value, revision=known.revision) == known:
        return known
    saved = replace(value, revision=known.revision + 1 if known else 1)
    row = {**_row(saved, keyring), "made_by": maker, "updated_at": to_micros(at)}
    if known:
        tx.execute(update(connection).where(_COLUMNS.id == value.id).values(row))
    else:
        tx.execute(insert(connection).values(row))
    return saved


def change(tx: Transaction, keyring: Keyring, value: Connection, *, at: datetime) -> Connection:
    """Change the connection that is there with this id; whoever made it stays its maker."""
    maker = tx.execute(select(_COLUMNS.made_by).where(_COLUMNS.id == value.id)).scalar_one()
    return save(tx, keyring, value, maker=maker, at=at)


def with_metadata_url(tx: Transaction, keyring: Keyring) -> list[Connection]:
    """Return the enabled SAML connections whose metadata is published at a URL."""
    # Most have none: their rows are passed over by the database, which reads this text as `_row` writes it.
    has_none = _COLUMNS.settings.contains('"metadata_url": ""', autoescape=True)
    query = select(connection).where(_COLUMNS.enabled, _COLUMNS.protocol == "saml", ~has_none)
    found = [_connection(row, keyring) for row in tx.execute(query.order_by(_COLUMNS.id))]
    return [one for one in found if isinstance(one.settings, SamlSettings) and one.settings.metadata_url]


@dataclass(frozen=True, slots=True)
class Pinned:
    """The certificates (PEM) of an enabled SAML connection, and whose it is."""

    organization: str
    connection: str
    name: str
    certificates: tuple[str, ...]


def pinned(tx: Transaction, organization: str = "") -> list[Pinned]:
    """Return what is pinned for the enabled SAML connections by id, of all organizations where none is named."""
    query = select(_COLUMNS.organization, _COLUMNS.id, _COLUMNS.name, _COLUMNS.settings).order_by(_COLUMNS.id)
    if organization:
        query = query.where(_COLUMNS.organization == organization)
    rows = tx.execute(query.where(_COLUMNS.enabled, _COLUMNS.protocol == "saml"))
    return [
        Pinned(row.organization, row.id, row.name, tuple(json.loads(row.settings)["settings"]["certificates"]))
        for row in rows
    ]


def _row(value: Connection, keyring: Keyring) -> dict[str, Any]:
    settings = asdict(value.settings)
    secret = settings.pop("client_secret", "")
    body = {
        "settings": settings,
        "attributes": asdict(value.attributes),
        "roles": dict(value.roles),
        "keep_answers": value.keep_answers,
    }
    return {
        "id": value.id,
        "organization": value.organization,
        "name": value.name,
        "protocol": value.protocol,
        "enabled": value.enabled,
        "revision": value.revision,
        "settings": json.dumps(body, default=date.isoformat),
        "sealed_secret": keyring.seal(secret) if secret else "",
    }


@lru_cache(maxsize=1024)
def _body(settings: str) -> dict[str, Any]:
    """Return what the text says."""
    body: dict[str, Any] = json.loads(settings)
    return body


@lru_cache(maxsize=1024)
def _connection(row: Any, keyring: Keyring) -> Connection:
    """Return what the row says: read once, because every message that comes in asks for its connection."""
    body = _body(row.settings)
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in body["settings"].items()}
    return Connection(
        id=row.id,
        organization=row.organization,
        name=row.name,
        enabled=bool(row.enabled),
        revision=row.revision,
        attributes=AttributeMap(**body["attributes"]),
        roles=body["roles"],
        keep_answers=body.get("keep_answers", False),
        settings=_saml(settings) if row.protocol == "saml" else _oidc(settings, row.sealed_secret, keyring),
    )


def _saml(values: dict[str, Any]) -> SamlSettings:
    until = values.get("allow_cbc_until")
    return SamlSettings(**{**values, "allow_cbc_until": date.fromisoformat(until) if until else None})


def _oidc(values: dict[str, Any], sealed: str, keyring: Keyring) -> OidcSettings:
    known = {field.name for field in fields(OidcSettings)}
    kept = {name: value for name, value in values.items() if name in known}
    return OidcSettings(**kept, client_secret=keyring.unseal(sealed) if sealed else "")
