"""Rows of members: found by identity or address inside one organization, in pages."""

import pytest
from sqlalchemy.exc import IntegrityError

from sso_gate.members import store
from tests.support.gates import make_organization, person


@pytest.fixture
async def acme(inside):
    return await make_organization(inside.runtime, seats=20)


async def read(inside, work):
    return await inside.runtime.database.read(work)


async def test_pages_go_on_behind_the_last_address_without_a_gap(inside, acme):
    for name in ("dora", "Bea", "carl"):
        await inside.login(person(acme, name))
    seen, after = [], ""
    while page := await read(inside, lambda tx, last=after: store.page(tx, acme.id, after=last, limit=2)):
        seen += [one.email.partition("@")[0].lower() for one in page]
        after = page[-1].email
    assert seen == ["bea", "carl", "dora", "owner"]


async def test_a_member_belongs_to_one_organization(inside, acme):
    other = await make_organization(inside.runtime)
    owner = await read(inside, lambda tx: store.primary_owner(tx, acme.id))
    assert await read(inside, lambda tx: store.get(tx, other.id, owner.id)) is None
    assert await read(inside, lambda tx: store.find(tx, other.id, owner.email)) is None
    assert await read(inside, lambda tx: store.find(tx, acme.id, owner.email.upper())) == owner


async def test_an_identity_is_tied_to_one_member_for_ever(inside, acme):
    proved = person(acme, "bea")
    await inside.login(proved)
    owner = await read(inside, lambda tx: store.primary_owner(tx, acme.id))
    now = inside.runtime.clock.now()
    with pytest.raises(IntegrityError):
        await inside.runtime.database.write(lambda tx: store.bind(tx, [(owner.id, proved)], at=now))
