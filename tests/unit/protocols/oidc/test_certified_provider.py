"""Whole logins and logouts at a provider that nobody here wrote (npm oidc-provider)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import Fetcher
from sso_gate.protocols.oidc.keys import new_client_key, public_jwks
from sso_gate.protocols.oidc.provider import Providers
from sso_gate.protocols.oidc.trace import CHECKS
from tests.support.people import Person
from tests.unit.protocols.oidc.journey import LOOPBACK_NETWORKS, Journey, SteadyClock

SECRET = "s%cret with + and / of 32 letters"
ANA = Person("ana@acme.example", "Ana Souza", groups=("staff",))


class _RunningClock(SteadyClock):
    def now(self):
        self.instant = self.instant.fromtimestamp(time.time(), self.instant.tzinfo)
        return self.instant


@pytest.fixture
def at_provider(oidc_provider, forge):
    """A journey whose connection is registered at the certified provider."""

    def registered(client_id, **metadata):
        settings = OidcSettings(issuer=oidc_provider.issuer, client_id=client_id, client_secret=SECRET)
        connection = Connection(f"at-{client_id}", "org_acme", "", True, 1, AttributeMap(), {}, settings)
        clock = _RunningClock()
        journey = Journey(forge, connection, Providers(Fetcher(LOOPBACK_NETWORKS), clock), clock)
        oidc_provider.register(client_id, secret=SECRET, redirect_uris=[journey.endpoints.oidc_callback], **metadata)
        return journey

    return registered


async def log_in(journey, provider, person=ANA):
    departure = await journey.begin()
    callback = journey.endpoints.oidc_callback
    back = await asyncio.to_thread(provider.login, person, departure.url, callback=callback)
    return departure, parse_qsl(urlsplit(back).query)


async def test_a_certified_provider_logs_somebody_in_with_every_check(at_provider, oidc_provider):
    journey = at_provider("basic")
    departure, params = await log_in(journey, oidc_provider)
    proof = await journey.finish(params, departure.expectations)
    assert (proof.identity.email, proof.identity.email_verified) == ("ana@acme.example", True)
    assert (proof.identity.subject, proof.identity.groups) == ("subject-of-ana@acme.example", ("staff",))
    assert tuple(journey.passed) == CHECKS


async def test_a_certified_provider_takes_our_assertion_and_signs_with_es256(at_provider, oidc_provider):
    key = new_client_key()
    metadata = {"token_endpoint_auth_method": "private_key_jwt", "jwks": public_jwks([key])}
    algorithms = {"id_token_signed_response_alg": "ES256", "token_endpoint_auth_signing_alg": "ES256"}
    journey = at_provider("assertion", **metadata, **algorithms)
    journey.client_key = key
    journey.with_settings(client_authentication="private_key_jwt", client_secret="")
    departure, params = await log_in(journey, oidc_provider)
    assert "request_uri=" in departure.url  # pushed, with an assertion of its own
    assert (await journey.finish(params, departure.expectations)).identity.email == "ana@acme.example"


async def test_a_certified_provider_takes_client_secret_post(at_provider, oidc_provider):
    journey = at_provider("posted", token_endpoint_auth_method="client_secret_post")
    journey.with_settings(client_authentication="client_secret_post")
    departure, params = await log_in(journey, oidc_provider)
    assert (await journey.finish(params, departure.expectations)).identity.email == "ana@acme.example"


async def test_a_code_is_exchanged_once(at_provider, oidc_provider):
    journey = at_provider("twice")
    departure, params = await log_in(journey, oidc_provider)
    await journey.finish(params, departure.expectations)
    with pytest.raises(Refused, match="invalid_grant") as refusal:
        await journey.finish(params, departure.expectations)
    assert refusal.value.reason is Reason.PROVIDER_REFUSED


async def test_code_injection_is_stopped_by_the_providers_own_check_of_our_verifier(at_provider, oidc_provider):
    journey = at_provider("injected")
    _, stolen = await log_in(journey, oidc_provider)
    mine = await journey.begin()
    with pytest.raises(Refused, match="invalid_grant"):
        await journey.finish(stolen, mine.expectations)


async def test_one_clients_login_is_none_at_another(at_provider, oidc_provider):
    one, two = at_provider("client-one"), at_provider("client-two")
    departure, params = await log_in(one, oidc_provider)
    two.connection = replace(two.connection, id=one.connection.id)
    with pytest.raises(Refused) as refusal:
        await two.finish(params, departure.expectations)
    assert refusal.value.reason is Reason.PROVIDER_REFUSED
