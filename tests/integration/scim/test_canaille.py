"""An identity management program that nobody here wrote provisions into a running gate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.gate import Api, Organization, RunningGate
from tests.support.canaille_provisioner import CanailleProvisioner


@pytest.fixture(scope="module")
def acme(gate: RunningGate) -> Organization:
    """Two seats, of which the primary owner holds one."""
    return gate.applied(Organization(seats=2))


@pytest.fixture(scope="module")
def canaille(gate: RunningGate, acme: Organization) -> Iterator[CanailleProvisioner]:
    running = CanailleProvisioner(gate.address, gate.token(acme, "scim"))
    yield running
    running.close()


def test_canaille_provisions_a_person_from_the_first_day_to_the_last(gate, acme, canaille):
    bearer = {"authorization": f"Bearer {gate.token(acme, 'scim:read')}"}
    seats = Api(gate, gate.token(acme, "seats:read", "audit:read"))
    ana, bea = acme.email("ana"), acme.email("bea")

    def listed(endpoint, name):
        found = gate.client.get(f"/scim/v2/{endpoint}", headers=bearer).json()["Resources"]
        return {one[name]: one for one in found if one.get("externalId")}

    canaille.tell("user", ana, family_name="Souza", emails=[ana], employee_number="7", password="a secret of hers")
    assert listed("Users", "userName")[ana]["active"] is True
    canaille.tell("user", ana, family_name="Silva")
    assert listed("Users", "userName")[ana]["name"] == {"familyName": "Silva"}
    canaille.tell("group", "Sales", members=[ana])
    member = listed("Groups", "displayName")["Sales"]["members"][0]["value"]
    assert member == listed("Users", "userName")[ana]["id"]

    canaille.tell("user", bea, family_name="Braun", emails=[bea])
    assert list(listed("Users", "userName")) == [ana], "no seat is left for Bea"
    assert seats.events(outcome="denied")[-1]["reason"] == "seat_unavailable"
    canaille.tell("user", ana, locked=True)
    assert (listed("Users", "userName")[ana]["active"], seats.seats()["in_use"]) == (False, 1)
    canaille.tell("user", bea, family_name="Braun")
    assert (listed("Users", "userName")[bea]["active"], seats.seats()["in_use"]) == (True, 2)

    canaille.tell("group", "Sales")
    canaille.tell("user", ana)
    assert (list(listed("Groups", "displayName")), list(listed("Users", "userName"))) == ([], [bea])
