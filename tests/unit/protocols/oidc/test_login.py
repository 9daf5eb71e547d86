"""A login that must work, and what leaves the gate on the way."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import Response

from sso_gate.connections.connection import AttributeMap
from sso_gate.errors import Reason, Refused, Unavailable
from sso_gate.protocols.oidc.keys import new_client_key, public_jwks
from sso_gate.protocols.oidc.trace import CHECKS
from tests.support.oidc_forge import PAR, TOKEN, USERINFO, new_key
from tests.unit.protocols.oidc.journey import HANDLE


async def test_a_login_ends_in_the_identity_that_the_provider_vouches_for(journey):
    proof = await journey.log_in()
    identity = proof.identity
    assert (identity.connection, identity.organization, identity.protocol) == ("acme-oidc", "org_acme", "oidc")
    assert (identity.subject, identity.email, identity.email_verified) == ("subject-1", "ana@acme.example", True)
    assert (identity.name, identity.groups) == ("Ana Souza", ("staff", "gate-owners"))
    assert identity.authenticated_at == journey.clock.now().replace(microsecond=0)
    assert (identity.session_index, proof.sid, proof.sub) == ("s-1", "s-1", "subject-1")
    assert len(identity.login_id) == 64


async def test_the_checks_are_recorded_by_name_in_their_order(journey):
    await journey.log_in()
    assert tuple(journey.passed) == CHECKS


async def test_a_refusal_leaves_the_failed_check_next_in_the_list(journey):
    journey.forge.claims["aud"] = "somebody else"
    assert await journey.refused() is Reason.AUDIENCE_MISMATCH
    assert CHECKS[len(journey.passed)] == "audience"


async def test_the_id_token_is_kept_for_logout_and_never_shown(journey):
    proof = await journey.log_in()
    assert proof.id_token.count(".") == 2
    assert proof.id_token not in repr(proof)


async def test_the_same_proof_has_the_same_login_id_and_another_one_another(journey):
    departure = await journey.begin()
    first = await journey.finish(journey.forge.log_in(departure.url), departure.expectations)
    again = await journey.finish(journey.forge.log_in(departure.url), departure.expectations)
    assert first.identity.login_id == again.identity.login_id
    assert (await journey.log_in()).identity.login_id != first.identity.login_id


async def test_the_browser_is_sent_with_code_flow_pkce_state_and_nonce(journey):
    departure = await journey.begin(login_hint="ana@acme.example")
    query = dict(parse_qsl(urlsplit(departure.url).query, strict_parsing=True))
    verifier = departure.expectations["code_verifier"]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query == {
        "response_type": "code",
        "client_id": "gate",
        "redirect_uri": "http://localhost:8080/sso/oidc/acme-oidc/callback",
        "scope": "openid email profile",
        "state": HANDLE,
        "nonce": departure.expectations["nonce"],
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "login_hint": "ana@acme.example",
    }
    assert verifier not in departure.url
    assert len(verifier) >= 43  # RFC 7636 4.1


async def test_two_tabs_have_their_own_secrets_and_finish_in_either_order(journey):
    one, two = await journey.begin(handle="tab-one"), await journey.begin(handle="tab-two")
    assert not set(one.expectations.values()) & set(two.expectations.values()) - {journey.forge.issuer, ""}
    for departure, handle in ((two, "tab-two"), (one, "tab-one")):
        proof = await journey.finish(journey.forge.log_in(departure.url), departure.expectations, handle=handle)
        assert proof.identity.subject == "subject-1"


async def test_openid_is_asked_for_even_when_the_scopes_forget_it(journey):
    journey.with_settings(scopes=("email",))
    assert parse_qs(urlsplit((await journey.begin()).url).query)["scope"] == ["openid email"]


@pytest.mark.parametrize("hint", ["line\nfeed", "x" * 255, ""])
async def test_a_login_hint_that_no_address_looks_like_is_left_out(journey, hint):
    assert "login_hint" not in (await journey.begin(login_hint=hint)).url


async def test_a_forced_authentication_is_asked_for_and_proved_by_auth_time(journey):
    departure = await journey.begin(force_authn=True)
    query = parse_qs(urlsplit(departure.url).query)
    assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
    assert (await journey.log_in(force_authn=True)).identity.subject == "subject-1"


@pytest.mark.parametrize("auth_time", [None, 0, "a minute too early"])
async def test_a_forced_authentication_that_did_not_happen_is_refused(journey, auth_time):
    early = journey.clock.now().timestamp() - 62
    journey.forge.claims["auth_time"] = early if auth_time == "a minute too early" else auth_time
    assert await journey.refused(force_authn=True) is Reason.TOKEN_REFUSED


async def test_a_forced_authentication_may_look_a_minute_too_early_by_the_providers_clock(journey):
    journey.forge.claims["auth_time"] = journey.clock.now().timestamp() - 59
    assert (await journey.log_in(force_authn=True)).identity.subject == "subject-1"


@pytest.mark.parametrize(("auth_time", "expected"), [(1_700_000_000.5, 1_700_000_000.5), (0, None), ("soon", None)])
async def test_auth_time_may_be_a_fraction_zero_or_nonsense_when_nothing_was_forced(journey, auth_time, expected):
    journey.forge.claims["auth_time"] = auth_time
    issued = float(int(journey.clock.now().timestamp()))
    identity = (await journey.log_in()).identity
    assert identity.authenticated_at == datetime.fromtimestamp(expected or issued, UTC)


async def test_nobody_has_authenticated_at_a_time_to_come(journey):
    journey.forge.claims["auth_time"] = journey.clock.now().timestamp() + 3600
    assert (await journey.log_in()).identity.authenticated_at <= journey.clock.now()


async def test_a_list_audience_with_us_alone_is_accepted(journey):
    journey.forge.claims["aud"] = ["gate"]
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_other_audiences_are_accepted_when_the_token_was_issued_to_us(journey):
    journey.forge.claims |= {"aud": ["gate", "https://api.acme.example"], "azp": "gate"}
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("offset", [-55, 55])
async def test_a_provider_whose_clock_is_a_minute_off_is_accepted(journey, offset):
    journey.forge.clock_offset_seconds = offset
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_every_default_algorithm_signs_a_login(journey, algorithm):
    journey.forge.signing = new_key(algorithm, "key-1")
    journey.forge.published = [journey.forge.signing.as_dict(private=False)]
    assert (await journey.log_in()).identity.subject == "subject-1"


@pytest.mark.parametrize("algorithm", ["RS512", "ES384", "ES512"])
async def test_an_algorithm_that_the_connection_allows_on_purpose_signs_a_login(journey, algorithm):
    journey.with_settings(algorithms=(algorithm,))
    journey.forge.signing = new_key(algorithm, "key-1")
    journey.forge.published = [journey.forge.signing.as_dict(private=False)]
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_a_header_may_carry_what_the_gate_does_not_know(journey):
    journey.forge.header = {"ver": "1.0", "x5t": "abc", "typ": None}
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_a_single_key_without_a_name_serves_a_token_without_one(journey):
    del journey.forge.published[0]["kid"]
    journey.forge.header = {"kid": None}
    assert (await journey.log_in()).identity.subject == "subject-1"


async def test_claims_that_are_only_at_userinfo_are_fetched_there(journey):
    journey.forge.userinfo_only = ("email", "email_verified", "name", "groups")
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified, identity.name) == ("ana@acme.example", True, "Ana Souza")
    assert journey.forge.last(USERINFO).headers["authorization"].startswith("Bearer ")


async def test_userinfo_is_left_alone_when_the_id_token_says_enough(journey):
    await journey.log_in()
    assert journey.forge.count(USERINFO) == 0


async def test_groups_are_fetched_from_userinfo_when_the_connection_maps_roles(journey):
    journey.connection = replace(journey.connection, roles={"gate-owners": "owner"})
    journey.forge.userinfo_only = ("groups",)
    assert (await journey.log_in()).identity.groups == ("staff", "gate-owners")


async def test_a_provider_without_userinfo_and_email_gives_an_identity_without_email(journey):
    journey.forge.bend("/.well-known/openid-configuration", {"userinfo_endpoint": None})
    journey.forge.userinfo_only = ("email",)
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified) == (None, False)


async def test_the_subject_may_come_from_another_claim_while_logout_knows_sub(journey):
    journey.connection = replace(journey.connection, attributes=AttributeMap(subject="oid"))
    journey.forge.person["oid"] = "11111111-2222"
    proof = await journey.log_in()
    assert (proof.identity.subject, proof.sub) == ("11111111-2222", "subject-1")


async def test_client_secret_basic_is_form_encoded_first(journey):
    journey.with_settings(client_secret="p%40ss wörd+", client_id="gate")
    await journey.log_in()
    sent = journey.forge.last(TOKEN).headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"gate:p%2540ss+w%C3%B6rd%2B"
    assert "client_secret" not in journey.forge.last(TOKEN).form


async def test_client_secret_post_goes_into_the_body_alone(journey):
    journey.with_settings(client_authentication="client_secret_post")
    await journey.log_in()
    assert journey.forge.last(TOKEN).form["client_secret"] == journey.forge.client_secret
    assert "authorization" not in journey.forge.last(TOKEN).headers


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_private_key_jwt_is_signed_by_our_key_for_the_issuer_alone_and_for_a_minute(journey, algorithm):
    journey.client_key = new_client_key(algorithm)
    journey.with_settings(client_authentication="private_key_jwt", client_secret="")
    await journey.log_in()
    form = journey.forge.last(TOKEN).form
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    published = public_jwks([journey.client_key])["keys"][0]
    key = (ECKey if algorithm == "ES256" else RSAKey).import_key(published)
    verified = jws.deserialize_compact(form["client_assertion"], key, algorithms=[algorithm])
    assert verified.headers()["kid"] == journey.client_key.kid == published["kid"]
    claims = httpx2.Response(200, content=verified.payload).json()
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("gate", "gate", journey.forge.issuer)
    assert (claims["exp"] - claims["iat"], len(claims["jti"]) >= 32) == (60, True)
    assert "client_secret" not in form


async def test_private_key_jwt_without_a_key_is_our_own_trouble(journey):
    journey.with_settings(client_authentication="private_key_jwt")
    with pytest.raises(Unavailable):
        await journey.log_in()


def test_a_published_key_has_no_private_part_and_a_shown_one_no_secret():
    key = new_client_key()
    assert set(public_jwks([key])["keys"][0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
async def test_the_request_is_pushed_where_the_provider_takes_that(journey, method):
    journey.forge.with_par = True
    journey.client_key = new_client_key()
    journey.with_settings(client_authentication=method)
    departure = await journey.begin(login_hint="ana@acme.example")
    query = dict(parse_qsl(urlsplit(departure.url).query))
    assert set(query) == {"client_id", "request_uri"}
    pushed = journey.forge.last(PAR).form
    assert (pushed["state"], pushed["nonce"]) == (HANDLE, departure.expectations["nonce"])
    assert (pushed["code_challenge_method"], pushed["login_hint"]) == ("S256", "ana@acme.example")
    proof = await journey.finish(journey.forge.log_in(departure.url), departure.expectations)
    assert proof.identity.subject == "subject-1"


async def test_a_pushed_request_that_is_refused_ends_the_login_there(journey):
    journey.forge.with_par = True
    journey.forge.bend(PAR, {"error": "invalid_request"})
    with pytest.raises(Refused, match="invalid_request") as refusal:
        await journey.begin()
    assert refusal.value.reason is Reason.PROVIDER_REFUSED


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, {}),
        (400, {"request_uri": "urn:x"}),
        (201, {"request_uri": "x" * 2049}),
        (201, {"request_uri": ""}),
        (201, {"request_uri": 7}),
        (201, {"request_uri": "urn:\ud800"}),
        (201, {"request_uri": "urn:x\n"}),
        (201, {"request_uri": "urn:é"}),
    ],
)
async def test_a_pushed_request_without_a_place_to_go_on_to_is_refused(journey, status, answer):
    journey.forge.with_par = True
    journey.forge.bend(PAR, Response(json.dumps(answer), status, media_type="application/json"))
    with pytest.raises(Refused) as refusal:
        await journey.begin()
    assert refusal.value.reason is Reason.PROVIDER_REFUSED


async def test_an_authorization_endpoint_keeps_the_query_it_was_published_with(journey):
    at = f"{journey.forge.issuer}/authorize?tenant=acme"
    journey.forge.bend("/.well-known/openid-configuration", {"authorization_endpoint": at})
    query = parse_qs(urlsplit((await journey.begin()).url).query)
    assert (query["tenant"], query["state"]) == (["acme"], [HANDLE])


@pytest.mark.parametrize("pushed", [False, True])
async def test_a_browser_that_really_goes_to_the_forge_comes_back_with_the_same_parameters(journey, pushed):
    journey.forge.with_par = pushed
    departure = await journey.begin()
    async with httpx2.AsyncClient() as browser:
        back = httpx2.URL((await browser.get(departure.url)).headers["location"])
    assert str(back).startswith("http://localhost:8080/sso/oidc/acme-oidc/callback?")
    proof = await journey.finish(parse_qsl(back.query.decode()), departure.expectations)
    assert proof.identity.subject == "subject-1"
