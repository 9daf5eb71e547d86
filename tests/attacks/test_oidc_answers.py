"""Forged answers of OpenID providers: in the victim's own browser, with the right state, unless that is the attack."""

from __future__ import annotations

import base64
import json
import time
from functools import partial

import pytest
from starlette.responses import Response

from tests.attacks.scene import SESSION
from tests.integration.gate import Organization
from tests.support.oidc_forge import JWKS, TOKEN, USERINFO, Forge, hmac_signed, new_key, usual_key, with_signature


def claims_of(answer):
    return json.loads(base64.urlsafe_b64decode(answer["id_token"].split(".")[1] + "=="))


def token_of(make):
    """Have the token endpoint send what `make` returns for the claims of an honest ID token."""
    return lambda forge: forge.bend(TOKEN, lambda answer: {**answer, "id_token": make(claims_of(answer))})


def claim(**claims):
    return lambda forge: forge.claims.update(claims)


def header(**values):
    return lambda forge: forge.header.update(values)


def signing(key):
    def bend(forge):
        forge.signing = key()

    return bend


def swapped_subject(answer):
    head, _, signature = answer["id_token"].split(".")
    payload = base64.urlsafe_b64encode(json.dumps({**claims_of(answer), "sub": "admin"}).encode()).rstrip(b"=")
    return {**answer, "id_token": f"{head}.{payload.decode()}.{signature}"}


def another_person_at_userinfo(forge):
    forge.userinfo_only = ("email",)
    forge.bend(USERINFO, {"sub": "somebody-else"})


NOW = time.time

FORGERIES = {
    "no_id_token": ("token_refused", lambda f: f.bend(TOKEN, {"id_token": None})),
    "alg_none": ("algorithm_refused", token_of(lambda c: with_signature({"alg": "none"}, c, b""))),
    "alg_none_in_other_letters": ("algorithm_refused", token_of(lambda c: with_signature({"alg": "nOnE"}, c, b""))),
    "hmac_keyed_with_the_public_key": (
        "algorithm_refused",
        token_of(lambda c: hmac_signed({"kid": "rsa-1"}, c, usual_key().as_pem(private=False))),
    ),
    "hmac_keyed_with_the_client_secret": (
        "algorithm_refused",
        token_of(lambda c: hmac_signed({"kid": "rsa-1"}, c, b"a secret of thirty-two letters..")),
    ),
    "another_key_under_the_same_name": ("signature_invalid", signing(lambda: new_key("RS256", "rsa-1"))),
    "unknown_key": ("key_unknown", signing(lambda: new_key("RS256", "made-up"))),
    "changed_subject_under_a_true_signature": ("signature_invalid", lambda f: f.bend(TOKEN, swapped_subject)),
    "signature_taken_off": (
        "signature_missing",
        lambda f: f.bend(TOKEN, lambda a: {**a, "id_token": a["id_token"].rpartition(".")[0] + "."}),
    ),
    "key_in_the_header": (
        "signature_invalid",
        lambda f: (
            signing(lambda: new_key("RS256", "rsa-1"))(f),
            f.header.update(jwk=dict(f.signing.as_dict(private=False))),
        ),
    ),
    "critical_header": (
        "token_refused",
        token_of(lambda c: with_signature({"alg": "RS256", "kid": "rsa-1", "crit": ["exp"]}, c, b"x")),
    ),
    "access_token_as_id_token": ("token_refused", header(typ="at+jwt")),
    "logout_token_as_id_token": ("token_refused", header(typ="logout+jwt")),
    "another_nonce": ("nonce_mismatch", claim(nonce="another")),
    "no_nonce": ("nonce_mismatch", claim(nonce=None)),
    "another_issuer": ("issuer_mismatch", claim(iss="https://evil.example")),
    "issuer_with_a_slash": ("issuer_mismatch", lambda f: f.claims.update(iss=f.issuer + "/")),
    "another_audience": ("audience_mismatch", claim(aud="somebody")),
    "another_audience_with_us_as_azp": ("audience_mismatch", claim(aud="somebody", azp="gate")),
    "further_audience_without_azp": ("audience_mismatch", claim(aud=["gate", "somebody"])),
    "expired": ("response_expired", lambda f: f.claims.update(exp=NOW() - 61)),
    "issued_years_ago": ("response_expired", lambda f: f.claims.update(iat=NOW() - 3e8)),
    "from_the_future": ("response_from_future", lambda f: f.claims.update(nbf=NOW() + 600)),
    "at_hash_of_another_token": ("token_refused", claim(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    "subject_with_a_line_break": ("subject_invalid", claim(sub="ana\nowner")),
    "another_person_at_userinfo": ("token_refused", another_person_at_userinfo),
    "token_answer_of_another_type": (
        "token_refused",
        lambda f: f.bend(TOKEN, Response("<html>", media_type="text/html")),
    ),
    "token_answer_without_end": (
        "token_refused",
        lambda f: f.bend(TOKEN, Response('{"a":"' + "x" * 2_000_000 + '"}', media_type="application/json")),
    ),
    "token_answer_that_redirects": (
        "token_refused",
        lambda f: f.bend(TOKEN, Response("", 302, {"location": "http://127.0.0.1:9/"})),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_answer(scene, jar, name):
    reason, bend = FORGERIES[name]
    scene.under_way.login(scene.oidc)
    attacked = scene.begin(jar, scene.oidc)
    bend(scene.forge)
    params = scene.forge.log_in(attacked.url)
    scene.refused(lambda: scene.callback(jar, params), reason, connection=scene.oidc)


def changed(params, **changes):
    return [(name, changes.get(name, value)) for name, value in params if changes.get(name, value) is not None]


@pytest.mark.parametrize("iss", [None, "https://evil.example", ""])
def test_mix_up_an_answer_that_does_not_name_our_provider(scene, jar, iss):
    scene.under_way.login(scene.oidc)
    attacked, sent = scene.begin(jar, scene.oidc), scene.forge.count(TOKEN)
    params = changed(scene.forge.log_in(attacked.url), iss=iss)
    scene.refused(lambda: scene.callback(jar, params), "issuer_mismatch", connection=scene.oidc)
    assert scene.forge.count(TOKEN) == sent, "the code must not go anywhere"


def test_mix_up_an_answer_at_the_address_of_another_connection(scene, jar):
    pending = scene.begin(jar, scene.oidc)
    params = scene.forge.log_in(pending.url)
    scene.refused(
        lambda: scene.callback(jar, params, scene.rivals_oidc), "state_mismatch", connection=scene.rivals_oidc
    )
    assert scene.forge.count(TOKEN) == 0
    scene.finish(jar, pending)


def test_code_injection_a_stolen_code_in_the_attackers_own_login(scene, jar, other_jar):
    victim, attacker = scene.begin(jar, scene.oidc), scene.begin(other_jar, scene.oidc)
    stolen = dict(scene.forge.log_in(victim.url))["code"]
    params = changed(scene.forge.log_in(attacker.url), code=stolen)
    scene.refused(lambda: scene.callback(other_jar, params), "provider_refused", connection=scene.oidc)
    assert not other_jar.cookie(SESSION, "gate.localhost")
    scene.finish(jar, victim)


def test_code_injection_where_the_provider_forgets_pkce_is_stopped_by_the_nonce(scene, jar, other_jar):
    victim, attacker = scene.begin(jar, scene.oidc), scene.begin(other_jar, scene.oidc)
    token = scene.forge.id_token(victim.query["nonce"])
    scene.forge.bend(TOKEN, {"error": None, "id_token": token, "access_token": None})
    params = scene.forge.log_in(attacker.url)
    scene.refused(lambda: scene.callback(other_jar, params), "nonce_mismatch", connection=scene.oidc)


@pytest.mark.parametrize("state", [None, "", "guessed", "x" * 4000])
def test_state_that_was_never_given_out(scene, jar, state):
    pending = scene.begin(jar, scene.oidc)
    params = changed(scene.forge.log_in(pending.url), state=state)
    scene.refused(lambda: scene.callback(jar, params), "state_mismatch", connection=scene.oidc)
    assert scene.forge.count(TOKEN) == 0
    scene.finish(jar, pending)


def test_a_parameter_sent_twice(scene, jar):
    pending, waiting = scene.begin(jar, scene.oidc), scene.begin(jar, scene.oidc)
    params = [*scene.forge.log_in(pending.url), ("code", "another")]
    scene.refused(lambda: scene.callback(jar, params), "message_malformed", connection=scene.oidc)
    assert scene.forge.count(TOKEN) == 0
    scene.finish(jar, waiting)


def test_an_answer_and_a_notice_to_a_connection_that_was_switched_off_meanwhile(scene, jar):
    organization = Organization()
    organization.add_oidc(scene.forge.issuer, client_id=scene.forge.client_id, secret=scene.forge.client_secret)
    scene.gate.applied(organization)
    params = scene.forge.log_in(scene.begin(jar, organization.oidc).url)
    disable = ("connections", "disable", organization.oidc, "--org", organization.slug, "--yes")
    assert scene.gate.run(*disable).code == 0
    asked = len(scene.forge.asked)
    send = partial(scene.callback, jar, params, organization.oidc)
    scene.refused(send, "connection_disabled", connection=organization.oidc)
    send = partial(notify, scene, organization.oidc)
    scene.refused(send, "connection_disabled", connection=organization.oidc, action="auth.logout")
    assert len(scene.forge.asked) == asked, "the provider is not asked"


def notify(scene, connection):
    """Send a notice as a provider does, with no browser."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"logout_token={scene.forge.logout_token()}".encode()
    return scene.post_body(f"/sso/oidc/{connection}/backchannel-logout", body, **form)


def test_jwks_flood_made_up_key_names_fetch_the_keys_once_a_minute(scene, jar):
    scene.finish(jar, scene.begin(jar, scene.oidc))  # the keys are known now
    fetched = scene.forge.count(JWKS)
    foreign = [new_key("ES256", f"made-up-{number}") for number in range(12)]
    for key in foreign:
        scene.forge.signing = key
        send = partial(notify, scene, scene.oidc)
        scene.refused(send, "key_unknown", connection=scene.oidc, action="auth.logout")
    assert scene.forge.count(JWKS) - fetched <= 1


def test_another_providers_token_for_the_same_person(scene, jar):
    """A second provider signs everything right, but it is not the one that the connection names."""
    attacked, waiting = scene.begin(jar, scene.oidc), scene.begin(jar, scene.oidc)
    with Forge() as evil:
        evil.signing = new_key("RS256", "rsa-1")
        token = evil.id_token(attacked.query["nonce"], iss=scene.forge.issuer)
        scene.forge.bend(TOKEN, {"id_token": token, "access_token": None})
        params = scene.forge.log_in(attacked.url)
        scene.refused(lambda: scene.callback(jar, params), "signature_invalid", connection=scene.oidc)
    scene.forge.bends.clear()
    scene.finish(jar, waiting)
