"""How things are named, and how addresses are compared."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sso_gate.identity import email_domain, new_id, normal_email
from tests.support.gates import MovingClock

UUID7 = re.compile(r"mem_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(instant):
    clock = MovingClock(instant)
    made = new_id("mem", clock)
    assert UUID7.fullmatch(made)
    millis = int(made.removeprefix("mem_").replace("-", "")[:12], 16)
    assert (
        timedelta()
        <= clock.instant - (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis))
        <= timedelta(milliseconds=1)
    )


def test_ids_of_one_instant_differ_and_those_of_later_milliseconds_sort_behind():
    clock = MovingClock()
    first = {new_id("x", clock) for _ in range(500)}
    clock.move(timedelta(milliseconds=1))
    assert len(first) == 500
    assert new_id("x", clock) > max(first)


@given(st.emails())
def test_addresses_are_compared_without_case_or_blanks(email):
    assert (
        normal_email(f" {email.upper()} ") == normal_email(email.upper()) == normal_email(normal_email(email.upper()))
    )
    assert email_domain(email) == email.rpartition("@")[2].casefold()


def test_a_text_without_an_at_sign_has_no_domain():
    assert email_domain("acme.example") == ""
    assert email_domain('"a@b"@acme.example') == "acme.example"
