"""Each identity provider signs somebody in, and what comes back is signed as asked for."""

import base64
import hashlib
import secrets
import zlib
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
import xmlsec
from joserfc import jwt
from joserfc.jwk import KeySet
from lxml import etree

from tests.support.browser_jar import BrowserJar
from tests.support.keys import make_key_pair
from tests.support.listener import Listener
from tests.support.people import Person

ANA = Person("ana@acme.example", "Ana Souza & Söhne", ("staff", "gate-owners"))
ACS = "http://gate.localhost:8080/sso/saml/acme/acs"
SP = "http://gate.localhost:8080/sso/saml/acme/metadata"
NAMES = {"p": "urn:oasis:names:tc:SAML:2.0:protocol", "a": "urn:oasis:names:tc:SAML:2.0:assertion"}
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
SP_METADATA = f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{SP}">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{ACS}" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""


def authn_request_url(sso_url):
    request = f"""<samlp:AuthnRequest xmlns:samlp="{NAMES["p"]}" xmlns:saml="{NAMES["a"]}" ID="_asked" Version="2.0"
 IssueInstant="2026-11-22T00:00:00Z" Destination="{sso_url}" AssertionConsumerServiceURL="{ACS}"
 ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>{SP}</saml:Issuer></samlp:AuthnRequest>"""
    deflated = zlib.compress(request.encode(), wbits=-15)
    return f"{sso_url}?SAMLRequest={quote(base64.b64encode(deflated))}&RelayState=handle"


def response_of(form):
    return etree.fromstring(base64.b64decode(form.fields["SAMLResponse"]))


def verify(element, certificate):
    """Raise xmlsec.Error unless the element's own signature verifies under the certificate."""
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertPem, None)
    context.verify(element.find(SIGNATURE))


@pytest.mark.parametrize(
    ("sign", "response_signed", "assertion_signed"),
    [("assertion", False, True), ("response", True, False), ("both", True, True), ("none", False, False)],
)
def test_samlp_signs_what_it_is_told_to(samlp_idp, sign, response_signed, assertion_signed):
    form = samlp_idp.login(ANA, authn_request_url(samlp_idp.sso_url), sign=sign)
    response = response_of(form)
    assertion = response.find("a:Assertion", NAMES)
    assert (response.find(SIGNATURE) is not None) is response_signed
    assert (assertion.find(SIGNATURE) is not None) is assertion_signed
    for element in (response, assertion):
        if element.find(SIGNATURE) is not None:
            verify(element, samlp_idp.keys.certificate)


def test_samlp_answers_the_request_at_its_consumer_and_says_who_it_is(samlp_idp):
    form = samlp_idp.login(ANA, authn_request_url(samlp_idp.sso_url))
    response = response_of(form)
    confirmation = response.find(".//a:SubjectConfirmationData", NAMES)
    assert form.action == response.get("Destination") == confirmation.get("Recipient") == ACS
    assert form.fields["RelayState"] == "handle"
    assert confirmation.get("InResponseTo") == response.get("InResponseTo") == "_asked"
    assert response.findtext(".//a:Audience", None, NAMES) == SP
    assert response.findtext(".//a:NameID", None, NAMES) == "subject-of-ana@acme.example"
    values = {node.get("Name"): [v.text for v in node] for node in response.iterfind(".//a:Attribute", NAMES)}
    assert values == {"mail": [ANA.email], "displayName": [ANA.name], "groups": list(ANA.groups)}


def test_samlp_can_sign_with_a_key_that_its_metadata_does_not_show(samlp_idp):
    assertion = response_of(samlp_idp.login(ANA, authn_request_url(samlp_idp.sso_url), other_key=True)).find(
        "a:Assertion", NAMES
    )
    with pytest.raises(xmlsec.Error):
        verify(assertion, samlp_idp.keys.certificate)
    verify(assertion, samlp_idp.other_keys.certificate)
    certificate = "".join(samlp_idp.keys.certificate.splitlines()[1:-1])
    assert certificate in samlp_idp.metadata_xml.replace("\n", "")


def test_samlp_can_be_expired_weak_and_unasked(samlp_idp):
    form = samlp_idp.unsolicited(ANA, acs=ACS, audience=SP, relay_state="x", lifetime_seconds=-600, sha1=True)
    response = response_of(form)
    confirmation = response.find(".//a:SubjectConfirmationData", NAMES)
    assert confirmation.get("InResponseTo") is None
    assert confirmation.get("NotOnOrAfter") < response.get("IssueInstant")
    assert b"xmldsig#rsa-sha1" in base64.b64decode(form.fields["SAMLResponse"])


def test_samlp_encrypts_for_the_service_provider(samlp_idp):
    pair = make_key_pair("sp")
    response = response_of(samlp_idp.login(ANA, authn_request_url(samlp_idp.sso_url), encrypt_for=pair.certificate))
    encrypted = response.find("a:EncryptedAssertion", NAMES)[0]
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(pair.key, xmlsec.constants.KeyDataFormatPem, None))
    assertion = xmlsec.EncryptionContext(manager).decrypt(encrypted)
    assert ANA.email in etree.tostring(assertion).decode()
    assert b"aes256-gcm" in etree.tostring(
        response_of(samlp_idp.login(ANA, authn_request_url(samlp_idp.sso_url), encrypt_for=pair.certificate))
    )


def test_a_browser_signs_in_at_samlp_by_typing_an_email_and_configured_options_hold(samlp_idp):
    samlp_idp.add_people(ANA)
    samlp_idp.configure(sign="both")
    with BrowserJar() as jar:
        page = jar.get(authn_request_url(samlp_idp.sso_url))
        response = response_of(jar.submit(page.forms[0], person=ANA.email).forms[0])
    assert response.find(SIGNATURE) is not None


def test_pysaml2_signs_its_assertion_for_whom_it_trusts(pysaml2_idp):
    pysaml2_idp.trust(SP_METADATA)
    form = pysaml2_idp.login(ANA, authn_request_url("https://pysaml2.example/sso"))
    response = response_of(form)
    verify(response.find("a:Assertion", NAMES), pysaml2_idp.keys.certificate)
    assert form.action == ACS
    assert form.fields["RelayState"] == "handle"
    assert response.find(".//a:SubjectConfirmationData", NAMES).get("InResponseTo") == "_asked"
    assert "urn:oid:" in response.find(".//a:Attribute", NAMES).get("Name")
    assert pysaml2_idp.entity_id in pysaml2_idp.metadata_xml


CALLBACK = "http://gate.localhost:8080/sso/oidc/acme/callback"


def authorization(provider, client_id, verifier, nonce):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return {
        "client_id": client_id, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid email profile",
        "state": "state", "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip


def claims_after_login(provider, client_id, secret, verifier, nonce, url, jar=None):
    query = parse_qs(urlsplit(provider.login(ANA, url, callback=CALLBACK, jar=jar)).query)
    assert query["iss"] == [provider.issuer]
    exchange = {"grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": CALLBACK}
    tokens = (
        httpx2.post(f"{provider.url}/token", data={**exchange, "code_verifier": verifier}, auth=(client_id, secret))
        .raise_for_status()
        .json()
    )
    keys = KeySet.import_key_set(httpx2.get(f"{provider.url}/jwks").json())
    return jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims


def test_oidc_provider_signs_somebody_in_with_pkce_and_claims_in_the_id_token(oidc_provider):
    oidc_provider.register("gate", secret="s" * 32, redirect_uris=[CALLBACK])
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe()
    url = httpx2.URL(f"{oidc_provider.issuer}/auth", params=authorization(oidc_provider, "gate", verifier, nonce))
    claims = claims_after_login(oidc_provider, "gate", "s" * 32, verifier, nonce, str(url))
    assert (claims["sub"], claims["nonce"], claims["aud"]) == ("subject-of-ana@acme.example", nonce, "gate")
    assert (claims["email"], claims["email_verified"], claims["name"]) == (ANA.email, True, ANA.name)
    assert claims["groups"] == list(ANA.groups)


def test_oidc_provider_takes_a_pushed_request(oidc_provider):
    oidc_provider.register("par", secret="s" * 32, redirect_uris=[CALLBACK])
    verifier = secrets.token_urlsafe(48)
    pushed = httpx2.post(
        f"{oidc_provider.url}/request", data=authorization(oidc_provider, "par", verifier, "n"), auth=("par", "s" * 32)
    )
    assert pushed.status_code == 201
    url = httpx2.URL(
        f"{oidc_provider.issuer}/auth", params={"client_id": "par", "request_uri": pushed.json()["request_uri"]}
    )
    assert claims_after_login(oidc_provider, "par", "s" * 32, verifier, "n", str(url))["nonce"] == "n"


def test_oidc_provider_refuses_a_request_without_pkce(oidc_provider):
    oidc_provider.register("plain", secret="s" * 32, redirect_uris=[CALLBACK])
    parameters = authorization(oidc_provider, "plain", "v", "n")
    del parameters["code_challenge"], parameters["code_challenge_method"]
    answer = httpx2.get(httpx2.URL(f"{oidc_provider.issuer}/auth", params=parameters))
    assert "error=invalid_request" in answer.headers["location"]


def test_oidc_provider_tells_a_client_of_a_logout_over_the_back_channel(oidc_provider):
    with Listener() as listener, BrowserJar() as jar:
        oidc_provider.register(
            "told", secret="s" * 32, redirect_uris=[CALLBACK], backchannel_logout_uri=f"{listener.url}/told"
        )
        parameters = authorization(oidc_provider, "told", "v" * 43, "n")
        url = str(httpx2.URL(f"{oidc_provider.issuer}/auth", params=parameters))
        claims = claims_after_login(oidc_provider, "told", "s" * 32, "v" * 43, "n", url, jar=jar)
        oidc_provider.logout(jar)
        token = parse_qs(listener.received())["logout_token"][0]
    keys = KeySet.import_key_set(httpx2.get(f"{oidc_provider.url}/jwks").json())
    logout = jwt.decode(token, keys, algorithms=["RS256"])
    assert logout.header["typ"] == "logout+jwt"
    assert (logout.claims["sub"], logout.claims["sid"]) == (claims["sub"], claims["sid"])
