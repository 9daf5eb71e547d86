"""Keys that all gates share: made once by whoever comes first, sealed, newest first."""

import asyncio

from sqlalchemy import select

from sso_gate.storage.installation_keys import KeyMaterial, add, shared_keys
from sso_gate.storage.tables import installation_key


def keys(inside, make):
    runtime = inside.runtime
    return shared_keys(runtime.database, runtime.keyring, runtime.clock, "test", make)


async def test_gates_that_start_together_agree_on_one_key(inside):
    made = [KeyMaterial(f"private {number}", f"public {number}") for number in range(5)]
    found = await asyncio.gather(*(keys(inside, lambda key=key: key) for key in made))
    assert len({tuple(one) for one in found}) == 1
    assert found[0][0] in made


async def test_the_newest_key_comes_first_and_old_ones_stay(inside):
    runtime, newer = inside.runtime, KeyMaterial("private b", "public b")
    first = await keys(inside, lambda: KeyMaterial("private a", "public a"))
    await runtime.database.write(lambda tx: add(tx, runtime.keyring, runtime.clock, "test", newer, number=2))
    assert await keys(inside, lambda: KeyMaterial("never", "made")) == [newer, *first]


async def test_private_keys_are_sealed_in_the_database(inside):
    await keys(inside, lambda: KeyMaterial("a private key", "a public one"))
    row = await inside.runtime.database.read(lambda tx: tx.execute(select(installation_key)).one())
    assert "private" not in row.sealed
    assert row.public == "a public one"
