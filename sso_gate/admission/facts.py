"""Reads what the decision depends on, for a whole batch of one organization's logins at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from sso_gate.admission.decision import ContractPhase, EmailStanding, Facts, Tie
from sso_gate.identity import Identity, email_domain, normal_email
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import connection


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts about one identity, the member it means, if any, and the organization's short name."""

    facts: Facts
    member: Member | None
    slug: str


def gather(tx: Connection, organization: str, identities: Sequence[Identity], *, now: datetime) -> list[Gathered]:
    """Return the facts about each identity, in the order given, as this transaction sees them."""
    owner = organizations.get(tx, organization)
    enabled = _enabled_connections(tx, organization, identities)
    bound = members.by_identity(tx, {(proved.connection, proved.subject) for proved in identities})
    unbound = {
        proved.email for proved in identities if proved.email and (proved.connection, proved.subject) not in bound
    }
    awaited = members.by_email(tx, organization, unbound) if unbound else {}
    found = []
    for proved in identities:
        standing = email_standing(proved, owner)
        tie, member = _tie(proved, standing, bound, awaited)
        facts = Facts(
            organization_enabled=owner is not None and owner.enabled,
            connection_enabled=proved.connection in enabled,
            contract=contract_phase(owner, now=now),
            email=standing,
            tie=tie,
            state=member.state if member else None,
            role=member.role if member else None,
        )
        found.append(Gathered(facts, member, owner.slug if owner else ""))
    return found


def _enabled_connections(tx: Connection, organization: str, identities: Sequence[Identity]) -> set[str]:
    named = {proved.connection for proved in identities}
    columns = connection.c
    query = select(columns.id).where(columns.id.in_(named), columns.organization == organization, columns.enabled)
    return set(tx.execute(query).scalars())


def _tie(
    proved: Identity,
    standing: EmailStanding,
    bound: dict[tuple[str, str], Member],
    awaited: dict[str, members.Candidate],
) -> tuple[Tie, Member | None]:
    member = bound.get((proved.connection, proved.subject))
    if member is not None:
        # A key is bound inside one organization; one that was bound elsewhere must never open this one.
        return (Tie.BOUND, member) if member.organization == proved.organization else (Tie.TAKEN, None)
    candidate = awaited.get(normal_email(proved.email)) if proved.email else None
    if standing is not EmailStanding.TRUSTED or candidate is None:
        return Tie.NONE, None
    if candidate.bound or candidate.bound_to not in ("", proved.connection):
        return Tie.TAKEN, None
    return Tie.AWAITED, candidate.member


def email_standing(proved: Identity, organization: Organization | None) -> EmailStanding:
    """Return what the identity's email is worth to the organization."""
    if not proved.email:
        return EmailStanding.MISSING
    if organization is None or email_domain(proved.email) not in organization.domains:
        return EmailStanding.FOREIGN
    return EmailStanding.TRUSTED if proved.email_verified else EmailStanding.UNVERIFIED


def contract_phase(organization: Organization | None, *, now: datetime) -> ContractPhase:
    """Return where the organization's contract stands at this instant."""
    if organization is None or (organization.access_until is not None and organization.access_until <= now):
        return ContractPhase.ENDED
    if organization.admits_until is not None and organization.admits_until <= now:
        return ContractPhase.GRACE
    return ContractPhase.RUNNING
