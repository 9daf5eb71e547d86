"""Bearer tokens: their secret opens them, for as long as they live, and is nowhere kept."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from sso_gate.errors import InvalidInput, NotFound
from sso_gate.storage.tables import api_token
from sso_gate.tokens import store as tokens
from sso_gate.tokens.manage import create_token, revoke_token
from sso_gate.tokens.token import MAX_LENGTH, Scope, new_secret, secret_hash
from tests.support.gates import OPERATOR, make_organization


@pytest.fixture
async def made(inside):
    organization = await make_organization(inside.runtime)
    scopes = frozenset({Scope.SEATS_READ, Scope.SCIM})
    return await create_token(
        inside.runtime, organization.id, name="ci", scopes=scopes, lifetime=timedelta(days=1), by=OPERATOR
    )


async def opened(inside, secret):
    found = await inside.runtime.database.read(lambda tx: tokens.known_by_secret(tx, secret))
    return found if found and not tokens.ended(found, now=inside.runtime.clock.now()) else None


async def test_a_secret_opens_its_token_with_its_scopes(inside, made):
    found = await opened(inside, made.secret)
    assert found.id == made.token.id
    assert found.scopes == {Scope.SEATS_READ, Scope.SCIM}


async def test_a_secret_that_is_nearly_right_opens_nothing(inside, made):
    for secret in (made.secret[:-1], f"{made.secret}x", made.secret.swapcase(), "", secret_hash(made.secret)):
        assert await opened(inside, secret) is None


async def test_a_token_ends_with_its_lifetime(inside, made, moving_clock):
    moving_clock.move(timedelta(days=1))
    assert await opened(inside, made.secret) is None


async def test_a_revoked_token_is_over_and_can_be_revoked_once(inside, made):
    organization = made.token.organization
    await revoke_token(inside.runtime, organization, made.token.id, by=OPERATOR)
    assert await opened(inside, made.secret) is None
    with pytest.raises(NotFound):
        await revoke_token(inside.runtime, organization, made.token.id, by=OPERATOR)


async def test_nobody_revokes_another_organizations_token(inside, made):
    other = await make_organization(inside.runtime)
    with pytest.raises(NotFound):
        await revoke_token(inside.runtime, other.id, made.token.id, by=OPERATOR)
    assert await opened(inside, made.secret)


@pytest.mark.parametrize("name", ["x" * 101, "two\nlines", "\ud800"])
async def test_a_name_that_no_invoice_could_show_is_refused(inside, made, name):
    with pytest.raises(InvalidInput):
        await create_token(
            inside.runtime, made.token.organization, name=name, scopes=frozenset(), lifetime=None, by=OPERATOR
        )


async def test_the_secret_is_not_in_the_database(inside, made):
    row = (await inside.runtime.database.read(lambda tx: tx.execute(select(api_token)).one()))._mapping
    assert made.secret not in [str(value) for value in row.values()]
    assert row["secret_hash"] == secret_hash(made.secret)


def test_secrets_are_long_different_and_can_be_found_by_scanners():
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith("sgt_") and 40 < len(secret) <= MAX_LENGTH for secret in made)
