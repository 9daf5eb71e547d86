"""Single logout in both directions: signed, fresh, from the provider and for us, or refused."""

from __future__ import annotations

import base64
import dataclasses
import re
import zlib
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import quoteattr

import pytest
import xmlsec
from lxml import etree

from sso_gate.connections.connection import OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import schemas
from sso_gate.protocols.saml.instants import SKEW
from sso_gate.protocols.saml.logout import (
    LIFETIME,
    LogoutAnswered,
    LogoutRequested,
    answer_logout,
    begin_logout,
    receive_logout,
)
from sso_gate.protocols.saml.name_id import NameId
from tests.support.saml_forge import (
    DS,
    NOW,
    PERSISTENT,
    SAML,
    SAMLP,
    SUCCESS,
    dsig,
    encode,
    make_ec_key_pair,
    reparsed,
    sign,
    stamp,
)
from tests.unit.protocols.saml.world import ISSUER, World, idp_keys

NAMESPACES = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
NAMED = NameId("8f3c<&>\"'", PERSISTENT, "https://idp/x", "https://sp/x")


@pytest.fixture(scope="module")
def world() -> World:
    return World.new().with_settings(slo_url="https://idp.acme.example/slo?a=1", slo_response_url="")


def logout_request(
    world,
    *,
    issuer=ISSUER,
    destination=None,
    issued=NOW,
    end=None,
    indexes=("_s1",),
    name="8f3c",
    inner="",
    identifier="_lr",
):
    destination = world.endpoints.saml_slo if destination is None else destination
    until = f' NotOnOrAfter="{stamp(end)}"' if end else ""
    named = f'<saml:NameID Format="{PERSISTENT}" NameQualifier="q">{name}</saml:NameID>' if name is not None else ""
    sessions = "".join(f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" for index in indexes)
    return (
        f'<samlp:LogoutRequest {NAMESPACES} ID="{identifier}" Version="2.0" IssueInstant="{stamp(issued)}"{until}'
        f" Destination={quoteattr(destination)}><saml:Issuer>{issuer}</saml:Issuer>{inner}{named}{sessions}"
        "</samlp:LogoutRequest>"
    )


def logout_response(world, *, answered=' InResponseTo="_ours"', status=SUCCESS, second="", issuer=ISSUER, issued=NOW):
    return (
        f'<samlp:LogoutResponse {NAMESPACES} ID="_la" Version="2.0" IssueInstant="{stamp(issued)}"'
        f' Destination="{world.endpoints.saml_slo}"{answered}><saml:Issuer>{issuer}</saml:Issuer>'
        f'<samlp:Status><samlp:StatusCode Value="{status}">{second}</samlp:StatusCode></samlp:Status>'
        "</samlp:LogoutResponse>"
    )


def deflated(xml: str) -> str:
    return base64.b64encode(zlib.compress(xml.encode())[2:-4]).decode()


def query(
    xml,
    key,
    *,
    kind="SAMLRequest",
    relay="state",
    transform=dsig.Transform.RSA_SHA256,
    method=None,
    message=None,
    encode_with=quote,
):
    fields = [(kind, deflated(xml) if message is None else message)]
    if relay is not None:
        fields.append(("RelayState", relay))
    fields.append(("SigAlg", method or transform.href))
    octets = "&".join(f"{name}={encode_with(value, safe='')}" for name, value in fields).encode()
    context = xmlsec.SignatureContext()
    context.key = dsig.Key.from_memory(key.key, dsig.KeyFormat.PEM)
    made = context.sign_binary(octets, transform)
    return octets + b"&Signature=" + encode_with(base64.b64encode(made).decode(), safe="").encode()


def receive(world, message, *, now=NOW):
    return receive_logout(message, connection=world.connection, endpoints=world.endpoints, now=now)


def reason(world, message, *, now=NOW):
    with pytest.raises(Refused) as refused:
        receive(world, message, now=now)
    return refused.value.reason


def posted(xml, key, *, kind="SAMLRequest", **options):
    root = etree.fromstring(xml)
    sign(root, key, **options)
    return {kind: encode(reparsed(root)), "RelayState": "state"}


def lower_case(value: str, safe: str = "") -> str:
    """Return the percent-encoding as ADFS writes it."""
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe=safe))


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_signed_request_of_the_provider_is_believed(world, binding):
    xml = logout_request(world, indexes=("_s1", "_s2"))
    message = query(xml, world.idp) if binding == "redirect" else posted(xml, world.idp)
    asked = receive(world, message)
    assert isinstance(asked, LogoutRequested)
    assert asked.name_id == NameId("8f3c", PERSISTENT, "q", None)
    assert (asked.session_indexes, asked.request_id, asked.relay_state) == (("_s1", "_s2"), "_lr", "state")
    assert asked.replay_until == NOW + LIFETIME + 2 * SKEW
    assert len(asked.replay_key) == 64


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_signed_answer_of_the_provider_is_believed(world, binding):
    xml = logout_response(world)
    kind = "SAMLResponse"
    message = query(xml, world.idp, kind=kind) if binding == "redirect" else posted(xml, world.idp, kind=kind)
    assert receive(world, message) == LogoutAnswered("_ours", success=True, relay_state="state")


@pytest.mark.parametrize(
    ("status", "second"),
    [
        ("urn:oasis:names:tc:SAML:2.0:status:Responder", ""),
        (SUCCESS, '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:PartialLogout"/>'),
    ],
)
def test_a_logout_that_failed_or_was_partial_is_told_as_such(world, status, second):
    answer = receive(world, query(logout_response(world, status=status, second=second), world.idp, kind="SAMLResponse"))
    assert isinstance(answer, LogoutAnswered)
    assert not answer.success


def test_the_other_spellings_of_a_query_are_believed(world):
    assert receive(world, query(logout_request(world), world.idp, relay=None)).relay_state is None
    assert receive(world, query(logout_request(world), world.idp) + b"&utm=1&x").relay_state == "state"
    assert receive(world, query(logout_request(world), world.idp, encode_with=lower_case))
    both = world.with_settings(certificates=(idp_keys("new idp").certificate, world.idp.certificate))
    assert receive(both, query(logout_request(world), world.idp))
    curve = make_ec_key_pair()
    pinned = world.with_settings(certificates=(curve.certificate,))
    assert receive(pinned, query(logout_request(world), curve, transform=dsig.Transform.ECDSA_SHA256))


def test_the_same_request_twice_has_the_same_replay_key_and_another_has_not(world):
    keys = {
        receive(world, query(logout_request(world, identifier=one), world.idp)).replay_key for one in ("_a", "_a", "_b")
    }
    assert len(keys) == 2


def test_unsigned_messages_are_refused(world):
    signed = query(logout_request(world), world.idp)
    assert reason(world, signed.partition(b"&SigAlg")[0]) is Reason.SIGNATURE_MISSING
    assert reason(world, signed.partition(b"&Signature")[0]) is Reason.SIGNATURE_MISSING
    assert reason(world, {"SAMLRequest": encode(logout_request(world))}) is Reason.SIGNATURE_MISSING
    assert reason(world, {"SAMLResponse": encode(logout_response(world))}) is Reason.SIGNATURE_MISSING


def test_a_foreign_key_and_every_change_of_a_signed_query_are_refused(world):
    assert reason(world, query(logout_request(world), idp_keys("stranger"))) is Reason.SIGNATURE_INVALID
    signed = query(logout_request(world), world.idp)
    other = deflated(logout_request(world, name="owner"))
    forged = signed.replace(signed.split(b"&")[0], f"SAMLRequest={quote(other, safe='')}".encode())
    assert reason(world, forged) is Reason.SIGNATURE_INVALID
    assert reason(world, signed.replace(b"RelayState=state", b"RelayState=other")) is Reason.SIGNATURE_INVALID
    assert reason(world, signed.replace(b"&RelayState=state", b"")) is Reason.SIGNATURE_INVALID
    assert reason(world, signed.replace(b"RelayState=state", b"RelayState=st%61te")) is Reason.SIGNATURE_INVALID
    assert reason(world, signed.replace(b"sha256", b"sha512")) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "method",
    [
        "",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "rsa-sha256",
    ],
)
def test_another_algorithm_is_refused(world, method):
    assert reason(world, query(logout_request(world), world.idp, method=method or " ")) is Reason.ALGORITHM_REFUSED


def test_a_query_with_a_field_twice_or_in_disguise_is_refused(world):
    signed = query(logout_request(world), world.idp)
    other = quote(deflated(logout_request(world, name="owner")), safe="").encode()
    for bent in (
        signed + b"&SAMLRequest=" + other,
        b"SAMLRequest=" + other + b"&" + signed,
        signed + b"&SAMLResponse=" + other,
        signed + b"&RelayState=x",
        signed + b"&S%41MLRequest=" + other,
        signed + b"&SAMLEncoding=urn:x",
        signed + b"&RelayState",
        b"",
        b"x=1",
        signed.replace(b"SAMLRequest=", b"SAMLRequest=%FF"),
        signed.replace(b"RelayState=state", b"RelayState=%FF"),
        signed.partition(b"&Signature=")[0] + b"&Signature=***",
    ):
        assert reason(world, bent) in (Reason.MESSAGE_MALFORMED, Reason.SIGNATURE_INVALID)
    assert reason(world, b"x" * 70_000) is Reason.MESSAGE_TOO_LARGE


def test_a_deflate_bomb_with_a_true_signature_stops_at_the_limit(world):
    bomb = base64.b64encode(zlib.compress(b"<a>" + b" " * 20_000_000 + b"</a>")[2:-4]).decode()
    assert reason(world, query("", world.idp, message=bomb)) is Reason.MESSAGE_TOO_LARGE


def test_a_deflate_bomb_without_a_true_signature_is_not_even_inflated(world):
    bomb = base64.b64encode(zlib.compress(b"<a>" + b" " * 20_000_000 + b"</a>")[2:-4]).decode()
    assert reason(world, query("", idp_keys("stranger"), message=bomb)) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"issuer": "https://evil.example"}, Reason.ISSUER_MISMATCH),
        ({"destination": "https://gate.example/sso/saml/acme-okta/slo2"}, Reason.DESTINATION_MISMATCH),
        ({"destination": "https://gate.example/sso/saml/other/slo"}, Reason.DESTINATION_MISMATCH),
        ({"destination": ""}, Reason.DESTINATION_MISMATCH),
        ({"issued": NOW - LIFETIME - SKEW - timedelta(seconds=1)}, Reason.RESPONSE_EXPIRED),
        ({"issued": NOW - timedelta(days=900)}, Reason.RESPONSE_EXPIRED),
        ({"issued": NOW + SKEW + timedelta(seconds=1)}, Reason.RESPONSE_FROM_FUTURE),
        ({"end": NOW - SKEW}, Reason.RESPONSE_EXPIRED),
        ({"end": NOW + timedelta(days=3)}, Reason.VALIDITY_TOO_LONG),
        ({"name": None}, Reason.STRUCTURE_REFUSED),
        ({"name": "a<b xmlns='urn:b'/>"}, Reason.STRUCTURE_REFUSED),
        ({"inner": "<saml:Issuer>x</saml:Issuer>"}, Reason.STRUCTURE_REFUSED),
        ({"inner": "<x xmlns='urn:x'/>"}, Reason.STRUCTURE_REFUSED),
        ({"indexes": ["_s"] * 65}, Reason.MESSAGE_TOO_LARGE),
    ],
)
@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_truly_signed_request_that_does_not_fit_is_refused(world, changes, expected, binding):
    xml = logout_request(world, **changes)
    message = query(xml, world.idp) if binding == "redirect" else posted(xml, world.idp)
    assert reason(world, message) is expected


def test_a_request_without_issuer_is_refused(world):
    xml = logout_request(world).replace(f"<saml:Issuer>{ISSUER}</saml:Issuer>", "")
    assert reason(world, query(xml, world.idp)) is Reason.ISSUER_MISMATCH


def test_a_request_that_names_nobody_by_name_id_is_refused(world):
    xml = logout_request(world, name=None, inner="<saml:BaseID xsi:type='saml:BaseIDAbstractType'/>")
    xml = xml.replace("<saml:BaseID", '<saml:BaseID xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"')
    assert reason(world, query(xml, world.idp)) in (Reason.SUBJECT_INVALID, Reason.STRUCTURE_REFUSED)


def test_a_long_relay_state_is_given_back_and_an_endless_one_is_refused(world):
    asked = receive(world, query(logout_request(world), world.idp, relay="r" * 300))
    departure = answer_logout(world.connection, world.endpoints, request=asked, keys=world.keys, now=NOW)
    assert dict(parse_qsl(urlsplit(departure.url).query))["RelayState"] == "r" * 300
    assert reason(world, query(logout_request(world), world.idp, relay="r" * 1025)) is Reason.MESSAGE_TOO_LARGE


def test_a_form_that_holds_no_text_is_refused_and_not_an_error(world):
    assert reason(world, {"SAMLRequest": None}) is Reason.MESSAGE_MALFORMED


def test_an_answer_must_be_an_answer(world):
    xml = logout_response(world, answered="")
    assert reason(world, query(xml, world.idp, kind="SAMLResponse")) is Reason.REQUEST_MISMATCH
    assert reason(world, query(xml, world.idp)) is Reason.STRUCTURE_REFUSED
    assert reason(world, query(logout_request(world), world.idp, kind="SAMLResponse")) is Reason.STRUCTURE_REFUSED
    login = world.message(signed="response").encoded()
    assert reason(world, {"SAMLResponse": login}) is Reason.STRUCTURE_REFUSED


def test_an_encrypted_name_is_refused(world):
    data = '<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/>'
    xml = logout_request(world, name=None, inner=f"<saml:EncryptedID>{data}</saml:EncryptedID>")
    assert reason(world, query(xml, world.idp)) is Reason.ENCRYPTION_REFUSED


def test_logout_wrapping_is_refused(world):
    signed = etree.fromstring(base64.b64decode(posted(logout_request(world), world.idp)["SAMLRequest"]))
    evil = etree.fromstring(logout_request(world, name="owner", identifier="_evil"))
    evil[0].addnext(signed.find(f"{DS}Signature"))
    assert reason(world, {"SAMLRequest": encode(evil)}) is Reason.SIGNATURE_PROFILE
    evil.set("ID", "_lr")
    assert reason(world, {"SAMLRequest": encode(evil)}) is Reason.SIGNATURE_INVALID
    hidden = etree.fromstring(logout_request(world, name="owner", identifier="_evil", inner="<samlp:Extensions/>"))
    original = etree.fromstring(base64.b64decode(posted(logout_request(world), world.idp)["SAMLRequest"]))
    hidden.find(f"{SAMLP}Extensions").append(original)
    assert reason(world, {"SAMLRequest": encode(hidden)}) is Reason.STRUCTURE_REFUSED
    foreign = posted(logout_request(world), idp_keys("stranger"))
    assert reason(world, foreign) is Reason.KEY_UNKNOWN
    weak = posted(logout_request(world), world.idp, digest=dsig.Transform.SHA1)
    assert reason(world, weak) is Reason.ALGORITHM_REFUSED


def test_a_form_without_or_with_two_messages_is_malformed(world):
    form = posted(logout_request(world), world.idp)
    assert reason(world, {}) is Reason.MESSAGE_MALFORMED
    assert reason(world, {**form, "SAMLResponse": "x"}) is Reason.MESSAGE_MALFORMED
    assert reason(world, {"SAMLRequest": "***"}) is Reason.MESSAGE_MALFORMED


def begin(world, **options):
    return begin_logout(
        world.connection,
        world.endpoints,
        name_id=NAMED,
        session_index="_s<1>",
        handle="handle",
        keys=world.keys,
        now=NOW,
        **options,
    )


def test_our_request_names_the_session_as_the_provider_did_signed_and_fits_the_schema(world):
    departure = begin(world)
    assert departure.url.startswith("https://idp.acme.example/slo?a=1&SAMLRequest=")
    fields = dict(parse_qsl(urlsplit(departure.url).query))
    root = etree.fromstring(zlib.decompress(base64.b64decode(fields["SAMLRequest"]), -15))
    assert schemas.protocol().validate(root), schemas.protocol().error_log
    assert root.get("ID") == departure.expectations["request_id"]
    assert root.get("Destination") == "https://idp.acme.example/slo?a=1"
    named = root.find(f"{SAML}NameID")
    assert NameId(named.text, named.get("Format"), named.get("NameQualifier"), named.get("SPNameQualifier")) == NAMED
    assert root.findtext(f"{SAMLP}SessionIndex") == "_s<1>"
    assert (fields["RelayState"], fields["SigAlg"]) == ("handle", RSA_SHA256)


def mirror(world: World) -> World:
    """Return the provider's side: a connection that pins our own certificate and is us to the provider."""
    settings = dataclasses.replace(
        world.settings, idp_entity_id=world.endpoints.saml_entity_id, certificates=(world.own.certificate_pem,)
    )
    return dataclasses.replace(world, connection=dataclasses.replace(world.connection, settings=settings))


def test_what_we_send_our_own_receiver_believes(world):
    here = world.with_settings(slo_url=world.endpoints.saml_slo)
    asked = receive(mirror(here), urlsplit(begin(here).url).query.encode())
    assert isinstance(asked, LogoutRequested)
    assert (asked.name_id, asked.session_indexes, asked.relay_state) == (NAMED, ("_s<1>",), "handle")
    for success in (True, False):
        departure = answer_logout(
            here.connection, here.endpoints, request=asked, keys=here.keys, now=NOW, success=success
        )
        assert departure.expectations == {}
        answer = receive(mirror(here), urlsplit(departure.url).query.encode())
        assert answer == LogoutAnswered(asked.request_id, success=success, relay_state="handle")


def test_an_answer_goes_to_the_response_location_where_there_is_one(world):
    asked = receive(world, query(logout_request(world), world.idp))
    other = world.with_settings(slo_response_url="https://idp.acme.example/slo/answer")
    departure = answer_logout(other.connection, other.endpoints, request=asked, keys=other.keys, now=NOW)
    assert departure.url.startswith("https://idp.acme.example/slo/answer?SAMLResponse=")


def test_without_a_logout_address_there_is_no_logout(world):
    nowhere = world.with_settings(slo_url="")
    with pytest.raises(ValueError, match="no logout address"):
        begin(nowhere)
    asked = receive(nowhere, query(logout_request(world), world.idp))
    with pytest.raises(ValueError, match="no logout address"):
        answer_logout(nowhere.connection, nowhere.endpoints, request=asked, keys=nowhere.keys, now=NOW)


def test_a_connection_of_another_protocol_receives_no_logout(world):
    connection = dataclasses.replace(world.connection, settings=OidcSettings("https://idp.example", "client"))
    with pytest.raises(Refused) as refused:
        receive_logout(b"", connection=connection, endpoints=world.endpoints, now=NOW)
    assert refused.value.reason is Reason.CONNECTION_MISMATCH
