"""Each proxy's recipe, run by the proxy itself: who passes, what the application sees, what the browser is told.

The gate's side is a small server that answers as the forward-auth table says, so that the recipes are tried with
answers that a healthy gate gives seldom.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from tests.support.proxies import APP_HOST, COMMANDS, IDENTITY_HEADERS, running_proxy
from tests.support.servers import free_port

LOGIN = "http://gate.localhost:8080/login?return_to=x"
DENIED = "http://gate.localhost:8080/denied/ticket"
GOOD = "__Host-sso_gate=good"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


class _Quiet(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, headers=(), body=b""):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Gate(_Quiet):
    """Answers /check by the cookie's word, and says what it was asked at /.sso-gate/."""

    def handle_any(self):
        self.server.asked.append((self.path, dict(self.headers)))
        if not self.path.startswith("/check"):
            return self.answer(200, body=b"gate")
        cookies = self.headers.get("Cookie", "")
        word = cookies.partition("__Host-sso_gate=")[2].partition(";")[0]
        nginx = "mode=nginx" in self.path
        mode, accept = self.headers.get("Sec-Fetch-Mode", ""), self.headers.get("Accept", "")
        browser = mode == "navigate" or (not mode and "text/html" in accept)
        return self.answer(*self.verdict(word, nginx=nginx, browser=browser, cookies=cookies))

    def verdict(self, word, *, nginx, browser, cookies):
        if word == "good":
            identity = [(name, "ana" if name.endswith("User") else "") for name in IDENTITY_HEADERS]
            rest = "; ".join(c for c in cookies.split("; ") if not c.startswith("__Host-sso_gate"))
            return 200, identity + ([("Cookie", rest)] if "mode=traefik" in self.path and rest else [])
        if word == "trouble":
            return (403, [("X-SSO-Gate-Reason", "unavailable")]) if nginx else (503, [])
        status, where = (303, DENIED) if word == "refused" else (302, LOGIN)
        if nginx:
            return 403 if word == "refused" else 401, [("X-SSO-Gate-Location", where)]
        if not browser:
            return 403 if word == "refused" else 401, []
        return status, [("Location", where)]

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls


class _App(_Quiet):
    """Says what it was sent."""

    def handle_any(self):
        seen = json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers)}).encode()
        self.answer(200, [("Content-Type", "application/json")], seen)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls


class _Server(ThreadingHTTPServer):
    """Keeps the requests that its handler writes down."""

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.asked = []


@contextmanager
def serving(handler):
    server = _Server(handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Road:
    """A browser's and a program's way through one proxy."""

    def __init__(self, url, gate):
        self.url, self.gate = url, gate
        self.port = int(url.rpartition(":")[2])

    def send(self, path="/", method="GET", cookie="", **headers):
        sent = {"Host": f"{APP_HOST}:{self.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if cookie:
            sent["Cookie"] = cookie
        return httpx2.request(method, f"http://127.0.0.1:{self.port}{path}", headers=sent, timeout=10)


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.needs(name)) for name in COMMANDS])
def road(request, tmp_path_factory):
    with serving(_Gate) as gate, serving(_App) as app:
        upstreams = {"gate_upstream": f"127.0.0.1:{gate.server_port}", "app_upstream": f"127.0.0.1:{app.server_port}"}
        folder = tmp_path_factory.mktemp(request.param)
        with running_proxy(request.param, folder=folder, port=free_port(), **upstreams) as url:
            yield _Road(url, gate)


def test_somebody_signed_in_reaches_the_application_as_who_they_are(road):
    seen = road.send("/deep/link?x=1", cookie=GOOD).json()
    assert seen["path"] == "/deep/link?x=1"
    assert {name.lower(): value for name, value in seen["headers"].items()}["x-sso-gate-user"] == "ana"


def test_the_check_hears_the_original_host_path_and_method_from_the_proxy_alone(road):
    road.send(
        "/deep/link?x=1",
        cookie=GOOD,
        X_Forwarded_Host="evil.example",
        X_Forwarded_Uri="/evil",
        X_Forwarded_Proto="https",
        X_Forwarded_For="192.0.2.66",
        X_Forwarded_Method="EVIL",
        Forwarded="host=evil.example",
    )
    path, headers = next((p, h) for p, h in reversed(road.gate.asked) if p.startswith("/check"))
    heard = {name.lower(): value for name, value in headers.items()}
    assert heard["x-forwarded-host"] == f"{APP_HOST}:{road.port}"
    assert heard["x-forwarded-uri"] == "/deep/link?x=1"
    assert heard["x-forwarded-proto"] == "http"
    assert heard["x-forwarded-method"] == "GET"
    assert heard["x-forwarded-for"] == "127.0.0.1"
    assert "evil" not in json.dumps([path, heard]).lower()


def test_a_client_cannot_choose_the_checks_mode(road):
    # Envoy appends the whole original path with its query; the gate takes a mode at /check alone.
    road.send("/?mode=nginx&mode=evil", cookie=GOOD)
    path = next(path for path, _ in reversed(road.gate.asked) if path.startswith("/check"))
    assert path.startswith("/check/") or path in {"/check", "/check?mode=nginx", "/check?mode=traefik"}


def test_the_application_sees_no_cookie_of_the_gate_and_all_others(road):
    cookie = f"a=1; {GOOD}; b=2; __Host-sso_gate_login=x; c=3"
    headers = {name.lower(): value for name, value in road.send(cookie=cookie).json()["headers"].items()}
    assert headers["cookie"].rstrip("; ") == "a=1; b=2; c=3"


def test_the_application_sees_nothing_of_a_cookie_that_is_the_gates_alone(road):
    headers = {name.lower(): value for name, value in road.send(cookie=GOOD).json()["headers"].items()}
    assert headers.get("cookie", "") == ""


@pytest.mark.parametrize("name", IDENTITY_HEADERS)
def test_a_forged_identity_header_never_reaches_the_application(road, name):
    seen = road.send(cookie=GOOD, **{name.replace("-", "_"): "evil"}).json()["headers"]
    assert "evil" not in seen.values()


def test_a_forged_identity_header_in_any_spelling_never_reaches_the_application(road):
    response = httpx2.get(
        f"http://127.0.0.1:{road.port}/",
        headers=[
            ("Host", f"{APP_HOST}:{road.port}"),
            ("Cookie", GOOD),
            ("x-sso-gate-role", "evil"),
            ("X-Sso-Gate-Role", "evil"),
        ],
    )
    assert "evil" not in json.dumps(response.json())


@pytest.mark.parametrize("name", ["X_SSO_Gate_Role", "x-sso_gate-role", "X-SSO-Gate_Assertion", "X.SSO-Gate.Role"])
def test_no_identity_header_comes_by_a_name_that_an_application_takes_for_it(road, name):
    # CGI, WSGI and PHP read all of them as HTTP_X_SSO_GATE_...
    headers = [("Host", f"{APP_HOST}:{road.port}"), ("Cookie", GOOD), (name, "evil")]
    seen = httpx2.get(f"http://127.0.0.1:{road.port}/", headers=headers).json()["headers"]
    assert "evil" not in seen.values()
    assert "ana" in seen.values()


def test_a_browser_that_is_not_signed_in_is_sent_to_the_login(road):
    answer = road.send(**BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (302, LOGIN)


def test_an_old_browser_without_fetch_metadata_is_known_by_what_it_accepts(road):
    assert road.send(Accept="text/html,*/*;q=0.8").headers["location"] == LOGIN


def test_a_program_that_is_not_signed_in_gets_401(road):
    answer = road.send("/api", Accept="application/json")
    assert answer.status_code == 401
    assert "location" not in answer.headers


def test_a_browser_that_was_refused_is_sent_to_the_denied_page(road):
    answer = road.send(cookie="__Host-sso_gate=refused", **BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, DENIED)


def test_a_program_that_was_refused_gets_403(road):
    assert road.send(cookie="__Host-sso_gate=refused", Accept="application/json").status_code == 403


def test_our_own_trouble_lets_nobody_in(road):
    assert road.send(cookie="__Host-sso_gate=trouble", **BROWSER).status_code in {403, 500, 502, 503}


def test_the_gates_own_paths_on_the_applications_host_are_the_gates_without_a_check(road):
    assert road.send("/.sso-gate/finish?ticket=x").text == "gate"
    path, headers = road.gate.asked[-1]
    assert path == "/.sso-gate/finish?ticket=x"
    assert {name.lower(): value for name, value in headers.items()}["x-forwarded-host"] == f"{APP_HOST}:{road.port}"


def test_a_path_that_only_looks_like_the_gates_is_checked(road):
    for path in ("/.sso-gate/../secret", "/.sso-gate%2f..%2fsecret", "/x/.sso-gate/finish", "/.sso-gate"):
        answer = road.send(path, Accept="application/json")
        assert answer.status_code in {301, 307, 308, 400, 401, 404} or answer.text == "gate", (path, answer.status_code)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_every_method_is_checked_and_passes_with_its_body(road, method):
    assert road.send("/api", method, Accept="application/json").status_code == 401
    assert road.send("/api", method, cookie=GOOD).json()["method"] == method


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in COMMANDS])
def test_without_a_gate_nobody_enters(name, tmp_path):
    with serving(_App) as app:
        upstreams = {"gate_upstream": f"127.0.0.1:{free_port()}", "app_upstream": f"127.0.0.1:{app.server_port}"}
        with running_proxy(name, folder=tmp_path, port=free_port(), **upstreams) as url:
            answer = _Road(url, None).send(cookie=GOOD)
    expected = {"nginx": 500, "traefik": 500, "caddy": 502, "envoy": 403}
    assert answer.status_code == expected[name]
