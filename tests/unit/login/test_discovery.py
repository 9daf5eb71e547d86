"""Home-realm discovery: from a short name or an address to the connections that could vouch for somebody."""

from dataclasses import replace

import pytest

from sso_gate.login.discovery import find_realm
from sso_gate.organizations import store as organizations
from tests.support.gates import make_organization


@pytest.fixture
async def acme(inside):
    return await make_organization(inside.runtime)


async def realm(inside, **asked):
    runtime = inside.runtime
    found = await runtime.database.read(lambda tx: find_realm(tx, runtime.keyring, **asked))
    return found.organization and found.organization.slug, [one.id for one in found.connections]


async def test_an_address_in_a_verified_domain_or_the_short_name_lead_to_the_connections(inside, acme):
    expected = (acme.slug, [f"{acme.slug}-oidc"])
    await make_organization(inside.runtime)
    assert await realm(inside, email=f"Bea@{acme.domains[0].upper()}") == expected
    assert await realm(inside, slug=acme.slug) == expected


async def test_an_installation_for_one_organization_needs_no_question(inside, acme):
    assert await realm(inside) == (acme.slug, [f"{acme.slug}-oidc"])
    await make_organization(inside.runtime)
    assert await realm(inside) == (None, [])


@pytest.mark.parametrize("email", ["bea@nowhere.example", "bea", "@", "bea@sub.{domain}", "bea@{domain}.evil.example"])
async def test_what_is_not_in_a_verified_domain_leads_nowhere(inside, acme, email):
    assert await realm(inside, email=email.format(domain=acme.domains[0])) == (None, [])


async def test_a_disabled_organization_is_as_one_that_nobody_knows(inside, acme):
    now = inside.runtime.clock.now()
    off = replace(acme, enabled=False)
    await inside.runtime.database.write(lambda tx: organizations.save(tx, off, at=now))
    for asked in ({"slug": acme.slug}, {"email": f"bea@{acme.domains[0]}"}, {}):
        assert await realm(inside, **asked) == (None, [])
