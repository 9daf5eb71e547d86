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
from sso_gate.storage.tables import connection, identity, member


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts about one identity, the member it means, if any, and the organization's short name."""

    facts: Facts
    member: Member | None
    slug: str


def gather(tx: Connection, organization: str, identities: Sequence[Identity], *, now: datetime) -> list[Gathered]:
    """Return the facts about each identity, in the order given, as this transaction sees them."""
    owner = organizations.get(tx, organization)
    enabled, bound = _people(tx, organization, identities)
    standings = [email_standing(proved, owner) for proved in identities]
    unbound = {
        proved.email
        for proved, standing in zip(identities, standings, strict=True)
        if proved.email and standing is EmailStanding.TRUSTED and (proved.connection, proved.subject) not in bound
    }
    awaited = members.by_email(tx, organization, unbound) if unbound else {}
    found = []
    for proved, standing in zip(identities, standings, strict=True):
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


def _people(
    tx: Connection, organization: str, identities: Sequence[Identity]
) -> tuple[set[str], dict[tuple[str, str], Member]]:
    """Return which of the connections are enabled, and the members to whom the identities are bound: one statement."""
    columns = connection.c
    mine = (identity.c.connection == columns.id) & identity.c.subject.in_({proved.subject for proved in identities})
    query = (
        select(columns.id.label("via"), columns.enabled.label("via_enabled"), identity.c.subject.label("via_subject"))
        .add_columns(*member.c)
        .join_from(connection, identity, mine, isouter=True)
        .join(member, member.c.id == identity.c.member, isouter=True)
        .where(columns.id.in_({proved.connection for proved in identities}), columns.organization == organization)
    )
    rows = tx.execute(query).all()
    bound = {(row.via, row.via_subject): members.to_member(row) for row in rows if row.id is not None}
    return {row.via for row in rows if row.via_enabled}, bound


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
