"""The banner for who may add seats: on every page, put away by one form, back with the next news."""

from datetime import timedelta

from sso_gate.notify.owners import tell_owners
from sso_gate.storage.open import open_runtime
from tests.unit.console.gate import finished, hidden, plain

PATH = "/settings/billing/banner"


def seats_are_counted(gate):
    """What a worker does every few seconds."""

    async def work():
        runtime = open_runtime(gate.settings, gate.clock)
        await tell_owners(runtime)
        await runtime.close()

    finished(work())


def put_away(browser, page, back):
    return browser.post(PATH, data={"seen": hidden(page, "seen"), "back": back})


def test_it_is_put_away_for_one_owner_and_comes_back_with_the_next_one_who_is_refused(gate, ana):
    gate.waits("eva")
    page = ana.get("/settings/members").text
    assert "1 person can't log in: no seat available. Review adding 1 seat See who" in plain(page).replace("&#39;", "'")
    answer = put_away(ana, page, "members")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/members")
    assert PATH not in ana.get("/settings/members").text + ana.get("/settings/audit").text
    with gate.browser("olga") as olga:
        assert PATH in olga.get("/settings/access").text, "another owner has not put it away"
    gate.clock.instant += timedelta(seconds=1)
    gate.waits("eva")
    assert PATH not in ana.get("/settings/members").text, "the same person again is no news"
    gate.waits("bea")
    assert "2 people can" in plain(ana.get("/settings/members").text)


def test_somebody_who_was_refused_after_the_page_was_made_is_news(gate, ana):
    gate.waits("eva")
    page = ana.get("/settings/billing").text
    gate.clock.instant += timedelta(seconds=1)
    gate.waits("bea")
    put_away(ana, page, "billing")
    assert "2 people can" in plain(ana.get("/settings/billing").text)


def test_short_seats_are_told_once_for_each_crossing_without_a_mail_server(gate, ana):
    seats_are_counted(gate)
    page = ana.get("/settings/billing").text
    assert "All seats are taken: new people can" in plain(page)
    assert put_away(ana, page, "nowhere").headers["location"] == "/settings/billing"
    seats_are_counted(gate)
    assert PATH not in ana.get("/settings/billing").text
    gate.clock.instant += timedelta(minutes=1)
    with_more(ana, 30)
    seats_are_counted(gate)
    assert PATH not in ana.get("/settings/billing").text
    gate.clock.instant += timedelta(minutes=1)
    choose_few(ana, "100")
    seats_are_counted(gate)
    assert "Seats run short: 30 seats are left." in plain(ana.get("/settings/billing").text)


def with_more(browser, add):
    page = browser.get(f"/settings/billing/seats/review?add={add}").text
    form = {name: hidden(page, name) for name in ("quote_id", "digest", "idempotency_key")} | {"po_number": "PO-7"}
    assert browser.post("/settings/billing/seats/review", data=form).status_code == 303


def choose_few(browser, number):
    assert browser.post("/settings/notifications", data={"seats_left": number}).status_code == 303


def test_who_may_not_add_seats_sees_no_banner_and_finds_nothing_to_put_away(gate):
    gate.waits("eva")
    for name in ("leo", "finance"):
        with gate.browser(name) as browser:
            assert PATH not in browser.get("/settings/billing").text
            unknown = browser.post("/settings/nowhere", data={"seen": "1"})
            answer = browser.post(PATH, data={"seen": "1"})
            assert (answer.status_code, answer.content) == (404, unknown.content), name
