"""Whatever comes, it ends in a refusal with a reason, never in another error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import parse_url
from sso_gate.protocols.oidc.callback import read_code, read_parameters
from sso_gate.protocols.oidc.id_token import ID_TOKEN_KINDS
from sso_gate.protocols.oidc.jwks import import_keys
from sso_gate.protocols.oidc.provider import read_discovery
from sso_gate.protocols.oidc.signed_token import check_audience, check_issuer, check_times, read_header
from sso_gate.protocols.oidc.strict_json import parse_object
from tests.support.oidc_forge import with_signature

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["iss", "aud", "azp", "exp", "iat", "nbf", "issuer", "token_endpoint", "jwks_uri", "alg", "kid"]
)
OBJECTS = st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=8)
KEYS = st.dictionaries(
    st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "use"]),
    JSON | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB"]),
    max_size=8,
)
quietly = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)


def tried(call, *arguments, **options):
    """Call it; a refusal is an answer, any other error fails the test."""
    with suppress(Refused):
        call(*arguments, **options)


@quietly
@given(data=st.binary(max_size=60) | OBJECTS.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_refused(data):
    tried(parse_object, data, refusal=Reason.TOKEN_REFUSED, what="it")


@quietly
@given(pairs=st.lists(st.tuples(st.text(max_size=6), st.text(max_size=20)), max_size=25))
def test_any_parameters_are_read_or_refused(pairs):
    tried(lambda: read_code(read_parameters(pairs)))


@quietly
@given(header=OBJECTS, tail=st.text(max_size=10))
def test_any_header_is_read_or_refused(journey, header, tail):
    options = {"connection": journey.connection, "kinds": ID_TOKEN_KINDS, "what": "it"}
    tried(read_header, with_signature(header, {}, b"x"), **options)
    tried(read_header, f"{tail}.{tail}.{tail}", **options)


@quietly
@given(claims=OBJECTS)
def test_any_claims_are_checked_or_refused(journey, claims):
    for check in (check_issuer, check_audience):
        tried(check, claims, journey.connection.settings)
    tried(check_times, claims, journey.clock.now(), must_expire=True)


@quietly
@given(document=OBJECTS)
def test_any_document_is_read_or_refused(document):
    tried(read_discovery, {**document, "issuer": "https://a.example"}, issuer="https://a.example")


@quietly
@given(keys=st.lists(KEYS, max_size=4))
def test_any_jwks_gives_keys_or_none(keys):
    assert len(import_keys(keys)) <= len(keys)


@quietly
@given(url=st.text(max_size=40) | st.text(max_size=30).map(lambda tail: f"https://{tail}"))
def test_any_text_is_a_url_or_refused(url):
    tried(parse_url, url, Reason.DISCOVERY_REFUSED)


@pytest.mark.parametrize("depth", [900, 5_000, 500_000])
def test_a_document_as_deep_as_a_well_is_refused(depth):
    with pytest.raises(Refused):
        parse_object(b'{"a":' * depth, refusal=Reason.TOKEN_REFUSED, what="it")


@pytest.mark.parametrize(
    "text", ['{"a":NaN}', '{"a":-Infinity}', '{"a":1,"a":1}', '{"a":[{"b":1,"b":2}]}', '[{"a":1}]', "7"]
)
def test_json_that_two_readers_could_understand_differently_is_refused(text):
    with pytest.raises(Refused):
        parse_object(text.encode(), refusal=Reason.TOKEN_REFUSED, what="it")
