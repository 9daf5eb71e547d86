"""The door: what a session says of the moment at which it was opened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.admission.combiner import Combiner
from sso_gate.admission.recheck import LEASE
from tests.support.gates import Gate, MovingClock, make_organization, person


async def test_the_lease_of_a_session_begins_before_the_decision_however_long_that_takes(
    inside: Gate, moving_clock: MovingClock, monkeypatch: pytest.MonkeyPatch
):
    organization = await make_organization(inside.runtime)
    settle = Combiner.settle

    async def takes_half_the_lease(self, login, hint):
        answer = await settle(self, login, hint)
        moving_clock.move(LEASE / 2)
        return answer

    monkeypatch.setattr(Combiner, "settle", takes_half_the_lease)
    before = moving_clock.now()
    admission = await inside.login(person(organization, "ana"))
    assert isinstance(admission, Admission)
    session = admission.session
    assert before < session.checked_at < before + timedelta(seconds=1)
    assert session.created_at == session.checked_at
    assert session.ends_at == session.checked_at + inside.runtime.settings.session_max
