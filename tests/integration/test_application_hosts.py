"""An application on a host of its own, behind a real proxy with the gate's recipe: signing in there, and only there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.integration.gate import Organization, RunningGate
from tests.integration.people import SESSION, lay_road
from tests.support.browser_jar import BrowserJar
from tests.support.proxies import APP_HOST, running_proxy
from tests.support.servers import free_port, program

PROXY = next((name for name in ("caddy", "nginx") if program(name)), "caddy")
pytestmark = pytest.mark.needs(PROXY)


class _App(BaseHTTPRequestHandler):
    """Says what it was sent."""

    def do_GET(self):
        seen = json.dumps({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(seen.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def house(tmp_path_factory, _samlp_server, oidc_provider):
    port = free_port()
    app = ThreadingHTTPServer(("127.0.0.1", 0), _App)
    threading.Thread(target=app.serve_forever).start()
    gate = RunningGate(RETURN_HOSTS=f"{APP_HOST}:{port},other.localhost:1")
    upstreams = {"gate_upstream": f"127.0.0.1:{gate.port}", "app_upstream": f"127.0.0.1:{app.server_port}"}
    folder = tmp_path_factory.mktemp("proxy")
    with running_proxy(PROXY, folder=folder, port=port, **upstreams) as url:
        road = lay_road(gate, _samlp_server, oidc_provider, Organization(seats=100))
        yield SimpleNamespace(url=url, gate=gate, road=road)
    gate.close()
    app.shutdown()
    app.server_close()


def enter(house, jar, person, path="/reports?year=2026"):
    """Open a page of the application, sign in by SAML where the road leads there, and return the page at the end."""
    page = jar.follow(jar.get(house.url + path), stop_before=house.road.saml_idp.url, or_end=True)
    if page.location:
        form = house.road.saml_idp.login(person, page.location, jar=jar)
        page = jar.follow(jar.submit(form))
    elif page.status == 200 and "/login/" in page.text:
        address = f"{house.gate.origin}/login/{house.road.organization.saml}?{urlsplit(page.url).query}"
        form = house.road.saml_idp.login(person, jar.get(address).location, jar=jar)
        page = jar.follow(jar.submit(form))
    return page


def test_a_login_that_began_at_an_application_ends_there_with_a_cookie_of_that_host(house, browser_jar):
    person = house.road.newcomer()
    page = enter(house, browser_jar, person)
    assert page.url == f"{house.url}/reports?year=2026"
    seen = page.json()
    assert seen["path"] == "/reports?year=2026"
    assert seen["headers"]["x-sso-gate-email"] == person.email
    assert seen["headers"].get("x-sso-gate-assertion", "").count(".") == 2
    assert SESSION not in seen["headers"].get("cookie", "")
    here, there = browser_jar.cookie(SESSION, APP_HOST), browser_jar.cookie(SESSION, "gate.localhost")
    assert here
    assert there
    assert here.value != there.value
    assert (here.secure, here.http_only, here.same_site, here.domain) == (True, True, "lax", "")


def test_the_cookie_of_an_applications_host_is_worth_nothing_elsewhere(house, browser_jar):
    enter(house, browser_jar, house.road.newcomer())
    cookie = {"Cookie": f"{SESSION}={browser_jar.cookie(SESSION, APP_HOST).value}", "Accept": "application/json"}
    asked = {"X-Forwarded-Host": urlsplit(house.url).netloc, "X-Forwarded-Proto": "http"}
    assert house.gate.client.get("/check", headers={**cookie, **asked}).status_code == 200
    assert (
        house.gate.client.get("/check", headers={**cookie, "X-Forwarded-Host": "other.localhost:1"}).status_code == 401
    )
    assert house.gate.client.get("/check", headers=cookie).status_code == 401
    assert house.gate.client.get("/", headers=cookie).status_code == 302
    assert house.gate.client.get("/settings/billing", headers=cookie).status_code == 302


def test_whoever_is_signed_in_at_the_gate_enters_the_application_without_a_second_login(house, browser_jar):
    person = house.road.newcomer()
    house.road.saml_login(browser_jar, person)
    page = browser_jar.follow(browser_jar.get(f"{house.url}/"))
    assert page.json()["headers"]["x-sso-gate-email"] == person.email


def ticket_for(house, jar, person):
    """Return the address with the ticket, not opened."""
    house.road.saml_login(jar, person)
    page = jar.follow(jar.get(f"{house.url}/"), stop_before=f"{house.url}/.sso-gate/finish")
    return page.location


def test_a_ticket_is_used_once(house, browser_jar):
    address = ticket_for(house, browser_jar, house.road.newcomer())
    assert browser_jar.get(address).status == 303
    page = browser_jar.get(address)
    assert page.status == 400
    assert "location" not in page.headers


def test_a_ticket_is_worth_nothing_in_another_browser(house, browser_jar):
    address = ticket_for(house, browser_jar, house.road.newcomer())
    with BrowserJar() as victim:
        victim.get(f"{house.url}/.sso-gate/start?return_to={house.url}/")
        assert victim.get(address).status == 400
        assert victim.cookie(SESSION, APP_HOST) is None


def test_a_ticket_is_worth_nothing_on_another_host(house, browser_jar):
    address = urlsplit(ticket_for(house, browser_jar, house.road.newcomer()))
    start = browser_jar.cookie("__Host-sso_gate_start", APP_HOST)
    headers = {"X-Forwarded-Host": "other.localhost:1", "Cookie": f"{start.name}={start.value}"}
    answer = house.gate.client.get(f"{address.path}?{address.query}", headers=headers)
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


def test_the_paths_of_an_applications_host_do_not_exist_on_the_gates_own(house):
    for path in ("/.sso-gate/start", "/.sso-gate/finish?ticket=x"):
        for host in (house.gate.host, "evil.example"):
            assert house.gate.client.get(path, headers={"Host": host}).status_code == 404, (path, host)


def test_a_start_never_leads_to_a_page_of_another_host(house, browser_jar):
    page = browser_jar.get(f"{house.url}/.sso-gate/start?return_to=https://evil.example/")
    assert page.status == 302
    assert page.location.startswith(f"{house.gate.origin}/login?")
    assert "evil" not in page.location


def test_logging_out_at_the_gate_ends_the_sessions_on_application_hosts(house, browser_jar):
    enter(house, browser_jar, house.road.newcomer())
    cookie = browser_jar.cookie(SESSION, APP_HOST).value
    browser_jar.post(f"{house.gate.origin}/logout", {}, initiator=f"{house.gate.origin}/")
    answer = httpx2.get(
        house.url.replace(APP_HOST, "127.0.0.1"),
        headers={"Host": urlsplit(house.url).netloc, "Cookie": f"{SESSION}={cookie}", "Accept": "application/json"},
    )
    assert answer.status_code == 401


def test_logging_out_on_an_applications_host_ends_the_session_at_the_gate_too(house, browser_jar):
    enter(house, browser_jar, house.road.newcomer())
    page = browser_jar.post(f"{house.url}/.sso-gate/logout", {}, initiator=f"{house.url}/")
    assert page.status == 303
    assert browser_jar.cookie(SESSION, APP_HOST) is None
    assert browser_jar.get(f"{house.gate.origin}/").status == 302


def test_a_released_seat_closes_the_application_at_once(house, browser_jar):
    person = house.road.newcomer()
    enter(house, browser_jar, person)
    slug = house.road.organization.slug
    assert house.gate.run("members", "release-seat", person.email, "--org", slug, "--yes").code == 0
    page = browser_jar.get(f"{house.url}/")
    assert page.status in {302, 303}
    assert page.location
