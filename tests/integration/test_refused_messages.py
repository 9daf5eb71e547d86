"""Messages that prove nothing: the sender learns a reference, the audit log the reason, and nobody gets in."""

import base64
import copy
import time

import pytest

from tests.integration.people import session_of
from tests.support import saml_forge
from tests.support.browser_jar import BrowserJar
from tests.support.forms import Form


def refused(road, page, reason):
    """Check everything that a refused message must come to, and return its audit event."""
    assert page.status == 400, page.text
    assert "text/html" in page.headers["content-type"]
    event = road.last_refusal()
    assert event["reason"] == reason
    assert event["action"] == "auth.login"
    assert event["via"]["connection"] in {road.organization.saml, road.organization.oidc}
    assert event["reference"] in page.text
    assert reason not in page.text
    return event


@pytest.fixture
def people_before(road):
    return road.api.seats()["in_use"], len(road.api.events(outcome="denied"))


@pytest.mark.parametrize(
    ("bent", "reason"),
    [
        ({"sign": "none"}, "signature_missing"),
        ({"other_key": True}, "key_unknown"),
        ({"lifetime_seconds": -3600}, "response_expired"),
        ({"audience": "https://somebody.else.example"}, "audience_mismatch"),
        ({"recipient": "https://somebody.else.example/acs"}, "recipient_mismatch"),
        ({"issuer": "https://somebody.else.example"}, "issuer_mismatch"),
        ({"in_response_to": "_another"}, "request_mismatch"),
        ({"sha1": True}, "algorithm_refused"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_message_that_is_not_right_lets_nobody_in(road, people_before, browser_jar, bent, reason):
    page = road.saml_login(browser_jar, road.newcomer(), **bent)
    event = refused(road, page, reason)
    assert session_of(browser_jar) == ""
    in_use, denied = people_before
    assert road.api.seats()["in_use"] == in_use
    assert len(road.api.events(outcome="denied")) == denied + 1, "exactly one event"
    assert "SAMLResponse" not in str(event)


def test_a_message_is_used_once(any_road, browser_jar):
    road, person = any_road, any_road.newcomer()
    departure = browser_jar.get(road.login_url(road.organization.saml))
    form = road.saml_idp.login(person, departure.location, jar=browser_jar)
    assert browser_jar.submit(form).status == 303
    refused(road, browser_jar.submit(form), "replayed")


def test_a_message_that_another_browser_took_away_opens_nothing(road, browser_jar):
    departure = browser_jar.get(road.login_url(road.organization.saml))
    form = road.saml_idp.login(road.newcomer(), departure.location, jar=browser_jar)
    with BrowserJar() as thief:
        page = thief.submit(form)
        refused(road, page, "request_unknown")
        assert session_of(thief) == ""


def test_a_message_that_nobody_asked_for_is_refused(road, browser_jar):
    address = f"{road.gate.origin}/sso/saml/{road.organization.saml}"
    form = road.saml_idp.unsolicited(road.newcomer(), acs=f"{address}/acs", audience=f"{address}/metadata")
    refused(road, browser_jar.submit(form), "unsolicited_refused")


def test_a_refused_message_leaves_the_login_that_was_under_way_unharmed(road, browser_jar):
    departure = browser_jar.get(road.login_url(road.organization.saml, "/"))
    good = road.saml_idp.login(road.newcomer(), departure.location, jar=browser_jar)
    bad = copy.deepcopy(good)
    bad.fields["SAMLResponse"] = base64.b64encode(b"<nothing/>").decode()
    assert browser_jar.submit(bad).status == 400
    assert browser_jar.submit(good).status == 303


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"SAMLResponse": "%%%"}, "message_malformed"),
        ({"SAMLResponse": ""}, "message_malformed"),
        ({"SAMLResponse": "A" * 270_000}, "message_too_large"),
        ({"SAMLResponse": "A" * 3_000_000}, "message_too_large"),
    ],
    ids=["not base64", "empty", "larger than a message", "much larger"],
)
def test_garbage_is_refused_at_once(road, browser_jar, fields, reason):
    address = f"{road.gate.origin}/sso/saml/{road.organization.saml}/acs"
    began = time.monotonic()
    page = browser_jar.submit(Form(address, "post", "http://idp.localhost/", fields))
    refused(road, page, reason)
    assert time.monotonic() - began < 5


def test_a_forged_message_about_somebody_else_is_refused(road, browser_jar):
    departure = browser_jar.get(road.login_url(road.organization.saml))
    form = road.saml_idp.login(road.newcomer(), departure.location, jar=browser_jar)
    tree = saml_forge.etree.fromstring(base64.b64decode(form.fields["SAMLResponse"]))
    assertion = tree.find(f"{saml_forge.SAML}Assertion")
    twin = saml_forge.evil_twin(assertion, f"subject-of-{road.organization.owner}")
    tree.insert(list(tree).index(assertion), twin)
    form.fields["SAMLResponse"] = saml_forge.encode(tree)
    refused(road, browser_jar.submit(form), "structure_refused")


@pytest.mark.parametrize(
    ("query", "reason"),
    [("state=unknown&code=x", "state_mismatch"), ("", "state_mismatch"), ("error=access_denied", "state_mismatch")],
)
def test_a_callback_that_nobody_waits_for_is_refused(any_road, browser_jar, query, reason):
    page = browser_jar.get(f"{any_road.gate.origin}/sso/oidc/{any_road.organization.oidc}/callback?{query}")
    refused(any_road, page, reason)


def test_an_authorization_code_is_used_once(road, browser_jar):
    callback = f"{road.gate.origin}/sso/oidc/{road.organization.oidc}/callback"
    departure = browser_jar.get(road.login_url(road.organization.oidc))
    address = road.oidc_provider.login(road.newcomer(), departure.location, callback=callback, jar=browser_jar)
    assert browser_jar.get(address).status == 303
    page = browser_jar.get(address)
    assert page.status == 400
    assert road.last_refusal()["reason"] in {"replayed", "state_mismatch"}


def test_a_code_that_another_browser_took_away_opens_nothing(road, browser_jar):
    callback = f"{road.gate.origin}/sso/oidc/{road.organization.oidc}/callback"
    departure = browser_jar.get(road.login_url(road.organization.oidc))
    address = road.oidc_provider.login(road.newcomer(), departure.location, callback=callback, jar=browser_jar)
    with BrowserJar() as thief:
        refused(road, thief.get(address), "state_mismatch")
        assert session_of(thief) == ""


def test_the_page_is_the_same_for_every_reason(road):
    pages = []
    for bent in ({"sign": "none"}, {"other_key": True}, {"audience": "https://x.example"}):
        with BrowserJar() as jar:
            page = road.saml_login(jar, road.newcomer(), **bent)
            pages.append(page.text.replace(road.last_refusal()["reference"], "REFERENCE"))
    assert len(set(pages)) == 1
