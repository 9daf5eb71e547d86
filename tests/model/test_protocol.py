import pytest

from tests.model.protocol import World, explore, mutant, start

BEGINNINGS = {
    "two tabs and a rival for the last seat": start("aab", seats=1),
    "a holder and a newcomer in a full organization": start("ab", seats=1, holders="a", releases=2),
    "a holder in two tabs who leaves and comes again": start("aa", seats=1, holders="a", releases=2, losses=2),
    "two tabs of one person while there are seats enough": start("aa", seats=2),
    "nothing bought yet": start("ab", seats=0),
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_no_order_of_steps_crashes_and_losses_breaks_a_promise(beginning: World):
    worlds, broken = explore(beginning)
    assert broken == ""
    assert worlds > 400  # it did search


MUTANTS = {
    "Redis is believed when it says that somebody holds a seat": ("held_is_read_from_sql", "without an audit record"),
    "Redis is believed when it says that no seat is free": ("full_is_only_a_hint", "refused"),
    "the audit record is written after the commit": ("audit_in_the_transaction", "audit record"),
    "a seat is looked for first and taken later": ("lock_before_reading", "oversold"),
    "the counter goes up without a row": ("count_the_rows", "leaked"),
    "the session is written after the commit alone": ("session_before_commit", "outlived"),
    "a session is activated whatever was purged meanwhile": ("generation_at_activation", "outlived"),
}


@pytest.mark.parametrize(("rule", "promise"), MUTANTS.values(), ids=MUTANTS.keys())
def test_the_search_finds_what_each_rule_is_for(rule: str, promise: str):
    found = [broken for world in BEGINNINGS.values() if (broken := explore(world, mutant(**{rule: False}))[1])]
    assert any(promise in broken for broken in found), found
