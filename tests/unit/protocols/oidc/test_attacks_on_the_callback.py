"""The redirect back: who answers, for which login, with whose code."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from sso_gate.errors import Reason, Refused
from tests.support.oidc_forge import TOKEN, Forge
from tests.unit.protocols.oidc.journey import HANDLE


async def refusal_of(journey, departure, params, **options):
    """The refusal of these parameters; no code may have been spent by a check that comes before the exchange."""
    with pytest.raises(Refused) as refusal:
        await journey.finish(params, departure.expectations, **options)
    return refusal.value


def replaced(params, **changes):
    return [(name, changes.get(name, value)) for name, value in params if changes.get(name, value) is not None]


@pytest.mark.parametrize("state", [None, "", "another-handle", HANDLE + "x", HANDLE.upper()])
async def test_state_fixation_an_answer_to_another_login_is_refused_before_anything_is_sent(journey, state):
    departure = await journey.begin()
    params = replaced(journey.forge.log_in(departure.url), state=state)
    assert (await refusal_of(journey, departure, params)).reason is Reason.STATE_MISMATCH
    assert journey.forge.count(TOKEN) == 0


async def test_login_csrf_the_attackers_answer_in_the_victims_browser_is_refused(journey):
    victim, attacker = await journey.begin(handle="victim"), await journey.begin(handle="attacker")
    params = journey.forge.log_in(attacker.url)
    assert (await refusal_of(journey, victim, params, handle="victim")).reason is Reason.STATE_MISMATCH


async def test_an_empty_expectation_is_never_met(journey):
    departure = await journey.begin()
    params = replaced(journey.forge.log_in(departure.url), state="")
    assert (await refusal_of(journey, departure, params, handle="")).reason is Reason.STATE_MISMATCH


async def test_code_injection_a_stolen_code_does_not_fit_this_logins_verifier(journey):
    victim, attacker = await journey.begin(handle="victim"), await journey.begin(handle="attacker")
    stolen = dict(journey.forge.log_in(victim.url))["code"]
    params = replaced(journey.forge.log_in(attacker.url), code=stolen)
    refusal = await refusal_of(journey, attacker, params, handle="attacker")
    assert (refusal.reason, refusal.detail) == (Reason.PROVIDER_REFUSED, "invalid_grant")


async def test_code_injection_is_stopped_by_the_nonce_where_a_provider_ignores_pkce(journey):
    victim, attacker = await journey.begin(handle="victim"), await journey.begin(handle="attacker")
    forge = journey.forge
    forge.bend(TOKEN, lambda _: {"id_token": forge.id_token(victim.expectations["nonce"]), "token_type": "Bearer"})
    refusal = await refusal_of(journey, attacker, forge.log_in(attacker.url), handle="attacker")
    assert refusal.reason is Reason.NONCE_MISMATCH


async def test_mix_up_an_answer_without_iss_is_refused_where_iss_is_announced(journey):
    departure = await journey.begin()
    params = replaced(journey.forge.log_in(departure.url), iss=None)
    assert (await refusal_of(journey, departure, params)).reason is Reason.ISSUER_MISMATCH
    assert journey.forge.count(TOKEN) == 0


@pytest.mark.parametrize("suffix", ["/", ".evil.example", "#", " "])
async def test_mix_up_an_answer_of_another_issuer_is_refused(journey, suffix):
    departure = await journey.begin()
    params = replaced(journey.forge.log_in(departure.url), iss=journey.forge.issuer + suffix)
    assert (await refusal_of(journey, departure, params)).reason is Reason.ISSUER_MISMATCH
    assert journey.forge.count(TOKEN) == 0


async def test_mix_up_an_iss_that_was_not_announced_must_still_be_ours(journey):
    journey.forge.with_iss = False
    departure = await journey.begin()
    params = [*journey.forge.log_in(departure.url), ("iss", "https://evil.example")]
    assert (await refusal_of(journey, departure, params)).reason is Reason.ISSUER_MISMATCH


async def test_a_provider_that_never_heard_of_iss_is_accepted(journey):
    journey.forge.with_iss = False
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_mix_up_a_connection_whose_issuer_changed_on_the_way_gets_no_code(journey):
    journey.forge.with_iss = False
    departure = await journey.begin()
    with Forge(with_iss=False) as other:
        journey.with_settings(issuer=other.issuer)
        params = journey.forge.log_in(departure.url)
        assert (await refusal_of(journey, departure, params)).reason is Reason.ISSUER_MISMATCH
        assert (other.count(TOKEN), journey.forge.count(TOKEN)) == (0, 0)


@pytest.mark.parametrize("name", ["code", "state", "iss", "unknown"])
async def test_a_parameter_that_comes_twice_is_refused(journey, name):
    departure = await journey.begin()
    params = journey.forge.log_in(departure.url)
    twice = [*params, ("unknown", "1"), (name, dict(params).get(name, "2"))]
    assert (await refusal_of(journey, departure, twice)).reason is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([(f"p{number}", "x") for number in range(21)], Reason.MESSAGE_TOO_LARGE),
        ([("code", "x" * 9000)], Reason.MESSAGE_TOO_LARGE),
        ([("code", "a\r\nb")], Reason.MESSAGE_MALFORMED),
        ([("code", "a\0b")], Reason.MESSAGE_MALFORMED),
        ([], Reason.STATE_MISMATCH),
        ([("state", HANDLE)], Reason.ISSUER_MISMATCH),
    ],
)
async def test_odd_parameters_are_refused(journey, params, reason):
    assert (await refusal_of(journey, await journey.begin(), params)).reason is reason


async def test_an_answer_with_neither_code_nor_error_is_malformed(journey):
    params = [("state", HANDLE), ("iss", journey.forge.issuer)]
    assert (await refusal_of(journey, await journey.begin(), params)).reason is Reason.MESSAGE_MALFORMED


async def test_the_providers_error_is_kept_short_and_without_its_description(journey):
    params = [("state", HANDLE), ("iss", journey.forge.issuer), ("error", "access_denied" + "é<" * 200)]
    refusal = await refusal_of(journey, await journey.begin(), [*params, ("error_description", "long story")])
    assert refusal.reason is Reason.PROVIDER_REFUSED
    assert refusal.detail.startswith("access_denied<")
    assert len(refusal.detail) <= 100
    assert "story" not in refusal.detail


async def test_an_error_without_our_state_tells_nothing(journey):
    params = [("iss", journey.forge.issuer), ("error", "access_denied"), ("state", "guessed")]
    assert (await refusal_of(journey, await journey.begin(), params)).reason is Reason.STATE_MISMATCH


async def test_an_id_token_smuggled_into_the_redirect_is_not_read(journey):
    departure = await journey.begin()
    token = journey.forge.id_token(departure.expectations["nonce"])
    params = [("state", HANDLE), ("iss", journey.forge.issuer), ("id_token", token)]
    assert (await refusal_of(journey, departure, params)).reason is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response("<html>", media_type="text/html"), Reason.TOKEN_REFUSED),
        (Response("[1]", media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response('{"id_token":"a","id_token":"b"}', media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response("[" * 100_000, media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response('{"expires_in":1e999}', media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response('{"expires_in":[1]}', media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response("{}", 400, media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response('{"error":["x"]}', 400, media_type="application/json"), Reason.PROVIDER_REFUSED),
        (Response('{"a":"' + "x" * 300_000 + '"}', media_type="application/json"), Reason.TOKEN_REFUSED),
        (Response("", 302, {"location": "http://127.0.0.1:1/"}), Reason.TOKEN_REFUSED),
        (Response("{}", 500, media_type="application/json"), Reason.PROVIDER_UNREACHABLE),
    ],
)
async def test_an_answer_of_the_token_endpoint_that_is_none_is_refused(journey, answer, reason):
    journey.forge.bend(TOKEN, answer)
    assert await journey.refused() is reason


async def test_a_failed_answer_that_carries_an_id_token_all_the_same_is_refused(journey):
    departure = await journey.begin()
    token = journey.forge.id_token(departure.expectations["nonce"])
    journey.forge.bend(TOKEN, Response(f'{{"id_token":"{token}"}}', 400, media_type="application/json"))
    params = journey.forge.log_in(departure.url)
    assert (await refusal_of(journey, departure, params)).reason is Reason.TOKEN_REFUSED


async def test_no_refusal_tells_a_secret(journey):
    departure = await journey.begin()
    params = journey.forge.log_in(departure.url)
    code = dict(params)["code"]
    journey.forge.claims["nonce"] = "somebody else's"
    refusal = await refusal_of(journey, departure, params)
    told = f"{refusal} {refusal.detail} {refusal.__cause__}"
    for secret in (code, journey.forge.client_secret, *departure.expectations.values()):
        assert not secret or secret == journey.forge.issuer or secret not in told
