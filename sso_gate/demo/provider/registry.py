"""Who this provider answers, and everything that its routes share."""

from dataclasses import dataclass, field
from datetime import timedelta

from sso_gate.clock import Clock
from sso_gate.demo.people import Person
from sso_gate.demo.provider.keys import SigningKeys
from sso_gate.demo.provider.memory import Grant, Memory, SignedIn

SESSION_LIFETIME = timedelta(hours=8)
CODE_LIFETIME = timedelta(seconds=60)
TOKEN_LIFETIME = timedelta(minutes=5)


class CannotAnswer(Exception):
    """The request is not one that this provider answers; the message says why."""


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """A SAML service that may ask; answers go to its registered addresses alone."""

    entity_id: str
    acs_url: str
    slo_url: str


@dataclass(frozen=True, slots=True)
class Client:
    """An OpenID client that may ask; after a logout browsers go back to its origin alone."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    origin: str


class Provider:
    """The provider of one demonstration at `origin`, such as http://idp.localhost:9090."""

    def __init__(
        self,
        *,
        origin: str,
        people: tuple[Person, ...],
        service_providers: tuple[ServiceProvider, ...],
        clients: tuple[Client, ...],
        keys: SigningKeys,
        clock: Clock,
    ) -> None:
        self.origin = origin
        self.people = people
        self.keys = keys
        self.clock = clock
        self.sessions: Memory[SignedIn] = Memory(clock, SESSION_LIFETIME)
        self.codes: Memory[Grant] = Memory(clock, CODE_LIFETIME)
        self.access_tokens: Memory[SignedIn] = Memory(clock, TOKEN_LIFETIME)
        self._service_providers = {service.entity_id: service for service in service_providers}
        self._clients = {client.client_id: client for client in clients}

    @property
    def entity_id(self) -> str:
        """The name under which the provider signs SAML messages: the address of its metadata."""
        return f"{self.origin}/saml/metadata"

    def service_provider(self, entity_id: str) -> ServiceProvider:
        """Return the registered service, or raise `CannotAnswer`."""
        if entity_id not in self._service_providers:
            raise CannotAnswer(f"no service is registered as {entity_id!r}")
        return self._service_providers[entity_id]

    def client(self, client_id: str) -> Client:
        """Return the registered client, or raise `CannotAnswer`."""
        if client_id not in self._clients:
            raise CannotAnswer(f"no client is registered as {client_id!r}")
        return self._clients[client_id]
