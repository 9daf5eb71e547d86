"""The settings through the whole application, on a real database and Valkey: an owner buys, a user sees nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from httpx2 import Client as Browser

from tests.unit.console.gate import hidden, plain


def reviewed(browser: Browser, add: int) -> dict[str, str]:
    page = browser.get(f"/settings/billing/seats/review?add={add}").text
    return {name: hidden(page, name) for name in ("quote_id", "digest", "idempotency_key")} | {"po_number": "PO-7"}


def with_seats(browser: Browser, add: int) -> None:
    answer = browser.post("/settings/billing/seats/review", data=reviewed(browser, add))
    assert answer.status_code == 303


def test_an_owner_reviews_the_exact_price_and_buys_exactly_that(ana):
    page = plain(ana.get("/settings/billing/seats/review?add=5").text)
    assert "5 seats × $20.00 per month × 10 months left USD 1,000.00" in page
    form = reviewed(ana, 5)
    answer = ana.post("/settings/billing/seats/review", data=form)
    assert answer.status_code == 303
    done = plain(ana.get(answer.headers["location"]).text)
    assert "5 seats added" in done
    assert "You now have 8 seats." in done
    number = re.search(r"Invoice (INV-2026-\d{6}) was issued", done)
    assert number
    invoice = ana.get(f"/settings/billing/invoices/{number[1]}")
    assert invoice.text.count("<h1") == 1
    assert 'class="paper" lang="pt-BR"' in invoice.text
    assert "1.000,00" in invoice.text, "a document speaks the organization's language"
    pdf = ana.get(f"/settings/billing/invoices/{number[1]}.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert number[1] in ana.get("/settings/billing/invoices").text
    lines = ana.get("/settings/billing/invoices/lines.csv")
    assert lines.headers["content-type"] == "text/csv; charset=utf-8"
    assert [line.partition(",")[0] for line in lines.text.splitlines()[1:]] == ["INV-2026-000001", number[1]]


def test_pressing_update_twice_orders_once(ana):
    form = reviewed(ana, 5)
    first, second = (ana.post("/settings/billing/seats/review", data=form) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert "Purchased 8" in plain(ana.get("/settings/billing").text)


def test_of_two_owners_at_once_the_second_gets_a_fresh_price_and_is_told_who_was_first(gate, ana):
    mine = reviewed(ana, 5)
    with gate.browser("olga") as olga:
        theirs = reviewed(olga, 2)
        assert olga.post("/settings/billing/seats/review", data=theirs).status_code == 303
    answer = ana.post("/settings/billing/seats/review", data=mine)
    page = plain(answer.text)
    assert answer.status_code == 409
    assert "The price or the number of seats changed while you were reviewing. Nothing was charged." in page
    assert "olga@acme.example added 2 seats at" in page
    assert hidden(answer.text, "quote_id") != mine["quote_id"]
    assert "Purchased 5" in plain(ana.get("/settings/billing").text)


def test_a_price_that_was_held_too_long_is_not_charged(gate, ana):
    form = reviewed(ana, 5)
    gate.clock.instant += timedelta(minutes=31)
    answer = ana.post("/settings/billing/seats/review", data=form)
    assert answer.status_code == 409
    assert "Nothing was charged" in answer.text


@pytest.mark.parametrize("add", ["0", "-1", "1.5", "10001", "five", "", "٣"])
def test_what_is_no_number_of_seats_is_said_at_the_field(ana, add):
    answer = ana.get(f"/settings/billing/seats/review?add={add}")
    assert answer.status_code == 422
    assert 'aria-invalid="true" aria-describedby="add-error"' in answer.text
    assert "Enter a whole number from 1 to 10,000" in answer.text


def test_a_form_with_another_quote_buys_nothing(ana):
    form = reviewed(ana, 5) | {"quote_id": "quo_00000000-0000-7000-8000-000000000000"}
    assert ana.post("/settings/billing/seats/review", data=form).status_code in {404, 422}
    assert "Purchased 3" in plain(ana.get("/settings/billing").text)


def test_the_edit_page_is_filled_in_with_the_people_who_wait_and_the_price_buys_nothing(gate, ana):
    gate.waits("eva")
    page = ana.get("/settings/billing/seats/edit").text
    assert "1 person is waiting. We filled in 1." in plain(page)
    assert hidden(page.replace('id="add" ', ""), "add") if 'name="add" value=' in page else 'value="1"' in page
    assert "USD 200.00" in ana.get("/settings/billing/seats/price?add=1").json()["text"].replace("\xa0", " ")
    assert "Purchased 3" in plain(ana.get("/settings/billing").text)


def test_a_viewer_sees_the_numbers_and_no_way_to_change_them(gate):
    with gate.browser("finance") as finance:
        page = finance.get("/settings/billing")
        assert page.status_code == 200
        assert "/settings/billing/seats/edit" not in page.text
        assert finance.get("/settings/billing/invoices/lines.csv").status_code == 200
        assert finance.get("/settings/billing/seats/edit").status_code == 404
        assert finance.post("/settings/billing/seats/review", data={}).status_code == 404


def test_an_employee_gets_the_bytes_of_a_path_that_does_not_exist(gate):
    with gate.browser("leo") as leo:
        unknown = leo.get("/no/such/path")
        for path in ("/settings/billing", "/settings/billing/invoices/lines.csv", "/settings", "/settings/x"):
            answer = leo.get(path)
            assert (answer.status_code, answer.content) == (404, unknown.content)
        assert "/settings" not in leo.get("/").text


def test_signed_out_the_settings_lead_to_the_login_and_back(gate):
    with gate.browser() as nobody:
        answer = nobody.get("/settings/billing/seats/edit?add=3")
        assert answer.status_code == 302
        assert answer.headers["location"] == "/login?return_to=%2Fsettings%2Fbilling%2Fseats%2Fedit%3Fadd%3D3"


def test_releasing_a_seat_says_what_it_does_and_logs_the_person_out(gate, ana):
    gate.waits("eva")
    with gate.browser("leo") as leo:
        assert leo.get("/").status_code == 200
        listed = ana.get("/settings/members").text
        link = re.search(r'href="(/settings/members/[^"]+/release)" aria-label="Release seat: leo@', listed)
        assert link
        assert "Releasing this seat lets eva@acme.example in" in plain(ana.get(link[1]).text)
        answer = ana.post(link[1], headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 303
        assert leo.get("/").status_code == 302
    requests = plain(ana.get("/settings/members/requests").text)
    assert "eva@acme.example" in requests
    assert "Seat held" in requests


def test_an_invite_keeps_a_seat_that_every_number_counts_as_reserved(gate, ana):
    assert "Nobody is invited" in ana.get("/settings/members/invites").text
    with_seats(ana, 1)
    answer = ana.post("/settings/members/invites", data={"email": "New@acme.example"})
    assert answer.headers["location"] == "/settings/members/invites?done=invited"
    page = plain(ana.get(answer.headers["location"]).text)
    assert "A seat is kept for them." in page
    assert "New@acme.example" in page
    assert "Invites (1)" in plain(ana.get("/settings/members").text)
    assert "Reserved 1 Available 0" in plain(ana.get("/settings/billing").text)
    full = ana.post("/settings/members/invites", data={"email": "next@acme.example"})
    assert full.status_code == 422
    assert "No seat is free to be kept for them." in full.text
    assert 'value="next@acme.example"' in full.text, "nothing has to be typed again"
    gone = ana.post("/settings/members/invites/withdraw", data={"email": "new@acme.example"})
    assert gone.headers["location"] == "/settings/members/invites?done=withdrawn"
    assert "Reserved 0 Available 1" in plain(ana.get("/settings/billing").text)


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("ana@elsewhere.example", "Enter an address in one of your organization's domains"),
        ("", "Enter an address in one of your organization's domains"),
        ("leo@acme.example", "This person has a seat already"),
    ],
)
def test_who_cannot_be_invited_is_said_at_the_field(ana, email, said):
    with_seats(ana, 1)
    answer = ana.post("/settings/members/invites", data={"email": email})
    assert answer.status_code == 422
    assert said in answer.text.replace("&#39;", "'")
    assert 'aria-invalid="true"' in answer.text


def test_nobody_but_those_who_manage_members_sees_or_makes_invites(gate):
    for name in ("leo", "finance"):
        with gate.browser(name) as browser:
            unknown = browser.get("/no/such/path")
            for answer in (
                browser.get("/settings/members/invites"),
                browser.post("/settings/members/invites", data={"email": "x@acme.example"}),
                browser.post("/settings/members/invites/withdraw", data={"email": "x@acme.example"}),
            ):
                assert (answer.status_code, answer.content) == (404, unknown.content)


@pytest.mark.parametrize(
    "path",
    [
        "/settings/members",
        "/settings/members/invites",
        "/settings/members/requests",
        "/settings/access",
        "/settings/access/acme-oidc",
        "/settings/audit",
        "/settings/developer",
    ],
)
def test_every_area_opens_for_an_owner_in_their_language(ana, path):
    assert ana.get(path).status_code == 200
    assert 'lang="es"' in ana.get(f"{path}?lang=es").text


def test_the_settings_lead_to_the_first_area_that_opens(gate, ana):
    assert ana.get("/settings").headers["location"] == "/settings/members"
    with gate.browser("finance") as finance:
        assert finance.get("/settings").headers["location"] == "/settings/billing"


def test_another_organizations_things_are_not_there(ana):
    for path in (
        "/settings/access/other",
        "/settings/members/mem_x/release",
        "/settings/billing/seats/done/ord_x",
        "/settings/billing/invoices/INV-1",
    ):
        assert ana.get(path).status_code == 404
