"""What claims say about a person, and what they may not say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.responses import Response

from sso_gate.connections.connection import AttributeMap
from sso_gate.errors import Reason
from sso_gate.protocols.oidc.person import read_email, read_multi_factor
from tests.support.oidc_forge import TOKEN, USERINFO


@pytest.mark.parametrize(
    ("told", "verified"),
    [
        (True, True),
        ("true", True),
        ("True", True),
        (False, False),
        ("false", False),
        (None, False),
        (1, False),
        ("yes", False),
    ],
)
async def test_only_true_says_that_an_email_is_verified(journey, told, verified):
    journey.forge.person["email_verified"] = told
    if told is None:
        del journey.forge.person["email_verified"]
    assert (await journey.log_in()).identity.email_verified is verified


NOTHING = object()
ENTRA = "https://login.microsoftonline.com/8a6f3bd0-5d5e-4f2a-9c1e-0f3f1f0c0a11/v2.0"


@pytest.mark.parametrize(
    ("told", "verified"), [(NOTHING, True), (None, True), (True, True), (False, False), ("false", False), (0, False)]
)
async def test_a_connection_may_be_trusted_with_addresses_unless_the_provider_says_no(journey, told, verified):
    journey.connection = replace(journey.connection, settings=replace(journey.connection.settings, trust_email=True))
    journey.forge.person["email_verified"] = told
    if told is NOTHING:
        del journey.forge.person["email_verified"]
    assert (await journey.log_in()).identity.email_verified is verified


@pytest.mark.parametrize(
    ("issuer", "claims", "verified"),
    [
        (ENTRA, {"xms_edov": True}, True),
        (ENTRA, {"xms_edov": "1"}, True),
        (ENTRA, {"xms_edov": 1}, True),
        (ENTRA, {"xms_edov": False}, False),
        (ENTRA, {"xms_edov": "0"}, False),
        (ENTRA, {}, False),
        (ENTRA, {"xms_edov": True, "email_verified": False}, False),
        ("https://login.microsoftonline.com.evil.example/x/v2.0", {"xms_edov": True}, False),
        ("https://idp.acme.example", {"xms_edov": True}, False),
    ],
)
def test_entra_says_in_a_claim_of_its_own_that_the_owner_of_a_domain_is_verified(issuer, claims, verified):
    said = {"email": "ana@acme.example", **claims}
    assert read_email(said, AttributeMap(), issuer=issuer, trusted=False) == ("ana@acme.example", verified)


def test_a_mapped_address_counts_where_the_connection_is_trusted_and_never_with_letters_that_fold():
    mapped = AttributeMap(email="upn")
    assert read_email({"upn": "a@acme.example"}, mapped, issuer="", trusted=True) == ("a@acme.example", True)
    assert read_email({"email": "\u212a@acme.example"}, AttributeMap(), issuer=ENTRA, trusted=True)[1] is False


@pytest.mark.parametrize("name", ["preferred_username", "upn", "unique_name", "mail"])
async def test_a_user_name_is_not_an_email(journey, name):
    journey.forge.person |= {name: "ana@acme.example", "email": ""}
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified) == (None, False)


async def test_email_verified_speaks_of_the_claim_email_alone(journey):
    journey.connection = replace(journey.connection, attributes=AttributeMap(email="upn"))
    journey.forge.person |= {"upn": "boss@acme.example", "email_verified": True}
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified) == ("boss@acme.example", False)


async def test_an_email_that_folding_case_makes_somebody_elses_is_not_verified(journey):
    journey.forge.person["email"] = "\u212aate@acme.example"  # KELVIN SIGN, which folds to k
    assert (await journey.log_in()).identity.email_verified is False


@pytest.mark.parametrize(
    "email",
    [
        "ana",
        "a@b@c",
        "ana @acme.example",
        "ana@acme.example\n",
        "a\0@b",
        "a\u200b@b.example",
        7,
        ["a@b"],
        "a@" + "b" * 255,
    ],
)
async def test_an_email_that_is_none_is_refused_and_never_cut(journey, email):
    journey.forge.person["email"] = email
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Zoë <b>&amp;</b>"}, "Zoë <b>&amp;</b>"),
        ({"name": None, "given_name": "Ana", "family_name": "Souza"}, "Ana Souza"),
        ({"name": "", "given_name": "Ana"}, "Ana"),
        ({"name": "x\ny"}, None),
        ({"name": 7}, None),
        ({"name": "x" * 257}, None),
        ({"name": "\u202eevil"}, None),
    ],
)
async def test_a_name_is_shown_as_it_is_or_not_at_all(journey, claims, name):
    journey.forge.claims |= claims
    assert (await journey.log_in()).identity.name == name


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["a", "b", "a"], ("a", "b")),
        ("only", ("only",)),
        (["ok", 7, None, "", "x\ny", "g" * 257, ["nested"]], ("ok",)),
        ({"a": 1}, ()),
        (7, ()),
    ],
)
async def test_groups_are_short_printable_texts_each_once(journey, groups, expected):
    journey.forge.claims["groups"] = groups
    assert (await journey.log_in()).identity.groups == expected


async def test_claims_are_read_under_the_names_that_the_connection_gives(journey):
    names = AttributeMap(name="display", groups="https://acme.example/roles")
    journey.connection = replace(journey.connection, attributes=names)
    journey.forge.person |= {"display": "A. Souza", "https://acme.example/roles": ["r1"]}
    identity = (await journey.log_in()).identity
    assert (identity.name, identity.groups) == ("A. Souza", ("r1",))


async def test_userinfo_of_another_subject_is_refused(journey):
    journey.forge.userinfo_only = ("email",)
    journey.forge.bend(USERINFO, {"sub": "subject-2"})
    assert await journey.refused() is Reason.TOKEN_REFUSED


@pytest.mark.parametrize("sub", [None, 7, "subject-1 ", "SUBJECT-1"])
async def test_userinfo_without_exactly_our_subject_is_refused(journey, sub):
    journey.forge.userinfo_only = ("email",)
    journey.forge.bend(USERINFO, {"sub": sub})
    assert await journey.refused() is Reason.TOKEN_REFUSED


async def test_userinfo_replaces_nothing_that_was_signed(journey):
    journey.forge.userinfo_only = ("email", "email_verified")
    told = {"name": "Mallory", "sid": "s-2", "iss": "https://evil", "auth_time": 1, "groups": ["gate-owners"]}
    journey.forge.bend(USERINFO, told)
    proof = await journey.log_in()
    assert (proof.identity.name, proof.sid, proof.identity.groups) == ("Ana Souza", "s-1", ("staff", "gate-owners"))
    assert proof.identity.authenticated_at == journey.clock.now().replace(microsecond=0)


async def test_userinfo_says_nothing_about_the_session_or_the_time_of_the_login(journey):
    journey.forge.userinfo_only = ("email",)
    journey.forge.claims |= {"sid": None, "auth_time": None}
    journey.forge.bend(USERINFO, {"sid": "somebody-elses", "auth_time": 1, "amr": ["mfa"]})
    proof = await journey.log_in()
    assert (proof.sid, proof.identity.authenticated_at) == (None, journey.clock.now().replace(microsecond=0))
    assert proof.identity.multi_factor is None


@pytest.mark.parametrize("sid", ["s\n1", "s" * 256, "\u202es"])
async def test_a_session_whose_name_cannot_be_shown_has_none(journey, sid):
    journey.forge.claims["sid"] = sid
    proof = await journey.log_in()
    assert (proof.sid, proof.identity.session_index) == (None, None)


async def test_the_verified_flag_of_userinfo_does_not_speak_for_the_id_tokens_email(journey):
    journey.connection = replace(journey.connection, roles={"x": "owner"})
    journey.forge.userinfo_only = ("groups", "email_verified")
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified) == ("ana@acme.example", False)


async def test_the_verified_flag_of_the_id_token_does_not_speak_for_userinfos_email(journey):
    journey.forge.userinfo_only = ("email",)
    journey.forge.bend(USERINFO, {"email": "boss@acme.example", "email_verified": None})
    identity = (await journey.log_in()).identity
    assert (identity.email, identity.email_verified) == ("boss@acme.example", False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response("jwt", media_type="application/jwt"), Reason.TOKEN_REFUSED),
        (Response("", 401), Reason.TOKEN_REFUSED),
        (Response("", 503), Reason.PROVIDER_UNREACHABLE),
        (Response("", 307, {"location": "http://127.0.0.1:1/"}), Reason.TOKEN_REFUSED),
        (Response('{"sub":"subject-1","sub":"x"}', media_type="application/json"), Reason.TOKEN_REFUSED),
    ],
)
async def test_a_userinfo_answer_that_is_none_is_refused(journey, answer, reason):
    journey.forge.userinfo_only = ("email",)
    journey.forge.bend(USERINFO, answer)
    assert await journey.refused() is reason


@pytest.mark.parametrize("change", [{"access_token": "a\r\nX: 1"}, {"access_token": 7}, {"token_type": "DPoP"}])
async def test_an_access_token_that_is_no_bearer_token_goes_nowhere(journey, change):
    journey.forge.userinfo_only = ("email",)
    journey.forge.claims["at_hash"] = None
    departure = await journey.begin()
    token = journey.forge.id_token(departure.expectations["nonce"])
    journey.forge.bend(TOKEN, {"id_token": token, **change})
    params = journey.forge.log_in(departure.url)
    with pytest.raises(Exception, match="token_refused"):
        await journey.finish(params, departure.expectations)
    assert journey.forge.count(USERINFO) == 0


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({"amr": ["pwd", "mfa"]}, True),
        ({"amr": ["pwd"]}, None),
        ({"amr": "mfa"}, None),
        ({"amr": None}, None),
        ({}, None),
    ],
)
def test_several_factors_are_believed_where_the_provider_says_so(claims, shown):
    assert read_multi_factor(claims) is shown
