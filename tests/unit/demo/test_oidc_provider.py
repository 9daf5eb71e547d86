"""The demonstration's provider speaks OpenID Connect as the gate expects it, and hands nothing to anybody else."""

import base64
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from sso_gate.demo.people import BRUNO, CARLA, ELENA
from sso_gate.protocols.oidc.callback import finish
from sso_gate.protocols.oidc.logout import end_session_url
from sso_gate.protocols.oidc.request import begin

HANDLE = "handle-of-this-login-0123456789abcdef"


async def departure(world, **options):
    return await begin(
        world.oidc,
        world.endpoints(world.oidc),
        world.providers(),
        handle=HANDLE,
        now=world.clock.now(),
        client_key=None,
        **options,
    )


async def proved(world, away, location):
    assert location.startswith(world.endpoints(world.oidc).oidc_callback)
    expected = away.expectations
    return await finish(
        parse_qsl(urlsplit(location).query),
        connection=world.oidc,
        endpoints=world.endpoints(world.oidc),
        providers=world.providers(),
        expected_handle=HANDLE,
        expected_nonce=expected["nonce"],
        expected_issuer=expected["issuer"],
        expected_fresh_since=expected["fresh_since"],
        code_verifier=expected["code_verifier"],
        client_key=None,
        now=world.clock.now(),
    )


def choose(jar, url, person):
    """Return where the browser is sent after choosing a person."""
    return jar.submit(jar.get(url).forms[0], person=person.email).location


async def test_whoever_is_chosen_is_who_the_gate_learns_about(world, browser_jar):
    away = await departure(world)
    proof = await proved(world, away, choose(browser_jar, away.url, CARLA))
    identity = proof.identity
    assert (identity.subject, identity.email, identity.name) == (CARLA.subject, CARLA.email, CARLA.name)
    assert identity.email_verified
    assert identity.groups == CARLA.groups


async def test_the_secret_may_also_come_in_the_form(world, browser_jar):
    from dataclasses import replace

    settings = replace(world.oidc.settings, client_authentication="client_secret_post")
    changed = replace(world, oidc=replace(world.oidc, settings=settings))
    away = await departure(changed)
    assert (await proved(changed, away, choose(browser_jar, away.url, CARLA))).sub == CARLA.subject


async def test_a_browser_that_has_chosen_is_not_asked_again_until_it_logs_out(world, browser_jar):
    away = await departure(world)
    first = await proved(world, away, choose(browser_jar, away.url, ELENA))
    away = await departure(world)
    assert (await proved(world, away, browser_jar.get(away.url).location)).sub == ELENA.subject
    afterwards = world.addresses.gate.origin + "/signed-out"
    url = await end_session_url(
        world.oidc, world.providers(), id_token_hint=first.id_token, post_logout_redirect_uri=afterwards, state="s"
    )
    assert browser_jar.get(url).location == afterwards + "?state=s"
    assert 'name="person"' in browser_jar.get((await departure(world)).url).text


async def test_a_forced_authentication_asks_again(world, browser_jar):
    choose(browser_jar, (await departure(world)).url, ELENA)
    assert 'name="person"' in browser_jar.get((await departure(world, force_authn=True)).url).text


async def test_nobody_is_asked_when_the_request_forbids_it(world, browser_jar):
    page = browser_jar.get((await departure(world)).url + "&prompt=none")
    answer = parse_qs(urlsplit(page.location).query)
    assert (answer["error"], answer["state"]) == (["login_required"], [HANDLE])
    assert answer["iss"] == [world.addresses.provider.origin]


async def test_a_person_of_the_other_protocol_cannot_be_chosen(world, browser_jar):
    form = browser_jar.get((await departure(world)).url).forms[0]
    page = browser_jar.submit(form, person=BRUNO.email)
    assert (page.status, page.location) == (400, "")


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "http://evil.example/"},
        {"client_id": "somebody"},
        {"redirect_uri": "http://gate.localhost:8080/"},
    ],
)
async def test_an_unregistered_client_or_address_gets_a_page_and_no_redirect(world, browser_jar, change):
    url = httpx2.URL((await departure(world)).url).copy_merge_params(change)
    page = browser_jar.get(str(url))
    assert (page.status, page.location) == (400, "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
async def test_a_request_that_cannot_be_granted_goes_back_with_the_error(world, browser_jar, change, error):
    url = httpx2.URL((await departure(world)).url).copy_merge_params(change)
    assert parse_qs(urlsplit(browser_jar.get(str(url)).location).query)["error"] == [error]


class TestTheTokenEndpoint:
    """What somebody with a stolen code would try."""

    async def ask(self, world, browser_jar, *, auth=None, wait=None, **changes):
        away = await departure(world)
        (code,) = parse_qs(urlsplit(choose(browser_jar, away.url, CARLA)).query)["code"]
        if wait:
            world.clock.later = wait
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": world.client.redirect_uri,
            "code_verifier": away.expectations["code_verifier"],
            **changes,
        }
        return self.post(world, form, auth=auth), form

    def post(self, world, form, *, auth=None):
        pair = auth or f"{world.client.client_id}:{world.client.client_secret}"
        return httpx2.post(
            f"{world.addresses.provider.address}/oidc/token",
            data=form,
            headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
        )

    async def test_a_code_works_once(self, world, browser_jar):
        first, form = await self.ask(world, browser_jar)
        assert first.status_code == 200
        assert first.headers["cache-control"] == "no-store"
        second = self.post(world, form)
        assert (second.status_code, second.json()) == (400, {"error": "invalid_grant"})

    @pytest.mark.parametrize(
        "changes",
        [{"code_verifier": "another" * 8}, {"redirect_uri": "http://gate.localhost:8080/"}, {"code": "guessed"}],
    )
    async def test_a_code_is_worth_nothing_without_what_belongs_to_it(self, world, browser_jar, changes):
        answer, _ = await self.ask(world, browser_jar, **changes)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})

    async def test_a_code_ends_after_a_minute(self, world, browser_jar):
        from datetime import timedelta

        answer, _ = await self.ask(world, browser_jar, wait=timedelta(seconds=61))
        assert answer.json() == {"error": "invalid_grant"}

    @pytest.mark.parametrize("pair", ["sso-gate:guessed", "somebody:else", "sso-gate:"])
    async def test_a_wrong_secret_is_refused(self, world, browser_jar, pair):
        answer, _ = await self.ask(world, browser_jar, auth=pair)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})

    async def test_userinfo_tells_the_bearer_of_the_token_alone(self, world, browser_jar):
        answer, _ = await self.ask(world, browser_jar)
        url = f"{world.addresses.provider.address}/oidc/userinfo"
        told = httpx2.get(url, headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
        assert told.json()["email"] == CARLA.email
        assert httpx2.get(url, headers={"Authorization": "Bearer guessed"}).status_code == 401


async def test_after_a_logout_browsers_go_back_to_the_registered_gate_alone(world, browser_jar):
    query = urlencode(
        {"client_id": world.client.client_id, "post_logout_redirect_uri": "http://gate.localhost:8080.evil/"}
    )
    page = browser_jar.get(f"{world.addresses.provider.origin}/oidc/logout?{query}")
    assert (page.status, page.location) == (400, "")


async def test_the_private_keys_are_not_published(world):
    (key,) = httpx2.get(f"{world.addresses.provider.address}/oidc/jwks").json()["keys"]
    assert "d" not in key
