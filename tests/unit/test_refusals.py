"""The table of refusals: complete, translated, and silent towards whoever has proved nothing."""

import pytest

from sso_gate.errors import Reason, Refused, Unavailable
from sso_gate.refusals import REFUSALS, Family
from sso_gate.web.catalogues import translations

PERSON_IS_KNOWN = {
    "seat_unavailable",
    "seat_released",
    "not_assigned",
    "member_deactivated",
    "organization_disabled",
    "contract_ended",
    "connection_disabled",
    "connection_mismatch",
    "domain_not_allowed",
    "email_missing",
    "email_unverified",
    "subject_invalid",
    "subject_conflict",
    "proxy_untrusted",
}
OF_PROGRAMS = {"token_missing", "token_invalid", "insufficient_scope", "conflict"}
OWN_STATUS = {"rate_limited": 429, "unavailable": 503}


def test_every_reason_has_its_row():
    assert set(REFUSALS) == set(Reason)


@pytest.mark.parametrize("language", ["pt-BR", "es"])
def test_every_sentence_is_translated(language):
    said = {REFUSALS[reason].sentence for reason in Reason}
    assert all(said)
    assert [one for one in said if translations(language).gettext(one) == one] == []


def test_a_refusal_is_an_error_of_the_client_and_only_our_own_trouble_is_ours():
    statuses = {reason: REFUSALS[reason].status for reason in Reason}
    assert [reason for reason, status in statuses.items() if status >= 500] == [Reason.UNAVAILABLE]
    assert all(400 <= status < 600 for status in statuses.values())


def test_people_who_are_known_get_403_and_messages_that_prove_nothing_400():
    by_status = {str(reason): told.status for reason, told in REFUSALS.items()}
    assert {reason for reason, status in by_status.items() if status == 403} - OF_PROGRAMS == PERSON_IS_KNOWN
    assert {reason: by_status[reason] for reason in OWN_STATUS} == OWN_STATUS
    unproved = set(by_status) - PERSON_IS_KNOWN - OF_PROGRAMS - set(OWN_STATUS)
    assert {by_status[reason] for reason in unproved} == {400}


def test_whoever_has_proved_nothing_reads_the_same_sentence_for_every_reason():
    told = {(row.sentence, row.family) for row in REFUSALS.values() if row.status == 400}
    assert len(told) == 1
    assert told.pop()[1] is Family.IT


def test_no_sentence_tells_a_reason_in_the_words_of_machines():
    assert [reason for reason, told in REFUSALS.items() if str(reason) in told.sentence] == []


def test_an_error_carries_its_reason_apart_from_its_private_detail():
    refusal = Refused(Reason.AUDIENCE_MISMATCH, "expected a, got b")
    assert (refusal.reason, refusal.detail) == (Reason.AUDIENCE_MISMATCH, "expected a, got b")
    assert Unavailable("redis").retry_after_seconds > 0
