"""The organization file as values: every key is known, every value is checked, every error names its line."""

import re
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sso_gate.errors import SsoGateError
from sso_gate.members.roles import Grant, Role

MAX_FILE_BYTES = 1024 * 1024
RESERVED = frozenset({"help", "break-glass"})  # what stands behind /login/ besides connections
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"-]+)\s*\]")
_KEY = re.compile(r'\s*"?([A-Za-z0-9_. -]+?)"?\s*=')


class FileInvalid(SsoGateError):
    """The file cannot be applied; `problems` holds one line for each, with the place in the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _email(value: str) -> str:
    local, at, domain = value.partition("@")
    if not (at and local and "." in domain) or "@" in domain or not value.isprintable() or " " in value:
        raise ValueError("expected an email address")
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)([a-z0-9](-*[a-z0-9])*\.)+[a-z0-9-]{2,}", value.lower()):
        raise ValueError("expected a domain name, such as acme.example")
    return value.lower()


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Email = Annotated[str, AfterValidator(_email), StringConstraints(max_length=320)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrganizationPart(_Part):
    """`[organization]`."""

    slug: Slug
    name: Text
    domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = ()
    locale: Literal["en", "pt-BR", "es"] = "en"
    enabled: bool = True
    hold_for_waiting: bool = True


class TaxPart(_Part):
    """One entry of `contract.tax`."""

    category: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,3}$")]
    rate_percent: Decimal = Field(ge=0, le=100)


class ContractPart(_Part):
    """`[contract]`; what its values mean is for billing_core to say."""

    kind: str = "annual_invoiced"
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    unit_price: Decimal = Field(ge=0)
    price_per: Literal["seat_month", "seat_year"] = "seat_month"
    anchor_date: date
    timezone: str = "UTC"
    seats: int = Field(ge=0, le=10_000_000, strict=True)
    minimum_seats: int = Field(default=1, ge=0, strict=True)
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
    sso_url: str = ""
    slo_url: str = ""
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

    @model_validator(mode="after")
    def _whole(self) -> "ConnectionPart":
        if self.id in RESERVED:
            raise ValueError(f"id: /login/{self.id} is a page of the gate")
        if Role.PRIMARY_OWNER in self.roles.values():
            raise ValueError("roles: primary_owner can never be mapped from a group")
        sources = [bool(self.metadata_file), bool(self.metadata_url), bool(self.idp_entity_id)]
        if self.protocol == "saml" and sources.count(True) != 1:
            raise ValueError(
                "a SAML connection needs one of metadata_file, metadata_url, or idp_entity_id with sso_url"
            )
        if self.protocol == "saml" and self.idp_entity_id and not (self.sso_url and self.certificates):
            raise ValueError("idp_entity_id needs sso_url and certificates beside it")
        if self.protocol == "oidc" and not (self.issuer and self.client_id):
            raise ValueError("an OIDC connection needs issuer and client_id")
        return self


class ScimPart(_Part):
    """`[scim]`."""

    when_full: Literal["refuse", "hold_unseated"] = "refuse"
    mode: Literal["compatible", "strict"] = "compatible"


class OrganizationFile(_Part):
    """The whole file; `folder` is where the files that it names lie."""

    organization: OrganizationPart
    contract: ContractPart
    seller: PartyPart
    buyer: PartyPart | None = None
    members: tuple[MemberPart, ...] = ()
    connections: tuple[ConnectionPart, ...] = ()
    scim: ScimPart = ScimPart()

    @model_validator(mode="after")
    def _one_primary_owner(self) -> "OrganizationFile":
        owners = [member for member in self.members if member.role is Role.PRIMARY_OWNER]
        if len(owners) != 1:
            raise ValueError(f"members: exactly one primary_owner is needed, there are {len(owners)}")
        emails = [member.email.casefold() for member in self.members]
        twice = sorted({email for email in emails if emails.count(email) > 1})
        if twice:
            raise ValueError(f"members: listed twice: {', '.join(twice)}")
        ids = [connection.id for connection in self.connections]
        if len(set(ids)) != len(ids):
            raise ValueError("connections: an id is used twice")
        unknown = sorted({member.connection for member in self.members if member.connection} - set(ids))
        if unknown:
            raise ValueError(f"members: no such connection: {', '.join(unknown)}")
        return self


def read_file(path: Path) -> tuple[OrganizationFile, str]:
    """Return the file's values and its text, in which `line_of` finds places.

    Raises:
        FileInvalid: it cannot be read, is not TOML, has an unknown key or a wrong value.
    """
    try:
        raw = path.read_bytes()
        text = raw[: MAX_FILE_BYTES + 1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileInvalid([f"{path.name}: cannot be read ({error.__class__.__name__})"]) from error
    if len(raw) > MAX_FILE_BYTES:
        raise FileInvalid([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
    try:
        return OrganizationFile.model_validate(tomllib.loads(text)), text
    except tomllib.TOMLDecodeError as error:
        raise FileInvalid([f"{path.name}: {error}"]) from error
    except ValidationError as error:
        problems = [_problem(path.name, text, item["loc"], item["msg"]) for item in error.errors(include_input=False)]
        raise FileInvalid(problems) from error


def _problem(name: str, text: str, location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(str(part) for part in location)
    said = message.removeprefix("Value error, ")
    return f"{name}:{line_of(text, location)}: {place + ': ' if place else ''}{said}"


def line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Return the number of the line that says what `location` names, such as `("contract", "seats")`, or of
    its table.
    """
    wanted, best = tuple(location), 1
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = _table(header[1] == "[[", header[2], counts)
            best = number if wanted[: len(table)] == table else best
        else:
            key = _KEY.match(line)
            if key and (*table, key[1]) == wanted[: len(table) + 1]:
                return number
    return best


def _table(is_array: bool, name: str, counts: dict[str, int]) -> tuple[int | str, ...]:
    words = name.split(".")
    if is_array:
        counts[name] = counts.get(name, -1) + 1
    place: list[int | str] = []
    for at, word in enumerate(words):
        place.append(word)
        prefix = ".".join(words[: at + 1])
        if prefix in counts:
            place.append(counts[prefix])
    return tuple(place)
