"""Rows of organizations and their domains."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sso_gate.errors import Conflict
from sso_gate.organizations import store
from tests.support.gates import make_organization

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def two(inside):
    return [await make_organization(inside.runtime) for _ in range(2)]


async def read(inside, work):
    return await inside.runtime.database.read(work)


async def test_what_is_read_is_what_was_saved(inside, two):
    changed = replace(two[0], name="Other", domains=("a.example", "b.example"), admits_until=AT, hold_for_waiting=False)
    await inside.runtime.database.write(lambda tx: store.save(tx, changed, at=AT))
    assert await read(inside, lambda tx: store.get(tx, two[0].id)) == changed
    assert await read(inside, lambda tx: store.by_slug(tx, two[0].slug)) == changed
    assert await read(inside, lambda tx: store.get(tx, two[1].id)) == two[1]


async def test_an_organization_is_found_by_each_of_its_domains_in_any_case(inside, two):
    for one in two:
        assert await read(inside, lambda tx, name=one.domains[0]: store.by_domain(tx, name.upper())) == one
    assert await read(inside, lambda tx: store.by_domain(tx, "nowhere.example")) is None


async def test_a_domain_that_another_organization_has_is_refused_and_nothing_changes(inside, two):
    greedy = replace(two[0], name="Greedy", domains=two[0].domains + two[1].domains)
    with pytest.raises(Conflict):
        await inside.runtime.database.write(lambda tx: store.save(tx, greedy, at=AT))
    assert await read(inside, store.every) == sorted(two, key=lambda one: one.slug)
