from collections.abc import Mapping
from dataclasses import fields
from types import ModuleType
from typing import Any

import pytest

from tests.model import seat_protocol, session_protocol

SEATS = {
    "somebody in two tabs for whom the last seat is kept, and a rival": seat_protocol.start("aab", seats=1, kept="a"),
    "two tabs and a rival for the last seat": seat_protocol.start("aab", seats=1),
    "two tabs of one person while there are seats enough": seat_protocol.start("aa", seats=2),
    "a holder and a newcomer in a full organization": seat_protocol.start("ab", seats=1, holders="a"),
    "two for whom seats are kept, and a newcomer": seat_protocol.start("c", seats=2, kept="ab"),
    "nothing bought yet": seat_protocol.start("ab", seats=0),
    "seats go to whoever comes first": seat_protocol.start("ab", seats=1, kept="a", keeps_for_waiting=False),
}
SESSIONS = {
    "a holder who leaves and comes again": session_protocol.start("A", is_holder=True, releases=2),
    "a holder in two tabs who leaves and comes again": session_protocol.start("A", "A", is_holder=True, releases=1),
    "a newcomer": session_protocol.start("A", is_holder=False, releases=1),
    "a holder who goes on to an application's host": session_protocol.start("A", "host", is_holder=True, releases=1),
}

NO_RECORD, REFUSED, OVERSOLD = "without an audit record", "refused while a seat was free or kept", "than were bought"
SEAT_MUTANTS = {
    "Redis is believed when it says that somebody holds a seat": ("held_is_read_from_sql", NO_RECORD),
    "Redis is believed when it says that no seat is free": ("full_is_only_a_hint", REFUSED),
    "the audit record is written after the commit": ("audit_in_the_transaction", "without its audit record"),
    "a seat is looked for first and taken later": ("lock_before_reading", OVERSOLD),
    "the counter goes up without a row": ("count_the_rows", "leaked"),
    "who is refused without the lock is looked up before the seats": ("refuse_by_one_look", "a holder was refused"),
    "a seat that is kept for somebody else counts as free": ("holds_of_others_count", OVERSOLD),
    "a seat that is kept for somebody counts as taken for them too": ("own_hold_admits", REFUSED),
    "a hold stays when its person has come": ("a_grant_takes_the_hold", OVERSOLD),
    "a hold counts when it has run out": ("holds_run_out", REFUSED),
    "a seat that was freed is kept for nobody": ("freed_seats_are_kept", "a seat is free, and somebody waits"),
    "owners keep a seat for which there is a hold that has run out": ("lapsed_holds_go_first", OVERSOLD),
    "a renewal gives up seats that are kept": ("a_renewal_spares_holds", OVERSOLD),
}

OUTLIVED, LEASE = "a session outlived its seat", "a session opens a lease after"
SESSION_MUTANTS = {
    "the session is written after the commit alone": ("session_before_commit", OUTLIVED),
    "a session is activated whatever was purged meanwhile": ("generation_at_activation", OUTLIVED),
    "a purge is forgotten with its process": ("purge_is_promised", OUTLIVED),
    "a purge ends whatever there is by then": ("purge_spares_the_newer", "a holder was signed out"),
    "SQL is not asked when a lease has run out": ("leases_run_out", LEASE),
    "SQL is asked whether there is a seat, not which": ("generation_at_the_lease", LEASE),
    "a lease begins when the session does": ("lease_from_before_the_decision", LEASE),
    "a lease begins when SQL's answer is written": ("lease_from_before_the_answer", LEASE),
    "a session from an old copy of Redis is believed": ("lease_is_an_instant", LEASE),
    "a session that ended while SQL was asked comes back": ("renew_what_is_there_alone", OUTLIVED),
    "a session for a host is made whatever became of the one that it stems from": ("parent_is_still_there", OUTLIVED),
    "a session for a host has a lease of its own": ("lease_of_the_parent", LEASE),
}


def of_both(seats: Mapping[str, Any], sessions: Mapping[str, Any]) -> list[Any]:
    """Return the parameters of a test that is the same for either model."""
    chosen = [
        *((seat_protocol, *one) for one in seats.items()),
        *((session_protocol, *one) for one in sessions.items()),
    ]
    return [pytest.param(model, value, id=name) for model, name, value in chosen]


@pytest.mark.parametrize(("model", "beginning"), of_both(SEATS, SESSIONS))
def test_no_order_of_steps_crashes_and_losses_breaks_a_promise(model: ModuleType, beginning: Any):
    worlds, broken = model.search(beginning)
    assert broken == ""
    assert worlds > 30  # it did search


@pytest.mark.parametrize(("model", "mutant"), of_both(SEAT_MUTANTS, SESSION_MUTANTS))
def test_the_search_finds_what_each_rule_is_for(model: ModuleType, mutant: tuple[str, str]):
    rule, promise = mutant
    beginnings = SEATS if model is seat_protocol else SESSIONS
    assert any(promise in model.search(world, model.Rules(**{rule: False}))[1] for world in beginnings.values())


@pytest.mark.parametrize(("model", "mutants"), of_both({"seats": SEAT_MUTANTS}, {"sessions": SESSION_MUTANTS}))
def test_no_rule_is_without_its_mutant(model: ModuleType, mutants: Mapping[str, tuple[str, str]]):
    assert {field.name for field in fields(model.Rules)} == {rule for rule, _ in mutants.values()}
