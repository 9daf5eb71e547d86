"""The conformance client that others wrote, against a running gate; each finding that is accepted carries
its reason.
"""

from __future__ import annotations

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.integration.gate import Organization, RunningGate

# What the client finds and is right here nevertheless: a part of its title or reason, and why it is accepted.
ACCEPTED = {
    "active cannot be removed": "a seat would be held that nobody asked to keep or to free",
    "extension:seat:2.0:User": "all of this extension is read-only; the client patches extensions as a whole",
}


@pytest.fixture(scope="module")
def findings(gate: RunningGate):
    organization = gate.applied(Organization(seats=60))
    bearer = {"Authorization": f"Bearer {gate.token(organization, 'scim')}"}
    with httpx2.Client(base_url=f"{gate.address}/scim/v2", headers=bearer, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


def test_the_conformance_client_finds_nothing_that_is_not_accepted(findings):
    wrong = [one.reason or "" for one in findings if one.status in (Status.ERROR, Status.CRITICAL)]
    assert [reason for reason in wrong if not any(word in reason for word in ACCEPTED)] == []
    assert [word for word in ACCEPTED if not any(word in reason for reason in wrong)] == [], "not found any more"


def test_the_conformance_client_really_asked(findings):
    assert sum(one.status is Status.SUCCESS for one in findings) > 50
