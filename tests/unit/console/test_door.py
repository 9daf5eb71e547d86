"""Who may pass the door of the settings, decided before anything else looks at the request."""

from dataclasses import dataclass

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from sso_gate.app import _Raising
from sso_gate.console.door import Door, areas_of, may_pass
from sso_gate.console.routes import console_routes
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Area, Grant, Role
from sso_gate.refusals import REFUSALS
from sso_gate.web.cross_origin import cross_origin_protection
from sso_gate.web.headers import SecurityHeaders
from sso_gate.web.language import Languages
from sso_gate.web.limits import BodyLimits
from sso_gate.web.logs import AccessLog
from sso_gate.web.problems import ProblemBoundary

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
BILLING_PATHS = (
    "/settings/billing",
    "/settings/billing/",
    "/settings/billing/seats/edit",
    "/settings/billing/seats/review?add=5",
    "/settings/billing/seats/done/ord_1",
    "/settings/billing/details",
    "/settings/billing/invoices",
    "/settings/billing/invoices/INV-2027-000001",
    "/settings/billing/invoices/INV-2027-000001.pdf",
    "/settings/billing/%2e%2e/members",
    "/settings%2Fbilling",
    "/settings/nowhere",
    "/settings//billing",
)


def member(role: Role = Role.USER, *grants: Grant) -> Member:
    return Member(
        id="mem_1",
        organization="org_1",
        email="ana@acme.example",
        name="Ana",
        listed_role=role,
        role=role,
        grants=frozenset(grants),
        state=MemberState.HELD,
        generation=1,
        locale="",
    )


@dataclass(frozen=True, slots=True)
class Visitor:
    member: Member


PEOPLE = {
    "user": member(),
    "admin": member(Role.ADMIN),
    "owner": member(Role.OWNER),
    "primary": member(Role.PRIMARY_OWNER),
    "viewer": member(Role.USER, Grant.BILLING_VIEWER),
    "auditor": member(Role.USER, Grant.AUDITOR),
}


async def signed_in(cookie: str | None) -> Visitor | None:
    return Visitor(PEOPLE[cookie]) if cookie in PEOPLE else None


async def _page(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("the page")


@pytest.fixture
def client() -> TestClient:
    paths = (
        "/settings/billing",
        "/settings/billing/seats/edit",
        "/settings/billing/seats/review",
        "/settings/billing/invoices/{number}",
        "/settings/members",
        "/",
    )
    router = Router([Route(path, _page, methods=["GET", "POST"]) for path in paths], redirect_slashes=False)
    app: ASGIApp = BodyLimits(_Raising(router), default_bytes=10)
    app = cross_origin_protection(app, public_origin="https://gate.example")
    app = Door(app, signed_in=signed_in)
    app = ProblemBoundary(app, refusals=REFUSALS)
    app = SecurityHeaders(Languages(app), https=False)
    return TestClient(AccessLog(app), base_url="https://gate.example", follow_redirects=False)


def ask(
    client: TestClient, who: str, method: str, path: str, content: bytes = b""
) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    headers = {"cookie": f"__Host-sso_gate={who}", "sec-fetch-site": "cross-site"}
    answer = client.request(method, path, headers=headers, content=content)
    return answer.status_code, answer.content, tuple(sorted(answer.headers.items()))


@pytest.mark.parametrize("who", ["user", "admin", "auditor"])
@pytest.mark.parametrize("path", BILLING_PATHS)
def test_who_may_not_open_billing_gets_the_bytes_of_a_path_that_does_not_exist(client, who, path):
    unknown = {
        method: ask(
            client, who, method, "/settings-that-never-were" if method in {"GET", "HEAD"} else "/settings/nowhere"
        )
        for method in METHODS
    }
    for method in METHODS:
        assert ask(client, who, method, path) == unknown[method]
        assert unknown[method][0] == 404


def test_the_language_of_the_404_is_all_that_differs(client):
    assert ask(client, "user", "GET", "/settings/billing?lang=es") == ask(client, "user", "GET", "/nowhere?lang=es")


def test_the_refusal_comes_before_the_size_check_and_the_cross_origin_check(client):
    assert ask(client, "user", "POST", "/settings/billing", content=b"x" * 100)[0] == 404
    assert ask(client, "owner", "POST", "/settings/billing", content=b"x" * 100)[0] == 403


@pytest.mark.parametrize("path", [*BILLING_PATHS, "/settings", "/settings/"])
@pytest.mark.parametrize("method", METHODS)
def test_signed_out_every_path_and_method_goes_to_the_login(client, method, path):
    answer = client.request(method, path, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/login?return_to=%2Fsettings")


def test_the_login_comes_back_to_the_page_with_its_query_but_not_with_a_forms_query(client):
    assert (
        client.get("/settings/billing/seats/edit?add=7").headers["location"]
        == "/login?return_to=%2Fsettings%2Fbilling%2Fseats%2Fedit%3Fadd%3D7"
    )
    assert client.post("/settings/billing?add=7").headers["location"] == "/login?return_to=%2Fsettings%2Fbilling"
    sent = client.post("/settings/billing/hold", headers={"referer": "https://gate.example/settings/billing?x=1"})
    assert sent.headers["location"] == "/login?return_to=%2Fsettings%2Fbilling%3Fx%3D1"
    sent = client.post("/settings/billing/hold", headers={"referer": "https://elsewhere.example/settings/audit"})
    assert sent.headers["location"] == "/login?return_to=%2Fsettings%2Fbilling%2Fhold"
    assert client.get("/settings/billing?x=" + "y" * 3000).headers["location"] == "/login?return_to=%2Fsettings"


@pytest.mark.parametrize("who", ["owner", "primary"])
@pytest.mark.parametrize(
    "path", ["/settings/billing", "/settings/billing/seats/edit", "/settings/billing/invoices/INV-1"]
)
def test_owners_pass(client, who, path):
    assert ask(client, who, "GET", path)[:2] == (200, b"the page")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/settings/billing", 200),
        ("HEAD", "/settings/billing", 200),
        ("GET", "/settings/billing/invoices/INV-1", 200),
        ("POST", "/settings/billing", 404),
        ("GET", "/settings/billing/seats/edit", 404),
        ("GET", "/settings/billing/seats/review", 404),
        ("POST", "/settings/billing/seats/review", 404),
        ("GET", "/settings/members", 404),
    ],
)
def test_a_billing_viewer_sees_the_home_and_the_invoices_and_changes_nothing(client, method, path, status):
    assert ask(client, "viewer", method, path)[0] == status


def test_a_path_that_only_begins_alike_is_not_behind_the_door(client):
    assert client.get("/settingsx").status_code == 404
    assert client.get("/").status_code == 200


def test_an_area_that_nobody_knows_is_closed_to_everybody():
    for who in PEOPLE.values():
        for path in ("/settings/", "/settings/secrets", "/settings/Billing", "/settings//", "/settings/billing\n"):
            assert not may_pass(who, "GET", path)


def test_viewing_is_a_list_of_pages_so_that_a_new_page_is_closed_until_it_is_listed():
    auditor = PEOPLE["auditor"]
    assert may_pass(auditor, "GET", "/settings/access/okta/tests/tst_1")
    assert may_pass(auditor, "GET", "/settings/audit/evt_1")
    assert not may_pass(auditor, "GET", "/settings/access/okta/tests/tst_1/raw")
    assert not may_pass(auditor, "GET", "/settings/members/mem_1/release")


@pytest.mark.parametrize(
    ("who", "areas"),
    [
        ("user", ()),
        ("admin", (Area.MEMBERS,)),
        ("viewer", (Area.BILLING,)),
        ("auditor", (Area.MEMBERS, Area.ACCESS, Area.AUDIT)),
        ("owner", (Area.MEMBERS, Area.BILLING, Area.ACCESS, Area.AUDIT, Area.NOTIFICATIONS, Area.DEVELOPER)),
    ],
)
def test_the_navigation_shows_only_what_opens(who, areas):
    assert areas_of(PEOPLE[who]) == areas


MANAGERS = {
    Area.MEMBERS: {"admin", "owner", "primary"},
    Area.AUDIT: {"owner", "primary", "auditor"},  # nothing of the log is changed: an export is asked for
}


@pytest.mark.parametrize(
    ("method", "path"),
    sorted(
        {
            (method, route.path)
            for route in console_routes()
            for method in route.methods or ()
            if method != "HEAD" and route.path != "/settings"
        }
    ),
)
def test_no_route_that_changes_something_opens_for_anybody_but_who_manages_its_area(method, path):
    managers = MANAGERS.get(Area(path.split("/")[2]), {"owner", "primary"})
    opens_for = {name for name, who in PEOPLE.items() if may_pass(who, method, path)}
    assert opens_for == managers if method != "GET" else opens_for >= managers


def test_the_settings_themselves_open_for_whoever_may_open_some_of_them():
    assert may_pass(PEOPLE["viewer"], "GET", "/settings")
    assert not may_pass(PEOPLE["viewer"], "POST", "/settings")
    assert not may_pass(PEOPLE["user"], "GET", "/settings")
