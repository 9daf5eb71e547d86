"""The demonstration's provider speaks SAML as the gate expects it, and answers the registered gate alone."""

import base64
import zlib
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from sso_gate.demo.people import BRUNO, DAVI, PEOPLE
from sso_gate.protocols.saml import logout, request, response
from sso_gate.protocols.saml.keys import ServiceProviderKeys, new_key_pair
from tests.support.browser_jar import BrowserJar

HANDLE = "handle-of-this-login"


@pytest.fixture(scope="session")
def gate_keys():
    from datetime import UTC, datetime

    pair = new_key_pair("gate", datetime.now(UTC))
    return ServiceProviderKeys(signing=pair, decryption=(pair,))


def departure(world, gate_keys, **options):
    return request.begin(
        world.saml, world.endpoints(world.saml), handle=HANDLE, keys=gate_keys, now=world.clock.now(), **options
    )


def verified(world, gate_keys, page):
    """Return what the form on the provider's last page proves to the gate."""
    (form,) = page.forms
    assert form.action == world.endpoints(world.saml).saml_acs
    assert form.fields["RelayState"] == HANDLE
    return response.verify(
        form.fields["SAMLResponse"],
        connection=world.saml,
        endpoints=world.endpoints(world.saml),
        keys=gate_keys,
        now=world.clock.now(),
    )


def test_whoever_is_chosen_is_who_the_gate_learns_about(world, gate_keys, browser_jar):
    away = departure(world, gate_keys)
    chooser = browser_jar.get(away.url)
    page = browser_jar.submit(chooser.forms[0], person=BRUNO.email)
    proof = verified(world, gate_keys, page)
    response.require_request(proof, expected_request_id=away.expectations["request_id"])
    identity = proof.identity
    assert (identity.subject, identity.email, identity.name) == (BRUNO.subject, BRUNO.email, BRUNO.name)
    assert identity.groups == BRUNO.groups


def test_the_chooser_shows_the_people_of_this_protocol_alone(world, gate_keys, browser_jar):
    text = browser_jar.get(departure(world, gate_keys).url).text
    shown = {person.email for person in PEOPLE if f'name="person" value="{person.email}"' in text}
    assert shown == {person.email for person in PEOPLE if person.protocol == "saml"}


def test_a_browser_that_has_chosen_is_not_asked_again_until_it_signs_out(world, gate_keys, browser_jar):
    browser_jar.submit(browser_jar.get(departure(world, gate_keys).url).forms[0], person=DAVI.email)
    again = browser_jar.get(departure(world, gate_keys).url)
    assert verified(world, gate_keys, again).identity.email == DAVI.email
    home = browser_jar.get(world.addresses.provider.origin + "/")
    assert DAVI.email in home.text
    assert "forgotten you" in browser_jar.follow(browser_jar.submit(home.forms[0])).text
    assert 'name="person"' in browser_jar.get(departure(world, gate_keys).url).text


def test_a_forced_authentication_asks_again(world, gate_keys, browser_jar):
    browser_jar.submit(browser_jar.get(departure(world, gate_keys).url).forms[0], person=DAVI.email)
    assert 'name="person"' in browser_jar.get(departure(world, gate_keys, force_authn=True).url).text


def test_a_request_by_post_is_answered_like_one_by_redirect(world, gate_keys, browser_jar):
    away = departure(world, gate_keys)
    packed = base64.b64decode(parse_qs(urlsplit(away.url).query)["SAMLRequest"][0])
    plain = base64.b64encode(zlib.decompress(packed, -15)).decode()
    fields = {"SAMLRequest": plain, "RelayState": HANDLE}
    chooser = browser_jar.post(
        f"{world.addresses.provider.origin}/saml/sso", fields, initiator="http://gate.localhost:8080/"
    )
    page = browser_jar.submit(chooser.forms[0], person=BRUNO.email)
    assert verified(world, gate_keys, page).in_response_to == away.expectations["request_id"]


def test_another_service_gets_no_answer(world, gate_keys, browser_jar):
    foreign = world.endpoints(world.saml).__class__("http://evil.example", "acme-saml")
    away = request.begin(world.saml, foreign, handle=HANDLE, keys=gate_keys, now=world.clock.now())
    page = browser_jar.get(away.url)
    assert page.status == 400
    assert "evil.example" in page.text
    assert not page.forms


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not base64 !",
        base64.b64encode(b"not deflated").decode(),
        base64.b64encode(zlib.compress(b"<a/>" * 100_000, wbits=-15)).decode(),
        base64.b64encode(zlib.compress(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", wbits=-15)).decode(),
        base64.b64encode(zlib.compress(b"<a/>", wbits=-15)).decode(),
    ],
    ids=["nothing", "no base64", "not deflated", "a bomb", "a DOCTYPE", "another document"],
)
def test_garbage_gets_a_page_that_says_so(world, browser_jar, message):
    page = browser_jar.get(f"{world.addresses.provider.origin}/saml/sso?SAMLRequest={quote(message, safe='')}")
    assert page.status == 400


def test_a_logout_ends_the_sign_in_and_the_gate_accepts_the_signed_answer(world, gate_keys, browser_jar):
    chooser = browser_jar.get(departure(world, gate_keys).url)
    proof = verified(world, gate_keys, browser_jar.submit(chooser.forms[0], person=BRUNO.email))
    endpoints = world.endpoints(world.saml)
    away = logout.begin_logout(
        world.saml,
        endpoints,
        name_id=proof.name_id,
        session_index=proof.identity.session_index,
        handle="the-logout",
        keys=gate_keys,
        now=world.clock.now(),
    )
    back = browser_jar.get(away.url).location
    assert back.startswith(endpoints.saml_slo)
    answer = logout.receive_logout(
        urlsplit(back).query.encode(), connection=world.saml, endpoints=endpoints, now=world.clock.now()
    )
    assert isinstance(answer, logout.LogoutAnswered)
    assert (answer.in_response_to, answer.success, answer.relay_state) == (
        away.expectations["request_id"],
        True,
        "the-logout",
    )
    assert 'name="person"' in browser_jar.get(departure(world, gate_keys).url).text


def test_the_page_that_carries_the_message_runs_one_script_of_its_own_and_has_a_button(world, gate_keys, browser_jar):
    chooser = browser_jar.get(departure(world, gate_keys).url)
    page = browser_jar.submit(chooser.forms[0], person=BRUNO.email)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert '<button class="primary">Continue</button>' in page.text
    assert "submit()" in browser_jar.get(world.addresses.provider.origin + "/static/continue.js").text


@pytest.mark.parametrize(
    ("language", "question"), [("en", "Who are you?"), ("pt-PT", "Quem é você?"), ("es-MX", "¿Quién es usted?")]
)
def test_the_chooser_speaks_the_language_of_the_browser(world, gate_keys, language, question):
    with BrowserJar(accept_language=language) as jar:
        assert question in jar.get(departure(world, gate_keys).url).text


def test_changing_the_language_keeps_the_request(world, gate_keys, browser_jar):
    url = departure(world, gate_keys).url
    page = browser_jar.get(f"{url}&lang=es")
    assert '<html lang="es">' in page.text
    answer = browser_jar.submit(page.forms[0], person=BRUNO.email)
    assert verified(world, gate_keys, answer).identity.email == BRUNO.email
