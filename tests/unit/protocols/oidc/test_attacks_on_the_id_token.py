"""Forged, confused, borrowed and stale ID tokens; every signature here is a real one."""

from __future__ import annotations

import base64
import json

import pytest
from starlette.responses import Response

from sso_gate.errors import Reason
from sso_gate.protocols.oidc.jwks import ASYMMETRIC, AsymmetricRegistry, import_keys
from sso_gate.protocols.oidc.provider import KEYS_REFETCH_INTERVAL
from sso_gate.protocols.oidc.strict_json import MAX_DEPTH
from tests.support.oidc_forge import (
    JWKS,
    TOKEN,
    hmac_signed,
    new_key,
    symmetric_jwk,
    usual_key,
    with_signature,
)

JSON = {"content-type": "application/json"}


def answer_with(journey, make):
    """Have the token endpoint send what `make` returns for the claims of an honest ID token."""

    def bend(answer):
        payload = answer["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        return {**answer, "id_token": make(claims)}

    journey.forge.bend(TOKEN, bend)


@pytest.mark.parametrize("id_token", [None, "", 7, ["a.b.c"]])
async def test_an_answer_without_an_id_token_is_no_login(journey, id_token):
    journey.forge.bend(TOKEN, {"id_token": id_token})
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_alg_none_is_refused_though_discovery_lists_it(journey, algorithm):
    journey.with_settings(algorithms=("RS256", "none"))
    answer_with(journey, lambda claims: with_signature({"alg": algorithm, "typ": "JWT"}, claims, b""))
    assert await journey.refused() is Reason.ALGORITHM_REFUSED


async def test_algorithm_confusion_hmac_keyed_by_the_public_key_is_refused(journey):
    journey.with_settings(algorithms=("RS256", "HS256"))
    public = usual_key().as_pem(private=False)
    answer_with(journey, lambda claims: hmac_signed({"kid": "rsa-1"}, claims, public))
    assert await journey.refused() is Reason.ALGORITHM_REFUSED


async def test_algorithm_confusion_hmac_keyed_by_the_client_secret_is_refused(journey):
    secret = journey.forge.client_secret.encode()
    answer_with(journey, lambda claims: hmac_signed({"kid": "rsa-1"}, claims, secret))
    assert await journey.refused() is Reason.ALGORITHM_REFUSED


async def test_a_symmetric_key_in_the_jwks_is_no_key(journey):
    journey.with_settings(algorithms=("RS256", "HS256"))
    journey.forge.published.append(symmetric_jwk(b"k" * 32, "oct-1"))
    answer_with(journey, lambda claims: hmac_signed({"kid": "oct-1"}, claims, b"k" * 32))
    assert await journey.refused() is Reason.ALGORITHM_REFUSED
    assert import_keys([symmetric_jwk(b"k" * 32, "oct-1")]) == ()


async def test_an_algorithm_that_the_connection_does_not_allow_is_refused_though_the_key_fits(journey):
    journey.with_settings(algorithms=("ES256",))
    assert await journey.refused() is Reason.ALGORITHM_REFUSED


def test_the_registry_of_algorithms_holds_no_symmetric_one_and_no_none():
    assert set(AsymmetricRegistry.algorithms) == ASYMMETRIC
    assert not {name for name in ASYMMETRIC if name.startswith(("HS", "n"))}


async def test_a_token_signed_by_another_key_under_the_same_name_is_refused(journey):
    journey.forge.signing = new_key("RS256", "rsa-1")
    assert await journey.refused() is Reason.SIGNATURE_INVALID


async def test_a_changed_payload_is_refused(journey):
    journey.forge.bend(TOKEN, lambda answer: {**answer, "id_token": _with_claim(answer["id_token"], sub="admin")})
    assert await journey.refused() is Reason.SIGNATURE_INVALID


def _with_claim(token, **changes):
    header, payload, signature = token.split(".")
    claims = {**json.loads(base64.urlsafe_b64decode(payload + "==")), **changes}
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"


async def test_a_removed_signature_is_missing_and_not_merely_wrong(journey):
    journey.forge.bend(TOKEN, lambda answer: {**answer, "id_token": answer["id_token"].rpartition(".")[0] + "."})
    assert await journey.refused() is Reason.SIGNATURE_MISSING


@pytest.mark.parametrize("place", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_or_an_address_of_one_in_the_header_is_ignored(journey, place):
    foreign = new_key("RS256", "rsa-1")
    at = f"{journey.forge.issuer}/evil"
    values = {"jwk": dict(foreign.as_dict(private=False)), "jku": at, "x5u": at, "x5c": ["MIIB"]}
    journey.forge.signing = foreign
    journey.forge.header = {place: values[place]}
    assert await journey.refused() is Reason.SIGNATURE_INVALID
    assert journey.forge.count("/evil") == 0


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"b64": True}, {"kid": 7}, {"typ": 7}])
async def test_a_header_with_demands_that_the_gate_cannot_meet_is_refused(journey, header):
    answer_with(journey, lambda claims: with_signature({"alg": "RS256", "kid": "rsa-1", **header}, claims, b"x"))
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_list_of_demands_that_is_empty_is_refused_too(journey):
    """RFC 7515 4.1.11; the library that verifies takes it, so this token's signature is a true one."""
    journey.forge.header = {"crit": []}
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("kind", ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "JOSE"])
async def test_a_token_of_another_type_is_no_id_token(journey, kind):
    journey.forge.header = {"typ": kind}
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("purpose", ["Bearer", "DPoP", "Refresh", "Offline", "Logout"])
async def test_an_access_token_that_calls_itself_one_is_no_id_token(journey, purpose):
    journey.forge.claims["typ"] = purpose
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_logout_token_in_place_of_an_id_token_is_refused_even_with_a_nonce(journey):
    departure = await journey.begin()
    token = journey.forge.logout_token(kind="JWT", nonce=departure.expectations["nonce"])
    journey.forge.bend(TOKEN, {"id_token": token})
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_an_access_token_in_place_of_an_id_token_has_no_nonce(journey):
    journey.forge.claims |= {"nonce": None, "scope": "openid", "at_hash": None}
    assert await journey.refused() is Reason.NONCE_MISMATCH


@pytest.mark.parametrize("nonce", ["another", "", 0, ["n"]])
async def test_a_token_with_another_nonce_is_refused(journey, nonce):
    journey.forge.claims["nonce"] = nonce
    assert await journey.refused() is Reason.NONCE_MISMATCH


@pytest.mark.parametrize("suffix", ["/", "x", " ", "/.well-known/openid-configuration"])
async def test_a_token_of_another_issuer_is_refused(journey, suffix):
    journey.forge.claims["iss"] = journey.forge.issuer + suffix
    assert await journey.refused() is Reason.ISSUER_MISMATCH


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody"},
        {"aud": "somebody", "azp": "gate"},
        {"aud": ["somebody"]},
        {"aud": []},
        {"aud": None},
        {"aud": {"gate": 1}},
        {"aud": "gate-2"},
        {"aud": ["gate", "somebody"]},
        {"aud": ["gate", "somebody"], "azp": "somebody"},
        {"aud": "gate", "azp": "somebody"},
        {"aud": [*map(str, range(60)), "gate"], "azp": "gate"},
    ],
)
async def test_a_token_that_was_not_issued_to_us_for_us_is_refused(journey, claims):
    journey.forge.claims |= claims
    assert await journey.refused() is Reason.AUDIENCE_MISMATCH


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": -61}, Reason.RESPONSE_EXPIRED),
        ({"iat": -662}, Reason.RESPONSE_EXPIRED),
        ({"iat": -10 * 365 * 86400, "exp": 3600}, Reason.RESPONSE_EXPIRED),
        ({"iat": 62}, Reason.RESPONSE_FROM_FUTURE),
        ({"nbf": 62}, Reason.RESPONSE_FROM_FUTURE),
    ],
)
async def test_a_token_out_of_its_time_is_refused(journey, claims, reason):
    now = journey.clock.now().timestamp()
    journey.forge.claims |= {name: now + offset for name, offset in claims.items()}
    assert await journey.refused() is reason


@pytest.mark.parametrize("claims", [{"exp": -59}, {"iat": -658}, {"iat": 59, "nbf": 59}])
async def test_a_token_that_only_a_clock_a_minute_off_puts_out_of_its_time_is_accepted(journey, claims):
    now = journey.clock.now().timestamp()
    journey.forge.claims |= {name: now + offset for name, offset in claims.items()}
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize("value", [None, "soon", True, [1], 10**13, -(10**13)])
async def test_a_token_whose_times_are_missing_or_no_times_is_refused(journey, name, value):
    journey.forge.claims[name] = value
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_a_token_that_never_expires_by_arithmetic_is_refused(journey, number):
    journey.forge.claims["exp"] = "PLACE"
    key = usual_key()

    def forge(claims):
        from joserfc import jws

        text = json.dumps(claims).replace('"PLACE"', number)
        return jws.serialize_compact({"alg": "RS256", "kid": "rsa-1"}, text, key)

    answer_with(journey, forge)
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_claim_that_comes_twice_is_refused(journey):
    from joserfc import jws

    def forge(claims):
        text = json.dumps(claims)[:-1] + ', "sub": "admin"}'
        return jws.serialize_compact({"alg": "RS256", "kid": "rsa-1"}, text, usual_key())

    answer_with(journey, forge)
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("at_hash", ["AAAAAAAAAAAAAAAAAAAAAA", "", 7])
async def test_an_id_token_that_names_another_access_token_is_refused(journey, at_hash):
    journey.forge.claims["at_hash"] = at_hash
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_at_hash_without_an_access_token_is_refused(journey):
    journey.forge.bend(TOKEN, {"access_token": None})
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_missing_at_hash_is_accepted(journey):
    journey.forge.claims["at_hash"] = None
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d.e", "é.b.c", "!!!.b.c", "W10.b.c", "bnVsbA.b.c", "e30.e30.e30"])
async def test_garbage_in_place_of_a_token_is_refused(journey, token):
    journey.forge.bend(TOKEN, {"id_token": token})
    assert await journey.refused() in {Reason.TOKEN_REFUSED, Reason.ALGORITHM_REFUSED}


async def test_a_token_as_deep_as_a_well_is_refused(journey):
    header = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 20_000).rstrip(b"=").decode()
    journey.forge.bend(TOKEN, {"id_token": f"{header}.e30.AAAA"})
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_header_is_refused_at_every_depth_that_its_second_reader_might_not_survive(journey):
    """The library reads it again, deeper in the stack: what our reader still takes must not be too much for that."""
    for depth in range(MAX_DEPTH, 1000):
        text = f'{{"alg":"RS256","kid":"rsa-1","x":{"[" * depth}{"]" * depth}}}'
        header = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        assert await journey.logout_refused(f"{header}.e30.AAAA") is Reason.TOKEN_REFUSED
    assert journey.forge.asked == []


async def test_claims_are_taken_as_deep_as_the_limit_and_no_deeper(journey):
    nested = "x"
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    journey.forge.claims["x"] = nested
    assert (await journey.log_in()).identity.subject == "subject-1"
    journey.forge.claims["x"] = [nested]
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("token", ["\ud800", "a\udfff"])
async def test_an_access_token_that_no_encoding_can_write_has_another_hash(journey, token):
    journey.forge.bend(TOKEN, lambda answer: Response(json.dumps({**answer, "access_token": token}), 200, JSON))
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_a_token_of_a_hundred_kilobytes_is_refused(journey):
    journey.forge.claims["groups"] = ["g" * 100] * 1000
    assert await journey.refused() is Reason.MESSAGE_TOO_LARGE


async def test_two_keys_of_one_name_are_no_key(journey):
    journey.forge.published.append(dict(new_key("RS256", "rsa-1").as_dict(private=False)))
    assert await journey.refused() is Reason.KEY_UNKNOWN


async def test_a_token_without_a_name_for_its_key_is_refused_when_there_are_two(journey):
    journey.forge.published.append(dict(new_key("RS256", "rsa-2").as_dict(private=False)))
    journey.forge.header = {"kid": None}
    assert await journey.refused() is Reason.KEY_UNKNOWN


async def test_keys_of_one_name_are_told_apart_by_type_and_curve(journey):
    elliptic, other = new_key("ES256", "rsa-1"), new_key("ES384", "rsa-1")
    journey.forge.published += [key.as_dict(private=False) for key in (elliptic, other)]
    journey.forge.published = [
        {name: value for name, value in jwk.items() if name != "alg"} for jwk in journey.forge.published
    ]
    await journey.log_in()
    journey.forge.signing = elliptic
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_a_key_without_a_name_serves_a_token_that_names_one(journey):
    del journey.forge.published[0]["kid"]
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "PS256"}, {"key_ops": ["encrypt"]}, {"n": "AQAB"}])
async def test_a_key_for_something_else_is_no_key(journey, change):
    journey.forge.published = [{**journey.forge.published[0], **change}]
    if "key_ops" in change:
        del journey.forge.published[0]["use"]
    assert await journey.refused() is Reason.KEY_UNKNOWN


@pytest.mark.parametrize("sub", [None, "", 7, ["a"], "a" * 256, "a\nb", "a\0", " a", "a ", "a\u202eb"])
async def test_a_subject_that_is_not_one_whole_text_is_refused(journey, sub):
    journey.forge.claims["sub"] = sub
    assert await journey.refused() is Reason.SUBJECT_INVALID


@pytest.mark.parametrize("sub", ["a" * 255, "auth0|507f", "Zoë", "urn:x:y?z=1#2", "a b", "<b>&amp;"])
async def test_an_opaque_subject_is_taken_as_it_is(journey, sub):
    journey.forge.claims["sub"] = sub
    assert (await journey.log_in()).identity.subject == sub


async def test_a_rotated_key_is_found_by_fetching_the_keys_again(journey):
    await journey.log_in()
    journey.clock.advance(seconds=KEYS_REFETCH_INTERVAL.total_seconds() + 1)
    journey.forge.signing = new_key("ES256", "next")
    journey.forge.published = [dict(journey.forge.signing.as_dict(private=False))]
    assert (await journey.log_in()).identity.subject == "subject-1"
    assert journey.forge.count(JWKS) == 2
