"""A session's token and its JSON."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.sessions.session import MAX_TOKEN_LENGTH, Session, SessionToken

NOW = datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=UTC)


def session(**fields: object) -> Session:
    values = {
        "organization": "org_1",
        "slug": "acme",
        "member": "mem_1",
        "kind": "seat",
        "connection": "acme-saml",
        "subject": "s",
        "session_index": "",
        "generation": 7,
        "email": "ana@acme.example",
        "name": "Ana Souza é",
        "role": "user",
        "groups": ("a", "b"),
        "created_at": NOW,
        "checked_at": NOW,
        "ends_at": NOW + timedelta(days=1),
        "family": "f",
        **fields,
    }
    return Session(**values)


def test_a_token_comes_back_from_its_cookie():
    token = SessionToken.new("org_019a")
    assert SessionToken.parse(token.text) == token
    assert len(token.text) <= MAX_TOKEN_LENGTH
    assert token.secret not in token.digest


def test_no_two_tokens_are_alike():
    assert len({SessionToken.new("org_1").text for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    ["", ".", "org_1", "org_1.", ".secret", "org{1}.secret", "org 1.secret", "örg.secret", "org_1.sécret", "a." * 200],
)
def test_what_has_not_the_form_of_a_token_is_none(text: str):
    assert SessionToken.parse(text) is None


@given(st.text(max_size=200))
def test_no_text_names_a_key_of_another_organization(text: str):
    token = SessionToken.parse(text)
    if token:
        assert set(token.organization) & set("{}:*") == set()


def test_a_session_comes_back_from_its_json():
    for one in (session(), session(groups=(), host="app.example", kind="settings", logout="x")):
        assert Session.from_json(one.to_json()) == one


def test_a_pending_one_is_none():
    assert Session.from_json("{}") is None


def test_confirming_changes_what_sql_has_said_and_nothing_else():
    later = NOW + timedelta(minutes=2)
    confirmed = session().confirmed(later, role="admin")
    assert confirmed == session(checked_at=later, role="admin")
