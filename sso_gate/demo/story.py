"""The story: Acme has a contract, an owner and a seat for everybody who works there, until today.

Written as an organization file like any other and read by the ordinary `apply`: nothing in the product knows it.
"""

import secrets
from datetime import date
from pathlib import Path

from sso_gate.demo.addresses import Addresses
from sso_gate.demo.people import ANA, DOMAIN, Person
from sso_gate.demo.provider.registry import Client, Provider, ServiceProvider
from sso_gate.demo.provider.saml_messages import metadata
from sso_gate.protocols.protocol import Endpoints

SLUG = "acme"
SAML_CONNECTION = "acme-saml"
OIDC_CONNECTION = "acme-oidc"
CLIENT_ID = "sso-gate"
FIRST_SEATS = 10
TERM_MONTHS = 12
MONTHS_SINCE_START = TERM_MONTHS + 1
FILE_NAME = "organization.toml"

_FILE = """\
[organization]
slug = "{slug}"
name = "Acme Ltda."
domains = ["{domain}"]
locale = "pt-BR"

[contract]
kind = "annual_invoiced"
currency = "USD"
unit_price = "20.00"
price_per = "seat_month"
anchor_date = {anchor_date}
timezone = "America/Sao_Paulo"
seats = {seats}
minimum_seats = 1
auto_renew = true
proration = "started_month"
purchase_roles = ["owner", "primary_owner"]
payment_days = 30
tax = [{{ category = "S", rate_percent = "19" }}]

[seller]
name = "Example GmbH"
timezone = "Europe/Berlin"
{members}
[[connections]]
id = "{saml}"
name = "Acme (SAML)"
protocol = "saml"
metadata_file = "identity-provider.xml"
[connections.attributes]
email = "mail"
name = "displayName"
groups = "groups"

[[connections]]
id = "{oidc}"
name = "Acme (OpenID Connect)"
protocol = "oidc"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_file = "client-secret.txt"
scopes = ["openid", "email", "profile"]
"""


def registered_service(addresses: Addresses) -> ServiceProvider:
    """Return the gate as the provider's SAML side knows it."""
    endpoints = Endpoints(addresses.gate.origin, SAML_CONNECTION)
    return ServiceProvider(endpoints.saml_entity_id, endpoints.saml_acs, endpoints.saml_slo)


def registered_client(addresses: Addresses) -> Client:
    """Return the gate as the provider's OpenID side knows it, with a new secret."""
    endpoints = Endpoints(addresses.gate.origin, OIDC_CONNECTION)
    return Client(CLIENT_ID, secrets.token_urlsafe(32), endpoints.oidc_callback, addresses.gate.origin)


def write_story(folder: Path, provider: Provider, *, today: date) -> Path:
    """Return the organization file, written with what it refers to; the contract began a year and a month before."""
    text = _FILE.format(
        slug=SLUG,
        domain=DOMAIN,
        anchor_date=first_day(today).isoformat(),
        seats=FIRST_SEATS,
        members=_member(ANA, role="primary_owner"),
        saml=SAML_CONNECTION,
        oidc=OIDC_CONNECTION,
        issuer=provider.origin,
        client_id=CLIENT_ID,
    )
    (folder / "identity-provider.xml").write_bytes(metadata(provider.entity_id, provider.origin, provider.keys))
    _write_secret(folder / "client-secret.txt", provider.client(CLIENT_ID).client_secret)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder / FILE_NAME


def first_day(today: date) -> date:
    """Return the day on which the contract began: the first of a month, a month before its last renewal."""
    return months_after(today, -MONTHS_SINCE_START)


def months_after(day: date, months: int) -> date:
    """Return the first day of the month that lies so many months after the month of `day`, or before it."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def _member(person: Person, *, role: str) -> str:
    connection = SAML_CONNECTION if person.protocol == "saml" else OIDC_CONNECTION
    return f"""
[[members]]
email = "{person.email}"
name = "{person.name}"
role = "{role}"
connection = "{connection}"
"""


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret, encoding="ascii")
