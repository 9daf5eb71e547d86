"""Identity headers: whatever a person is called, a header stays one header and says the same after decoding."""

from datetime import UTC, datetime
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from sso_gate.forward_auth.routes import IDENTITY_HEADERS, MAX_HEADER, identity_headers
from sso_gate.sessions.session import Session

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


def session(**fields):
    values = {
        "organization": "org_1",
        "slug": "acme",
        "member": "mem_1",
        "kind": "seat",
        "connection": "c",
        "subject": "s",
        "session_index": "",
        "generation": 1,
        "email": "",
        "name": "",
        "role": "user",
        "groups": (),
        "created_at": NOW,
        "checked_at": NOW,
        "ends_at": NOW,
        "family": "f",
        **fields,
    }
    return Session(**values)


@given(TEXT, TEXT, st.lists(TEXT.filter(bool), max_size=5))
def test_every_header_is_there_plain_and_decodes_to_what_was_meant(email, name, groups):
    headers = identity_headers(session(email=email, name=name, groups=tuple(groups)), "a.b.c")
    assert tuple(headers) == IDENTITY_HEADERS
    assert all(value.isascii() and (not value or value.isprintable()) for value in headers.values())
    assert unquote(headers["X-SSO-Gate-Email"]) == email
    assert unquote(headers["X-SSO-Gate-Name"]) == name
    listed = headers["X-SSO-Gate-Groups"]
    assert [unquote(group) for group in listed.split(",")] == groups if groups else listed == ""


def test_what_is_not_known_is_an_empty_header():
    assert identity_headers(session(), "")["X-SSO-Gate-Email"] == ""


def test_a_group_is_listed_whole_or_not_at_all():
    groups = tuple(f"group-{number:04}-readonly" for number in range(1000))
    listed = identity_headers(session(groups=groups), "")["X-SSO-Gate-Groups"]
    assert len(listed) <= MAX_HEADER
    assert set(listed.split(",")) <= set(groups)
    assert len(listed.split(",")) > 100


def test_an_assertion_is_never_cut():
    assertion = "x" * (2 * MAX_HEADER)
    assert identity_headers(session(), assertion)["X-SSO-Gate-Assertion"] == assertion
