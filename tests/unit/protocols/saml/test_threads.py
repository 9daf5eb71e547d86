"""Verification is called from many threads at once, and no message is mistaken for another."""

from concurrent.futures import ThreadPoolExecutor

from sso_gate.errors import Refused
from tests.support.saml_forge import assertion_of, encode, reparsed, sign


def test_messages_verified_in_many_threads_are_told_apart(world):
    messages = {f"_request{number}": world.message(in_response_to=f"_request{number}") for number in range(12)}
    good = {request: message.encoded() for request, message in messages.items()}
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), world.idp, prefixes="#default xs")
    listed = encode(reparsed(tree))
    bad = [encoded.replace("A", "B", 1) for encoded in good.values()]

    def outcome(encoded):
        try:
            return world.verify(encoded).in_response_to
        except Refused:
            return None

    work = [*good.values(), listed, *bad] * 8
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(outcome, work))
    assert answers == [*good, "_request", *([None] * len(bad))] * 8
