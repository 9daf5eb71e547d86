"""Metadata in both directions, and what a change of a provider's may do without being approved."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from sso_gate.connections.certificates import certificates_expiry, fingerprint
from sso_gate.connections.connection import SamlSettings
from sso_gate.errors import InvalidInput
from sso_gate.protocols.saml import schemas, signature
from sso_gate.protocols.saml.metadata import compare, parse_identity_provider, service_provider_metadata
from tests.support.keys import make_key_pair
from tests.support.saml_forge import DS, NOW, sign, stamp
from tests.unit.protocols.saml.world import ISSUER, idp_keys, own_keys

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


def body(certificate: str) -> str:
    return "".join(certificate.splitlines()[1:-1])


def key_descriptor(certificate: str, use: str | None = "signing") -> str:
    attribute = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{attribute}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n"
        f"{certificate}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def entity(
    world,
    *,
    keys=None,
    entity_id=ISSUER,
    until="",
    role_until="",
    sso="https://idp.acme.example/sso",
    extra="",
    role="",
):
    descriptors = key_descriptor(body(world.idp.certificate)) if keys is None else keys
    slo = (
        '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.acme.example/p"/>'
        '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
        ' Location="https://idp.acme.example/slo" ResponseLocation="https://idp.acme.example/slo/answer"/>'
    )
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
        f' entityID="{entity_id}" ID="_m"{until}>{extra}'
        f'<md:IDPSSODescriptor WantAuthnRequestsSigned="true"{role_until}'
        f' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{descriptors}{slo}'
        "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.acme.example/p"/>'
        f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{sso}"/>'
        f"</md:IDPSSODescriptor>{role}</md:EntityDescriptor>"
    )


def parse(xml, **options):
    return parse_identity_provider(xml.encode() if isinstance(xml, str) else xml, now=NOW, **options)


def refused(xml, **options):
    with pytest.raises(InvalidInput) as error:
        parse(xml, **options)
    assert error.value.field == "metadata"
    return str(error.value)


def test_our_metadata_is_signed_fits_the_schema_and_says_everything_a_provider_needs(world):
    rolled = world.with_settings(sign_requests=True).with_keys(own_keys("new"), world.own)
    xml = service_provider_metadata(rolled.connection, rolled.endpoints, keys=rolled.keys, now=NOW)
    root = etree.fromstring(xml)
    assert schemas.metadata().validate(root), schemas.metadata().error_log
    assert root.get("entityID") == world.endpoints.saml_entity_id
    assert root.get("validUntil") == stamp(NOW + timedelta(days=14))
    role = root.find(f"{MD}SPSSODescriptor")
    assert (role.get("AuthnRequestsSigned"), role.get("WantAssertionsSigned")) == ("true", "true")
    uses = [(key.get("use"), key.findtext(f".//{DS}X509Certificate")) for key in role.findall(f"{MD}KeyDescriptor")]
    own, new = body(world.own.certificate_pem), body(own_keys("new").certificate_pem)
    assert uses == [("signing", new), ("signing", own), ("encryption", new), ("encryption", own)]
    acs = role.find(f"{MD}AssertionConsumerService")
    assert (acs.get("Location"), acs.get("Binding").rpartition(":")[2]) == (world.endpoints.saml_acs, "HTTP-POST")
    slo = {
        one.get("Binding").rpartition(":")[2]: one.get("Location") for one in role.findall(f"{MD}SingleLogoutService")
    }
    assert slo == {"HTTP-Redirect": world.endpoints.saml_slo, "HTTP-POST": world.endpoints.saml_slo}
    made = signature.profile(root.find(f"{DS}Signature"))
    assert signature.verified(made, (world.own.certificate_pem,)).get("entityID") == world.endpoints.saml_entity_id


def test_our_metadata_of_a_plain_connection_fits_the_schema(world):
    xml = service_provider_metadata(world.connection, world.endpoints, keys=world.keys, now=NOW)
    root = etree.fromstring(xml)
    assert schemas.metadata().validate(root), schemas.metadata().error_log
    assert root.find(f"{MD}SPSSODescriptor").get("AuthnRequestsSigned") == "false"


def test_a_providers_metadata_is_read(world):
    found = parse(entity(world))
    assert (found.entity_id, found.sso_url) == (ISSUER, "https://idp.acme.example/sso")
    assert (found.slo_url, found.slo_response_url) == (
        "https://idp.acme.example/slo",
        "https://idp.acme.example/slo/answer",
    )
    assert [fingerprint(one) for one in found.certificates] == [fingerprint(world.idp.certificate)]
    assert found.name_id_formats == ("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",)
    assert found.wants_requests_signed
    assert found.valid_until is None
    assert not found.signed_by_pinned


def test_our_own_product_can_pin_what_it_has_read(world):
    pinned = world.with_settings(certificates=parse(entity(world)).certificates)
    assert pinned.accepts(world.message()).subject == "ana@acme.example"


def test_comments_a_declaration_and_foreign_content_are_no_hindrance(world):
    extra = "<md:Extensions><x:y xmlns:x='urn:x'/></md:Extensions>"
    xml = "\ufeff<?xml version='1.0' encoding='utf-8'?><!-- made by hand --><?pi x?>" + entity(world, extra=extra)
    assert parse(xml).entity_id == ISSUER


def test_keys_without_use_and_two_keys_are_both_taken_and_encryption_keys_are_not(world):
    keys = (
        key_descriptor(body(idp_keys("new idp").certificate), None)
        + key_descriptor(body(world.idp.certificate))
        + key_descriptor(body(idp_keys("stranger").certificate), "encryption")
    )
    expected = {fingerprint(idp_keys("new idp").certificate), fingerprint(world.idp.certificate)}
    assert {fingerprint(one) for one in parse(entity(world, keys=keys)).certificates} == expected


def test_one_key_for_both_uses_is_one_key(world):
    both = key_descriptor(body(world.idp.certificate)) + key_descriptor(body(world.idp.certificate), "encryption")
    assert len(parse(entity(world, keys=both)).certificates) == 1


def test_of_several_providers_one_must_be_named(world):
    several = (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'
        f"{entity(world)}{entity(world, entity_id='https://other.example').replace('_m', '_n')}</md:EntitiesDescriptor>"
    )
    assert "found 2" in refused(several)
    assert parse(several, entity_id="https://other.example").entity_id == "https://other.example"
    assert "found 0" in refused(several, entity_id="https://nobody.example")
    assert "found 0" in refused(several, entity_id="x'] | //*['")
    assert "found 2" in refused(several.replace("https://other.example", ISSUER), entity_id=ISSUER)


@pytest.mark.parametrize("place", ["entity", "role", "around"])
def test_metadata_that_has_expired_is_refused_wherever_it_says_so(world, place):
    past, future = (f' validUntil="{stamp(NOW + offset)}"' for offset in (timedelta(0), timedelta(days=2)))

    def document(until):
        if place == "entity":
            return entity(world, until=until)
        if place == "role":
            return entity(world, role_until=until)
        return (
            f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"{until}>{entity(world)}'
            "</md:EntitiesDescriptor>"
        )

    assert "expired" in refused(document(past))
    assert parse(document(future)).valid_until == NOW + timedelta(days=2)
    assert "instant" in refused(document(' validUntil="soon"'))


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://idp.example/", "javascript:alert(1)", "//idp.example/", "https://", "", "https://u:p@idp.example/",
     "https://idp.example/#x", "https://idp.example/ x", "https://[::1", "https://idp.example:99999/"],
)  # fmt: skip
def test_an_address_that_is_no_plain_web_address_is_refused(world, url):
    assert "SingleSignOnService" in refused(entity(world, sso=url))


def test_a_provider_that_takes_requests_by_post_alone_is_refused_with_the_reason(world):
    assert "no SingleSignOnService by HTTP-Redirect" in refused(entity(world).replace("HTTP-Redirect", "HTTP-POST"))


def test_what_is_no_metadata_of_one_provider_is_refused(world):
    weak = key_descriptor(body(make_key_pair("weak", bits=1024).certificate))
    for xml in (
        "",
        "text",
        "<a/>",
        f"<!DOCTYPE a [<!ENTITY b 'c'>]>{entity(world)}",
        entity(world).replace("IDPSSODescriptor", "SPSSODescriptor"),
        entity(world).replace("SAML:2.0:protocol", "SAML:1.1:protocol"),
        entity(world).replace("HTTP-Redirect", "SOAP"),
        entity(world, keys=""),
        entity(world, keys=key_descriptor("AAAA")),
        entity(world, keys=key_descriptor("").replace("\n", "")),
        entity(world, keys=key_descriptor("*")),
        entity(world, keys=weak),
        entity(world, keys=key_descriptor(body(world.idp.certificate)) * 11),
        entity(world, entity_id=""),
        entity(world, entity_id="x" * 1025),
        entity(world, entity_id="a&#10;b"),
        "<a>" + "x" * 2 * 1024 * 1024 + "</a>",
        entity(world).encode("utf-16"),
    ):
        refused(xml)


def settings(world) -> SamlSettings:
    return SamlSettings(
        idp_entity_id=ISSUER,
        sso_url="https://idp.acme.example/sso",
        certificates=(world.idp.certificate,),
        slo_url="https://idp.acme.example/slo",
        slo_response_url="https://idp.acme.example/slo/answer",
        sign_requests=True,
    )


def test_the_same_metadata_again_changes_nothing(world):
    change = compare(settings(world), parse(entity(world)))
    assert (change.changes, change.held) == ((), ())
    assert change.settings.sign_requests


def both_keys(world) -> str:
    return key_descriptor(body(world.idp.certificate)) + key_descriptor(body(idp_keys("new idp").certificate))


def test_a_new_key_is_held_and_old_and_new_stand_side_by_side_once_approved(world):
    change = compare(settings(world), parse(entity(world, keys=both_keys(world))))
    assert change.changes == change.held == (f"new key {fingerprint(idp_keys('new idp').certificate)}",)
    approved = world.with_settings(certificates=change.settings.certificates)
    assert approved.accepts(world.message()).subject == "ana@acme.example"
    assert approved.accepts(world.message(key=idp_keys("new idp"))).subject == "ana@acme.example"


def signed_metadata(world, key, **options) -> bytes:
    root = etree.fromstring(entity(world, **options))
    sign(root, key)
    data: bytes = etree.tostring(root)
    return data


def test_a_new_key_is_taken_at_once_when_a_pinned_key_has_signed_the_metadata(world):
    xml = signed_metadata(world, world.idp, keys=both_keys(world))
    found = parse(xml, pinned=(world.idp.certificate,))
    assert found.signed_by_pinned
    change = compare(settings(world), found)
    assert (len(change.changes), change.held) == (1, ())


def test_a_new_key_that_only_signs_for_itself_is_held(world):
    xml = signed_metadata(world, idp_keys("new idp"), keys=both_keys(world))
    for pinned in ((), (world.idp.certificate,)):
        found = parse(xml, pinned=pinned)
        assert not found.signed_by_pinned
        assert compare(settings(world), found).held


def test_a_key_slipped_into_signed_metadata_is_held(world):
    xml = signed_metadata(world, world.idp).decode()
    slipped = xml.replace(
        "<md:KeyDescriptor", key_descriptor(body(idp_keys("stranger").certificate)) + "<md:KeyDescriptor", 1
    )
    found = parse(slipped, pinned=(world.idp.certificate,))
    assert not found.signed_by_pinned
    assert compare(settings(world), found).held


def test_a_signature_over_a_part_does_not_vouch_for_the_whole(world):
    wrapped = (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_e">'
        + signed_metadata(world, world.idp).decode()
        + entity(world, entity_id="https://other.example", keys=both_keys(world)).replace('"_m"', '"_n"')
        + "</md:EntitiesDescriptor>"
    )
    assert not parse(wrapped, entity_id="https://other.example", pinned=(world.idp.certificate,)).signed_by_pinned


@pytest.mark.parametrize("signed", [False, True])
def test_another_entity_id_or_host_is_always_held(world, signed):
    for options in (
        {"entity_id": "https://other.example"},
        {"sso": "https://evil.example/sso"},
        {"sso": "http://idp.acme.example/sso"},
    ):
        xml = signed_metadata(world, world.idp, **options) if signed else entity(world, **options)
        found = parse(xml, pinned=(world.idp.certificate,))
        assert found.signed_by_pinned is signed
        assert len(compare(settings(world), found).held) == 1


def test_another_path_on_the_same_host_and_a_dropped_key_are_taken_at_once(world):
    old = dataclasses.replace(settings(world), certificates=(world.idp.certificate, idp_keys("new idp").certificate))
    change = compare(old, parse(entity(world, sso="https://idp.acme.example/new")))
    assert (len(change.changes), change.held) == (2, ())
    assert change.settings.sso_url == "https://idp.acme.example/new"
    assert len(change.settings.certificates) == 1


def test_expiry_is_told_in_whole_days_the_earliest_first():
    now = datetime.now(UTC)
    soon, past = make_key_pair("soon", valid_days=10), make_key_pair("past", valid_days=-3)
    first, second = certificates_expiry((soon.certificate, past.certificate), now=now + timedelta(hours=1))
    assert (first.subject, first.days_left, first.expired) == ("CN=past", -4, True)
    assert (second.subject, second.days_left, second.expired) == ("CN=soon", 9, False)
    assert second.fingerprint == fingerprint(soon.certificate)
    assert len(second.fingerprint) == 95
