"""Rows of connections: what is read is what was saved, and secrets are sealed."""

import json
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from sso_gate.connections import store
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.storage.tables import connection as table
from tests.support.gates import make_organization

SAML = SamlSettings(
    idp_entity_id="https://idp.example",
    sso_url="https://idp.example/sso",
    certificates=("one", "two"),
    allow_cbc_until=date(2026, 12, 31),
    authn_context=("urn:x",),
)
OIDC = OidcSettings(issuer="https://login.example", client_id="gate", client_secret="a very secret secret")


@pytest.fixture
async def organization(inside):
    return await make_organization(inside.runtime)


def a_connection(organization, settings, name="acme-x"):
    return Connection(name, organization.id, "Acme", True, 0, AttributeMap(email="mail"), {"g": "admin"}, settings)


async def saved(inside, value, maker="apply"):
    runtime = inside.runtime
    return await runtime.database.write(
        lambda tx: store.save(tx, runtime.keyring, value, maker=maker, at=runtime.clock.now())
    )


async def found(inside, identifier):
    return await inside.runtime.database.read(lambda tx: store.get(tx, inside.runtime.keyring, identifier))


@pytest.mark.parametrize("settings", [SAML, OIDC], ids=["saml", "oidc"])
async def test_what_is_read_is_what_was_saved(inside, organization, settings):
    value = await saved(inside, a_connection(organization, settings))
    assert await found(inside, "acme-x") == value
    assert value.revision == 1
    assert value.settings == settings


async def test_equal_content_changes_nothing_and_other_content_the_revision(inside, organization):
    value = await saved(inside, a_connection(organization, OIDC))
    assert await saved(inside, value) == value
    changed = await saved(inside, replace(value, settings=replace(OIDC, client_secret="another secret")))
    assert changed.revision == 2
    assert (await found(inside, "acme-x")).settings.client_secret == "another secret"


async def test_a_client_secret_is_sealed(inside, organization):
    await saved(inside, a_connection(organization, OIDC))
    row = await inside.runtime.database.read(lambda tx: tx.execute(select(table).where(table.c.id == "acme-x")).one())
    assert "very secret" not in json.dumps([str(value) for value in row])
    assert inside.runtime.keyring.unseal(row.sealed_secret) == OIDC.client_secret
    assert "very secret" not in repr(await found(inside, "acme-x"))


async def test_connections_are_listed_for_their_organization_and_their_maker(inside, organization):
    other = await make_organization(inside.runtime)
    await saved(inside, a_connection(organization, SAML, "b"), maker="demo")
    await saved(inside, a_connection(organization, SAML, "a"))
    await saved(inside, a_connection(other, SAML, "c"))
    ring = inside.runtime.keyring
    mine = await inside.runtime.database.read(lambda tx: store.of_organization(tx, ring, organization.id))
    assert [one.id for one in mine] == ["a", "b", f"{organization.slug}-oidc"]
    assert await inside.runtime.database.read(lambda tx: store.made_by(tx, "demo")) == ["b"]


async def test_nobody_is_found_under_a_name_that_is_none(inside):
    assert await found(inside, "nowhere") is None
