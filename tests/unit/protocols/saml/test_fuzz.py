"""Whatever is posted ends in a refusal with a reason: never in another error, never in an identity."""

from __future__ import annotations

import random
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from sso_gate.errors import InvalidInput, Reason, Refused
from sso_gate.protocols.saml import document, response
from sso_gate.protocols.saml.logout import receive_logout
from sso_gate.protocols.saml.metadata import parse_identity_provider
from tests.support.saml_forge import NOW, encode
from tests.unit.protocols.saml.bending import PIECES, bend
from tests.unit.protocols.saml.fuzz import Run
from tests.unit.protocols.saml.world import World


@cache
def world() -> World:
    return World.new()


@cache
def good(form: str) -> bytes:
    message = world().message(signed="both", response_id="_r", assertion_id="_a")
    tree = message.tree() if form == "clear" else message.encrypted(world().own.certificate_pem)
    data: bytes = etree.tostring(tree)
    return data


def outcome(encoded: str) -> Reason | None:
    """Return the reason of the refusal, none where the message was accepted; any other error fails the test."""
    try:
        world().verify(encoded)
    except Refused as refused:
        return refused.reason
    return None


number = st.integers(0, 1 << 20)
kinds = st.sampled_from(["insert", "delete", "repeat", "move", "flip"])
changes = st.lists(st.tuples(kinds, number, number, number), min_size=1, max_size=4)


def check_bent(form: str, made: list[tuple[str, int, int, int]]) -> None:
    bent = bend(good(form), made)
    try:
        verified = world().verify(encode(bent))
    except Refused:
        return
    # Some changes change nothing that is signed or read, such as one in KeyInfo; then the identity is the signed one.
    expected = world().verify(encode(good(form)))
    assert (verified.identity, verified.in_response_to) == (expected.identity, expected.in_response_to)


@given(form=st.sampled_from(["clear", "encrypted"]), made=changes)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_bent_message_is_refused_or_says_what_was_signed(form, made):
    check_bent(form, made)


@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
@example(b"<a xmlns=''/>")
@example(b"<?xml version='1.0'?>")
@example(b"\xef\xbb\xbf")
def test_arbitrary_bytes_are_refused(data):
    assert outcome(encode(data)) in set(Reason)


@given(text=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
@example("PGEvPg==\n")
@example("\r")
@example("====")
def test_arbitrary_text_in_the_form_is_refused(text):
    assert outcome(text) in set(Reason)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=300, deadline=None)
def test_the_preflight_lets_through_plain_small_trees_only(pieces):
    data = b"<a>" + b"".join(pieces) + b"</a>"
    try:
        root = document.parse(data)
    except Refused:
        return
    assert root.getroottree().docinfo.doctype == ""
    assert not list(root.iter(etree.Comment, etree.PI, etree.Entity))
    assert b"CDATA" not in data


@given(query=st.binary(max_size=200), named=st.booleans())
@settings(max_examples=200, deadline=None)
@example(b"&SigAlg=%FF&Signature=", True)
@example(b"=&SigAlg=http://www.w3.org/2001/04/xmldsig-more%23rsa-sha256&Signature=AAAA", True)
def test_arbitrary_queries_are_refused(query, named):
    message = b"SAMLRequest" + query if named else query
    with pytest.raises(Refused):
        receive_logout(message, connection=world().connection, endpoints=world().endpoints, now=NOW)


@given(data=st.binary(max_size=200), pieces=st.lists(st.sampled_from(PIECES), max_size=10))
@settings(max_examples=100, deadline=None)
def test_arbitrary_metadata_is_refused(data, pieces):
    with pytest.raises(InvalidInput):
        parse_identity_provider(b"<a>" + b"".join(pieces) + data, now=NOW)


@given(seed=st.integers(0, 1 << 30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_whose_elements_were_moved_about_is_refused_or_says_what_was_signed(seed):
    run = Run(random.Random(seed))
    for _ in range(2):
        run.once()
    assert not run.found


@pytest.mark.soak
def test_a_minute_of_messages_finds_nothing():
    """The program itself, `python -m tests.unit.protocols.saml.fuzz`, runs for an hour."""
    run, end = Run(random.Random()), time.monotonic() + 60
    while time.monotonic() < end:
        run.once()
    assert not run.found


def test_an_error_of_a_library_is_a_refusal_too():
    # A str subclass of our own is the only way to make the first step fail in a way that no message can.
    class Odd(str):
        __slots__ = ()

        def __len__(self):
            raise RuntimeError

    with pytest.raises(Refused) as refused:
        response.verify(
            Odd("x"), connection=world().connection, endpoints=world().endpoints, keys=world().keys, now=NOW
        )
    assert refused.value.reason is Reason.MESSAGE_MALFORMED
