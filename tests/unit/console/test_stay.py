"""Staying logged in: every page says until when, and one request makes it longer."""

from datetime import timedelta

from tests.unit.console.gate import plain

FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_every_page_of_the_settings_says_until_when_and_a_request_makes_it_longer(gate, ana):
    said = plain(ana.get("/settings/audit").text)
    assert "Logged in until 11:00 PM UTC , longer with every page that you open" in said
    assert 'data-left="28800"' in ana.get("/").text
    gate.clock.instant += timedelta(hours=7)
    assert ana.post("/session", headers=FORM).json() == {"left": 28_800, "extends": True}
    gate.clock.instant += timedelta(hours=7)
    gate.clock.instant += timedelta(hours=4)
    assert ana.post("/session", headers=FORM).json() == {"left": 6 * 3600, "extends": False}
    assert "data-last" in ana.get("/settings/audit").text, "only logging in anew helps now"
    gate.clock.instant += timedelta(hours=6)
    assert ana.post("/session", headers=FORM).status_code == 404


def test_for_nobody_it_is_the_path_that_does_not_exist(gate):
    with gate.browser() as nobody:
        unknown, answer = nobody.post("/no/such/path", headers=FORM), nobody.post("/session", headers=FORM)
        assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
