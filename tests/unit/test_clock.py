"""Time: aware, in UTC, and the same after a journey through a database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.clock import SystemClock, from_micros, iso, to_micros

INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3)), timezone(timedelta(hours=14))]))


def test_the_machines_clock_is_aware_and_in_utc():
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


@given(INSTANTS)
def test_an_instant_survives_the_journey_to_whole_microseconds_and_back(instant):
    assert from_micros(to_micros(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_microseconds_sort_as_instants_do(first, second):
    assert (to_micros(first) < to_micros(second)) == (first < second)


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        to_micros(datetime(2026, 3, 1))


def test_an_instant_is_written_in_utc_with_microseconds():
    assert iso(datetime(2026, 3, 1, 6, 30, tzinfo=timezone(timedelta(hours=-3)))) == "2026-03-01T09:30:00.000000Z"
