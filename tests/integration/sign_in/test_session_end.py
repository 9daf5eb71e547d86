"""A session ends when its identity provider says so, on the gate's host and on every application's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sso_gate.admission.recheck import Alive, Recheck
from tests.support.gates import make_organization, person

HOUR = timedelta(hours=1)


async def test_a_session_ends_at_the_latest_when_the_providers_does(inside, moving_clock):
    organization = await make_organization(inside.runtime)
    end = moving_clock.now() + HOUR
    admission = await inside.login(replace(person(organization, "ana"), session_ends_at=end))
    on_host = await inside.door.admit_on_host(admission.session, "app.example")
    tokens, recheck = (admission.token, on_host.token), Recheck.of(inside.runtime)
    moving_clock.move(HOUR - timedelta(seconds=1))
    assert all([isinstance(await recheck.session(token), Alive) for token in tokens])
    moving_clock.move(timedelta(seconds=1))
    assert [await recheck.session(token) for token in tokens] == [None, None]


async def test_a_provider_cannot_make_a_session_longer_than_ours(inside, moving_clock):
    organization = await make_organization(inside.runtime)
    end = moving_clock.now() + timedelta(days=3650)
    admission = await inside.login(replace(person(organization, "ana"), session_ends_at=end))
    assert admission.session.ends_at - admission.session.created_at == inside.runtime.settings.session_max
