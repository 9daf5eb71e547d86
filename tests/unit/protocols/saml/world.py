"""One organization's SAML connection with real keys, and short words for what the tests ask of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from sso_gate.connections.connection import AttributeMap, Connection, SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.identity import Identity
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml import response
from sso_gate.protocols.saml.keys import KeyPair as OwnKeyPair
from sso_gate.protocols.saml.keys import ServiceProviderKeys, new_key_pair
from sso_gate.protocols.saml.response import VerifiedResponse
from tests.support.keys import KeyPair, make_key_pair
from tests.support.saml_forge import NOW, Message, encode

ISSUER = "https://idp.acme.example/saml"
KEYS_MADE = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def idp_keys(name: str) -> KeyPair:
    """Return a provider's key, made once for the whole run."""
    return make_key_pair(name)


@cache
def own_keys(name: str) -> OwnKeyPair:
    """Return a key of ours, made once for the whole run."""
    return new_key_pair(name, KEYS_MADE)


@dataclass(frozen=True, slots=True)
class World:
    """A connection, whatever stands at both of its ends, and what comes of a message."""

    connection: Connection
    endpoints: Endpoints
    idp: KeyPair
    own: OwnKeyPair
    keys: ServiceProviderKeys

    @classmethod
    def new(cls) -> World:
        """Return a connection that pins one key and takes signed responses."""
        idp, own = idp_keys("idp"), own_keys("own")
        settings = SamlSettings(
            idp_entity_id=ISSUER, sso_url="https://idp.acme.example/sso?tenant=1&x=2", certificates=(idp.certificate,)
        )
        connection = Connection("acme-okta", "org_1", "Okta", True, 1, AttributeMap(), {}, settings)
        keys = ServiceProviderKeys(own, (own,))
        return cls(connection, Endpoints("https://gate.example", "acme-okta"), idp, own, keys)

    def with_settings(self, **changes: Any) -> World:
        """Return the same world with other settings of the connection."""
        settings = replace(self.settings, **changes)
        return replace(self, connection=replace(self.connection, settings=settings))

    def with_attributes(self, **names: str) -> World:
        """Return the same world with other attribute names."""
        return replace(self, connection=replace(self.connection, attributes=AttributeMap(**names)))

    def with_keys(self, *decryption: OwnKeyPair) -> World:
        """Return the same world with other decryption keys, newest first."""
        return replace(self, keys=ServiceProviderKeys(self.own, decryption))

    @property
    def settings(self) -> SamlSettings:
        """The connection's settings."""
        assert isinstance(self.connection.settings, SamlSettings)
        return self.connection.settings

    def message(self, **changes: Any) -> Message:
        """Return a response of the pinned provider that is right in every respect but the changes."""
        right = Message(
            key=self.idp, issuer=ISSUER, acs=self.endpoints.saml_acs, audience=self.endpoints.saml_entity_id
        )
        return right.but(**changes)

    def verify(self, encoded: str, *, now: datetime = NOW) -> VerifiedResponse:
        """Return what our verification makes of a form field."""
        return response.verify(encoded, connection=self.connection, endpoints=self.endpoints, keys=self.keys, now=now)

    def accepts(self, message: Any, *, now: datetime = NOW) -> Identity:
        """Return the identity that a message, a tree or markup gives; the test fails where it is refused."""
        return self.verify(message.encoded() if isinstance(message, Message) else encode(message), now=now).identity

    def reason(self, encoded: str, *, now: datetime = NOW) -> Reason:
        """Return why a form field is refused; the test fails where it is accepted."""
        with pytest.raises(Refused) as refused:
            self.verify(encoded, now=now)
        return refused.value.reason

    def refuses(self, message: Any, *, now: datetime = NOW) -> Reason:
        """Return why a message, a tree or markup is refused; the test fails where it is accepted."""
        return self.reason(message.encoded() if isinstance(message, Message) else encode(message), now=now)

    def floods(self, size: int) -> dict[str, str]:
        """Return messages of at most `size` bytes that try to make us work, by name."""
        xml = self.message().xml()
        head, tail = xml.rsplit("</samlp:Response>", 1)[0], "</samlp:Response>"
        spare = size - len(xml) - 100

        def filled(unit: str) -> str:
            return encode(head + unit * (spare // len(unit)) + tail)

        return {
            "garbage": base64.b64encode(b"\xff" * size).decode(),
            "not XML": base64.b64encode(b"x" * size).decode(),
            "empty elements": filled("<a/>"),
            "deep elements": encode(head + "<a>" * (spare // 7) + "</a>" * (spare // 7) + tail),
            "attributes": encode(head + "<a " + " ".join(f'a{n}=""' for n in range(spare // 9)) + "/>" + tail),
            "namespaces": encode(head + "<a " + " ".join(f'xmlns:a{n}="u"' for n in range(spare // 16)) + "/>" + tail),
            "document type": encode('<!DOCTYPE a [<!ENTITY b "' + "c" * spare + '">]>' + xml),
            "unsigned": encode(xml),
        }


def big_message(world: World) -> Message:
    """Return a message of about 8 KB of XML: nine attributes and twenty groups."""
    attributes = {f"urn:example:attribute:{number}": [f"value {number}"] for number in range(9)}
    groups = [f"cn=group of people number {number},ou=groups,dc=acme,dc=example,o=somewhere" for number in range(20)]
    return world.message(attributes={**attributes, "groups": groups})
