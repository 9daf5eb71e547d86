"""Home-realm discovery: from what is known about a visitor to the connections that could vouch for them."""

from dataclasses import dataclass

from sqlalchemy import Connection as Transaction

from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection
from sso_gate.identity import email_domain
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Realm:
    """Where a visitor may log in: the organization, if one is known, and its enabled connections."""

    organization: Organization | None
    connections: tuple[Connection, ...]


def find_realm(tx: Transaction, keyring: Keyring, *, slug: str = "", email: str = "") -> Realm:
    """Return the realm of an organization's short name or of an address in a verified domain.

    With neither, an installation that serves one organization alone needs no question. What is unknown, disabled,
    ambiguous or without an enabled connection gives the same empty realm.
    """
    organization = _organization(tx, slug, email)
    if organization is None or not organization.enabled:
        return Realm(None, ())
    usable = [found for found in connections.of_organization(tx, keyring, organization.id) if found.enabled]
    return Realm(organization, tuple(usable)) if usable else Realm(None, ())


def _organization(tx: Transaction, slug: str, email: str) -> Organization | None:
    if slug:
        return organizations.by_slug(tx, slug)
    if email:
        return organizations.by_domain(tx, email_domain(email))
    return organizations.only_one(tx)
