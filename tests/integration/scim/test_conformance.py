"""The conformance clients that others wrote, against a running gate; a finding that is accepted carries its reason.

They are imported where they run: their models take seconds to build, and every process of the suite reads this file.
"""

from __future__ import annotations

import httpx2
import pytest

from tests.integration.gate import Organization, RunningGate

# What the clients find and is right here nevertheless: a part of its title or reason, and why it is accepted.
ACCEPTED = {
    "active cannot be removed": "a seat would be held that nobody asked to keep or to free",
    "extension:seat:2.0:User": "all of this extension is read-only; the client patches extensions as a whole",
}
ACCEPTED_OF_SANITY = {
    "Expected HTTP 200, got 204": "RFC 7644 3.5.2 allows it, and a large group is not read to change one of it",
    "Expected 200, got 204": "the same",
    "add member: Expected 200, got 400": "a group creates nobody: the client adds an id that it made up",
}


@pytest.fixture(scope="module")
def findings(gate: RunningGate):
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import check_server

    organization = gate.applied(Organization(seats=60))
    bearer = {"Authorization": f"Bearer {gate.token(organization, 'scim')}"}
    with httpx2.Client(base_url=f"{gate.address}/scim/v2", headers=bearer, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


def test_the_conformance_client_finds_nothing_that_is_not_accepted(findings):
    wrong = [one.reason or "" for one in findings if one.status.name in {"ERROR", "CRITICAL"}]
    assert [reason for reason in wrong if not any(word in reason for word in ACCEPTED)] == []
    assert [word for word in ACCEPTED if not any(word in reason for reason in wrong)] == [], "not found any more"


def test_the_conformance_client_really_asked(findings):
    assert sum(one.status.name == "SUCCESS" for one in findings) > 50


def test_a_second_conformance_client_in_its_strict_mode_finds_nothing_that_is_not_accepted(gate):
    from scim_sanity.probe.runner import run_probe_api

    token = gate.token(gate.applied(Organization(seats=60)), "scim")
    results = run_probe_api(f"{gate.address}/scim/v2", token=token)["results"]
    wrong = [f"{one['name']}: {one['message']}" for one in results if one["status"] not in ("pass", "skip")]
    assert [found for found in wrong if not any(word in found for word in ACCEPTED_OF_SANITY)] == []
    assert [word for word in ACCEPTED_OF_SANITY if not any(word in found for found in wrong)] == []
    assert sum(one["status"] == "pass" for one in results) >= 25
