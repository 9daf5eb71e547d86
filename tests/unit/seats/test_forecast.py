from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.seats.forecast import HORIZON_DAYS, Day, forecast

FIRST = date(2027, 1, 1)


def history(changes: list[tuple[int, int]]) -> list[Day]:
    return [Day(FIRST + timedelta(days=index), taken, released) for index, (taken, released) in enumerate(changes)]


def test_without_two_weeks_of_history_there_is_no_forecast():
    assert forecast(history([(1, 0)] * 13), in_use=13, free=5) is None
    assert forecast(history([(1, 0)] * 14), in_use=14, free=5) is not None


def test_a_steady_pace_runs_out_after_as_many_days_as_seats_are_left():
    told = forecast(history([(1, 0)] * 56), in_use=56, free=10)
    assert told is not None
    assert told.runs_out == FIRST + timedelta(days=55 + 10)
    assert told.earliest is not None
    assert told.latest is not None
    assert told.earliest < told.runs_out < told.latest
    assert (told.days, told.change, told.ahead[:2]) == (56, 56, (57.0, 58.0))


@pytest.mark.parametrize("changes", [[(0, 0)] * 56, [(1, 1)] * 56, [(0, 1)] * 56])
def test_a_flat_or_falling_number_never_runs_out(changes):
    told = forecast(history(changes), in_use=90, free=10)
    assert told is not None
    assert (told.runs_out, told.earliest, told.latest) == (None, None, None)


def test_seats_that_are_gone_run_out_today():
    told = forecast(history([(1, 0)] * 20), in_use=100, free=0)
    assert told is not None
    assert told.runs_out == told.earliest == told.latest == FIRST + timedelta(days=19)


def test_people_who_are_known_to_come_are_counted_at_once():
    alone, expected = (forecast(history([(1, 0)] * 56), in_use=56, free=10, known=known) for known in (0, 4))
    assert alone is not None
    assert expected is not None
    assert alone.runs_out is not None
    assert expected.runs_out == alone.runs_out - timedelta(days=4)


def test_only_the_last_56_days_count():
    told = forecast(history([(50, 0)] * 100 + [(1, 0)] * 56), in_use=90, free=10)
    assert told is not None
    assert told.change == 56


def test_further_than_a_year_is_not_foretold():
    told = forecast(history([(0, 0)] * 55 + [(1, 0)]), in_use=1, free=100)
    assert told is not None
    assert told.runs_out is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=14, max_size=80), st.integers(0, 500))
def test_the_range_holds_the_day_and_more_seats_never_run_out_earlier(changes, free):
    told, roomier = (forecast(history(changes), in_use=10, free=seats) for seats in (free, free + 1))
    assert told is not None
    assert roomier is not None
    known = [day for day in (told.earliest, told.runs_out, told.latest) if day]
    assert known == sorted(known)
    if roomier.runs_out:
        assert told.runs_out
        assert told.runs_out <= roomier.runs_out
    assert all((day - history(changes)[-1].day).days <= HORIZON_DAYS for day in known)


def test_the_range_holds_the_day_about_four_times_out_of_five():
    """Replayed histories of a Poisson process with a known rate; the pace is known, so only the future is random."""
    random, rate, free, inside, runs = Random(7), 0.5, 40, 0, 400
    steady = history([(1, 0), (0, 0)] * 28)
    told = forecast(steady, in_use=28, free=free)
    assert told is not None
    assert told.earliest is not None
    assert told.latest is not None
    last = steady[-1].day
    for _ in range(runs):
        waited = sum(random.expovariate(rate) for _ in range(free))
        inside += told.earliest <= last + timedelta(days=waited) <= told.latest
    assert 0.74 <= inside / runs <= 0.88
