"""Forged log-outs: whoever could end somebody's session could lock a company out."""

from __future__ import annotations

import base64
import secrets
import zlib
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pytest
import xmlsec
from lxml import etree

from tests.attacks.scene import SESSION, new_address
from tests.integration.gate import Organization
from tests.support.oidc_forge import hmac_signed, new_key, usual_key, with_signature
from tests.support.saml_forge import DS, dsig, encode, reparsed, sign, stamp

NAMESPACES = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
RSA_SHA256 = dsig.Transform.RSA_SHA256


def request_xml(world, *, destination=None, issuer=None, issued=timedelta(0), name="ana@acme.example", inner=""):
    return (
        f'<samlp:LogoutRequest {NAMESPACES} ID="_l{secrets.token_hex(8)}" Version="2.0"'
        f' IssueInstant="{stamp(datetime.now(UTC) + issued)}" Destination={quoteattr(destination or world.slo)}>'
        f"<saml:Issuer>{issuer or world.issuer}</saml:Issuer>{inner}<saml:NameID>{name}</saml:NameID>"
        "</samlp:LogoutRequest>"
    )


def response_xml(world):
    return (
        f'<samlp:LogoutResponse {NAMESPACES} ID="_a{secrets.token_hex(8)}" Version="2.0" InResponseTo="_never"'
        f' IssueInstant="{stamp(datetime.now(UTC))}" Destination="{world.slo}">'
        f"<saml:Issuer>{world.issuer}</saml:Issuer>"
        f'<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/></samlp:Status></samlp:LogoutResponse>'
    )


def posted(xml, key=None, kind="SAMLRequest"):
    root = etree.fromstring(xml)
    if key:
        sign(root, key)
    return {kind: encode(reparsed(root))}


def redirected(xml, key=None, kind="SAMLRequest", **instead):
    fields = {kind: base64.b64encode(zlib.compress(xml.encode())[2:-4]).decode(), "SigAlg": RSA_SHA256.href}
    octets = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    if key is None:
        return octets.partition("&SigAlg")[0]
    context = xmlsec.SignatureContext()
    context.key = dsig.Key.from_memory(key.key, dsig.KeyFormat.PEM)
    signature = quote(base64.b64encode(context.sign_binary(octets.encode(), RSA_SHA256)).decode(), safe="")
    for before, after in instead.items():
        octets = octets.replace(quote(before, safe=""), quote(after, safe=""))
    return f"{octets}&Signature={signature}"


def wrapped(world):
    """A true signature over somebody else's log-out, inside one about the victim."""
    good = etree.fromstring(request_xml(world, name="nobody@acme.example"))
    sign(good, world.idp)
    good = reparsed(good)
    evil = etree.fromstring(request_xml(world))
    signature = good.find(f"{DS}Signature")
    evil[0].addnext(signature)
    good_again = etree.fromstring(etree.tostring(good))
    etree.SubElement(evil.find(f"{DS}Signature"), f"{DS}Object").append(good_again)
    return {"SAMLRequest": encode(evil)}


def bomb(_world):
    return "SAMLRequest=" + quote(base64.b64encode(zlib.compress(b"<a>" + b" " * 30_000_000 + b"</a>")[2:-4]).decode())


FORGERIES = {
    "unsigned_by_post": ("signature_missing", lambda w: posted(request_xml(w))),
    "unsigned_by_redirect": ("signature_missing", lambda w: redirected(request_xml(w))),
    "by_another_key": ("key_unknown", lambda w: posted(request_xml(w), w.scene.keys["stranger"])),
    "by_another_key_by_redirect": (
        "signature_invalid",
        lambda w: redirected(request_xml(w), w.scene.keys["stranger"]),
    ),
    "wrapped": ("signature_profile", wrapped),
    "changed_after_signing": (
        "signature_invalid",
        lambda w: {
            "SAMLRequest": encode(
                base64.b64decode(posted(request_xml(w, name="nobody"), w.idp)["SAMLRequest"]).replace(
                    b"nobody", b"ana@acme.example"
                )
            )
        },
    ),
    "to_another_connection": (
        "destination_mismatch",
        lambda w: posted(request_xml(w, destination=w.slo.replace(w.connection, w.scene.rivals)), w.idp),
    ),
    "from_another_issuer": ("issuer_mismatch", lambda w: posted(request_xml(w, issuer="urn:other"), w.idp)),
    "an_hour_old": ("response_expired", lambda w: posted(request_xml(w, issued=timedelta(hours=-1)), w.idp)),
    "login_answer_in_place_of_a_logout": (
        "structure_refused",
        lambda w: {"SAMLRequest": w.message(signed="response", in_response_to=None).encoded()},
    ),
    "answer_that_nobody_asked_for": (
        "request_unknown",
        lambda w: posted(response_xml(w), w.idp, "SAMLResponse"),
    ),
    "unsigned_answer": ("signature_missing", lambda w: posted(response_xml(w), None, "SAMLResponse")),
    "deflate_bomb": ("signature_missing", bomb),
    "both_messages_at_once": (
        "message_malformed",
        lambda w: {**posted(request_xml(w), w.idp), **posted(response_xml(w), w.idp, "SAMLResponse")},
    ),
}


def send_logout(scene, jar, message):
    address = f"{scene.gate.origin}/sso/saml/{scene.saml}/slo"
    if isinstance(message, str):
        return jar.get(f"{address}?{message}", headers=new_address())
    return jar.post(address, message, initiator="https://idp.acme.example/", headers=new_address())


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_logout(scene, other_jar, name):
    reason, build = FORGERIES[name]
    jar = scene.under_way.signed_in()
    message = build(scene.world())
    scene.refused(partial(send_logout, scene, other_jar, message), reason, action="auth.logout")
    assert jar.get(f"{scene.gate.origin}/").status == 200, "the victim's session lives"


def test_replayed_logout(scene, jar, other_jar):
    scene.finish(jar, scene.begin(jar))
    message = posted(request_xml(scene.world()), scene.keys["idp"])
    assert send_logout(scene, other_jar, message).status == 303
    assert jar.get(f"{scene.gate.origin}/").status == 302, "the provider's own log-out ends the session"
    scene.finish(jar, scene.begin(jar))
    scene.refused(partial(send_logout, scene, other_jar, message), "replayed", action="auth.logout")
    assert jar.get(f"{scene.gate.origin}/").status == 200


def test_a_logout_of_one_connection_does_not_end_a_session_of_another(scene, other_jar):
    jar = scene.under_way.signed_in()
    world = scene.world(connection=scene.second)
    address = f"{scene.gate.origin}/sso/saml/{scene.second}/slo"
    with scene.harmless(events=1):
        page = other_jar.post(address, posted(request_xml(world), world.idp), headers=new_address())
    assert page.status == 303
    assert jar.get(f"{scene.gate.origin}/").status == 200


def notices(forge):
    now = datetime.now(UTC).timestamp()
    claims = {"iss": forge.issuer, "aud": forge.client_id, "iat": now, "jti": "x", "sub": "subject-1"}
    event = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    return {
        "an_id_token": ("token_refused", lambda: forge.id_token("n")),
        "an_id_token_without_nonce": ("token_refused", lambda: forge.id_token(None)),
        "a_logout_token_with_a_nonce": ("token_refused", lambda: forge.logout_token(nonce="n")),
        "an_access_token": ("token_refused", lambda: forge.logout_token(kind="at+jwt")),
        "without_the_event": ("token_refused", lambda: forge.logout_token(events=None)),
        "without_a_person": ("token_refused", lambda: forge.logout_token(sub=None, sid=None)),
        "without_a_jti": ("token_refused", lambda: forge.logout_token(jti=None)),
        "to_somebody_else": ("audience_mismatch", lambda: forge.logout_token(aud="somebody")),
        "of_another_issuer": ("issuer_mismatch", lambda: forge.logout_token(iss="https://evil.example")),
        "an_hour_old": ("response_expired", lambda: forge.logout_token(iat=now - 3600, exp=now + 60)),
        "unsigned": ("algorithm_refused", lambda: with_signature({"alg": "none"}, {**claims, **event}, b"")),
        "hmac_by_the_public_key": (
            "algorithm_refused",
            lambda: hmac_signed({"kid": "rsa-1"}, {**claims, **event}, usual_key().as_pem(private=False)),
        ),
        "garbage": ("token_refused", lambda: "a.b.c"),
        "nothing": ("token_refused", lambda: ""),
    }


@pytest.mark.parametrize("name", list(notices(type("_", (), {"issuer": "", "client_id": ""}))))
def test_back_channel_token_confusion(scene, other_jar, name):
    jar = scene.under_way.signed_in(scene.oidc)
    reason, token = notices(scene.forge)[name]
    scene.refused(partial(tell, scene, other_jar, token()), reason, connection=scene.oidc, action="auth.logout")
    assert jar.get(f"{scene.gate.origin}/").status == 200


def test_back_channel_token_by_another_key(scene, other_jar):
    jar = scene.under_way.signed_in(scene.oidc)
    scene.forge.signing = new_key("RS256", "rsa-1")
    send = partial(tell, scene, other_jar, scene.forge.logout_token())
    scene.refused(send, "signature_invalid", connection=scene.oidc, action="auth.logout")
    assert jar.get(f"{scene.gate.origin}/").status == 200


def test_back_channel_token_replayed(scene, jar, other_jar):
    scene.finish(jar, scene.begin(jar, scene.oidc))
    token = scene.forge.logout_token()
    assert tell(scene, other_jar, token).status == 200
    assert jar.get(f"{scene.gate.origin}/").status == 302
    scene.finish(jar, scene.begin(jar, scene.oidc))
    scene.refused(partial(tell, scene, other_jar, token), "replayed", connection=scene.oidc, action="auth.logout")
    assert jar.get(f"{scene.gate.origin}/").status == 200


def test_back_channel_a_notice_of_one_session_leaves_the_persons_others_alone(scene, jar, other_jar):
    for number, browser in enumerate((jar, other_jar), 1):
        scene.forge.claims["sid"] = f"s-{number}"
        scene.finish(browser, scene.begin(browser, scene.oidc))
    assert tell(scene, other_jar, scene.forge.logout_token(sid="s-1")).status == 200
    assert (alive(scene, jar), alive(scene, other_jar)) == (False, True)
    assert tell(scene, jar, scene.forge.logout_token(sub=None, sid="s-2")).status == 200
    assert not alive(scene, other_jar), "the session's name is enough"


def test_back_channel_a_session_whose_name_nobody_told_us_could_be_the_one_that_is_meant(scene, jar, other_jar):
    scene.forge.claims["sid"] = None
    scene.finish(jar, scene.begin(jar, scene.oidc))
    assert tell(scene, other_jar, scene.forge.logout_token(sid="s-9")).status == 200
    assert not alive(scene, jar)


def test_a_sign_out_after_the_connections_protocol_was_changed_ends_here(scene, jar, other_jar):
    """What was remembered for one protocol is no use to the other: a session's way out, and logins under way."""
    organization = Organization(files={"idp.pem": scene.keys["idp"].certificate})
    organization.add_oidc(scene.forge.issuer, client_id=scene.forge.client_id, secret=scene.forge.client_secret)
    scene.gate.applied(organization)
    scene.forge.person |= {"email": organization.email("eva")}
    scene.finish(jar, scene.begin(jar, organization.oidc))
    by_openid = scene.begin(other_jar, organization.oidc)
    openid = organization.connections.pop()
    host = "https://idp.acme.example"
    organization.connections.append(
        f'\n[[connections]]\nid = "{organization.oidc}"\nprotocol = "saml"\nidp_entity_id = "{host}/saml"\n'
        f'sso_url = "{host}/sso"\nslo_url = "{host}/slo"\ncertificates = ["idp.pem"]\n'
    )
    scene.gate.applied(organization)
    page = jar.post(f"{scene.gate.origin}/logout", {}, initiator=f"{scene.gate.origin}/")
    assert (page.status, page.location) == (303, f"{scene.gate.origin}/signed-out")
    assert not jar.cookie(SESSION, "gate.localhost")
    by_saml = scene.begin(jar, organization.oidc)
    answer, state = scene.world(by_saml).message().encoded(), by_openid.query["state"]
    send = partial(scene.post, other_jar, answer, relay_state=state, connection=organization.oidc)
    scene.refused(send, "request_mismatch", connection=organization.oidc)
    organization.connections[:] = [openid]
    scene.gate.applied(organization)
    params = [("code", "x"), ("state", by_saml.relay_state), ("iss", scene.forge.issuer)]
    send = partial(scene.callback, jar, params, organization.oidc)
    scene.refused(send, "state_mismatch", connection=organization.oidc)


def alive(scene, jar):
    return jar.get(f"{scene.gate.origin}/").status == 200


def tell(scene, jar, token):
    address = f"{scene.gate.origin}/sso/oidc/{scene.oidc}/backchannel-logout"
    return jar.post(address, {"logout_token": token}, initiator="https://idp.acme.example/", headers=new_address())
