"""Whole exchanges with providers that nobody here wrote: our request, our metadata, their answer, our verdict."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from sso_gate.connections.connection import AttributeMap, SamlSettings
from sso_gate.errors import Reason
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml.metadata import parse_identity_provider, service_provider_metadata
from sso_gate.protocols.saml.request import begin
from sso_gate.protocols.saml.response import require_request
from tests.support.people import Person
from tests.unit.protocols.saml.world import World

ANA = Person("ana@acme.example", "Ana Souza <b>& Söhne</b>", ("staff", "gate-owners"))
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


def now() -> datetime:
    return datetime.now(UTC)


def connected(metadata_xml: str, **attributes: str) -> World:
    """Return the world in which our connection pins what the provider's own metadata says."""
    found = parse_identity_provider(metadata_xml.encode(), now=now())
    settings = SamlSettings(idp_entity_id=found.entity_id, sso_url=found.sso_url, certificates=found.certificates)
    world = World.new()
    connection = dataclasses.replace(world.connection, settings=settings, attributes=AttributeMap(**attributes))
    endpoints = Endpoints("http://gate.localhost:8080", connection.id)
    return dataclasses.replace(world, connection=connection, endpoints=endpoints)


def asked(world: World):
    return begin(world.connection, world.endpoints, handle="handle", keys=world.keys, now=now(), login_hint=ANA.email)


def finished(world: World, form, departure):
    assert form.fields["RelayState"] == "handle"
    assert form.action == world.endpoints.saml_acs
    verified = world.verify(form.fields["SAMLResponse"], now=now())
    require_request(verified, expected_request_id=departure.expectations["request_id"])
    return verified.identity


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("sign", ["assertion", "response", "both"])
def test_a_login_at_npm_samlp_becomes_an_identity(samlp_idp, sign, encrypted):
    world = connected(samlp_idp.metadata_xml)
    departure = asked(world)
    options = {"encrypt_for": world.own.certificate_pem} if encrypted else {}
    identity = finished(world, samlp_idp.login(ANA, departure.url, sign=sign, **options), departure)
    assert identity.subject == "subject-of-ana@acme.example"
    assert (identity.email, identity.name, identity.groups) == (ANA.email, ANA.name, ANA.groups)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sign": "none"}, Reason.SIGNATURE_MISSING),
        ({"sha1": True}, Reason.ALGORITHM_REFUSED),
        ({"other_key": True}, Reason.KEY_UNKNOWN),
        ({"lifetime_seconds": -600}, Reason.RESPONSE_EXPIRED),
        ({"audience": "https://other.example"}, Reason.AUDIENCE_MISMATCH),
        ({"recipient": "https://other.example"}, Reason.RECIPIENT_MISMATCH),
        ({"destination": "https://other.example"}, Reason.DESTINATION_MISMATCH),
        ({"issuer": "https://other.example"}, Reason.ISSUER_MISMATCH),
    ],
)
def test_what_npm_samlp_does_wrong_on_demand_is_refused(samlp_idp, options, reason):
    world = connected(samlp_idp.metadata_xml)
    form = samlp_idp.login(ANA, asked(world).url, **options)
    assert world.reason(form.fields["SAMLResponse"], now=now()) is reason


def test_cbc_by_npm_samlp_is_refused_until_the_override(samlp_idp):
    world = connected(samlp_idp.metadata_xml)
    cbc = {"encryption_algorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}
    departure = asked(world)
    form = samlp_idp.login(ANA, departure.url, encrypt_for=world.own.certificate_pem, **cbc)
    assert world.reason(form.fields["SAMLResponse"], now=now()) is Reason.ENCRYPTION_REFUSED
    allowed = world.with_settings(allow_cbc_until=(now() + timedelta(days=30)).date())
    assert finished(allowed, form, departure).email == ANA.email


def pysaml2_world(provider) -> World:
    world = connected(provider.metadata_xml, groups="urn:oid:1.3.6.1.4.1.5923.1.5.1.1")
    world = world.with_settings(name_id_format=PERSISTENT)
    xml = service_provider_metadata(world.connection, world.endpoints, keys=world.keys, now=now())
    provider.trust(xml.decode())
    return world


def test_a_login_at_pysaml2_which_has_read_our_metadata_becomes_an_identity(pysaml2_idp):
    world = pysaml2_world(pysaml2_idp)
    departure = asked(world)
    identity = finished(world, pysaml2_idp.login(ANA, departure.url), departure)
    assert identity.subject == "subject-of-ana@acme.example"
    assert (identity.email, identity.name) == (ANA.email, ANA.name)


def test_the_sha_1_signature_that_pysaml2_makes_by_itself_is_refused(pysaml2_idp, monkeypatch):
    world = pysaml2_world(pysaml2_idp)
    monkeypatch.setattr(pysaml2_idp._server, "signing_algorithm", "http://www.w3.org/2000/09/xmldsig#rsa-sha1")
    form = pysaml2_idp.login(ANA, asked(world).url)
    assert world.reason(form.fields["SAMLResponse"], now=now()) is Reason.ALGORITHM_REFUSED


@pytest.fixture
def encrypting_pysaml2(pysaml2_idp, monkeypatch):
    """The same provider, encrypting; it asks `xmlsec1` to do so."""
    monkeypatch.setattr(pysaml2_idp, "_encrypt", True)
    return pysaml2_idp


def test_pysaml2_encrypts_with_3des_by_itself_and_is_refused(encrypting_pysaml2):
    world = pysaml2_world(encrypting_pysaml2)
    form = encrypting_pysaml2.login(ANA, asked(world).url)
    assert world.reason(form.fields["SAMLResponse"], now=now()) is Reason.ENCRYPTION_REFUSED


def test_the_signed_and_encrypted_assertion_of_pysaml2_that_python3_saml_rejects_is_accepted(pysaml2_idp):
    world = pysaml2_world(pysaml2_idp).with_settings(encrypted_assertions="require")
    departure = asked(world)
    with pysaml2_idp.encrypting_with_gcm():
        identity = finished(world, pysaml2_idp.login(ANA, departure.url), departure)
    assert (identity.email, identity.name) == (ANA.email, ANA.name)
