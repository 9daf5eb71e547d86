"""At the boundary, as of the boundary, once: what is used, what was promised, what the owner asked to keep."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text

import billing_core as billing
from tests.unit.billing_core.firm import Firm, contract, day

BOUNDARY = datetime(2027, 1, 1, 3, tzinfo=UTC)


def renewed_with(firm: Firm, used: int) -> list[billing.Renewed]:
    asked: list[datetime] = []

    def in_use(at: datetime) -> int:
        asked.append(at)
        return used

    renewed: list[billing.Renewed] = firm.call("renew", in_use_at=in_use)
    assert asked == [term.term.starts_at for term in renewed]
    return renewed


def test_before_the_boundary_nothing_renews(firm):
    assert renewed_with(firm.at(datetime(2027, 1, 1, 2, 59, 59, tzinfo=UTC)), 90) == []


def test_at_the_boundary_the_seats_in_use_are_renewed_and_invoiced_for_the_whole_term(firm):
    [renewed] = renewed_with(firm.at(BOUNDARY), 90)
    line = renewed.invoice.lines[0]
    assert (renewed.seats_before, renewed.seats, renewed.in_use, firm.seats) == (100, 90, 90, 90)
    assert (line.seats, int(line.months), line.period_start, line.last_day) == (
        90,
        12,
        date(2027, 1, 1),
        date(2027, 12, 31),
    )
    assert renewed.invoice.origin == "renewal"
    assert firm.findings() == []


def test_a_second_run_does_nothing(firm):
    renewed_with(firm.at(BOUNDARY), 90)
    assert renewed_with(firm.later(days=3), 50) == []
    assert firm.seats == 90


def test_a_late_job_gives_what_a_punctual_one_would_have(firm, tmp_path):
    late = Firm(firm.engine, now=firm.now, customer="org_late").opened()
    [punctual] = renewed_with(firm.at(BOUNDARY), 90)
    [delayed] = renewed_with(late.at(day(2027, 2, 20)), 90)
    assert delayed.invoice.lines == punctual.invoice.lines
    assert (delayed.term, delayed.seats) == (punctual.term, punctual.seats)
    assert delayed.invoice.issued_on == date(2027, 2, 20)
    assert delayed.invoice.grid.priced_at == BOUNDARY


def test_a_job_years_late_renews_each_term_as_of_its_own_boundary(firm):
    use = {2027: 95, 2028: 120}
    renewed = firm.at(day(2028, 6, 1)).call("renew", in_use_at=lambda at: use[at.year])
    assert [(term.term.index, term.seats_before, term.seats) for term in renewed] == [(1, 100, 95), (2, 95, 120)]
    assert firm.seats == 120
    assert firm.findings() == []


@pytest.mark.parametrize(
    ("used", "minimum", "pin", "seats"),
    [(90, 1, None, 90), (90, 95, None, 95), (90, 95, 97, 97), (90, 1, 40, 90), (0, 0, None, 0)],
)
def test_the_largest_of_use_minimum_and_pin_is_renewed(sqlite_engine, used, minimum, pin, seats):
    firm = Firm(sqlite_engine, now=day(2026, 1, 1)).opened(minimum_seats=minimum)
    firm.call("pin_renewal", seats=pin)
    [renewed] = renewed_with(firm.at(BOUNDARY), used)
    assert (renewed.seats, firm.seats) == (seats, seats)
    assert firm.findings() == []


def test_a_pin_is_used_up_and_can_be_taken_away(firm):
    assert firm.call("pin_renewal", seats=99).renewal_pin == 99
    assert firm.call("pin_renewal", seats=None).renewal_pin is None
    firm.call("pin_renewal", seats=99)
    assert [term.seats for term in renewed_with(firm.at(day(2028, 2, 1)), 90)] == [99, 90]


def test_a_pin_makes_no_quote_stale(firm):
    quoted = firm.quote()
    firm.call("pin_renewal", seats=105)
    assert isinstance(firm.order(quoted), billing.Ordered)


def test_an_uplift_holds_from_the_next_term_and_grows(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 1, 1)).opened(uplift_percent="3.5")
    prices = [str(term.invoice.lines[0].unit_price) for term in renewed_with(firm.at(day(2028, 1, 2)), 10)]
    assert prices == ["20.70", "21.42"]
    assert str(firm.quote().line.unit_price) == "21.42"


def test_a_contract_that_does_not_renew_ends(firm):
    firm.call("amend_contract", contract=contract(auto_renew=False))
    firm.at(BOUNDARY)
    assert renewed_with(firm, 90) == []
    with pytest.raises(billing.TermEnded) as refused:
        firm.quote()
    assert refused.value.code == "TERM_ENDED"
    assert firm.seats == 100


def test_a_wrong_count_of_use_renews_nothing(firm):
    with pytest.raises(billing.QuantityInvalid):
        renewed_with(firm.at(BOUNDARY), -1)
    assert firm.seats == 100


def test_contracts_that_are_due_are_listed_the_longest_overdue_first(firm):
    early = Firm(firm.engine, now=firm.now, customer="org_early").opened(anchor_date="2025-12-01")
    Firm(firm.engine, now=firm.now, customer="org_ends").opened(auto_renew=False)
    with firm.engine.begin() as tx:
        assert billing.due_for_renewal(tx, now=firm.now) == []
        assert billing.due_for_renewal(tx, now=day(2027, 1, 2)) == [early.customer, firm.customer]
        assert billing.due_for_renewal(tx, now=day(2027, 1, 2), limit=1) == [early.customer]
    renewed_with(early.at(day(2026, 12, 2)), 1)
    with firm.engine.begin() as tx:
        assert billing.due_for_renewal(tx, now=day(2027, 1, 2)) == [firm.customer]


def test_a_term_cannot_be_recorded_twice(firm):
    renewed_with(firm.at(BOUNDARY), 90)
    with pytest.raises(Exception, match=r"(?i)unique"), firm.engine.begin() as tx:
        tx.execute(text("INSERT INTO billing_terms SELECT * FROM billing_terms WHERE term_index = 1"))


def rehearsed(firm: Firm, **given: Any) -> Any:
    return firm.call("rehearse", **{"in_use": 90, **given})


def test_a_rehearsal_says_what_the_renewal_will_do_and_what_releasing_saves(firm):
    said = rehearsed(firm.at(day(2026, 11, 2)), idle=["li", "bo", "cy"])
    assert (said.days_ahead, said.renews_on, said.seats_now, said.seats) == (60, date(2027, 1, 1), 100, 90)
    assert (said.idle, said.seats_without_idle) == (("li", "bo", "cy"), 87)
    assert said.totals.net == 90 * 24_000
    assert said.saving == billing.Money(3 * 24_000 * 119 // 100, "USD")
    [renewed] = renewed_with(firm.at(BOUNDARY), 90)
    assert (renewed.invoice.lines[0].net, renewed.invoice.totals) == (said.line.net, said.totals)


def test_a_minimum_or_a_pin_leaves_nothing_to_save(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 11, 2)).opened(anchor_date="2026-01-01", minimum_seats=100)
    firm.call("pin_renewal", seats=101)
    said = rehearsed(firm, idle=["li"])
    assert (said.seats, said.minimum, said.pin, said.saving.amount) == (101, 100, 101, 0)


def test_more_idle_holders_than_seats_save_everything_but_the_minimum(small_firm):
    said = rehearsed(small_firm, in_use=2, idle=["a", "b", "c"])
    assert (said.seats, said.seats_without_idle) == (2, 1)


def test_a_contract_that_ends_has_no_rehearsal(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 11, 2)).opened(auto_renew=False)
    assert rehearsed(firm) is None
    assert firm.call("rehearsal_due") is None


def test_a_rehearsal_needs_a_contract(small_firm):
    with small_firm.engine.begin() as tx:
        for verb in (billing.rehearsal_due, lambda *a, **k: billing.rehearse(*a, **k, in_use=1)):
            with pytest.raises(billing.ContractUnknown):
                verb(tx, customer="org_nobody", now=small_firm.now)


@pytest.mark.parametrize(
    ("on", "due"),
    [
        (day(2026, 11, 1), None),
        (day(2026, 11, 2), 60),
        (day(2026, 12, 1), 60),
        (day(2026, 12, 2), 30),
        (day(2026, 12, 25), 7),
        (day(2026, 12, 31), 7),
        (day(2027, 1, 1), None),
    ],
)
def test_milestones_are_60_30_and_7_days_ahead(small_firm, on, due):
    assert small_firm.at(on).call("rehearsal_due") == due


def test_a_milestone_is_told_once_a_term_and_a_missed_one_is_not_made_up(firm):
    firm.at(day(2026, 12, 5)).call("record_rehearsal", days_ahead=30)
    firm.call("record_rehearsal", days_ahead=30)
    assert firm.call("rehearsal_due") is None
    assert firm.at(day(2026, 12, 26)).call("rehearsal_due") == 7
    renewed_with(firm.at(BOUNDARY), 90)
    assert firm.at(day(2027, 12, 5)).call("rehearsal_due") == 30
