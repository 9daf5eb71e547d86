"""The JSON API as a program meets it: tokens and scopes, quotes and orders, invoices, members, the audit log."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import SCOPES, lay_road
from tests.support.browser_jar import BrowserJar

SCOPE_OF = {
    "seats": "seats:read",
    "invoices": "billing:read",
    "members": "members:read",
    "audit-events": "audit:read",
}


@pytest.fixture(scope="module")
def shop(gate, _samlp_server, oidc_provider):
    """An organization to buy seats for; what a test expects of numbers it says by how they were before."""
    return lay_road(gate, _samlp_server, oidc_provider, Organization(seats=2))


@pytest.fixture(scope="module")
def big_shop(big_gate, _samlp_server, oidc_provider):
    """The same on PostgreSQL and Valkey."""
    return lay_road(big_gate, _samlp_server, oidc_provider, Organization(seats=2))


@pytest.fixture(scope="module", params=["shop", "big_shop"])
def any_shop(request):
    """Each of the two."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def key():
    """An idempotency key that nobody has used."""
    return secrets.token_urlsafe(16)


def purchased(road):
    return road.api.seats()["purchased"]


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


@pytest.mark.parametrize("value", ["", "Basic eDp5", "Bearer"])
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
    [event] = shop.api.events(action="api.auth", reason="token_invalid")
    assert (event["outcome"], event["check"], event["actor"]["id"]) == ("denied", "revoked", listed[-1]["id"])
    assert secret not in str(event)


def test_a_token_of_one_organization_sees_nothing_of_another(road, shop):
    theirs = {row["id"] for row in shop.api.get("members").json()["data"]}
    assert theirs
    assert theirs & {row["id"] for row in road.api.get("members").json()["data"]} == set()
    events = {event["id"] for event in shop.api.events()}
    assert events & {event["id"] for event in road.api.events()} == set()


def test_seats_say_where_they_are_at_one_instant(any_shop):
    numbers = any_shop.api.seats()
    assert set(numbers) == {"purchased", "in_use", "reserved", "available", "waiting", "as_of"}
    assert numbers["as_of"].endswith("Z")
    assert numbers["purchased"] == numbers["in_use"] + numbers["reserved"] + numbers["available"]
    assert numbers["in_use"] >= 1


def test_a_quote_has_exact_amounts_and_buys_nothing(any_shop):
    before = purchased(any_shop)
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
    assert purchased(any_shop) == before


@pytest.mark.parametrize("add", [0, -1, "5", 1.5, None, True, 10**12])
def test_a_number_of_seats_that_is_none_is_refused(road, add):
    answer = road.api.post("seat-quotes", {"add": add})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"add": 1, "more": 2}', b"[" * 50_000])
def test_a_body_that_is_none_is_refused(road, body):
    answer = road.gate.client.post("/api/v1/seat-quotes", content=body, headers=road.api._bearer)
    assert answer.status_code == 422


@pytest.mark.parametrize("text", ["quo_\0", "quo_\ud800"])
def test_text_that_no_database_takes_is_refused(any_shop, text, key):
    for body in ({"quote_id": text}, {"quote_id": "quo_1", "digest": text}, {"quote_id": "quo_1", "po_number": text}):
        headers = {**any_shop.api._bearer, "Idempotency-Key": key}
        sent = any_shop.gate.client.post("/api/v1/seat-orders", content=json.dumps(body), headers=headers)
        assert sent.status_code == 422, body


@pytest.mark.parametrize(
    "path", ["/login/%00", "/sso/saml/%00/metadata", "/sso/oidc/%00/callback", "/api/v1/invoices/%00", "/denied/%00"]
)
def test_what_has_a_nul_in_its_name_does_not_exist(any_shop, path):
    assert any_shop.gate.client.get(path, headers=any_shop.api._bearer).status_code == 404


def test_an_order_is_the_quote_to_the_cent_and_its_seats_are_there_at_once(any_shop, key):
    before = purchased(any_shop)
    quote = any_shop.api.post("seat-quotes", {"add": 3}).json()
    answer = any_shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key=key)
    assert answer.status_code == 201
    invoice = answer.json()
    amounts = ("net", "tax", "gross")
    assert {name: invoice[name] for name in amounts} == {name: quote[name] for name in amounts}
    assert purchased(any_shop) == before + 3
    listed = any_shop.api.get("invoices").json()["data"][0]
    assert listed["number"] == invoice["number"]
    assert {"number", "kind", "issued_on", "due_on", "status", "lines", "net", "tax", "gross"} <= set(listed)
    assert {"seats", "months", "unit_price", "net"} <= set(listed["lines"][0])
    event = any_shop.api.events(action="seat.limit.change")[-1]
    assert event["actor"]["type"] == "api_token"
    assert event["seat"]["limit"] == before + 3


def test_the_same_order_again_is_the_same_answer_and_no_second_invoice(any_shop, key):
    before, invoices = purchased(any_shop), len(any_shop.api.get("invoices").json()["data"])
    body = {"quote_id": any_shop.api.post("seat-quotes", {"add": 3}).json()["id"]}
    answers = [any_shop.api.post("seat-orders", body, Idempotency_Key=key).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert purchased(any_shop) == before + 3
    assert len(any_shop.api.get("invoices").json()["data"]) == invoices + 1


def test_many_presses_at_once_are_one_order(any_shop, key):
    before = purchased(any_shop)
    body = {"quote_id": any_shop.api.post("seat-quotes", {"add": 3}).json()["id"]}
    with ThreadPoolExecutor(4) as pool:
        presses = [pool.submit(any_shop.api.post, "seat-orders", body, Idempotency_Key=key) for _ in range(8)]
        answers = [press.result() for press in presses]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert purchased(any_shop) == before + 3


def test_the_same_key_with_another_body_is_refused(shop, key):
    before = purchased(shop)
    first, second = (shop.api.post("seat-quotes", {"add": add}).json() for add in (1, 2))
    shop.api.post("seat-orders", {"quote_id": first["id"]}, Idempotency_Key=key)
    answer = shop.api.post("seat-orders", {"quote_id": second["id"]}, Idempotency_Key=key)
    assert answer.status_code == 422
    assert purchased(shop) == before + 1


@pytest.mark.parametrize("value", [None, "", "x" * 200])
def test_an_order_without_a_good_key_is_refused(shop, value):
    before = purchased(shop)
    body = {"quote_id": shop.api.post("seat-quotes", {"add": 1}).json()["id"]}
    answer = shop.api.post("seat-orders", body, **({} if value is None else {"Idempotency_Key": value}))
    assert 400 <= answer.status_code < 500
    assert purchased(shop) == before


def test_a_quote_from_before_another_order_is_stale_and_a_fresh_one_comes_with_the_answer(any_shop, key):
    before = purchased(any_shop)
    old, new = (any_shop.api.post("seat-quotes", {"add": 1}).json() for _ in range(2))
    ordered = any_shop.api.post("seat-orders", {"quote_id": new["id"]}, Idempotency_Key=f"{key}-a")
    assert ordered.status_code == 201
    answer = any_shop.api.post("seat-orders", {"quote_id": old["id"]}, Idempotency_Key=f"{key}-b")
    assert answer.status_code == 409
    body = answer.json()
    assert body["type"].endswith("quote-stale")
    assert body["quote"]["id"] not in {old["id"], new["id"]}
    assert purchased(any_shop) == before + 1
    again = any_shop.api.post("seat-orders", {"quote_id": body["quote"]["id"]}, Idempotency_Key=f"{key}-c")
    assert again.status_code == 201


def test_a_quote_of_somebody_else_does_not_exist(road, shop, key):
    before = purchased(shop)
    quote = road.api.post("seat-quotes", {"add": 1}).json()
    answer = shop.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key=key)
    assert answer.status_code == 404
    assert purchased(shop) == before


def test_the_first_invoice_is_the_whole_term(shop):
    invoice = shop.api.get("invoices").json()["data"][-1]
    assert invoice["lines"][0]["seats"] == 2
    assert invoice["lines"][0]["months"] == "12"
    assert invoice["net"] == {"amount": 2 * 12 * 2000, "currency": "USD"}
    assert invoice["tax"] == {"amount": 9120, "currency": "USD"}


def test_members_are_listed_with_role_and_state(gate, lay):
    shop = lay(gate, Organization(seats=2))
    shop.signed_in(shop.person("bea")).close()
    rows = {row["email"]: row for row in shop.api.get("members").json()["data"]}
    assert set(rows) == {shop.organization.owner, shop.organization.email("bea")}
    assert rows[shop.organization.owner]["role"] == "primary_owner"
    assert rows[shop.organization.email("bea")]["role"] == "user"
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


@pytest.mark.parametrize(
    "asked", ["outcome=maybe", "reason=zzz", "action=auth.zzz", "after=zzz", "after=-1", "since=zzz"]
)
def test_a_question_about_events_that_means_nothing_is_said_so(road, asked):
    name, _, value = asked.partition("=")
    answer = road.api.get("audit-events", **{name: value})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert name in answer.text


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
