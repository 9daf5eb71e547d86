"""Boundaries are computed from the anchor, and a contract's days follow the clocks of its zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_core import ContractInvalid, InstantInvalid
from billing_core.periods import boundary, day_start, from_micros, in_utc, local_date, micros, month_index, term, zone
from tests.unit.billing_core import oracle

ZONES = st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"}))
INSTANTS = st.datetimes(datetime(1900, 1, 3), datetime(2060, 1, 1), timezones=st.just(UTC))


def test_the_31st_does_not_drift_to_the_28th():
    assert [boundary(date(2026, 1, 31), k).day for k in range(13)] == [
        31,
        28,
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
        31,
    ]


def test_the_29th_of_february_comes_back_in_leap_years():
    assert [boundary(date(2024, 2, 29), 12 * k) for k in range(5)] == [
        date(2024, 2, 29),
        date(2025, 2, 28),
        date(2026, 2, 28),
        date(2027, 2, 28),
        date(2028, 2, 29),
    ]


@given(anchor=st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_boundaries_are_each_months_copy_of_the_anchor(anchor):
    assert [boundary(anchor, k) for k in range(49)] == oracle.boundaries(anchor, 48)


@given(anchor=st.dates(date(1970, 1, 1), date(2100, 1, 1)), on=st.dates(date(1970, 1, 1), date(2100, 1, 1)))
@example(anchor=date(2026, 1, 31), on=date(2026, 2, 28))
@example(anchor=date(2026, 1, 31), on=date(2025, 12, 30))
def test_every_day_is_in_exactly_one_contract_month(anchor, on):
    k = month_index(anchor, on)
    assert boundary(anchor, k) <= on < boundary(anchor, k + 1)


@given(instant=INSTANTS, name=ZONES)
@example(datetime(2018, 11, 4, 3, tzinfo=UTC), "America/Sao_Paulo")  # midnight does not exist
@example(datetime(1919, 3, 31, 4, 30, tzinfo=UTC), "America/Toronto")  # the clock jumps from 23:30 to 00:30
@example(datetime(2010, 11, 7, 2, 45, tzinfo=UTC), "America/St_Johns")  # one minute past midnight it is yesterday again
@example(datetime(2011, 12, 30, 10, tzinfo=UTC), "Pacific/Apia")  # a whole day is left out
def test_a_date_has_begun_from_its_start_on_and_not_before(instant, name):
    today = local_date(instant, name)
    assert day_start(today, name) <= instant < day_start(today + timedelta(days=1), name)
    assert abs((today - instant.date()).days) <= 1


@given(on=st.dates(date(1900, 1, 3), date(2060, 1, 1)), name=ZONES)
@example(date(1919, 3, 31), "America/Toronto")
def test_a_day_starts_at_the_first_instant_that_shows_it(on, name):
    starts = day_start(on, name)
    before = starts - timedelta(microseconds=1)
    assert before.astimezone(ZoneInfo(name)).date() < on <= starts.astimezone(ZoneInfo(name)).date()


def test_a_midnight_that_the_clock_jumps_over_is_the_instant_of_the_jump():
    assert day_start(date(2018, 11, 4), "America/Sao_Paulo") == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert day_start(date(1919, 3, 31), "America/Toronto") == datetime(1919, 3, 31, 4, 30, tzinfo=UTC)


def test_a_minute_before_midnight_in_the_contracts_zone_is_still_the_day_before():
    assert local_date(datetime(2026, 3, 1, 2, 59, tzinfo=UTC), "America/Sao_Paulo") == date(2026, 2, 28)
    assert local_date(datetime(2026, 3, 1, 3, 0, tzinfo=UTC), "America/Sao_Paulo") == date(2026, 3, 1)


@pytest.mark.parametrize(
    "instant", [datetime(2026, 1, 1), date(2026, 1, 1), "2026-01-01", None, datetime(1899, 1, 1, tzinfo=UTC)]
)
def test_what_is_no_instant_has_no_date(instant):
    with pytest.raises(InstantInvalid):
        local_date(instant, "UTC")


def test_an_instant_beyond_every_contract_is_refused():
    with pytest.raises(InstantInvalid):
        in_utc(datetime(9999, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe", None, 3])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(ContractInvalid):
        zone(name)


@given(INSTANTS)
def test_instants_survive_storage_to_the_microsecond(instant):
    assert from_micros(micros(instant)) == instant


def test_a_term_is_half_open_in_dates_and_in_instants():
    second = term(date(2026, 1, 31), 12, 1, "America/Sao_Paulo")
    assert (second.starts_on, second.ends_on, second.last_day) == (
        date(2027, 1, 31),
        date(2028, 1, 31),
        date(2028, 1, 30),
    )
    assert second.ends_at == datetime(2028, 1, 31, 3, tzinfo=UTC)
    assert term(date(2026, 1, 31), 12, 2, "America/Sao_Paulo").starts_at == second.ends_at
