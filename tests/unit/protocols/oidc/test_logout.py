"""Logout in both directions."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.responses import Response

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.logout import end_session_url, verify_logout_token
from sso_gate.protocols.protocol import Endpoints
from tests.support.oidc_forge import DISCOVERY, hmac_signed, new_key, with_signature

AFTERWARDS = "http://localhost:8080/"


async def end(journey, hint):
    return await end_session_url(
        journey.connection, journey.providers, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS, state="st"
    )


async def test_the_browser_is_sent_to_end_the_providers_session(journey):
    proof = await journey.log_in()
    url = await end(journey, proof.id_token)
    assert url.startswith(f"{journey.forge.issuer}/end?")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "client_id": "gate",
        "post_logout_redirect_uri": AFTERWARDS,
        "id_token_hint": proof.id_token,
        "state": "st",
    }


async def test_a_hint_that_no_url_can_carry_is_left_out(journey):
    assert "id_token_hint" not in await end(journey, "x" * 5000)


async def test_a_provider_without_a_place_to_log_out_or_without_life_does_not_keep_our_logout(journey):
    journey.forge.bend(DISCOVERY, {"end_session_endpoint": None})
    assert await end(journey, None) is None
    journey.with_settings()
    journey.forge.bend(DISCOVERY, Response("", 503))
    assert await end(journey, None) is None


async def test_a_notice_names_the_session_the_person_and_how_long_it_must_be_remembered(journey):
    token = await journey.told_of_logout(journey.forge.logout_token(jti="j-1"))
    assert (token.sub, token.sid, token.jti) == ("subject-1", "s-1", "j-1")
    assert token.replay_until > journey.clock.now() + timedelta(minutes=10)


async def test_a_notice_is_refused_by_itself_when_it_need_not_be_remembered_any_more(journey):
    text = journey.forge.logout_token(exp=None)
    token = await journey.told_of_logout(text)
    journey.clock.instant = token.replay_until
    assert await journey.logout_refused(text) is Reason.RESPONSE_EXPIRED


@pytest.mark.parametrize("changes", [{"exp": None}, {"sub": None}, {"sid": None}, {"aud": ["gate"]}])
async def test_what_a_notice_may_leave_out_or_write_otherwise_is_accepted(journey, changes):
    assert (await journey.told_of_logout(journey.forge.logout_token(**changes))).jti


@pytest.mark.parametrize("kind", ["logout+jwt", "application/logout+jwt", "JWT", None])
async def test_a_notice_of_an_older_provider_is_accepted(journey, kind):
    assert (await journey.told_of_logout(journey.forge.logout_token(kind=kind))).sid == "s-1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, Reason.ISSUER_MISMATCH),
        ({"aud": "somebody"}, Reason.AUDIENCE_MISMATCH),
        ({"aud": ["gate", "somebody"]}, Reason.AUDIENCE_MISMATCH),
        ({"aud": None}, Reason.AUDIENCE_MISMATCH),
        ({"iat": None}, Reason.TOKEN_REFUSED),
        ({"jti": None}, Reason.TOKEN_REFUSED),
        ({"jti": ""}, Reason.TOKEN_REFUSED),
        ({"jti": 7}, Reason.TOKEN_REFUSED),
        ({"jti": "j" * 256}, Reason.TOKEN_REFUSED),
        ({"sub": None, "sid": None}, Reason.TOKEN_REFUSED),
        ({"sub": "a\nb"}, Reason.TOKEN_REFUSED),
        # One session is meant, and it cannot be told which: no reason to end them all.
        ({"sid": 7}, Reason.TOKEN_REFUSED),
        ({"sid": "s\n1"}, Reason.TOKEN_REFUSED),
        ({"events": None}, Reason.TOKEN_REFUSED),
        ({"events": ["http://schemas.openid.net/event/backchannel-logout"]}, Reason.TOKEN_REFUSED),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": True}}, Reason.TOKEN_REFUSED),
        (
            {"events": {"https://schemas.openid.net/secevent/risc/event-type/account-disabled": {}}},
            Reason.TOKEN_REFUSED,
        ),
        ({"nonce": "n"}, Reason.TOKEN_REFUSED),
        ({"nonce": ""}, Reason.TOKEN_REFUSED),
    ],
)
async def test_back_channel_token_confusion_a_token_that_is_no_notice_to_us_is_refused(journey, changes, reason):
    assert await journey.logout_refused(journey.forge.logout_token(**changes)) is reason


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        ({"iat": -700, "exp": 100}, Reason.RESPONSE_EXPIRED),
        ({"exp": -61}, Reason.RESPONSE_EXPIRED),
        ({"iat": 120, "exp": 240}, Reason.RESPONSE_FROM_FUTURE),
    ],
)
async def test_a_notice_out_of_its_time_is_refused(journey, offsets, reason):
    now = journey.clock.seconds()
    token = journey.forge.logout_token(**{name: now + offset for name, offset in offsets.items()})
    assert await journey.logout_refused(token) is reason


async def test_back_channel_token_confusion_an_id_token_logs_nobody_out(journey):
    assert await journey.logout_refused(journey.forge.id_token("n")) is Reason.TOKEN_REFUSED
    assert await journey.logout_refused(journey.forge.id_token(None)) is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("kind", ["at+jwt", "secevent+jwt", "dpop+jwt"])
async def test_back_channel_token_confusion_another_type_is_refused(journey, kind):
    assert await journey.logout_refused(journey.forge.logout_token(kind=kind)) is Reason.TOKEN_REFUSED


async def test_an_unsigned_notice_ends_nothing(journey):
    claims = {"iss": journey.forge.issuer, "aud": "gate", "sub": "subject-1"}
    assert await journey.logout_refused(with_signature({"alg": "none"}, claims, b"")) is Reason.ALGORITHM_REFUSED
    assert await journey.logout_refused(hmac_signed({}, claims, b"k" * 32)) is Reason.ALGORITHM_REFUSED
    unsigned = with_signature({"alg": "RS256", "kid": "rsa-1"}, claims, b"")
    assert await journey.logout_refused(unsigned) is Reason.SIGNATURE_MISSING


async def test_a_notice_signed_by_another_key_ends_nothing(journey):
    journey.forge.signing = new_key("RS256", "rsa-1")
    assert await journey.logout_refused(journey.forge.logout_token()) is Reason.SIGNATURE_INVALID


async def test_a_notice_to_another_connections_address_is_refused(journey):
    with pytest.raises(Refused) as refusal:
        await verify_logout_token(
            journey.forge.logout_token(),
            connection=journey.connection,
            endpoints=Endpoints("http://localhost:8080", "globex-oidc"),
            providers=journey.providers,
            now=journey.clock.now(),
        )
    assert refusal.value.reason is Reason.CONNECTION_MISMATCH


@pytest.mark.parametrize("garbage", ["", "x", "a.b.c", "." * 70_000, "e30.e30.", "\x00.\x00.\x00"])
async def test_garbage_costs_no_request_to_the_provider(journey, garbage):
    await journey.logout_refused(garbage)
    assert journey.forge.asked == []
