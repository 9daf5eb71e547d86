"""The gate's own keys change without a break: published first, signing later, retired by a person."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from sso_gate.errors import Conflict, NotFound
from sso_gate.login.keys import all_keys, load_login_keys, retire, rotate
from sso_gate.storage.tables import audit_event
from tests.support.gates import OPERATOR, make_organization

WEEK = timedelta(days=7)


async def test_a_new_key_is_published_at_once_and_signs_when_its_time_has_come(inside, moving_clock):
    keys = await load_login_keys(inside.runtime)
    old, client = keys.saml.signing, keys.oidc
    await rotate(inside.runtime, "saml", signs_after=WEEK, by=OPERATOR)
    await rotate(inside.runtime, "oidc", signs_after=WEEK, by=OPERATOR)
    await keys.reread()
    assert (keys.saml.signing, keys.saml.decryption[0], len(keys.saml.decryption)) == (old, old, 2)
    assert (keys.oidc, len(keys.oidc_published)) == (client, 2)
    moving_clock.move(WEEK)
    await keys.reread()
    assert keys.saml.signing == keys.saml.decryption[0] != old
    assert keys.saml.decryption[1] == old
    assert keys.oidc == keys.oidc_published[0] != client


async def test_only_one_key_waits_at_a_time_and_there_are_four_at_most(inside):
    with pytest.raises(NotFound):
        await retire(inside.runtime, "saml", 2, by=OPERATOR)
    for number in (2, 3, 4):
        made = await rotate(inside.runtime, "oidc", signs_after=timedelta(0), by=OPERATOR)
        assert made.number == number
    with pytest.raises(Conflict, match="4 keys"):
        await rotate(inside.runtime, "oidc", signs_after=timedelta(0), by=OPERATOR)
    await retire(inside.runtime, "oidc", 1, by=OPERATOR)
    await rotate(inside.runtime, "oidc", signs_after=WEEK, by=OPERATOR)
    await retire(inside.runtime, "oidc", 2, by=OPERATOR)
    with pytest.raises(Conflict, match="does not sign yet"):
        await rotate(inside.runtime, "oidc", signs_after=WEEK, by=OPERATOR)
    with pytest.raises(Conflict, match="the one that signs"):
        await retire(inside.runtime, "oidc", 4, by=OPERATOR)
    assert [key.number for key in await all_keys(inside.runtime, "oidc")] == [4, 5, 3]


async def test_every_organization_has_it_on_record(inside):
    organization = await make_organization(inside.runtime)
    await rotate(inside.runtime, "saml", signs_after=WEEK, by=OPERATOR)
    await retire(inside.runtime, "saml", 2, by=OPERATOR)
    query = select(audit_event.c.body).where(audit_event.c.organization == organization.id)
    bodies = await inside.runtime.database.read(lambda tx: tx.execute(query.order_by(audit_event.c.id)).scalars().all())
    said = [json.loads(body)["changes"].get("gate_key") for body in bodies]
    assert sorted(one for one in said if one) == ["saml key 2 published", "saml key 2 retired"]
