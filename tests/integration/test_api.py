"""The JSON API as a program meets it: tokens and scopes, quotes and orders, invoices, members, the audit log."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import SCOPES
from tests.support.browser_jar import BrowserJar

SCOPE_OF = {
    "seats": "seats:read",
    "invoices": "billing:read",
    "members": "members:read",
    "audit-events": "audit:read",
}


@pytest.fixture
def shop(gate, lay):
    """An organization of its own, to buy seats for."""
    return lay(gate, Organization(seats=2))


@pytest.fixture(params=["gate", "big_gate"])
def any_shop(request, lay):
    """The same on each gate."""
    return lay(request.getfixturevalue(request.param), Organization(seats=2))


def problem(answer, status, reason):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["reason"]) == (status, reason)
    assert {"type", "title"} <= set(body)
    return body


@pytest.mark.parametrize("path", sorted(SCOPE_OF))
def test_without_a_token_nothing_is_said(road, path):
    answer = road.gate.client.get(f"/api/v1/{path}")
    problem(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Bearer sgt_wrong", "bearer x", f"Bearer {'x' * 3000}"])
def test_a_token_that_is_none_opens_nothing(road, value):
    problem(road.gate.client.get("/api/v1/seats", headers={"Authorization": value}), 401, "token_invalid")


@pytest.mark.parametrize("value", ["", "Basic eDp5", "Bearer", "Bearer  "])
def test_another_scheme_is_no_token(road, value):
    problem(road.gate.client.get("/api/v1/seats", headers={"Authorization": value}), 401, "token_missing")


def test_a_token_opens_what_its_scopes_name_and_nothing_else(road):
    reader = Api(road.gate, road.gate.token(road.organization, "seats:read"))
    assert reader.get("seats").status_code == 200
    for path in set(SCOPE_OF) - {"seats"}:
        problem(reader.get(path), 403, "insufficient_scope")
    problem(reader.post("seat-quotes", {"add": 1}), 403, "insufficient_scope")
    problem(reader.post("seat-orders", {"quote_id": "x"}, Idempotency_Key="k"), 403, "insufficient_scope")


def test_a_revoked_token_opens_nothing(shop):
    slug = shop.organization.slug
    secret = shop.gate.token(shop.organization, "seats:read")
    listed = shop.gate.run("token", "list", "--org", slug, "--json").json()
    assert shop.gate.run("token", "revoke", listed[-1]["id"], "--org", slug, "--yes").code == 0
    problem(Api(shop.gate, secret).get("seats"), 401, "token_invalid")


def test_a_token_of_one_organization_sees_nothing_of_another(road, shop):
    emails = {row["email"] for row in shop.api.get("members").json()["data"]}
    assert emails == {shop.organization.owner}
    invoice = shop.api.get("invoices").json()["data"][0]["number"]
    assert road.api.get(f"invoices/{invoice}").status_code in {200, 404}
    mine = {row["number"]: row["gross"] for row in road.api.get("invoices").json()["data"]}
    theirs = {row["number"]: row["gross"] for row in shop.api.get("invoices").json()["data"]}
    assert mine != theirs


def test_seats_say_where_they_are_at_one_instant(any_shop):
    numbers = any_shop.api.seats()
    assert numbers.pop("as_of").endswith("Z")
    assert numbers == {"purchased": 2, "in_use": 1, "reserved": 0, "available": 1, "waiting": 0}


def test_a_quote_has_exact_amounts_and_buys_nothing(any_shop):
    answer = any_shop.api.post("seat-quotes", {"add": 5})
    assert answer.status_code in {200, 201}
    quote = answer.json()
    assert quote["id"].startswith("quo_")
    assert quote["digest"]
    assert quote["expires_at"]
    for name in ("net", "tax", "gross"):
        assert set(quote[name]) == {"amount", "currency"}
        assert type(quote[name]["amount"]) is int
        assert quote[name]["currency"] == "USD"
    assert quote["gross"]["amount"] == quote["net"]["amount"] + quote["tax"]["amount"]
    line = quote["lines"][0]
    assert line["seats"] == 5
    assert quote["net"]["amount"] == 5 * 2000 * int(line["months"])
    assert any_shop.api.seats()["purchased"] == 2


@pytest.mark.parametrize("add", [0, -1, "5", 1.5, None, True, 10**12])
def test_a_number_of_seats_that_is_none_is_refused(road, add):
    answer = road.api.post("seat-quotes", {"add": add})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"add": 1, "more": 2}', b"[" * 50_000])
def test_a_body_that_is_none_is_refused(road, body):
    answer = road.gate.client.post("/api/v1/seat-quotes", content=body, headers=road.api._bearer)
    assert answer.status_code == 422


def test_an_order_is_the_quote_to_the_cent_and_its_seats_are_there_at_once(any_shop):
    quote = any_shop.api.post("seat-quotes", {"add": 3}).json()
    answer = any_shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key="first")
    assert answer.status_code == 201
    invoice = answer.json()
    assert {name: invoice[name] for name in ("net", "tax", "gross")} == {
        name: quote[name] for name in ("net", "tax", "gross")
    }
    assert any_shop.api.seats()["purchased"] == 5
    listed = any_shop.api.get("invoices").json()
    assert listed["data"][0]["number"] == invoice["number"]
    assert {"number", "kind", "issued_on", "due_on", "status", "lines", "net", "tax", "gross"} <= set(listed["data"][0])
    assert {"seats", "months", "unit_price", "net"} <= set(listed["data"][0]["lines"][0])
    event = any_shop.api.events(action="seat.limit.change")[-1]
    assert event["actor"]["type"] == "api_token"
    assert event["seat"]["limit"] == 5


def test_the_same_order_again_is_the_same_answer_and_no_second_invoice(any_shop):
    quote = any_shop.api.post("seat-quotes", {"add": 3}).json()
    answers = [
        any_shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key="again").json() for _ in range(3)
    ]
    assert answers[0]["number"] == answers[1]["number"] == answers[2]["number"]
    assert any_shop.api.seats()["purchased"] == 5
    assert len(any_shop.api.get("invoices").json()["data"]) == 2


def test_many_presses_at_once_are_one_order(any_shop):
    quote = any_shop.api.post("seat-quotes", {"add": 3}).json()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: any_shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key="storm"), range(8)
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert any_shop.api.seats()["purchased"] == 5


def test_the_same_key_with_another_body_is_refused(shop):
    first, second = (shop.api.post("seat-quotes", {"add": add}).json() for add in (1, 2))
    shop.api.post("seat-orders", {"quote_id": first["id"]}, Idempotency_Key="key")
    answer = shop.api.post("seat-orders", {"quote_id": second["id"]}, Idempotency_Key="key")
    assert answer.status_code == 422
    assert shop.api.seats()["purchased"] == 3


def test_an_order_without_a_key_is_refused(shop):
    quote = shop.api.post("seat-quotes", {"add": 1}).json()
    answer = shop.api.post("seat-orders", {"quote_id": quote["id"]})
    assert 400 <= answer.status_code < 500
    assert shop.api.seats()["purchased"] == 2


def test_a_quote_from_before_another_order_is_stale_and_a_fresh_one_comes_with_the_answer(any_shop):
    old, new = (any_shop.api.post("seat-quotes", {"add": 1}).json() for _ in range(2))
    assert any_shop.api.post("seat-orders", {"quote_id": new["id"]}, Idempotency_Key="a").status_code == 201
    answer = any_shop.api.post("seat-orders", {"quote_id": old["id"]}, Idempotency_Key="b")
    assert answer.status_code == 409
    body = answer.json()
    assert body["type"].endswith("quote-stale")
    assert body["quote"]["id"] not in {old["id"], new["id"]}
    assert any_shop.api.seats()["purchased"] == 3
    again = any_shop.api.post("seat-orders", {"quote_id": body["quote"]["id"]}, Idempotency_Key="c")
    assert again.status_code == 201


def test_a_quote_of_somebody_else_does_not_exist(road, shop):
    quote = road.api.post("seat-quotes", {"add": 1}).json()
    answer = shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key="theirs")
    assert answer.status_code == 404
    assert shop.api.seats()["purchased"] == 2


def test_the_first_invoice_is_the_whole_term(shop):
    invoice = shop.api.get("invoices").json()["data"][-1]
    assert invoice["lines"][0]["seats"] == 2
    assert invoice["lines"][0]["months"] == "12"
    assert invoice["net"] == {"amount": 2 * 12 * 2000, "currency": "USD"}
    assert invoice["tax"] == {"amount": 9120, "currency": "USD"}


def test_members_are_listed_with_role_and_state(shop):
    shop.signed_in(shop.person("bea")).close()
    rows = {row["email"]: row for row in shop.api.get("members").json()["data"]}
    assert set(rows) == {shop.organization.owner, shop.organization.email("bea")}
    assert rows[shop.organization.owner]["role"] == "primary_owner"
    assert {row["state"] for row in rows.values()} == {"held"}
    assert all(row["id"].startswith("mem_") for row in rows.values())


def test_lists_come_in_pages_from_the_oldest_event_on(road, browser_jar):
    for _ in range(3):
        with BrowserJar() as jar:
            road.saml_login(jar, road.newcomer(), sign="none")
    whole = road.api.events(outcome="denied")
    times = [event["time"] for event in whole]
    assert times == sorted(times)
    page = road.api.get("audit-events", outcome="denied", limit="2").json()
    assert [event["id"] for event in page["data"]] == [event["id"] for event in whole[:2]]
    assert page["page"]["has_more"] is True
    following = road.api.get("audit-events", outcome="denied", limit="2", after=page["page"]["next"]).json()
    assert [event["id"] for event in following["data"]] == [event["id"] for event in whole[2:4]]
    by_reason = road.api.events(outcome="denied", reason="signature_missing")
    assert {event["reason"] for event in by_reason} == {"signature_missing"}


def test_an_event_has_everything_that_is_promised(road, browser_jar):
    road.saml_login(browser_jar, road.newcomer())
    event = next(event for event in road.api.events() if event["action"] == "auth.login")
    assert {"id", "time", "action", "outcome", "reason", "reference", "actor", "via", "seat"} <= set(event)
    assert {"connection", "protocol"} <= set(event["via"])
    assert {event["outcome"] for event in road.api.events()} <= {"success", "denied"}


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1000000", "²"])
def test_a_page_has_an_upper_bound(road, limit):
    assert road.api.get("members", limit=limit).status_code == 422


def test_an_unknown_resource_does_not_exist(road):
    answer = road.api.get("no-such-thing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_wrong_method_is_said_so(road):
    answer = road.api.post("seats", {})
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


def test_the_scopes_of_these_tests_are_all_that_reading_and_buying_need():
    assert set(SCOPE_OF.values()) | {"seats:write"} == set(SCOPES)
