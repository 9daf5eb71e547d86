"""Billing is not there for whoever may not open it: the same bytes as a path that does not exist, for every method."""

import pytest

from tests.integration.people import SESSION, session_of

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BILLING = [
    "/settings/billing",
    "/settings/billing/",
    "/settings/billing/seats/edit",
    "/settings/billing/seats/review",
    "/settings/billing/invoices",
    "/settings/billing/invoices/X-1",
    "/settings/billing/invoices/X-1.pdf",
    "/settings/billing/invoices/document.css",
    "/settings/billing/no-such-page",
]
VIEWED = {"/settings/billing", "/settings/billing/invoices"}
UNKNOWN = "/no-such-path"
HEADERS_OF_AN_ANSWER = {"date", "x-request-id"}


@pytest.fixture(scope="module")
def cookies(road):
    """The session cookie of one person of each kind."""
    names = {
        "user": "somebody",
        "admin": "admin",
        "viewer": "viewer",
        "auditor": "auditor",
        "owner": "listed-owner",
        "primary owner": "owner",
    }
    found = {}
    for kind, name in names.items():
        with road.signed_in(road.person(name)) as jar:
            found[kind] = f"{SESSION}={session_of(jar)}"
    return found


def answer(road, method, path, **headers):
    found = road.gate.client.request(method, path, headers={"Host": road.gate.host, **headers})
    shown = {name: value for name, value in found.headers.items() if name not in HEADERS_OF_AN_ANSWER}
    return found.status_code, shown, found.content


@pytest.mark.parametrize("kind", ["user", "admin", "auditor"])
@pytest.mark.parametrize("path", BILLING)
def test_billing_is_a_path_that_does_not_exist_byte_for_byte(road, cookies, kind, path):
    for method in METHODS:
        unknown = answer(road, method, UNKNOWN, Cookie=cookies[kind])
        assert unknown[0] == 404
        assert answer(road, method, path, Cookie=cookies[kind]) == unknown, method


@pytest.mark.parametrize("path", [path for path in BILLING if path not in VIEWED])
def test_a_billing_viewer_sees_no_more_than_the_home_and_the_invoices(road, cookies, path):
    for method in METHODS:
        if method in {"GET", "HEAD"} and "/invoices/" in path:
            continue  # a number that no invoice has is a 404 of its own
        unknown = answer(road, method, UNKNOWN, Cookie=cookies["viewer"])
        assert answer(road, method, path, Cookie=cookies["viewer"]) == unknown, method


@pytest.mark.parametrize("path", sorted(VIEWED))
def test_a_billing_viewer_may_look_and_change_nothing(road, cookies, path):
    assert answer(road, "GET", path, Cookie=cookies["viewer"])[0] == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        unknown = answer(road, method, UNKNOWN, Cookie=cookies["viewer"])
        assert answer(road, method, path, Cookie=cookies["viewer"]) == unknown, method


@pytest.mark.parametrize("kind", ["user", "admin", "auditor", "viewer"])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, b""),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"x" * 200_000),
        ({"Accept": "application/json"}, b""),
    ],
    ids=["from another site", "much too large", "wants JSON"],
)
def test_neither_origin_nor_size_nor_form_tells_the_two_apart(road, cookies, kind, headers, body):
    found = []
    for path in (UNKNOWN, "/settings/billing/seats/review"):
        sent = {"Host": road.gate.host, "Cookie": cookies[kind], **headers}
        response = road.gate.client.post(path, content=body, headers=sent)
        shown = {name: value for name, value in response.headers.items() if name not in HEADERS_OF_AN_ANSWER}
        found.append((response.status_code, shown, response.content))
    assert found[0] == found[1]
    assert found[0][0] == 404


@pytest.mark.parametrize("kind", ["owner", "primary owner"])
def test_owners_open_billing(road, cookies, kind):
    for path in ("/settings/billing", "/settings/billing/seats/edit", "/settings/billing/invoices"):
        assert answer(road, "GET", path, Cookie=cookies[kind])[0] == 200, path


@pytest.mark.parametrize("path", ["/settings", *BILLING, "/settings/members", "/settings/audit", "/settings/nothing"])
def test_signed_out_every_path_under_settings_leads_to_the_login(road, path):
    for method in METHODS:
        status, headers, _ = answer(road, method, path)
        assert status == 302, method
        assert headers["location"].startswith("/login?return_to="), method


def test_a_path_that_only_begins_like_the_settings_does_not_exist(road):
    assert answer(road, "GET", "/settingsx")[0] == 404


@pytest.mark.parametrize(
    ("area", "kinds"),
    [
        ("members", {"admin", "owner", "primary owner", "auditor"}),
        ("access", {"owner", "primary owner", "auditor"}),
        ("audit", {"owner", "primary owner", "auditor"}),
        ("notifications", {"owner", "primary owner"}),
        ("developer", {"owner", "primary owner"}),
    ],
)
def test_every_area_is_open_to_exactly_those_of_the_table(road, cookies, area, kinds):
    opened = {
        kind for kind, cookie in cookies.items() if answer(road, "GET", f"/settings/{area}", Cookie=cookie)[0] == 200
    }
    assert opened == kinds
