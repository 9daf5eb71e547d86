"""Every kind of answer through the whole stack of this package's middleware, as the application puts it together."""

import json

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from sso_gate.app import _Raising
from sso_gate.errors import Conflict, InvalidInput, NotFound, Reason, Refused, Unavailable
from sso_gate.refusals import REFUSALS
from sso_gate.web.cross_origin import cross_origin_protection
from sso_gate.web.headers import CONTENT_POLICY, SecurityHeaders, login_policy
from sso_gate.web.language import Languages
from sso_gate.web.limits import BodyLimits
from sso_gate.web.logs import AccessLog
from sso_gate.web.problems import ProblemBoundary
from sso_gate.web.proxies import Proxies
from sso_gate.web.static import static_routes, static_url

SECRET = "password=hunter2"
ERRORS = {
    "refused": Refused(Reason.SEAT_RELEASED, SECRET),
    "limited": Refused(Reason.RATE_LIMITED, SECRET),
    "token": Refused(Reason.TOKEN_INVALID, SECRET),
    "unavailable": Unavailable(SECRET, retry_after_seconds=7),
    "missing": NotFound(SECRET),
    "invalid": InvalidInput("add", "expected a whole number"),
    "conflict": Conflict(SECRET),
    "bug": RuntimeError(SECRET),
}


async def _raise(request: Request) -> PlainTextResponse:
    raise ERRORS[request.path_params["kind"]]


async def _own(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(
        "ok", headers={"cache-control": "public", "content-security-policy": login_policy("https://gate.example")}
    )


async def _read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def client() -> TestClient:
    routes = [Route(f"{prefix}/raise/{{kind}}", _raise, methods=["GET", "POST"]) for prefix in ("", "/api/v1", "/sso")]
    routes += [Route(f"{prefix}/read", _read, methods=["POST"]) for prefix in ("", "/api/v1")]
    app: ASGIApp = BodyLimits(_Raising(Router([*routes, Route("/own", _own), *static_routes()])))
    app = cross_origin_protection(app, public_origin="https://gate.example")
    app = ProblemBoundary(app, refusals=REFUSALS)
    app = Languages(app)
    app = Proxies(app, trusted=())
    app = SecurityHeaders(app, https=True)
    return TestClient(AccessLog(app), base_url="https://gate.example")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("refused", 403),
        ("limited", 429),
        ("token", 401),
        ("unavailable", 503),
        ("missing", 404),
        ("invalid", 422),
        ("conflict", 409),
        ("bug", 500),
    ],
)
def test_an_error_becomes_a_page_or_a_problem_and_never_tells_its_own_text(client, kind, status):
    page, problem = client.get(f"/raise/{kind}"), client.get(f"/api/v1/raise/{kind}")
    assert (page.status_code, problem.status_code) == (status, status)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == status
    assert SECRET not in page.text + problem.text


def test_a_refusal_says_its_sentence_to_people_and_its_reason_to_programs(client):
    assert REFUSALS[Reason.SEAT_RELEASED].sentence in client.get("/raise/refused").text
    body = client.get("/api/v1/raise/refused").json()
    assert (body["reason"], body["type"]) == ("seat_released", "urn:sso-gate:problem:seat-released")


def test_a_refusal_speaks_the_language_of_the_page(client):
    assert "Su asiento se asignó a otra persona" in client.get("/raise/refused?lang=es").text


def test_our_own_trouble_says_when_to_come_back(client):
    assert client.get("/raise/unavailable").headers["retry-after"] == "7"
    assert int(client.get("/raise/limited").headers["retry-after"]) > 0


@pytest.mark.parametrize("body", [b"x" * 70_000, [b"x" * 35_000, b"x" * 35_000]], ids=["declared", "streamed"])
def test_a_body_that_is_too_large_is_told_like_every_other_error(client, body):
    headers = {"origin": "https://gate.example"}
    page, problem = client.post("/read", content=body, headers=headers), client.post("/api/v1/read", content=body)
    assert (page.status_code, problem.status_code) == (413, 413)
    assert "That was too much at once" in page.text
    assert problem.headers["content-type"] == "application/problem+json"


def test_an_invalid_field_is_named(client):
    assert client.get("/api/v1/raise/invalid").json()["field"] == "add"


def test_a_bug_is_logged_with_its_traceback_under_the_reference_that_the_page_shows(client):
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        page = client.get("/raise/bug").text
    failed = next(line for line in lines if line["event"] == "http.failed")
    assert SECRET in failed["exception"]
    assert failed["request_id"] in page


def test_a_traceback_has_no_values_of_variables_and_costs_nothing_whatever_renders_it(client, capsys):
    cookie = "of-no-business-of-the-log"
    client.get("/raise/bug", headers={"cookie": f"x={cookie}"})
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged
    assert cookie not in logged, "a renderer for terminals shows the local values of every frame"


def test_accept_json_alone_gets_json(client):
    assert client.get("/raise/missing", headers={"accept": "application/json"}).json()["status"] == 404
    assert (
        client.get("/raise/missing", headers={"accept": "text/html,application/json"})
        .headers["content-type"]
        .startswith("text/html")
    )


def test_the_404_is_the_same_bytes_and_headers_for_every_path(client):
    answers = [
        client.get(path) for path in ("/nope", "/settings/billing?a=b", "/raise/missing", "/static/nope", "/a%2F..%2Fb")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1


def test_a_wrong_method_is_said_to_be_wrong(client):
    assert client.delete("/raise/missing").status_code == 405


def test_every_answer_carries_the_security_headers(client):
    for answer in (client.get("/nope"), client.get("/raise/bug"), client.get("/api/v1/raise/token")):
        assert answer.headers["content-security-policy"] == CONTENT_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_a_handler_keeps_the_headers_that_it_set_itself(client):
    answer = client.get("/own")
    assert answer.headers["cache-control"] == "public"
    assert "form-action 'self' https:;" in answer.headers["content-security-policy"]


def test_the_policy_allows_nothing_inline_and_no_other_host():
    assert "unsafe" not in CONTENT_POLICY
    assert "default-src 'none'" in CONTENT_POLICY
    assert "form-action 'self';" in CONTENT_POLICY
    assert "form-action 'self' https: http:;" in login_policy("http://gate.localhost:8080")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_from_another_site_reaches_nothing(client, headers):
    answer = client.post("/raise/conflict", headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "https://gate.example"}, {}])
def test_a_form_of_our_own_passes(client, headers):
    assert client.post("/raise/conflict", headers=headers).status_code == 409


@pytest.mark.parametrize("path", ["/sso/raise/conflict", "/api/v1/raise/conflict"])
def test_doors_with_a_proof_of_their_own_are_exempt(client, path):
    assert (
        client.post(path, headers={"origin": "https://idp.example", "sec-fetch-site": "cross-site"}).status_code == 409
    )


def test_the_exemption_ends_at_the_segment(client):
    assert client.post("/ssox", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/checkout", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_the_access_log_names_the_route_and_not_the_path(client):
    with capture_logs() as lines:
        client.get("/raise/refused?token=geheim", headers={"cookie": "__Host-sso_gate=geheim"})
    line = next(line for line in lines if line["event"] == "http.request")
    assert line["http_route"] == "/raise/{kind}"
    assert (line["http_method"], line["http_status"], line["reason"], line["outcome"]) == (
        "GET",
        403,
        "seat_released",
        "denied",
    )
    assert "geheim" not in json.dumps(lines, default=str)


def test_a_static_file_is_kept_for_a_year_under_the_address_that_names_its_content(client):
    answer = client.get(static_url("gate.css"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert client.get("/static/gate.css").headers["cache-control"] == "public, max-age=300"
    assert client.get("/static/gate.css", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert client.get("/static/gate.css", headers={"accept-encoding": ""}).text == answer.text


@pytest.mark.parametrize("name", ["..%2Ftemplates%2Fpage.html", "gate.css%00", ".", "gate.CSS"])
def test_only_the_files_of_the_folder_are_served(client, name):
    assert client.get(f"/static/{name}").status_code == 404
