"""Makes an organization what its file says, in one transaction, and says what was changed.

The contract's first application issues the invoice of the whole term; seats are never lowered; only the primary owner
takes a seat here, the others take theirs at their first login.
"""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection as Transaction

from sso_gate.apply.differences import of_connection, of_contract, of_member, of_organization
from sso_gate.apply.file import ConnectionPart, ContractPart, MemberPart, OrganizationFile
from sso_gate.apply.metadata_refresh import still_pinned
from sso_gate.apply.places import Places
from sso_gate.apply.provider_settings import as_connection, check_issuer_address, provider_settings
from sso_gate.apply.terms import Terms, in_table, terms_of
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.billing import contract as contracts
from sso_gate.billing.allocation import adopt_allocation, publish
from sso_gate.billing.details import adopt_buyer
from sso_gate.billing.mailing import promise_invoice
from sso_gate.connections import store as connections
from sso_gate.connections.connection import OidcSettings, SamlSettings
from sso_gate.connections.manage import CONSOLE
from sso_gate.errors import Conflict, InvalidInput, NotFound, Refused
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage.runtime import Runtime

MAX_NAMED_FILE_BYTES = 2 * 1024 * 1024
T = TypeVar("T")
_OPERATOR = Actor("admin", "operator", "")


@dataclass(frozen=True, slots=True)
class Applied:
    """What was changed, in words for a terminal: a line for every difference, with what was before and what is now.

    `organization` is its id, empty where a dry run would have made it; `invoice` the one that was issued, if any.
    """

    organization: str
    changes: tuple[str, ...]
    invoice: contracts.Invoice | None


class _DryRun(Exception):
    def __init__(self, applied: Applied) -> None:
        super().__init__()
        self.applied = applied


async def apply(
    runtime: Runtime,
    wanted: OrganizationFile,
    *,
    folder: Path,
    text: str,
    name: str,
    maker: str = "apply",
    dry_run: bool = False,
) -> Applied:
    """Apply the file and return what was changed; a second time returns no changes.

    Raises:
        FileInvalid: the file asks for what cannot be, such as fewer seats; nothing was changed.
    """
    places = Places(name, text)
    terms = terms_of(wanted, places)
    ready = [
        await _connection_settings(runtime, part, folder, places, at) for at, part in enumerate(wanted.connections)
    ]

    def work(tx: Transaction) -> tuple[Applied, Pool]:
        is_there = organizations.by_slug(tx, wanted.organization.slug) is not None
        applied, pool = _Applying(tx, runtime, wanted, terms, ready, maker, places, new_id("evt", runtime.clock)).run()
        if dry_run:
            raise _DryRun(applied if is_there else replace(applied, organization=""))
        return applied, pool

    try:
        applied, pool = await runtime.database.write(work)
    except _DryRun as tried:
        return tried.applied
    await publish(runtime, applied.organization, pool)
    return applied


@dataclass(slots=True)
class _Applying:
    """One application of one file, inside its transaction."""

    tx: Transaction
    runtime: Runtime
    wanted: OrganizationFile
    terms: Terms
    settings: list[SamlSettings | OidcSettings]
    maker: str
    places: Places
    event_id: str

    def run(self) -> tuple[Applied, Pool]:
        now = self.runtime.clock.now()
        changes: list[str] = []
        known = organizations.by_slug(self.tx, self.wanted.organization.slug)
        organization = self._organization(known, now)
        changes += of_organization(known, organization) if known else ["organization created"]
        invoice, pool = self._contract(organization, changes, now)
        changes += self._connections(organization, now)
        changes += self._members(organization, now)
        pool = self._seat_primary_owner(organization, pool, changes, now)
        changes = list(dict.fromkeys(changes))  # whoever may buy stands in the contract and in the organization
        if changes:
            audit.record(self.tx, [self._event(organization, changes, pool, now)])
        return Applied(organization.id, tuple(changes), invoice), pool

    def _organization(self, known: Organization | None, now: datetime) -> Organization:
        part = self.wanted.organization
        proven = organizations.proven_domains(self.tx, known.id) if known else ()
        value = Organization(
            id=known.id if known else new_id("org", self.runtime.clock),
            slug=part.slug,
            name=part.name,
            enabled=part.enabled,
            locale=part.locale,
            domains=tuple(sorted({*part.domains, *proven})),
            hold_for_waiting=_said(part.hold_for_waiting, known.hold_for_waiting if known else True),
            scim_when_full=_said(self.wanted.scim.when_full, known.scim_when_full if known else "refuse"),
            scim_mode=self.wanted.scim.mode,
            purchase_roles=self.wanted.contract.purchase_roles,
            admits_until=known.admits_until if known else None,
            access_until=known.access_until if known else None,
            it_contact=_said(part.it_contact, known.it_contact if known else ""),
            provisioning=_said(part.provisioning, known.provisioning if known else "jit"),
        )
        if value != known:
            try:
                organizations.save(self.tx, value, at=now)
            except Conflict as conflict:
                raise self.places.wrong(("organization", "domains"), str(conflict)) from conflict
        return value

    def _contract(
        self, organization: Organization, changes: list[str], now: datetime
    ) -> tuple[contracts.Invoice | None, Pool]:
        seats = self.wanted.contract.seats
        if contracts.bought_seats(self.tx, organization) is None:
            ledger.open_pool(self.tx, organization.id, 0)
        self._refuse_other_seats(organization)
        buyer, told = adopt_buyer(self.tx, organization, self.terms.buyer, self.terms.contacts)
        with in_table(self.places, "contract", ContractPart):
            settled = contracts.settle_contract(
                self.tx,
                organization,
                self.terms.contract,
                seats=seats,
                buyer=buyer,
                seller=self.terms.seller,
                now=now,
            )
        opened = [f"contract opened with {seats} seats"]
        changes += of_contract(settled.before, settled.contract) + told if settled.before else opened
        if settled.invoice:
            promise_invoice(self.tx, organization, settled.invoice, clock=self.runtime.clock)
        contracts.sync_admission(self.tx, organization, settled.contract, now=now)
        return settled.invoice, self._follow(organization, settled, changes, now)

    def _follow(
        self, organization: Organization, settled: contracts.Settled, changes: list[str], now: datetime
    ) -> Pool:
        before = ledger.read(self.tx, organization.id, now=now)
        if before.purchased == settled.contract.seats:
            return before
        pool = adopt_allocation(self.tx, organization, settled.contract.seats, runtime=self.runtime)
        if settled.before and pool.purchased != before.purchased:
            changes.append(f"seats that may be given: {before.purchased} → {pool.purchased}")
        return pool

    def _refuse_other_seats(self, organization: Organization) -> None:
        bought = contracts.bought_seats(self.tx, organization)
        seats = self.wanted.contract.seats
        if bought is None or seats in bought:
            return
        first, now = bought
        said = "seats are bought by an order, never by this file" if seats > now else "seats are never taken out again"
        raise self.places.wrong(("contract", "seats"), f"{seats}: {said} (first allocation {first}, now {now})")

    def _connections(self, organization: Organization, now: datetime) -> list[str]:
        changes = []
        for at, (part, settings) in enumerate(zip(self.wanted.connections, self.settings, strict=True)):
            known = connections.get(self.tx, self.runtime.keyring, part.id)
            if known and known.organization != organization.id:
                raise self.places.wrong(("connections", at, "id"), "belongs to another organization")
            value = still_pinned(known, as_connection(part, settings, organization=organization.id))
            if known:
                kept = _said(part.keep_answers, known.keep_answers)
                value = replace(value, revision=known.revision, keep_answers=kept)
            adopted = known is not None and connections.maker_of(self.tx, part.id) in {CONSOLE, connections.REMOVED}
            saved = connections.save(self.tx, self.runtime.keyring, value, maker=self.maker, at=now)
            if known is None:
                changes.append(f"connection {part.id} created")
            if known and adopted:
                connections.hand_over(self.tx, part.id, maker=self.maker)
                changes.append(f"connection {part.id} taken over from the settings")
            if known and saved.revision != known.revision:
                changes.append(of_connection(known, saved))
        return changes

    def _members(self, organization: Organization, now: datetime) -> list[str]:
        self._refuse_second_primary_owner(organization)
        known = members.by_email(self.tx, organization.id, [part.email for part in self.wanted.members])
        changes, new = [], []
        for part in self.wanted.members:
            candidate = known.get(part.email.strip().casefold())
            if candidate is None:
                new.append(part)
            elif said := of_member(part, candidate):
                role = part.role if candidate.member.role is not Role.PRIMARY_OWNER else Role.PRIMARY_OWNER
                members.relist(
                    self.tx,
                    candidate.member.id,
                    name=part.name or candidate.member.name,
                    role=role,
                    grants=part.grants,
                    bound_to=part.connection,
                )
                changes += said
        for part in new:
            person = self._listed(organization, part)
            members.add(self.tx, [person], source="listed", at=now, bound_to=part.connection)
            changes.append(f"member {part.email} listed")
        return changes

    def _refuse_second_primary_owner(self, organization: Organization) -> None:
        present = members.primary_owner(self.tx, organization.id)
        for at, part in enumerate(self.wanted.members):
            other = present and part.email.strip().casefold() != present.email.strip().casefold()
            if part.role is Role.PRIMARY_OWNER and other:
                holder = present.email if present else ""
                said = f"{holder} is primary owner; primary ownership is transferred, not applied"
                raise self.places.wrong(("members", at, "role"), said)

    def _listed(self, organization: Organization, part: MemberPart) -> Member:
        return Member(
            id=new_id("mem", self.runtime.clock),
            organization=organization.id,
            email=part.email.strip(),
            name=part.name,
            listed_role=part.role,
            role=part.role,
            grants=part.grants,
            state=MemberState.RELEASED,
            generation=0,
            locale="",
        )

    def _seat_primary_owner(self, organization: Organization, pool: Pool, changes: list[str], now: datetime) -> Pool:
        owner = members.primary_owner(self.tx, organization.id)
        if owner is None or owner.state is MemberState.HELD:
            return pool
        pool = ledger.lock(self.tx, organization.id, now=now)
        if not pool.available:
            raise self.places.wrong(("contract", "seats"), "the primary owner needs a seat, and none is free")
        changes.append(f"seat given to {owner.email}")
        return ledger.grant(self.tx, organization.id, {owner.id: self.event_id}, now=now)

    def _event(self, organization: Organization, changes: list[str], pool: Pool, now: datetime) -> Event:
        return Event(
            id=self.event_id,
            organization=organization.id,
            at=now,
            action=Action.ORGANIZATION_APPLY,
            actor=_OPERATOR,
            seat=SeatCount(pool.purchased, pool.used),
            changes={"done": changes},
        )


async def _connection_settings(
    runtime: Runtime, part: ConnectionPart, folder: Path, places: Places, at: int
) -> SamlSettings | OidcSettings:
    try:
        await check_issuer_address(runtime, part)
        return await provider_settings(runtime, part, read=partial(_read, folder), environment=os.environ)
    except InvalidInput as error:
        raise places.wrong(("connections", at, _key(part, error.field)), error.message) from error
    except (Refused, NotFound) as error:
        raise places.wrong(("connections", at, _key(part, "metadata")), str(error)) from error


def _key(part: ConnectionPart, field: str) -> str:
    """Return the key that an error is about: of metadata, the one that says where it lies."""
    if field in ConnectionPart.model_fields:
        return field
    return "metadata_url" if part.metadata_url else "metadata_file"


def _read(folder: Path, name: str, field: str) -> bytes:
    path = folder / name
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(field, f"{path.name} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_NAMED_FILE_BYTES:
        raise InvalidInput(field, f"{path.name} is too large")
    return raw


def _said(value: T | None, otherwise: T) -> T:
    """Return what the file says; where it says nothing, what owners chose in the settings."""
    return otherwise if value is None else value
