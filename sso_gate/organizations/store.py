"""Rows of organizations and of their verified domains."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal_column, select, update

from sso_gate.clock import from_micros, to_micros
from sso_gate.errors import Conflict
from sso_gate.organizations.organization import Organization, Provisioning, WhenFull
from sso_gate.storage.prepared import Prepared
from sso_gate.storage.tables import organization, organization_domain

# In the text itself: a prepared statement takes no other constants.
_SEPARATOR: Any = literal_column("' '")
# A column, not a second statement: this is read at every login.
_DOMAINS = (
    select(func.aggregate_strings(organization_domain.c.domain, _SEPARATOR))
    .where(organization_domain.c.organization == organization.c.id)
    .scalar_subquery()
    .label("domains")
)


_BY_ID = Prepared(select(organization, _DOMAINS).where(organization.c.id == bindparam("organization")))


def get(tx: Connection, organization_id: str) -> Organization | None:
    """Return the organization with this id, or None."""
    rows = _BY_ID.rows(tx, organization=organization_id)
    return _organization(rows[0]) if rows else None


def by_slug(tx: Connection, slug: str) -> Organization | None:
    """Return the organization with this short name, or None."""
    return _one(tx, organization.c.slug == slug)


def by_domain(tx: Connection, domain: str) -> Organization | None:
    """Return the organization that has verified this domain, or None."""
    owner = select(organization_domain.c.organization).where(organization_domain.c.domain == domain.lower())
    return _one(tx, organization.c.id == owner.scalar_subquery())


def every(tx: Connection) -> list[Organization]:
    """Return all organizations by short name."""
    rows = tx.execute(select(organization, _DOMAINS).order_by(organization.c.slug))
    return [_organization(row) for row in rows]


def slugs(tx: Connection) -> dict[str, str]:
    """Return the short names of all organizations by their ids, in the order of the names."""
    rows = tx.execute(select(organization.c.id, organization.c.slug).order_by(organization.c.slug))
    return {row.id: row.slug for row in rows}


def only_one(tx: Connection) -> Organization | None:
    """Return the organization of an installation that has one alone; None for every other."""
    rows = tx.execute(select(organization, _DOMAINS).limit(2)).all()
    return _organization(rows[0]) if len(rows) == 1 else None


def set_hold_for_waiting(tx: Connection, organization_id: str, *, on: bool) -> None:
    """Keep free seats for whoever waits, or give them to whoever logs in first."""
    tx.execute(update(organization).where(organization.c.id == organization_id).values(hold_for_waiting=on))


def set_it_contact(tx: Connection, organization_id: str, text: str) -> None:
    """Tell everybody who has trouble logging in whom to ask."""
    tx.execute(update(organization).where(organization.c.id == organization_id).values(it_contact=text))


def set_provisioning(tx: Connection, organization_id: str, provisioning: Provisioning, when_full: WhenFull) -> None:
    """Let people become members like this, and treat so whom a directory creates while no seat is free."""
    values = {"provisioning": provisioning, "scim_when_full": when_full}
    tx.execute(update(organization).where(organization.c.id == organization_id).values(values))


def holds_for_waiting(tx: Connection, organization_id: str) -> bool:
    """Return whether the organization wants free seats to be kept for whoever waits."""
    query = select(organization.c.hold_for_waiting).where(organization.c.id == organization_id)
    return bool(tx.execute(query).scalar_one_or_none())


def _one(tx: Connection, which: ColumnElement[bool]) -> Organization | None:
    row = tx.execute(select(organization, _DOMAINS).where(which)).one_or_none()
    return _organization(row) if row else None


@lru_cache(maxsize=1024)  # read from the database each time, made anew where its row has changed
def _organization(row: Any) -> Organization:
    return Organization(
        id=row.id,
        slug=row.slug,
        name=row.name,
        enabled=bool(row.enabled),
        locale=row.locale,
        domains=tuple(sorted((row.domains or "").split())),
        hold_for_waiting=bool(row.hold_for_waiting),
        scim_when_full=row.scim_when_full,
        purchase_roles=tuple(json.loads(row.purchase_roles)),
        admits_until=_instant(row.admits_until_at),
        access_until=_instant(row.access_until_at),
        scim_mode=row.scim_mode,
        it_contact=row.it_contact,
        provisioning=row.provisioning,
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def save(tx: Connection, value: Organization, *, at: datetime) -> None:
    """Insert the organization, or change the one with its id; `Conflict` when a domain is another organization's."""
    columns = {
        "slug": value.slug,
        "name": value.name,
        "enabled": value.enabled,
        "locale": value.locale,
        "hold_for_waiting": value.hold_for_waiting,
        "it_contact": value.it_contact,
        "provisioning": value.provisioning,
        "scim_when_full": value.scim_when_full,
        "scim_mode": value.scim_mode,
        "purchase_roles": json.dumps(list(value.purchase_roles)),
        "admits_until_at": _micros(value.admits_until),
        "access_until_at": _micros(value.access_until),
    }
    changed = tx.execute(update(organization).where(organization.c.id == value.id).values(columns)).rowcount
    if not changed:
        tx.execute(insert(organization).values(id=value.id, created_at=to_micros(at), **columns))
    _save_domains(tx, value.id, value.domains)


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def proven_domains(tx: Connection, organization_id: str) -> tuple[str, ...]:
    """Return the domains that owners proved by DNS, whatever a file says."""
    table = organization_domain.c
    query = select(table.domain).where(table.organization == organization_id, table.proven_at.is_not(None))
    return tuple(tx.execute(query.order_by(table.domain)).scalars())


def add_proven_domain(tx: Connection, organization_id: str, domain: str, *, at: datetime) -> bool:
    """Add a domain that was proven; False where it is an organization's already, be it this one's."""
    table = organization_domain.c
    if tx.execute(select(table.domain).where(table.domain == domain)).first():
        return False
    row = {"domain": domain, "organization": organization_id, "proven_at": to_micros(at)}
    tx.execute(insert(organization_domain).values(row))
    return True


def drop_proven_domain(tx: Connection, organization_id: str, domain: str) -> bool:
    """Take away a domain that was proven; False where there is no such one."""
    table = organization_domain.c
    mine = (table.organization == organization_id) & (table.domain == domain) & table.proven_at.is_not(None)
    return bool(tx.execute(delete(organization_domain).where(mine)).rowcount)


def _save_domains(tx: Connection, organization_id: str, domains: Sequence[str]) -> None:
    table = organization_domain.c
    kept = proven_domains(tx, organization_id)
    tx.execute(delete(organization_domain).where(table.organization == organization_id, table.proven_at.is_(None)))
    domains = [domain for domain in domains if domain not in kept]
    taken = tx.execute(select(table.domain).where(table.domain.in_(list(domains)))).scalars().all()
    if taken:
        raise Conflict(f"domain {', '.join(taken)} belongs to another organization")
    if domains:
        rows = [{"domain": domain, "organization": organization_id} for domain in domains]
        tx.execute(insert(organization_domain), rows)
