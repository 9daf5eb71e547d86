"""Discovery documents and keys: whose they are, how often they are fetched, how big they may be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from joserfc.util import int_to_base64
from starlette.responses import Response

from sso_gate.connections.connection import SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.jwks import import_keys
from sso_gate.protocols.oidc.provider import MAX_PROVIDERS, read_discovery
from tests.support.oidc_forge import DISCOVERY, JWKS, Forge, new_key, usual_key


async def begin_refused(journey):
    with pytest.raises(Refused) as refusal:
        await journey.begin()
    return refusal.value.reason


@pytest.mark.parametrize("issuer", ["https://evil.example", None, 7, ["x"], "with a slash", "in capitals"])
async def test_foreign_issuer_a_discovery_document_of_another_issuer_is_refused(journey, issuer):
    at = journey.forge.issuer
    forged = {"with a slash": f"{at}/", "in capitals": at.upper()}
    journey.forge.bend(DISCOVERY, {"issuer": forged.get(issuer, issuer) if isinstance(issuer, str) else issuer})
    assert await begin_refused(journey) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "value", [None, 7, "", "/token", "javascript:alert(1)", "ftp://x/", "https://u:p@x/", "https://x/#f"]
)
async def test_an_endpoint_that_is_missing_or_no_plain_url_is_refused(journey, name, value):
    journey.forge.bend(DISCOVERY, {name: value})
    assert await begin_refused(journey) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("name", ["userinfo_endpoint", "end_session_endpoint", "pushed_authorization_request_endpoint"])
async def test_an_endpoint_that_may_be_missing_must_be_a_url_when_it_is_there(journey, name):
    journey.forge.bend(DISCOVERY, {name: "javascript:alert(1)"})
    assert await begin_refused(journey) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>", media_type="text/html"),
        Response("{", media_type="application/json"),
        Response("[]", media_type="application/json"),
        Response('{"issuer":"a","issuer":"b"}', media_type="application/json"),
        Response('{"a":' + "[" * 100_000, media_type="application/json"),
        Response("{}".encode("utf-16"), media_type="application/json"),
        Response(b"\xff{}", media_type="application/json"),
        Response('{"a":"' + "x" * 300_000 + '"}', media_type="application/json"),
        Response("", 302, {"location": "http://127.0.0.1:1/"}),
        Response("", 404),
    ],
)
async def test_a_discovery_document_that_is_none_is_refused(journey, answer):
    journey.forge.bend(DISCOVERY, answer)
    assert await begin_refused(journey) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize(
    "issuer",
    ["http://127.0.0.1:1/?x=1", "http://127.0.0.1:1/?", "http://127.0.0.1:1/#x", "127.0.0.1", "", "file:///etc/passwd"],
)
async def test_an_issuer_that_is_no_plain_url_is_refused_without_a_request(journey, issuer):
    journey.with_settings(issuer=issuer)
    assert await begin_refused(journey) is Reason.DISCOVERY_REFUSED


async def test_an_issuer_with_a_trailing_slash_is_asked_at_one_slash_and_compared_with_it(journey):
    journey.with_settings(issuer=f"{journey.forge.issuer}/")
    journey.forge.bend(DISCOVERY, {"issuer": f"{journey.forge.issuer}/"})
    assert (await journey.begin()).url.startswith(f"{journey.forge.issuer}/authorize?")


async def test_ssrf_a_discovery_document_cannot_send_the_gate_to_a_forbidden_address(journey):
    journey.forge.bend(DISCOVERY, {"jwks_uri": "http://169.254.169.254/latest/meta-data/"})
    assert await journey.refused() is Reason.DISCOVERY_REFUSED
    journey.with_settings()
    journey.forge.bend(DISCOVERY, {"token_endpoint": "http://10.0.0.1/token"})
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_an_https_issuer_has_no_plain_http_endpoint(name):
    at = "https://login.acme.example"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    document = {"issuer": at, **{each: f"{at}/{each}" for each in names}}
    assert read_discovery(document, issuer=at).token_endpoint == f"{at}/token_endpoint"
    with pytest.raises(Refused, match="not https"):
        read_discovery({**document, name: f"http://login.acme.example/{name}"}, issuer=at)


async def test_a_saml_connection_is_none_for_openid(journey):
    journey.connection = replace(journey.connection, settings=SamlSettings("id", "https://x", ()))
    assert await begin_refused(journey) is Reason.CONNECTION_MISMATCH


async def test_documents_are_fetched_once_for_many_logins_at_the_same_time(journey):
    await asyncio.gather(*(journey.begin() for _ in range(20)))
    for _ in range(3):
        await journey.log_in()
    assert (journey.forge.count(DISCOVERY), journey.forge.count(JWKS)) == (1, 1)


async def test_documents_are_fetched_again_when_their_lifetimes_are_over(journey):
    await journey.log_in()
    journey.clock.advance(minutes=11)
    await journey.log_in()
    assert (journey.forge.count(DISCOVERY), journey.forge.count(JWKS)) == (1, 2)
    journey.clock.advance(hours=1)
    await journey.log_in()
    assert (journey.forge.count(DISCOVERY), journey.forge.count(JWKS)) == (2, 3)


async def test_a_clock_that_is_set_back_makes_no_document_immortal(journey):
    await journey.log_in()
    journey.clock.advance(days=-1)
    await journey.log_in()
    assert journey.forge.count(DISCOVERY) == 2


async def test_a_changed_connection_starts_with_fresh_documents(journey):
    await journey.log_in()
    journey.with_settings(scopes=("openid",))
    await journey.log_in()
    assert journey.forge.count(DISCOVERY) == 2


async def test_a_key_that_the_provider_has_withdrawn_works_ten_minutes_at_most(journey):
    await journey.log_in()
    journey.forge.published = [dict(new_key("ES256", "next").as_dict(private=False))]
    journey.clock.advance(minutes=10)
    assert await journey.refused() is Reason.KEY_UNKNOWN


async def test_jwks_flood_made_up_names_fetch_the_keys_once_a_minute_at_most(journey):
    await journey.log_in()
    for number in range(50):
        journey.forge.header = {"kid": f"made-up-{number}"}
        assert await journey.refused() is Reason.KEY_UNKNOWN
        journey.clock.advance(seconds=3)
    assert journey.forge.count(JWKS) == 1 + 2  # 147 seconds: after one minute, after two
    journey.forge.header = {}
    await journey.log_in()


async def test_jwks_flood_many_at_once_fetch_the_keys_once(journey):
    await journey.log_in()
    journey.clock.advance(minutes=2)
    tokens = [journey.forge.sign({}, kid=f"made-up-{number}") for number in range(20)]
    await asyncio.gather(*(journey.logout_refused(token) for token in tokens))
    assert journey.forge.count(JWKS) == 2


async def test_many_who_come_with_a_rotated_key_at_once_fetch_the_keys_once(journey):
    await journey.log_in()
    journey.clock.advance(minutes=2)
    journey.forge.published = [dict(new_key("ES256", "next").as_dict(private=False))]
    asked = (journey.providers.verification_key(journey.connection, kid="next", algorithm="ES256") for _ in range(20))
    assert {key.kid for key in await asyncio.gather(*asked)} == {"next"}
    assert journey.forge.count(JWKS) == 2


async def test_a_failed_refetch_leaves_the_keys_that_are_there(journey):
    await journey.log_in()
    journey.clock.advance(minutes=2)
    journey.forge.bend(JWKS, Response("", 503))
    journey.forge.header = {"kid": "made-up"}
    assert await journey.refused() is Reason.PROVIDER_UNREACHABLE
    journey.forge.header = {}
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_a_dead_provider_is_tried_once_for_all_who_wait_and_again_soon(journey):
    journey.forge.bend(DISCOVERY, Response("", 503))
    reasons = await asyncio.gather(*(begin_refused(journey) for _ in range(20)))
    assert set(reasons) == {Reason.PROVIDER_UNREACHABLE}
    assert journey.forge.count(DISCOVERY) == 1
    journey.forge.bends.clear()
    journey.clock.advance(seconds=6)
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_those_who_wait_for_a_silent_provider_wait_for_one_time_out(journey):
    def silent(_):
        journey.clock.advance(seconds=6)  # longer than a failure is remembered
        return Response("", 503)

    journey.forge.bend(DISCOVERY, silent)
    reasons = await asyncio.gather(*(begin_refused(journey) for _ in range(5)))
    assert set(reasons) == {Reason.PROVIDER_UNREACHABLE}
    assert journey.forge.count(DISCOVERY) == 1


@pytest.mark.parametrize("keys", [None, {}, "x", 7])
async def test_a_jwks_without_a_list_is_refused(journey, keys):
    journey.forge.bend(JWKS, lambda _: {"keys": keys})
    assert await journey.refused() is Reason.DISCOVERY_REFUSED


async def test_a_jwks_may_hold_keys_that_nobody_understands(journey):
    odd = [None, 7, {}, {"kty": "AKP", "kid": "pq"}, {"kty": ["RSA"]}, {"kty": "RSA", "n": 7, "e": "AQAB"}]
    curve = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
    journey.forge.published = [*odd, curve, *journey.forge.published]
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("bits", [1024, 16384])
def test_an_rsa_key_of_a_weak_or_absurd_size_is_no_key(bits):
    assert import_keys([{"kty": "RSA", "n": int_to_base64(2**bits - 1), "e": "AQAB"}]) == ()
    assert len(import_keys([{"kty": "RSA", "n": int_to_base64(2**2048 - 1), "e": "AQAB"}])) == 1


def test_an_rsa_key_with_an_absurd_exponent_is_no_key():
    jwk = dict(usual_key().as_dict(private=False))
    assert import_keys([{**jwk, "e": int_to_base64(2**33 + 1)}]) == ()
    assert len(import_keys([{**jwk, "e": int_to_base64(2**31 + 1)}])) == 1


def test_a_private_key_that_a_provider_publishes_by_mistake_is_used_as_a_public_one():
    (found,) = import_keys([dict(usual_key().as_dict(private=True))])
    assert not found.key.is_private


def test_a_hundred_keys_are_enough():
    jwk = dict(usual_key().as_dict(private=False))
    assert len(import_keys([jwk] * 500)) == 100


async def test_what_is_remembered_of_providers_has_a_bound(journey):
    await journey.begin()
    nowhere = replace(journey.connection.settings, issuer="")
    for number in range(MAX_PROVIDERS):
        with pytest.raises(Refused):
            await journey.providers.discovery(replace(journey.connection, id=f"c{number}", settings=nowhere))
    await journey.begin()
    assert journey.forge.count(DISCOVERY) == 2  # the first was forgotten


async def test_inspection_tells_the_endpoints_and_the_number_of_keys_as_they_are_now(journey):
    await journey.log_in()
    journey.forge.published.append(dict(new_key("ES256", "next").as_dict(private=False)))
    discovery, keys = await journey.providers.inspect(journey.connection)
    assert (discovery.issuer, keys) == (journey.forge.issuer, 2)


@pytest.mark.parametrize(
    "name", ["token_endpoint", "userinfo_endpoint", "jwks_uri", "pushed_authorization_request_endpoint"]
)
async def test_inspection_refuses_an_endpoint_that_the_gate_may_not_reach(journey, name):
    journey.forge.bend(DISCOVERY, {name: "http://10.0.0.1/x"})
    with pytest.raises(Refused) as refusal:
        await journey.providers.inspect(journey.connection)
    assert refusal.value.reason is Reason.DISCOVERY_REFUSED


async def test_one_connections_provider_says_nothing_about_anothers(journey):
    with Forge() as other:
        other.signing = new_key("RS256", "rsa-1")
        journey.forge.signing = other.signing
        assert await journey.refused() is Reason.SIGNATURE_INVALID
