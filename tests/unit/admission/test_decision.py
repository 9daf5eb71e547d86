"""The decision, over every combination of facts that there is."""

from itertools import product

import pytest

from sso_gate.admission.decision import (
    Admit,
    AdmitIfSeat,
    AdmitToSettings,
    ContractPhase,
    EmailStanding,
    Facts,
    Refuse,
    Tie,
    decide,
)
from sso_gate.errors import Reason
from sso_gate.members.member import MemberState
from sso_gate.members.roles import OWNERS, Role

MEMBERS = [(tie, state, role) for tie, state, role in product((Tie.BOUND, Tie.AWAITED), MemberState, Role)]
PEOPLE = [*MEMBERS, (Tie.TAKEN, None, None), (Tie.NONE, None, None)]
EVERYTHING = [
    Facts(organization, connection, contract, email, tie, state, role, newcomers)
    for organization, connection, contract, email, (tie, state, role), newcomers in product(
        (True, False), (True, False), ContractPhase, EmailStanding, PEOPLE, (True, False)
    )
]


def test_every_combination_of_facts_has_a_verdict():
    assert len(EVERYTHING) > 1000
    assert {type(decide(facts)) for facts in EVERYTHING} == {Refuse, Admit, AdmitIfSeat, AdmitToSettings}


def test_nothing_opens_where_organization_or_connection_is_disabled():
    for facts in EVERYTHING:
        if not facts.organization_enabled:
            assert decide(facts) == Refuse(Reason.ORGANIZATION_DISABLED)
        elif not facts.connection_enabled:
            assert decide(facts) == Refuse(Reason.CONNECTION_DISABLED)


def test_only_who_holds_a_seat_is_let_in_without_one_being_free():
    for facts in EVERYTHING:
        if isinstance(decide(facts), Admit):
            assert facts.state is MemberState.HELD
            assert facts.contract is not ContractPhase.ENDED


def test_a_holder_is_never_asked_whether_a_seat_is_free():
    for facts in EVERYTHING:
        if facts.state is MemberState.HELD:
            assert not isinstance(decide(facts), AdmitIfSeat)
            if facts.organization_enabled and facts.connection_enabled and facts.contract is not ContractPhase.ENDED:
                assert decide(facts) == Admit()


def test_a_blocked_member_is_let_in_nowhere():
    blocked = [facts for facts in EVERYTHING if facts.state is MemberState.BLOCKED]
    assert blocked
    assert all(isinstance(decide(facts), Refuse) for facts in blocked)


def test_a_new_seat_needs_a_running_contract_and_a_stranger_a_trusted_address():
    for facts in EVERYTHING:
        if isinstance(decide(facts), AdmitIfSeat):
            assert facts.contract is ContractPhase.RUNNING
            assert facts.state in (MemberState.RELEASED, MemberState.WAITING, None)
            assert facts.state is not None or facts.email is EmailStanding.TRUSTED


def test_settings_open_without_a_seat_for_owners_alone():
    for facts in EVERYTHING:
        verdict = decide(facts)
        if isinstance(verdict, AdmitToSettings) or (isinstance(verdict, AdmitIfSeat) and verdict.settings_without_seat):
            assert facts.role in OWNERS


def test_an_owner_whose_contract_is_over_can_still_mend_that():
    for facts in EVERYTHING:
        over = facts.contract is ContractPhase.ENDED and facts.organization_enabled and facts.connection_enabled
        if over and facts.role in OWNERS and facts.state is not MemberState.BLOCKED:
            assert decide(facts) == AdmitToSettings()


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (EmailStanding.MISSING, Reason.EMAIL_MISSING),
        (EmailStanding.UNVERIFIED, Reason.EMAIL_UNVERIFIED),
        (EmailStanding.FOREIGN, Reason.DOMAIN_NOT_ALLOWED),
    ],
)
def test_a_stranger_is_told_what_is_wrong_with_the_address(email, reason):
    facts = Facts(True, True, ContractPhase.RUNNING, email, Tie.NONE, None, None)
    assert decide(facts) == Refuse(reason)


def test_whom_nobody_knows_comes_in_only_where_newcomers_are_taken_and_members_are_not_asked():
    for facts in EVERYTHING:
        with_newcomers, without = (
            decide(facts._replace(takes_newcomers=True)),
            decide(facts._replace(takes_newcomers=False)),
        )
        if facts.tie is Tie.NONE and isinstance(with_newcomers, AdmitIfSeat):
            assert without == Refuse(Reason.NOT_ASSIGNED)
        else:
            assert without == with_newcomers


def test_an_address_of_somebody_else_opens_nothing():
    taken = [facts for facts in EVERYTHING if facts.tie is Tie.TAKEN]
    assert all(isinstance(decide(facts), Refuse) for facts in taken)
