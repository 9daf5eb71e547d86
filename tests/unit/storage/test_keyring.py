"""Sealing: the newest key seals, all of them open, nobody else does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sso_gate.storage.keyring import CannotUnseal, Keyring

OLD, NEW, OTHER = (f"{name} key of at least 32 characters" for name in ("old", "new", "other"))


@given(st.text(max_size=200))
@settings(max_examples=30)
def test_what_was_sealed_comes_out_again_also_under_the_key_before(text):
    assert Keyring([NEW]).unseal(Keyring([NEW]).seal(text)) == text
    assert Keyring([NEW, OLD]).unseal(Keyring([OLD]).seal(text)) == text


def test_the_newest_key_seals():
    sealed = Keyring([NEW, OLD]).seal("x")
    assert Keyring([NEW]).unseal(sealed) == "x"
    with pytest.raises(CannotUnseal, match="SSO_GATE_SECRET_KEYS"):
        Keyring([OLD]).unseal(sealed)


@pytest.mark.parametrize("text", ["", "x", "gAAAA", "é", "\ud800"])
def test_what_was_never_sealed_does_not_open(text):
    with pytest.raises(CannotUnseal):
        Keyring([NEW]).unseal(text)


def test_a_changed_letter_is_noticed():
    sealed = Keyring([NEW]).seal("a client secret")
    for at in range(10, len(sealed), 7):
        bent = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(CannotUnseal):
            Keyring([NEW]).unseal(bent)


def test_the_same_text_is_sealed_differently_each_time_and_hidden():
    ring = Keyring([NEW])
    first, second = ring.seal("a client secret"), ring.seal("a client secret")
    assert first != second
    assert "secret" not in first


def test_a_keyed_hash_depends_on_key_and_text():
    assert Keyring([NEW, OLD]).keyed_hash("x") == Keyring([NEW]).keyed_hash("x")
    assert len({Keyring([key]).keyed_hash(text) for key in (NEW, OTHER) for text in ("x", "y")}) == 4


def test_a_ring_without_keys_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Keyring([])
