"""The demonstration's proxy lets through what the gate passes, tells the application who it is, and else closes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sso_gate.demo.proxy import LONGEST_BODY_BYTES, create_proxy_app
from sso_gate.demo.servers import LOOPBACK, bind, port_of
from tests.unit.demo.serve import served

ANY = ["GET", "POST", "PUT", "HEAD"]


@dataclass
class Upstreams:
    """A gate that answers what the test says, and an application that tells what it was asked."""

    verdict: Response = field(default_factory=lambda: Response(b"", 200))
    checks: list[Request] = field(default_factory=list)
    app_requests: list[Request] = field(default_factory=list)

    def gate(self) -> Starlette:
        async def check(request: Request) -> Response:
            self.checks.append(request)
            return self.verdict

        async def own(request: Request) -> Response:
            answer = JSONResponse({"gate": str(request.url.path), "headers": dict(request.headers)})
            answer.set_cookie("__Host-sso_gate", "first", secure=True)
            answer.set_cookie("__Host-sso_gate_start", "second", secure=True)
            return answer

        return Starlette(
            routes=[Route("/check", check, methods=ANY), Route("/.sso-gate/{rest:path}", own, methods=ANY)]
        )

    def application(self) -> Starlette:
        async def echo(request: Request) -> Response:
            self.app_requests.append(request)
            body = await request.body()
            told = {
                "method": request.method,
                "path": request.scope["raw_path"].decode(),
                "query": request.url.query,
                "headers": dict(request.headers),
                "body": body.decode(),
            }
            return JSONResponse(told)

        async def stream(_request: Request) -> Response:
            async def parts():
                for number in range(3):
                    yield f"part {number}\n"

            return StreamingResponse(parts(), headers={"X-Twice": "a"})

        return Starlette(routes=[Route("/stream", stream), Route("/{path:path}", echo, methods=ANY)])


@dataclass(frozen=True)
class Front:
    upstreams: Upstreams
    host: str
    address: str

    def ask(self, path: str = "/", *, method: str = "GET", **options):
        headers = httpx2.Headers(options.pop("headers", []))
        headers.setdefault("Host", self.host)
        with httpx2.Client() as client:
            target = {"target": path.encode()}  # as it is: a URL would be put in order first
            return client.send(
                client.build_request(method, self.address, headers=headers, extensions=target, **options)
            )


@pytest.fixture
def front(served_front: Front) -> Front:
    """The proxy before a gate that passes, neither of which has been asked anything yet."""
    upstreams = served_front.upstreams
    upstreams.verdict = Response(b"", 200)
    upstreams.checks.clear()
    upstreams.app_requests.clear()
    return served_front


@pytest.fixture(scope="module")
def served_front() -> Iterator[Front]:
    upstreams, sockets = Upstreams(), [bind(0), bind(0), bind(0)]
    gate, application, address = (f"http://{LOOPBACK}:{port_of(socket)}" for socket in sockets)
    host = f"app.localhost:{port_of(sockets[2])}"
    proxy = create_proxy_app(gate=gate, application=application, host=host)
    with served(list(zip([upstreams.gate(), upstreams.application(), proxy], sockets, strict=True))):
        yield Front(upstreams, host, address)


def test_a_pass_opens_the_way_and_brings_who_it_is(front):
    front.upstreams.verdict = Response(b"", 200, {"X-SSO-Gate-User": "mem_1", "X-SSO-Gate-Name": "Carla G%C3%B3mez"})
    told = front.ask("/deep/page%20one?a=1&b=%2F").json()
    assert told["headers"]["x-sso-gate-user"] == "mem_1"
    assert told["headers"]["x-sso-gate-name"] == "Carla G%C3%B3mez"
    assert (told["path"], told["query"]) == ("/deep/page%20one", "a=1&b=%2F")


def test_the_check_learns_what_the_browser_asked_for(front):
    front.ask(
        "/deep?x=1", method="POST", content=b"secret", headers=[("Cookie", "c=1"), ("Sec-Fetch-Mode", "navigate")]
    )
    (asked,) = front.upstreams.checks
    assert asked.method == "GET"
    forwarded = {name: asked.headers.get(f"x-forwarded-{name}") for name in ("method", "proto", "host", "uri", "for")}
    assert forwarded == {"method": "POST", "proto": "http", "host": front.host, "uri": "/deep?x=1", "for": LOOPBACK}
    assert (asked.headers["cookie"], asked.headers["sec-fetch-mode"]) == ("c=1", "navigate")


@pytest.mark.parametrize("name", ["X-SSO-Gate-User", "x-sso-gate-role", "X_SSO_Gate_User", "X-SSO-Gate-Unheard-Of"])
def test_what_a_client_claims_to_be_reaches_neither_gate_nor_application(front, name):
    front.ask(headers=[(name, "evil")])
    (asked,), (told,) = front.upstreams.checks, front.upstreams.app_requests
    assert "evil" not in str(asked.headers.raw)
    assert "evil" not in str(told.headers.raw)


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Forwarded-Method", "Forwarded"],
)
def test_what_a_client_forwards_is_replaced(front, name):
    front.ask(headers=[(name, "evil.example"), (name, "evil.example")])
    for request in (*front.upstreams.checks, *front.upstreams.app_requests):
        assert "evil.example" not in str(request.headers.raw)


def test_a_header_that_the_client_names_in_connection_cannot_take_away_what_the_gate_says(front):
    front.upstreams.verdict = Response(b"", 200, {"X-SSO-Gate-User": "mem_1"})
    told = front.ask(headers=[("Connection", "keep-alive, X-SSO-Gate-User, X-Forwarded-Host")]).json()
    assert told["headers"]["x-sso-gate-user"] == "mem_1"
    assert told["headers"]["x-forwarded-host"] == front.host


def test_the_gates_cookies_stay_at_the_proxy_and_the_applications_own_pass(front):
    cookies = "mine=1; __Host-sso_gate=secret;  __Host-sso_gate_start=secret; theirs=2"
    told = front.ask(headers=[("Cookie", cookies)]).json()
    assert told["headers"]["cookie"] == "mine=1; theirs=2"
    assert front.upstreams.checks[0].headers["cookie"] == cookies


def test_without_other_cookies_the_application_gets_no_cookie_header(front):
    assert "cookie" not in front.ask(headers=[("Cookie", "__Host-sso_gate=secret")]).json()["headers"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, {"Location": "http://gate.localhost:8080/login"}),
        (303, {"Location": "http://gate.localhost:8080/denied/t"}),
        (401, {"Content-Type": "application/problem+json"}),
        (403, {"Content-Type": "application/problem+json"}),
        (503, {"Retry-After": "2"}),
    ],
)
def test_every_other_answer_of_the_gate_is_the_browsers_and_the_application_hears_nothing(front, status, headers):
    front.upstreams.verdict = Response(b'{"a":1}', status, headers)
    answer = front.ask()
    assert (answer.status_code, answer.content) == (status, b'{"a":1}')
    assert {name: answer.headers[name] for name in headers} == headers
    assert not front.upstreams.app_requests


@pytest.mark.parametrize("status", [201, 202, 204, 206, 304, 307, 400, 404, 500, 502])
def test_an_answer_that_no_check_gives_closes(front, status):
    front.upstreams.verdict = Response(b"", status)
    answer = front.ask()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert not front.upstreams.app_requests


def test_a_gate_that_does_not_answer_closes():
    front_socket, app_socket = bind(0), bind(0)
    upstreams, host = Upstreams(), f"app.localhost:{port_of(front_socket)}"
    nobody = bind(0)
    gate = f"http://{LOOPBACK}:{port_of(nobody)}"
    nobody.close()
    proxy = create_proxy_app(gate=gate, application=f"http://{LOOPBACK}:{port_of(app_socket)}", host=host)
    with served([(proxy, front_socket), (upstreams.application(), app_socket)]):
        front = Front(upstreams, host, f"http://{LOOPBACK}:{port_of(front_socket)}")
        answer = front.ask(headers=[("Accept-Language", "pt-BR")])
        assert answer.status_code == 503
        assert "O portão não responde" in answer.text
    assert not upstreams.app_requests


def test_the_gates_own_paths_go_to_the_gate_without_a_check_and_its_cookies_arrive(front):
    answer = front.ask("/.sso-gate/start?return_to=%2F", headers=[("X-SSO-Gate-User", "evil")])
    assert answer.json()["gate"] == "/.sso-gate/start"
    assert answer.json()["headers"]["x-forwarded-host"] == front.host
    assert "x-sso-gate-user" not in answer.json()["headers"]
    assert [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")] == [
        "__Host-sso_gate",
        "__Host-sso_gate_start",
    ]
    assert not front.upstreams.checks


@pytest.mark.parametrize("path", ["/.sso-gate", "/x/../.sso-gate/start", "/%2esso-gate/start", "//.sso-gate/start"])
def test_what_only_looks_like_the_gates_path_is_checked(front, path):
    front.upstreams.verdict = Response(b"", 403)
    assert front.ask(path).status_code == 403


@pytest.mark.parametrize("path", ["/a/../b", "/a//b", "/a%2Fb?x=%2e%2e", "/a/./b"])
def test_the_application_is_asked_for_exactly_what_was_checked(front, path):
    told = front.ask(path).json()
    assert front.upstreams.checks[0].headers["x-forwarded-uri"] == path
    assert told["path"] + ("?" + told["query"] if told["query"] else "") == path


def test_another_host_name_is_not_served(front):
    assert front.ask(headers=[("Host", "evil.example")]).status_code == 421
    assert not front.upstreams.checks


def test_bodies_pass_both_ways(front):
    told = front.ask("/form", method="POST", data={"a": "b"}).json()
    assert (told["method"], told["body"]) == ("POST", "a=b")
    streamed = front.ask("/stream")
    assert (streamed.text, streamed.headers["x-twice"]) == ("part 0\npart 1\npart 2\n", "a")


def test_a_body_without_end_is_refused(front):
    assert front.ask("/form", method="POST", content=b"x" * (LONGEST_BODY_BYTES + 1)).status_code == 413
    assert not front.upstreams.app_requests


def test_bytes_that_are_no_ascii_do_not_open_anything(front):
    answer = front.ask(headers=[(b"Cookie", "a=ü".encode("latin-1"))])
    assert answer.status_code == 200
    assert json.loads(answer.content)["headers"]["cookie"] == "a=ü"
