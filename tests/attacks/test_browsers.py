"""Attacks through a victim's browser: login CSRF, fixation, open redirects, stolen tickets, forged hosts, proxies."""

from __future__ import annotations

import re
import socket
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.attacks.scene import LOGIN, SESSION, new_address, pending_of
from tests.integration.gate import APP_HOST, STRANGER_ADDRESS
from tests.support.browser_jar import BrowserJar

APP = f"http://{APP_HOST}"


def app_get(scene, jar, path):
    """Ask for a page of the application's host, which its proxy routes to the gate."""
    cookie = jar.cookie("__Host-sso_gate_start", "app.localhost")
    session = jar.cookie(SESSION, "app.localhost")
    sent = "; ".join(f"{one.name}={one.value}" for one in (cookie, session) if one)
    headers = {"Host": APP_HOST, "X-Forwarded-Host": APP_HOST, "X-Forwarded-Proto": "http", "Cookie": sent}
    answer = scene.gate.client.get(path, headers={**headers, **new_address()})
    for line in answer.headers.get_list("set-cookie"):
        jar._keep(line, "app.localhost")
    return answer


def begun_at_the_app(scene, jar):
    """Return where the application's host sends the browser to sign in."""
    answer = app_get(scene, jar, f"/.sso-gate/start?{urlencode({'return_to': f'{APP}/reports'})}")
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["location"]).query)


def ticket_of(scene, jar, wanted):
    """Sign in with what the application's host asked for and return the way back."""
    pending = scene.begin(jar, return_to=wanted["return_to"][0], bind=wanted["bind"][0])
    location = scene.finish(jar, pending).location
    assert location.startswith(f"{APP}/.sso-gate/finish?ticket=")
    return location.removeprefix(APP)


def test_login_csrf_the_attackers_answer_in_the_victims_browser(scene, jar, other_jar):
    attackers, victims = scene.begin(other_jar), scene.begin(jar)
    encoded = scene.world(attackers).message(name_id="mallory@acme.example").encoded()
    scene.refused(lambda: scene.post(jar, encoded, relay_state=attackers.relay_state), "request_unknown")
    scene.refused(lambda: scene.post(jar, encoded, relay_state=victims.relay_state), "request_mismatch")
    scene.finish(jar, victims)


def test_login_csrf_in_a_browser_without_any_cookie(scene, jar, other_jar):
    attackers = scene.begin(other_jar)
    encoded = scene.world(attackers).message().encoded()
    scene.refused(lambda: scene.post(jar, encoded, relay_state=attackers.relay_state), "request_unknown")


def test_login_csrf_by_openid(scene, jar, other_jar):
    attackers = scene.begin(other_jar, scene.oidc)
    params = scene.forge.log_in(attackers.url)
    scene.refused(lambda: scene.callback(jar, params), "state_mismatch", connection=scene.oidc)
    scene.finish(other_jar, attackers)


def test_state_fixation_a_restart_without_a_cookie_binds_the_new_login_to_a_key_of_its_own(scene, jar, other_jar):
    """An unsolicited answer may start a login of ours, but never one that any browser without a cookie could finish."""
    hint = scene.world(connection=scene.restart).message().encoded()
    page = scene.post(other_jar, hint, relay_state="", connection=scene.restart)
    assert page.status == 303
    given = other_jar.cookie(LOGIN, "gate.localhost")
    assert given
    assert len(given.value) == 43
    pending = pending_of(scene.restart, page.location)
    encoded = scene.world(pending).message().encoded()
    send = lambda: scene.post(jar, encoded, relay_state=pending.relay_state, connection=scene.restart)  # noqa: E731 - one call
    scene.refused(send, "request_unknown", connection=scene.restart)


def test_a_provider_that_never_answers_requests_does_not_send_the_browser_round_for_ever(scene, jar):
    hints = [scene.world(connection=scene.restart).message() for _ in range(2)]
    assert scene.post(jar, hints[0].encoded(), relay_state="", connection=scene.restart).status == 303
    scene.refused(
        lambda: scene.post(jar, hints[1].encoded(), relay_state="", connection=scene.restart),
        "unsolicited_refused",
        connection=scene.restart,
    )


def test_session_fixation_a_login_never_keeps_the_session_that_the_browser_brought(scene, jar, other_jar):
    scene.finish(other_jar, scene.begin(other_jar))
    fixed = other_jar.cookie(SESSION, "gate.localhost")
    jar.cookies[("gate.localhost", "/", SESSION)] = fixed
    scene.finish(jar, scene.begin(jar, scene.oidc))
    assert jar.cookie(SESSION, "gate.localhost").value != fixed.value


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "http://gate.localhost@evil.example/",
        f"http://{APP_HOST}.evil.example/",
        f"http://{APP_HOST}@evil.example/",
        "http:evil.example",
        "/%0d%0aSet-Cookie:%20x=y\r\nLocation: https://evil.example",
        "data:text/html,x",
    ],
)
def test_open_redirect(scene, jar, target):
    page = scene.finish(jar, scene.begin(jar, return_to=target) if target.isprintable() else scene.begin(jar))
    host = urlsplit(page.location).netloc
    assert host == scene.gate.host
    with scene.harmless():
        signed_in = jar.get(f"{scene.gate.origin}/login?{urlencode({'return_to': target})}", headers=new_address())
    assert urlsplit(signed_in.location or scene.gate.origin).netloc == scene.gate.host


def test_open_redirect_by_relay_state_of_an_unsolicited_answer(scene, jar):
    encoded = scene.world(connection=scene.accept).message(name_id="rui@acme.example", attributes={})
    page = scene.post(jar, encoded.encoded(), relay_state="https://evil.example/", connection=scene.accept)
    assert (page.status, page.location) == (303, f"{scene.gate.origin}/")


@pytest.mark.parametrize("host", ["evil.example", "gate.localhost.evil.example", "evil.example:80", "127.0.0.1"])
def test_host_injection(scene, host):
    """Whatever `Host` says, every address that leaves the gate begins with its public URL."""
    headers = {"Host": host, "Accept": "text/html", **new_address()}
    with scene.harmless():
        begun = scene.gate.client.get(f"/login/{scene.saml}", headers=headers)
        metadata = scene.gate.client.get(f"/sso/saml/{scene.saml}/metadata", headers=headers).text
        checked = scene.gate.client.get("/check", headers=headers)
    assert "evil" not in begun.text + str(begun.headers)
    assert scene.gate.origin in metadata
    assert "evil" not in metadata
    assert "evil" not in str(checked.headers) + checked.text


def test_forged_forwarded_headers_of_an_untrusted_peer_are_as_if_not_sent(scene):
    headers = {
        "Host": scene.gate.host,
        "X-Forwarded-Host": APP_HOST,
        "X-Forwarded-For": "192.0.2.66",
        "X-Forwarded-Uri": "/evil",
        "Accept": "text/html",
    }
    with scene.harmless(events=1):
        answer = scene.gate.stranger.get("/check", headers=headers)
        scene.gate.stranger.post(f"/sso/saml/{scene.saml}/acs", content=b"", headers=headers)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{scene.gate.origin}/login?")
    assert "evil" not in answer.headers["location"]
    assert scene.last_event()["address"] == STRANGER_ADDRESS


@pytest.mark.parametrize("host", ["evil.example", f"{APP_HOST}.evil.example", "gate.localhost:1"])
def test_a_forwarded_host_that_is_not_ours_is_refused(scene, host):
    with scene.harmless():
        answer = scene.gate.client.get("/check", headers={"Host": scene.gate.host, "X-Forwarded-Host": host})
    assert answer.status_code == 403
    assert "location" not in answer.headers


IDENTITY = ("User", "Email", "Name", "Organization", "Role", "Groups", "Assertion")


@pytest.mark.parametrize("name", IDENTITY)
def test_header_smuggling_through_forward_auth(scene, name):
    """Every identity header is set on every pass, so a proxy that copies them overwrites what a client sent."""
    session = scene.under_way.signed_in().cookie(SESSION, "gate.localhost").value
    header = f"X-SSO-Gate-{name}"
    for spelling in (header, header.lower(), header.upper()):
        with scene.harmless():
            answer = scene.gate.client.get(
                "/check", headers={"Host": scene.gate.host, "Cookie": f"{SESSION}={session}", spelling: "evil"}
            )
        assert answer.status_code == 200
        assert header in answer.headers
        assert len(answer.headers.get_list(header)) == 1
        assert "evil" not in answer.headers[header]


def test_header_smuggling_by_the_persons_own_words(scene, jar):
    scene.finish(
        jar,
        scene.begin(jar),
        name_id="pia@acme.example",
        attributes={
            "mail": ["pia@acme.example"],
            "displayName": ["Pia\u2028X-SSO-Gate-Role: owner"],
            "groups": ["a,gate-owners", "b%2Cc", "ü"],
        },
    )
    session = jar.cookie(SESSION, "gate.localhost").value
    answer = scene.gate.client.get("/check", headers={"Host": scene.gate.host, "Cookie": f"{SESSION}={session}"})
    assert answer.headers["x-sso-gate-role"] == "user"
    assert "gate-owners" not in answer.headers["x-sso-gate-groups"].split(",")
    assert answer.headers["x-sso-gate-name"].isascii()


@pytest.mark.parametrize("cookie", ["{0}; {0}", "{0}x", "x{0}", "{1}", "{2}"])
def test_a_cookie_that_is_not_exactly_one_session_is_none(scene, cookie):
    value = scene.under_way.signed_in().cookie(SESSION, "gate.localhost").value
    organization = value.partition(".")[0]
    sent = cookie.format(f"{SESSION}={value}", f"{SESSION}={organization}.", f"{SESSION}={organization}.{'A' * 43}")
    with scene.harmless():
        answer = scene.gate.client.get("/check", headers={"Host": scene.gate.host, "Cookie": sent})
    assert answer.status_code == 401


def test_host_ticket_theft_by_another_browser(scene, jar, other_jar):
    wanted = begun_at_the_app(scene, jar)
    begun_at_the_app(scene, other_jar)
    back = ticket_of(scene, jar, wanted)
    with scene.harmless():
        stolen = app_get(scene, other_jar, back)
        late = app_get(scene, jar, back)
    assert 400 <= stolen.status_code < 500
    assert SESSION not in stolen.headers.get("set-cookie", "")
    assert 400 <= late.status_code < 500, "a stolen ticket is worth nothing to anybody afterwards"


def test_host_ticket_on_another_host(scene, jar):
    back = ticket_of(scene, jar, begun_at_the_app(scene, jar))
    cookie = jar.cookie("__Host-sso_gate_start", "app.localhost")
    with scene.harmless():
        answer = scene.gate.client.get(
            back, headers={"Host": scene.gate.host, "Cookie": f"{cookie.name}={cookie.value}", **new_address()}
        )
    assert answer.status_code == 404
    assert app_get(scene, jar, back).status_code == 303


def test_host_ticket_used_twice(scene, jar):
    back = ticket_of(scene, jar, begun_at_the_app(scene, jar))
    assert app_get(scene, jar, back).status_code == 303
    with scene.harmless():
        again = app_get(scene, jar, back)
    assert 400 <= again.status_code < 500
    assert SESSION not in again.headers.get("set-cookie", "")


def test_host_ticket_planted_in_the_victims_browser(scene, jar, other_jar):
    """Login CSRF on the application's host: the attacker's own ticket signs no victim in."""
    back = ticket_of(scene, other_jar, begun_at_the_app(scene, other_jar))
    begun_at_the_app(scene, jar)
    with scene.harmless():
        planted = app_get(scene, jar, back)
    assert 400 <= planted.status_code < 500
    assert not jar.cookie(SESSION, "app.localhost")


def test_a_session_of_one_host_opens_no_other(scene, jar):
    back = ticket_of(scene, jar, begun_at_the_app(scene, jar))
    assert app_get(scene, jar, back).status_code == 303
    session = jar.cookie(SESSION, "app.localhost").value
    cookie = {"Cookie": f"{SESSION}={session}"}
    there = scene.gate.client.get("/check", headers={"Host": scene.gate.host, "X-Forwarded-Host": APP_HOST, **cookie})
    assert there.status_code == 200
    with scene.harmless():
        here = scene.gate.client.get("/check", headers={"Host": scene.gate.host, **cookie})
        home = scene.gate.client.get("/", headers={"Host": scene.gate.host, **cookie})
    assert (here.status_code, home.status_code) == (401, 302)


def test_another_site_can_neither_log_out_nor_use_a_code(scene):
    jar = scene.under_way.signed_in()
    for path, form in (("/logout", {}), ("/login/break-glass", {"email": "a@acme.example", "code": "x"})):
        with scene.harmless():
            page = jar.post(f"{scene.gate.origin}{path}", form, initiator="http://evil.localhost/")
        assert page.status == 403
    assert jar.get(f"{scene.gate.origin}/").status == 200


def test_a_request_with_two_lengths_is_no_request(scene):
    """Request smuggling: what a proxy in front could read differently is refused by the server itself."""
    raw = (
        f"POST /sso/saml/{scene.saml}/acs HTTP/1.1\r\nHost: {scene.gate.host}\r\n"
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /login HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    with scene.harmless(), socket.create_connection(("127.0.0.1", scene.gate.port), timeout=5) as connection:
        connection.sendall(raw.encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1") == 1


def test_the_same_page_for_every_reason(scene):
    """Somebody who has proved nothing cannot tell one refusal from another."""
    pages = set()
    for reason, build in (
        ("signature_missing", lambda w: w.message(signed="none").encoded()),
        ("key_unknown", lambda w: w.message(key=w.scene.keys["stranger"]).encoded()),
        ("issuer_mismatch", lambda w: w.message(issuer="urn:x").encoded()),
        ("message_malformed", lambda w: "garbage"),
    ):
        with BrowserJar() as browser:
            pending = scene.begin(browser)
            encoded = build(scene.world(pending))
            page = scene.refused(partial(scene.post, browser, encoded, relay_state=pending.relay_state), reason)
        pages.add((page.status, re.sub(r"\b[0-9A-HJKMNP-TV-Z]{8}\b", "REFERENCE", page.text)))
    assert len(pages) == 1
