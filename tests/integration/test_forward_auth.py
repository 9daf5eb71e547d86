"""What a reverse proxy asks and is told: the table of /check, in both dialects, and whom the gate believes."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.integration.gate import APP_HOST, Organization
from tests.integration.people import SESSION, lay_road, session_of

BROWSER = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
OLD_BROWSER = {"Accept": "text/html,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}
FETCH = {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}
FROM_PROXY = {"X-Forwarded-Host": APP_HOST, "X-Forwarded-Proto": "http", "X-Forwarded-Uri": "/reports?year=2026"}
HEADERS = ("User", "Email", "Name", "Organization", "Role", "Groups", "Assertion")


@pytest.fixture(scope="module")
def ana(road):
    with road.signed_in(road.newcomer(name="João 100%", groups=("staff", "a,b"))) as jar:
        yield {"Cookie": f"{SESSION}={session_of(jar)}"}


@pytest.fixture(scope="module")
def seatless_owner(road, _samlp_server, oidc_provider):
    organization = Organization(seats=1)
    organization.add_member("second", role="owner")
    other = lay_road(road.gate, _samlp_server, oidc_provider, organization)
    with other.signed_in(other.person("second")) as jar:
        yield {"Cookie": f"{SESSION}={session_of(jar)}"}


def ask(road, path="/check", method="GET", **headers):
    return road.gate.client.request(method, path, headers={**FROM_PROXY, **headers})


@pytest.mark.parametrize("path", ["/check", "/check?mode=nginx", "/check/deep/link", "/check/"])
@pytest.mark.parametrize("headers", [BROWSER, PROGRAM], ids=["browser", "program"])
def test_a_pass_is_exactly_200_empty_with_every_identity_header_and_no_cookie(road, ana, path, headers):
    answer = ask(road, path, **ana, **headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert {f"x-sso-gate-{name.lower()}" for name in HEADERS} <= set(answer.headers)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_may_ask(road, ana, method):
    assert ask(road, method=method, **ana).status_code == 200
    assert ask(road, method=method, Origin="https://evil.example", **ana).status_code == 200
    assert ask(road, method=method, **PROGRAM).status_code == 401


def test_a_check_reads_no_body_and_refuses_none(road):
    answer = road.gate.client.post("/check", content=b"x" * 100_000, headers={"Accept": "application/json"})
    assert answer.status_code == 401


@pytest.mark.parametrize("headers", [BROWSER, OLD_BROWSER], ids=["fetch metadata", "accept alone"])
def test_a_browser_that_is_not_signed_in_is_sent_to_an_absolute_address(road, headers):
    answer = ask(road, **headers)
    assert answer.status_code == 302
    address = urlsplit(answer.headers["location"])
    assert (address.scheme, address.netloc, address.path) == ("http", APP_HOST, "/.sso-gate/start")
    assert parse_qs(address.query)["return_to"] == [f"http://{APP_HOST}/reports?year=2026"]


def test_nginx_is_told_where_to_send_a_browser_in_a_header(road):
    answer = ask(road, "/check?mode=nginx", **BROWSER)
    assert answer.status_code == 401
    assert answer.headers["x-sso-gate-location"].startswith(f"http://{APP_HOST}/.sso-gate/start?")
    assert "location" not in answer.headers


@pytest.mark.parametrize("headers", [PROGRAM, FETCH, {}], ids=["program", "script on a page", "says nothing"])
def test_a_program_that_is_not_signed_in_gets_401(road, headers):
    answer = ask(road, **headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert ask(road, "/check?mode=nginx", **headers).status_code == 401


def test_somebody_who_is_refused_is_sent_to_the_denied_page(road, seatless_owner, browser_jar):
    answer = ask(road, **seatless_owner, **BROWSER)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{road.gate.origin}/denied/")
    assert browser_jar.get(answer.headers["location"]).status == 403
    nginx = ask(road, "/check?mode=nginx", **seatless_owner, **BROWSER)
    assert nginx.status_code == 403
    assert nginx.headers["x-sso-gate-location"].startswith(f"{road.gate.origin}/denied/")


def test_a_program_that_is_refused_gets_403_and_the_reason(road, seatless_owner):
    answer = ask(road, **seatless_owner, **PROGRAM)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["reason"] == "seat_unavailable"


def test_whose_seat_was_taken_back_is_told_so_and_it_is_on_record_once(road, browser_jar):
    person = road.newcomer()
    with road.signed_in(person) as jar:
        cookie = {"Cookie": f"{SESSION}={session_of(jar)}"}
    assert ask(road, **cookie, **PROGRAM).status_code == 200
    organization = road.organization.slug
    assert road.gate.run("members", "release-seat", person.email, "--org", organization, "--yes").code == 0
    answer = ask(road, **cookie, **PROGRAM)
    assert (answer.status_code, answer.json()["reason"]) == (403, "seat_released")
    sent = ask(road, **cookie, **BROWSER)
    assert sent.status_code == 303
    assert browser_jar.get(sent.headers["location"]).status == 403
    nginx = ask(road, "/check?mode=nginx", **cookie, **BROWSER)
    assert nginx.status_code == 403
    assert nginx.headers["x-sso-gate-location"].startswith(f"{road.gate.origin}/denied/")
    refused = [event for event in road.api.events(reason="seat_released") if event["actor"]["name"] == person.email]
    assert len(refused) == 1
    with road.signed_in(person):
        assert ask(road, **cookie, **PROGRAM).status_code == 401, "a seat is theirs again; the old session stays dead"


def test_envoy_says_the_path_behind_check_and_a_browser_cannot_choose_the_dialect_there(road):
    said = {"X-Forwarded-Host": APP_HOST, "X-Forwarded-Proto": "http"}
    answer = road.gate.client.get("/check/deep/link?mode=nginx&x=1", headers={**said, **BROWSER})
    assert answer.status_code == 302
    back = parse_qs(urlsplit(answer.headers["location"]).query)["return_to"]
    assert back == [f"http://{APP_HOST}/deep/link?mode=nginx&x=1"]


def test_a_host_that_is_not_among_the_return_hosts_is_refused(road, ana):
    for headers in (BROWSER, PROGRAM):
        answer = ask(road, **{**ana, **headers, "X-Forwarded-Host": "evil.example"})
        assert answer.status_code == 403
        assert "location" not in answer.headers
        assert "x-sso-gate-user" not in answer.headers
        assert answer.json()["reason"] == "proxy_untrusted"


def test_what_is_forwarded_counts_from_a_trusted_proxy_alone(road):
    answer = road.gate.stranger.get("/check", headers={**FROM_PROXY, **BROWSER})
    assert answer.status_code == 302
    assert APP_HOST not in answer.headers["location"]
    assert answer.headers["location"].startswith(f"{road.gate.origin}/login?")


def test_the_identity_headers_are_the_gates_own_whatever_the_client_sent(road, ana):
    forged = {f"X-SSO-Gate-{name}": "evil" for name in HEADERS}
    answer = ask(road, **ana, **forged)
    assert [name for name in HEADERS if answer.headers[f"x-sso-gate-{name}"] == "evil"] == []
    assert answer.headers["x-sso-gate-organization"] == road.organization.slug
    assert answer.headers["x-sso-gate-role"] == "user"
    assert answer.headers["x-sso-gate-name"] == "Jo%C3%A3o 100%25"
    assert answer.headers["x-sso-gate-groups"] == "staff,a%2Cb"


# joserfc would rather read "Ed25519" (RFC 9864); applications know "EdDSA".
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_an_application_can_verify_the_assertion_with_the_published_keys(any_road):
    published = KeySet.import_key_set(any_road.gate.client.get("/.well-known/jwks.json").raise_for_status().json())
    person = any_road.newcomer(groups=("staff",))
    with any_road.signed_in(person) as jar:
        answer = ask(any_road, Cookie=f"{SESSION}={session_of(jar)}")
    token = jwt.decode(answer.headers["x-sso-gate-assertion"], published, algorithms=["EdDSA"])
    assert token.header["alg"] == "EdDSA"
    claims = token.claims
    assert claims["iss"] == any_road.gate.origin
    assert claims["aud"] == APP_HOST
    assert claims["sub"] == answer.headers["x-sso-gate-user"]
    assert claims["email"] == person.email
    assert claims["groups"] == ["staff"]
    assert 0 < claims["exp"] - claims["iat"] <= 60
    assert abs(claims["iat"] - time.time()) < 30


def test_nobody_can_use_a_private_key_that_was_published(road):
    for key in road.gate.client.get("/.well-known/jwks.json").json()["keys"]:
        assert {"d", "k", "p", "q"} & set(key) == set()


@pytest.mark.parametrize("cookie", ["x", "org_x.y", "..", "a" * 2000, "org.\u00e9"])
def test_a_cookie_that_is_none_is_nobody(road, cookie):
    headers = {**FROM_PROXY, **PROGRAM, "Cookie": f"{SESSION}={cookie}"}
    encoded = {name: value.encode() for name, value in headers.items()}
    assert road.gate.client.get("/check", headers=encoded).status_code == 401


def test_a_cookie_that_is_sent_twice_is_nobody(road, ana):
    assert ask(road, Cookie=f"{ana['Cookie']}; {SESSION}=x", **PROGRAM).status_code == 401


def test_traefik_gets_the_applications_cookies_without_the_gates(road, ana):
    answer = ask(road, "/check?mode=traefik", Cookie=f"a=1; {ana['Cookie']}; b=2")
    assert answer.status_code == 200
    assert answer.headers["cookie"] == "a=1; b=2"
