"""Provisioning against two gates on one PostgreSQL: whoever comes first gets the seat, and none is given twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.gate import Api, Organization, RunningGate

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture(scope="module")
def other_gate(big_gate: RunningGate) -> Iterator[RunningGate]:
    """A second installation of the program on the same PostgreSQL and Valkey."""
    shared = {name: big_gate.settings[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS")}
    running = RunningGate(**shared)
    yield running
    running.close()


def at_once(work, jobs):
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda job: work(*job), jobs))


def sender(organization, token):
    def send(gate, method, path, body):
        bearer = {"authorization": f"Bearer {token}"}
        return gate.client.request(method, f"/scim/v2{path}", json=body, headers=bearer)

    return send


def user(organization, number):
    return {"schemas": [USER], "userName": organization.email(f"p{number}")}


def test_fifty_creations_at_two_gates_fill_ten_seats_exactly(big_gate, other_gate):
    organization = big_gate.applied(Organization(seats=11))  # the primary owner holds one
    send = sender(organization, big_gate.token(organization, "scim"))
    jobs = [((big_gate, other_gate)[number % 2], "POST", "/Users", user(organization, number)) for number in range(50)]
    statuses = [answer.status_code for answer in at_once(send, jobs)]
    assert (statuses.count(201), statuses.count(403)) == (10, 40)
    api = Api(big_gate, big_gate.token(organization, "seats:read", "audit:read"))
    assert (api.seats()["in_use"], api.seats()["available"]) == (11, 0)
    denied = api.events(outcome="denied", action="scim.user.create")
    assert [event["reason"] for event in denied] == ["seat_unavailable"] * 40


def test_one_name_at_two_gates_is_one_user(big_gate, other_gate):
    organization = big_gate.applied(Organization(seats=5))
    send = sender(organization, big_gate.token(organization, "scim"))
    jobs = [((big_gate, other_gate)[number % 2], "POST", "/Users", user(organization, 1)) for number in range(12)]
    statuses = [answer.status_code for answer in at_once(send, jobs)]
    assert (statuses.count(201), statuses.count(409)) == (1, 11)


def test_on_and_off_at_two_gates_leaves_books_that_agree(big_gate, other_gate):
    organization = big_gate.applied(Organization(seats=4))
    send = sender(organization, big_gate.token(organization, "scim"))
    people = [
        send(big_gate, "POST", "/Users", {**user(organization, n), "active": False}).json()["id"] for n in range(6)
    ]

    def switch(number, person):
        body = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": str(number % 3 != 0)}]}
        return send((big_gate, other_gate)[number % 2], "PATCH", f"/Users/{person}", body).status_code

    statuses = at_once(switch, [(number, people[number % 6]) for number in range(60)])
    assert set(statuses) <= {200, 403}
    api = Api(other_gate, other_gate.token(organization, "seats:read"))
    listed = send(other_gate, "GET", "/Users?count=50", None).json()["Resources"]
    assert api.seats()["in_use"] == sum(one["active"] for one in listed) <= 4
    assert other_gate.run("reconcile", "--org", organization.slug).code == 0
