"""The AuthnRequest that a browser carries to the provider: what is in it, that it is signed, that nothing in it is
markup.
"""

from __future__ import annotations

import base64
import zlib
from urllib.parse import parse_qsl, urlsplit

import pytest
import xmlsec
from lxml import etree

from sso_gate.protocols.saml import schemas
from sso_gate.protocols.saml.request import begin
from tests.support.saml_forge import NOW, SAML, SAMLP, dsig

HANDLE = "h" * 43


def departure_of(world, **options):
    return begin(world.connection, world.endpoints, handle=HANDLE, keys=world.keys, now=NOW, **options)


def request_in(url):
    fields = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    return etree.fromstring(zlib.decompress(base64.b64decode(fields["SAMLRequest"]), -15))


def test_a_request_says_who_asks_where_the_answer_goes_and_what_is_remembered(world):
    departure = departure_of(world)
    assert departure.url.startswith("https://idp.acme.example/sso?tenant=1&x=2&SAMLRequest=")
    assert dict(parse_qsl(urlsplit(departure.url).query))["RelayState"] == HANDLE
    request = request_in(departure.url)
    assert request.tag == f"{SAMLP}AuthnRequest"
    assert request.get("ID") == departure.expectations["request_id"]
    assert list(departure.expectations) == ["request_id"]
    assert request.get("IssueInstant") == "2026-03-01T12:00:00Z"
    assert request.get("Destination") == "https://idp.acme.example/sso?tenant=1&x=2"
    assert request.get("AssertionConsumerServiceURL") == world.endpoints.saml_acs
    assert request.get("ProtocolBinding") == "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    assert request.findtext(f"{SAML}Issuer") == world.endpoints.saml_entity_id
    assert request.get("ForceAuthn") is None
    assert [child.tag for child in request] == [f"{SAML}Issuer"]


def test_every_request_has_an_id_of_its_own(world):
    ids = {departure_of(world).expectations["request_id"] for _ in range(50)}
    assert len(ids) == 50
    assert all(len(identifier) == 41 and identifier.startswith("_") for identifier in ids)


def test_everything_that_can_be_asked_for_is_asked_for_and_fits_the_schema(world):
    asking = world.with_settings(
        authn_context=("urn:a&b", "urn:<c>"), name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    )
    request = request_in(departure_of(asking, login_hint="ana@acme.example", force_authn=True).url)
    assert schemas.protocol().validate(request), schemas.protocol().error_log
    assert request.get("ForceAuthn") == "true"
    assert request.find(f"{SAMLP}NameIDPolicy").get("Format").endswith("persistent")
    assert request.find(f"{SAMLP}NameIDPolicy").get("AllowCreate") == "true"
    contexts = request.find(f"{SAMLP}RequestedAuthnContext")
    assert (contexts.get("Comparison"), [one.text for one in contexts]) == ("exact", ["urn:a&b", "urn:<c>"])
    hint = request.find(f"{SAML}Subject/{SAML}NameID")
    assert hint.text == "ana@acme.example"
    assert hint.get("Format").endswith(":emailAddress")


def test_a_plain_request_fits_the_schema_and_a_forced_connection_forces(world):
    assert schemas.protocol().validate(request_in(departure_of(world).url))
    assert request_in(departure_of(world.with_settings(force_authn=True)).url).get("ForceAuthn") == "true"


@pytest.mark.parametrize(
    "hint", ['</saml:NameID><x a="b">&amp;', "'\"<&>", "%(id)s", "%s", "]]>", "ana&bob@acme.example", "ü@acme.example"]
)
def test_a_login_hint_is_text_and_never_markup(world, hint):
    request = request_in(departure_of(world, login_hint=hint).url)
    assert request.findtext(f"{SAML}Subject/{SAML}NameID") == hint
    assert schemas.protocol().validate(request)


@pytest.mark.parametrize("hint", ["", " ", None, "a\nb", "a\x00b", "x" * 255, "\ud800"])
def test_a_login_hint_that_is_no_short_line_is_left_out(world, hint):
    assert request_in(departure_of(world, login_hint=hint).url).find(f"{SAML}Subject") is None


def test_configured_texts_are_escaped_too(world):
    odd = world.with_settings(sso_url='https://idp.example/"><evil/>', name_id_format='"><evil/>')
    request = request_in(departure_of(odd).url)
    assert request.get("Destination") == 'https://idp.example/"><evil/>'
    assert not [element for element in request.iter() if element.tag == "evil"]


def test_a_request_is_signed_over_the_raw_query_where_the_connection_says_so(world):
    assert "Signature=" not in departure_of(world).url
    query = urlsplit(departure_of(world.with_settings(sign_requests=True)).url).query
    octets, _, signature = query.partition("&Signature=")
    octets = octets.removeprefix("tenant=1&x=2&")
    assert [part.partition("=")[0] for part in octets.split("&")] == ["SAMLRequest", "RelayState", "SigAlg"]
    context = xmlsec.SignatureContext()
    context.key = dsig.Key.from_memory(world.own.certificate_pem, dsig.KeyFormat.CERT_PEM)
    raw = base64.b64decode(dict(parse_qsl(f"s={signature}"))["s"])
    context.verify_binary(octets.encode(), dsig.Transform.RSA_SHA256, raw)
    with pytest.raises(xmlsec.Error):
        context.verify_binary(octets.encode() + b"x", dsig.Transform.RSA_SHA256, raw)


def test_a_handle_that_providers_may_cut_is_our_own_mistake(world):
    with pytest.raises(ValueError, match="80 bytes"):
        begin(world.connection, world.endpoints, handle="h" * 81, keys=world.keys, now=NOW)
