"""Makes an organization what its file says, in one transaction, and says what was changed.

The contract's first application issues the invoice of the whole term; seats are never lowered; only the primary owner
takes a seat here, the others take theirs at their first login.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection as Transaction

from sso_gate.apply.file import (
    ConnectionPart,
    ContractPart,
    FileInvalid,
    MemberPart,
    OrganizationFile,
    PartyPart,
    line_of,
)
from sso_gate.apply.metadata_refresh import fetch_metadata
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.billing import contract as contracts
from sso_gate.billing.purchase import adopt_allocation, publish
from sso_gate.connections import certificates
from sso_gate.connections import store as connections
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.errors import Conflict, InvalidInput, NotFound, Refused
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.protocols.saml.metadata import IdentityProviderMetadata, parse_identity_provider
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage.runtime import Runtime

MAX_FILE_NAME = 255
MAX_NAMED_FILE_BYTES = 2 * 1024 * 1024
_OPERATOR = Actor("admin", "operator", "")


@dataclass(frozen=True, slots=True)
class Applied:
    """What was changed, in words for a terminal; `invoice` is the number of the one that was issued, if any."""

    organization: str
    changes: tuple[str, ...]
    invoice: str


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
    places = _Places(name, text)
    ready = [
        await _connection_settings(runtime, part, folder, places, at) for at, part in enumerate(wanted.connections)
    ]

    def work(tx: Transaction) -> tuple[Applied, Pool]:
        applied, pool = _Applying(tx, runtime, wanted, ready, maker, places, new_id("evt", runtime.clock)).run()
        if dry_run:
            raise _DryRun(applied)
        return applied, pool

    try:
        applied, pool = await runtime.database.write(work)
    except _DryRun as tried:
        return tried.applied
    await publish(runtime, applied.organization, pool)
    return applied


@dataclass(frozen=True, slots=True)
class _Places:
    """Where things stand in the file, for errors."""

    name: str
    text: str

    def wrong(self, location: tuple[int | str, ...], message: str) -> FileInvalid:
        place = ".".join(str(part) for part in location)
        return FileInvalid([f"{self.name}:{line_of(self.text, location)}: {place}: {message}"])


@dataclass(slots=True)
class _Applying:
    """One application of one file, inside its transaction."""

    tx: Transaction
    runtime: Runtime
    wanted: OrganizationFile
    settings: list[SamlSettings | OidcSettings]
    maker: str
    places: _Places
    event_id: str

    def run(self) -> tuple[Applied, Pool]:
        now = self.runtime.clock.now()
        changes: list[str] = []
        known = organizations.by_slug(self.tx, self.wanted.organization.slug)
        organization = self._organization(known, now)
        if organization != known:
            changes.append("organization changed" if known else "organization created")
        invoice, pool = self._contract(organization, changes, now)
        changes += self._connections(organization, now)
        changes += self._members(organization, now)
        pool = self._seat_primary_owner(organization, pool, changes, now)
        if changes:
            audit.record(self.tx, [self._event(organization, changes, pool, now)])
        return Applied(organization.id, tuple(changes), invoice), pool

    def _organization(self, known: Organization | None, now: datetime) -> Organization:
        part = self.wanted.organization
        value = Organization(
            id=known.id if known else new_id("org", self.runtime.clock),
            slug=part.slug,
            name=part.name,
            enabled=part.enabled,
            locale=part.locale,
            domains=tuple(sorted(set(part.domains))),
            hold_for_waiting=part.hold_for_waiting,
            scim_when_full=self.wanted.scim.when_full,
            scim_mode=self.wanted.scim.mode,
            purchase_roles=self.wanted.contract.purchase_roles,
            admits_until=known.admits_until if known else None,
            access_until=known.access_until if known else None,
        )
        if value != known:
            try:
                organizations.save(self.tx, value, at=now)
            except Conflict as conflict:
                raise self.places.wrong(("organization", "domains"), str(conflict)) from conflict
        return value

    def _contract(self, organization: Organization, changes: list[str], now: datetime) -> tuple[str, Pool]:
        part = self.wanted.contract
        first = contracts.bought_seats(self.tx, organization) is None
        if first:
            ledger.open_pool(self.tx, organization.id, 0)
        self._refuse_other_seats(organization)
        try:
            stored, invoice = contracts.settle_contract(
                self.tx,
                organization,
                contracts.Contract(
                    kind=part.kind,
                    currency=part.currency,
                    unit_price=part.unit_price,
                    price_per=part.price_per,
                    anchor_date=part.anchor_date,
                    timezone=part.timezone,
                    minimum_seats=part.minimum_seats,
                    auto_renew=part.auto_renew,
                    proration=part.proration,
                    purchase_roles=part.purchase_roles,
                    payment_days=part.payment_days,
                    uplift_percent=part.uplift_percent,
                    po_required=part.po_required,
                    tax=tuple({"category": tax.category, "rate_percent": str(tax.rate_percent)} for tax in part.tax),
                ),
                seats=part.seats,
                buyer=_buyer(self.wanted),
                seller=_seller(self.wanted.seller),
                now=now,
            )
        except contracts.BillingError as error:
            raise self.places.wrong(("contract", *_field(error)), str(error)) from error
        contracts.sync_admission(self.tx, organization, stored, now=now)
        if first:
            changes.append(f"contract opened with {part.seats} seats")
        pool = ledger.read(self.tx, organization.id, now=now)
        if pool.purchased != stored.seats:
            pool = adopt_allocation(self.tx, organization, stored.seats, runtime=self.runtime)
        return invoice.number if invoice else "", pool

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
            value = Connection(
                id=part.id,
                organization=organization.id,
                name=part.name or part.id,
                enabled=part.enabled,
                revision=known.revision if known else 0,
                attributes=AttributeMap(**part.attributes.model_dump()),
                roles={group: str(role) for group, role in part.roles.items()},
                settings=settings,
            )
            saved = connections.save(self.tx, self.runtime.keyring, value, maker=self.maker, at=now)
            if known is None:
                changes.append(f"connection {part.id} created")
            elif saved.revision != known.revision:
                changes.append(f"connection {part.id} changed")
        return changes

    def _members(self, organization: Organization, now: datetime) -> list[str]:
        self._refuse_second_primary_owner(organization)
        known = members.by_email(self.tx, organization.id, [part.email for part in self.wanted.members])
        changes, new = [], []
        for part in self.wanted.members:
            candidate = known.get(part.email.strip().casefold())
            if candidate is None:
                new.append(part)
            elif _differs(part, candidate):
                role = part.role if candidate.member.role is not Role.PRIMARY_OWNER else Role.PRIMARY_OWNER
                members.relist(
                    self.tx,
                    candidate.member.id,
                    name=part.name or candidate.member.name,
                    role=role,
                    grants=part.grants,
                    bound_to=part.connection,
                )
                changes.append(f"member {part.email} changed")
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


def _differs(part: MemberPart, known: members.Candidate) -> bool:
    member = known.member
    role = part.role is not member.listed_role and member.role is not Role.PRIMARY_OWNER
    named = bool(part.name) and part.name != member.name
    return role or named or part.grants != member.grants or part.connection != known.bound_to


def _buyer(wanted: OrganizationFile) -> contracts.Party:
    part = wanted.buyer
    if part is None:
        return contracts.Party(name=wanted.organization.name)
    return contracts.Party(**part.model_dump(exclude={"timezone"}))


def _seller(part: PartyPart) -> contracts.Seller:
    return contracts.Seller(**part.model_dump())


def _field(error: Exception) -> tuple[str, ...]:
    """Return the key of `[contract]` that the error is about: billing_core begins its message with its name."""
    name = str(error).partition(":")[0]
    return (name,) if name in ContractPart.model_fields else ()


async def _connection_settings(
    runtime: Runtime, part: ConnectionPart, folder: Path, places: _Places, at: int
) -> SamlSettings | OidcSettings:
    try:
        if part.protocol == "oidc":
            return _oidc(part, folder, os.environ)
        return await _saml(runtime, part, folder)
    except (InvalidInput, Refused, NotFound) as error:
        raise places.wrong(("connections", at), str(error)) from error


def _oidc(part: ConnectionPart, folder: Path, environment: Mapping[str, str]) -> OidcSettings:
    secret = part.client_secret
    if part.client_secret_file:
        secret = _read(folder / part.client_secret_file, "client_secret_file").decode().strip()
    elif part.client_secret_env:
        secret = environment.get(part.client_secret_env, "")
    if not secret and not part.private_key_jwt:
        raise InvalidInput("client_secret", "one of client_secret, _file, _env or private_key_jwt is needed")
    return OidcSettings(
        issuer=part.issuer,
        client_id=part.client_id,
        client_secret=secret,
        client_authentication="private_key_jwt" if part.private_key_jwt else part.client_authentication,
        scopes=part.scopes,
    )


async def _saml(runtime: Runtime, part: ConnectionPart, folder: Path) -> SamlSettings:
    settings = SamlSettings(
        idp_entity_id=part.idp_entity_id,
        sso_url=part.sso_url,
        slo_url=part.slo_url,
        certificates=tuple(_certificate(text, folder) for text in part.certificates),
        metadata_url=part.metadata_url,
        accept_unsolicited=part.accept_unsolicited,
        sign_requests=part.sign_requests,
        encrypted_assertions=part.encrypted_assertions,
        allow_cbc_until=part.allow_cbc_until,
        force_authn=part.force_authn,
        authn_context=part.authn_context,
        name_id_format=part.name_id_format,
    )
    if part.idp_entity_id:
        return settings
    found = await _metadata(runtime, part, folder)
    return replace(
        settings,
        idp_entity_id=found.entity_id,
        sso_url=found.sso_url,
        slo_url=found.slo_url,
        slo_response_url=found.slo_response_url,
        certificates=found.certificates,
        sign_requests=part.sign_requests or found.wants_requests_signed,
    )


async def _metadata(runtime: Runtime, part: ConnectionPart, folder: Path) -> IdentityProviderMetadata:
    now = runtime.clock.now()
    if part.metadata_url:
        return parse_identity_provider(await fetch_metadata(runtime, part.metadata_url), now=now)
    return parse_identity_provider(_read(folder / part.metadata_file, "metadata_file"), now=now)


def _certificate(text: str, folder: Path) -> str:
    """Return the PEM of an entry that is a certificate (PEM or bare base64) or names a file with one."""
    is_name = "BEGIN CERTIFICATE" not in text and len(text) <= MAX_FILE_NAME
    said = _read(folder / text, "certificates").decode("ascii", "replace") if is_name else text
    try:
        return certificates.from_body(certificates.body(said) if "BEGIN" in said else said)
    except ValueError as error:
        raise InvalidInput("certificates", "not a certificate") from error


def _read(path: Path, field: str) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(field, f"{path.name} cannot be read ({error.__class__.__name__})") from error
    if len(raw) > MAX_NAMED_FILE_BYTES:
        raise InvalidInput(field, f"{path.name} is too large")
    return raw
