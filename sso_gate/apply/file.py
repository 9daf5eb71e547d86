"""The organization file as values: every key is known, every value is checked, every error names its line."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sso_gate.apply.places import FileInvalid, Location, Places
from sso_gate.apply.wording import in_plain_words, wrong
from sso_gate.identity import email_domain, is_email, normal_email
from sso_gate.members.roles import Grant, Role
from sso_gate.organizations.organization import Provisioning, WhenFull

MAX_FILE_BYTES = 1024 * 1024
RESERVED = frozenset({"help", "break-glass"})  # what stands behind /login/ besides connections
_UNCLOSED = r"Illegal character '\n'"  # as tomllib says it
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def _email(value: str) -> str:
    if not is_email(value):
        raise ValueError("expected an email address")
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)([a-z0-9](-*[a-z0-9])*\.)+[a-z0-9-]{2,}", value.lower()):
        raise ValueError("expected a domain name, such as acme.example")
    return value.lower()


def _address(value: str) -> str:
    if value and (not re.fullmatch(r"https?://[^\s/?#@]+([/?#]\S*)?", value) or not value.isprintable()):
        raise ValueError("expected an address such as https://idp.acme.example/sso")
    return value


def _slug(value: str) -> str:
    if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", value):
        raise ValueError("expected 1 to 64 lower-case letters, digits and inner hyphens, such as acme-2")
    return value


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError("expected the three capital letters of a currency, such as USD")
    return value


def _tax_category(value: str) -> str:
    if not re.fullmatch("[A-Z]{1,3}", value):
        raise ValueError("expected a category of EN 16931 in capital letters, such as S")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
Address = Annotated[str, AfterValidator(_address), StringConstraints(max_length=2048)]
Domain = Annotated[str, AfterValidator(_domain)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Email = Annotated[str, AfterValidator(_email), StringConstraints(max_length=320)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrganizationPart(_Part):
    """`[organization]`."""

    slug: Slug
    name: Text
    domains: tuple[Domain, ...] = ()
    locale: Literal["en", "pt-BR", "es"] = "en"
    enabled: bool = True
    hold_for_waiting: bool | None = None
    it_contact: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] | None = None
    provisioning: Provisioning | None = None


class TaxPart(_Part):
    """One entry of `contract.tax`."""

    category: Annotated[str, AfterValidator(_tax_category)]
    rate_percent: Decimal = Field(ge=0, le=100)


class ContractPart(_Part):
    """`[contract]`; what its values mean is for billing_core to say."""

    kind: str = "annual_invoiced"
    currency: Annotated[str, AfterValidator(_currency)]
    unit_price: Decimal = Field(ge=0)
    price_per: Literal["seat_month", "seat_year"] = "seat_month"
    anchor_date: date
    timezone: str = "UTC"
    seats: int = Field(ge=0, le=1_000_000, strict=True)
    minimum_seats: int = Field(default=1, ge=0, le=1_000_000, strict=True)
    auto_renew: bool = True
    proration: Literal["started_month", "month_plus_days"] = "started_month"
    purchase_roles: tuple[Literal["owner", "primary_owner"], ...] = ("owner", "primary_owner")
    payment_days: int = Field(default=30, ge=0, le=365, strict=True)
    tax: tuple[TaxPart, ...] = ()
    uplift_percent: Decimal = Decimal(0)
    po_required: bool = False


class PartyPart(_Part):
    """`[seller]` and `[buyer]`: a name, and what an invoice may print beside it."""

    name: Text
    timezone: str = "UTC"
    address: tuple[str, ...] = ()
    city: str = ""
    postcode: str = ""
    country: str = ""
    tax_id: str = ""
    email: str = ""


class BuyerPart(PartyPart):
    """`[buyer]`: whom invoices name, and who gets them by mail besides `email`; they need not be members."""

    email: Email | Literal[""] = ""
    contacts: tuple[Email, ...] = Field(default=(), max_length=5)


class MemberPart(_Part):
    """One `[[members]]`."""

    email: Email
    name: str = Field(default="", max_length=200)
    role: Role = Role.USER
    grants: frozenset[Grant] = frozenset()
    connection: str = ""


class AttributesPart(_Part):
    """`[connections.attributes]`."""

    email: str = ""
    name: str = ""
    groups: str = ""
    subject: str = ""


class ConnectionPart(_Part):
    """One `[[connections]]`, SAML or OIDC."""

    id: Slug
    protocol: Literal["saml", "oidc"]
    name: str = Field(default="", max_length=200)
    enabled: bool = True
    attributes: AttributesPart = AttributesPart()
    roles: dict[str, Role] = {}
    metadata_file: str = ""
    metadata_url: str = ""
    idp_entity_id: str = ""
    sso_url: Address = ""
    slo_url: Address = ""
    certificates: tuple[str, ...] = ()
    accept_unsolicited: Literal["no", "restart", "accept"] = "no"
    sign_requests: bool = False
    encrypted_assertions: Literal["allow", "require"] = "allow"
    allow_cbc_until: date | None = None
    force_authn: bool = False
    authn_context: tuple[str, ...] = ()
    name_id_format: str = ""
    issuer: str = ""
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    client_secret_file: str = ""
    client_secret_env: str = ""
    private_key_jwt: bool = False
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    trust_email: bool = False
    keep_answers: bool | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ConnectionPart":
        problems = [*self._never(), *(self._saml_lacks() if self.protocol == "saml" else self._oidc_lacks())]
        if problems:
            raise wrong(*problems)
        return self

    def _never(self) -> Iterator[tuple[Location, str]]:
        if self.id in RESERVED:
            yield ("id",), f"/login/{self.id} is a page of the gate"
        for group, role in self.roles.items():
            if role is Role.PRIMARY_OWNER:
                yield ("roles", group), "primary_owner can never be mapped from a group"

    def _saml_lacks(self) -> Iterator[tuple[Location, str]]:
        sources = [bool(self.metadata_file), bool(self.metadata_url), bool(self.idp_entity_id)]
        if sources.count(True) != 1:
            yield (), "a SAML connection needs one of metadata_file, metadata_url, or idp_entity_id with sso_url"
        if self.idp_entity_id and not (self.sso_url and self.certificates):
            yield ("idp_entity_id",), "needs sso_url and certificates beside it"
        if self.trust_email:
            yield ("trust_email",), "for OpenID Connect alone; the addresses of a SAML provider are its own"

    def _oidc_lacks(self) -> Iterator[tuple[Location, str]]:
        if not (self.issuer and self.client_id):
            yield (), "an OIDC connection needs issuer and client_id"
        secrets = (self.client_secret, self.client_secret_file, self.client_secret_env, self.private_key_jwt)
        if sum(map(bool, secrets)) > 1:
            yield ("client_id",), "takes one of client_secret, _file, _env and private_key_jwt, not several"


class ScimPart(_Part):
    """`[scim]`."""

    when_full: WhenFull | None = None
    mode: Literal["compatible", "strict"] = "compatible"


class OrganizationFile(_Part):
    """The whole file; `folder` is where the files that it names lie."""

    organization: OrganizationPart
    contract: ContractPart
    seller: PartyPart
    buyer: BuyerPart | None = None
    members: tuple[MemberPart, ...] = ()
    connections: tuple[ConnectionPart, ...] = ()
    scim: ScimPart = ScimPart()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "OrganizationFile":
        problems = [*self._primary_owners(), *self._twice(), *self._never_bound()]
        if problems:
            raise wrong(*problems)
        return self

    def _primary_owners(self) -> Iterator[tuple[Location, str]]:
        first = ""
        for at, member in enumerate(self.members):
            if member.role is Role.PRIMARY_OWNER and first:
                yield ("members", at, "role"), f"exactly one primary_owner is needed, and {first} is one already"
            elif member.role is Role.PRIMARY_OWNER:
                first = member.email
        if not first:
            yield ("members",), "exactly one primary_owner is needed, there is none"

    def _twice(self) -> Iterator[tuple[Location, str]]:
        emails, ids = set[str](), set[str]()
        for at, member in enumerate(self.members):
            email = normal_email(member.email)
            if email in emails:
                yield ("members", at, "email"), f"{email} is listed twice"
            emails.add(email)
        for at, connection in enumerate(self.connections):
            if connection.id in ids:
                yield ("connections", at, "id"), f"{connection.id} is used twice"
            ids.add(connection.id)

    def _never_bound(self) -> Iterator[tuple[Location, str]]:
        """Give the members whom no login could ever be: people are bound by an address in a domain of ours."""
        ids, domains = {connection.id for connection in self.connections}, set(self.organization.domains)
        for at, member in enumerate(self.members):
            if member.connection and member.connection not in ids:
                yield ("members", at, "connection"), f"there is no connection {member.connection}"
            domain = email_domain(member.email)
            if domain not in domains:
                yield ("members", at, "email"), f"{domain} is none of organization.domains: nobody could log in by it"


def read_file(path: Path) -> tuple[OrganizationFile, str]:
    """Return the file's values and its text, in which `places.line_of` finds places.

    Raises:
        FileInvalid: it cannot be read, is not TOML, has an unknown key or a wrong value.
    """
    text = _text(path)
    places = Places(path.name, text)
    try:
        return OrganizationFile.model_validate(tomllib.loads(text)), text
    except tomllib.TOMLDecodeError as error:
        raise FileInvalid([_not_toml(places, str(error))]) from error
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise FileInvalid([places.problem(item["loc"], in_plain_words(item)) for item in found]) from error


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FileInvalid([f"{path.name}: cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_FILE_BYTES:
        raise FileInvalid([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileInvalid([f"{path.name}:{line}: not text in UTF-8"]) from error


def _not_toml(places: Places, said: str) -> str:
    """Return the error with the line, which tomllib says in its last words; the others are about the file's end."""
    found = _TOML_LINE.search(said)
    line = int(found[1]) if found else max(1, len(places.text.splitlines()))
    said = (said[: found.start()] if found else said.removesuffix(" (at end of document)")).strip()
    if said == _UNCLOSED:
        said = "a text in quotes is not closed on its line"
    return f"{places.name}:{line}: not TOML: {said[:1].lower()}{said[1:]}"
