"""The demonstration's provider on loopback, with the gate registered that the tests play."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.demo.addresses import Addresses, Site
from sso_gate.demo.people import PEOPLE
from sso_gate.demo.provider.app import create_provider_app
from sso_gate.demo.provider.keys import SigningKeys, make_keys
from sso_gate.demo.provider.registry import Client, Provider
from sso_gate.demo.provider.saml_messages import metadata
from sso_gate.demo.servers import bind, port_of
from sso_gate.demo.story import OIDC_CONNECTION, SAML_CONNECTION, registered_client, registered_service
from sso_gate.protocols.fetch import Fetcher
from sso_gate.protocols.oidc.provider import Providers
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml.metadata import parse_identity_provider
from tests.unit.demo.serve import served


class SettableClock:
    """The real time, and as much later as a test says."""

    def __init__(self) -> None:
        self.later = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


@dataclass(frozen=True, slots=True)
class World:
    """A served provider, and the gate's two connections to it."""

    addresses: Addresses
    provider: Provider
    client: Client
    clock: SettableClock
    saml: Connection
    oidc: Connection

    def endpoints(self, connection: Connection) -> Endpoints:
        return Endpoints(self.addresses.gate.origin, connection.id)

    def providers(self) -> Providers:
        return Providers(Fetcher((ip_network("127.0.0.0/8"),)), self.clock)


@pytest.fixture(scope="session")
def signing_keys() -> SigningKeys:
    return make_keys(datetime.now(UTC))


@pytest.fixture
def world(served_world: World) -> World:
    """The provider, with the clock at the real time."""
    served_world.clock.later = timedelta(0)
    return served_world


@pytest.fixture(scope="session")
def served_world(signing_keys: SigningKeys) -> Iterator[World]:
    socket, clock = bind(0), SettableClock()
    addresses = Addresses(Site.at("gate", 8080), Site.at("app", 8081), Site.at("idp", port_of(socket)))
    client = registered_client(addresses)
    provider = Provider(
        origin=addresses.provider.origin,
        people=PEOPLE,
        service_providers=(registered_service(addresses),),
        clients=(client,),
        keys=signing_keys,
        clock=clock,
    )
    with served([(create_provider_app(provider), socket)]):
        yield World(addresses, provider, client, clock, _saml(provider), _oidc(provider, client))


def _saml(provider: Provider) -> Connection:
    published = parse_identity_provider(
        metadata(provider.entity_id, provider.origin, provider.keys), now=provider.clock.now()
    )
    settings = SamlSettings(
        idp_entity_id=published.entity_id,
        sso_url=published.sso_url,
        certificates=published.certificates,
        slo_url=published.slo_url,
    )
    names = AttributeMap(email="mail", name="displayName", groups="groups")
    return Connection(SAML_CONNECTION, "org_acme", "Acme", True, 1, names, {}, settings)


def _oidc(provider: Provider, client: Client) -> Connection:
    settings = OidcSettings(provider.origin, client.client_id, client.client_secret)
    return Connection(OIDC_CONNECTION, "org_acme", "Acme", True, 1, AttributeMap(), {}, settings)
