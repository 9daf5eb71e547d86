"""What is kept of a provider's answer: everything that helps, nothing that opens anything, whatever was sent."""

from __future__ import annotations

import base64

import pytest

from sso_gate.login.answer import Answer


def token_of(payload):
    part = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return f"{part}.{part}.signature"


@pytest.mark.parametrize("name", ["code", "state", "access_token", "id_token", "refresh_token"])
def test_a_parameter_that_opens_something_is_kept_as_its_length(name):
    text = Answer(parameters=[(name, "opens-something"), ("error", "access_denied")]).text
    assert "opens-something" not in text
    assert f'"{name}": "(15)"' in text
    assert "access_denied" in text


def test_an_id_token_is_shown_without_its_signature():
    text = Answer(id_token=token_of(b'{"sub":"Zo\xc3\xab"}')).text
    assert '"sub": "Zo\u00eb"' in text
    assert "signature" not in text


@pytest.mark.parametrize("depth", [40, 500, 900, 3000])
def test_a_token_as_deep_as_a_well_is_shown_as_it_came(depth):
    token = token_of(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    assert token[:100] in Answer(id_token=token).text


@pytest.mark.parametrize("token", [token_of(b'{"a":"\\ud800"}'), "\ud800.\udfff."])
def test_what_no_encoding_can_write_is_kept_all_the_same(token):
    assert "?" in Answer(id_token=token).text
    assert Answer(id_token=token).text.encode()
