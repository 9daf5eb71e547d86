"""What provisioning costs at 100,000 users, in CPU time of one process: the whole request, SQL of SQLite included.

`pytest -m bench -s tests/bench/scim` prints the figures. Each is the median of many requests, given to the application
as a server would: what a client costs is not in it. What the cheapest tenth cost tells more of the program and less of
whatever else the machine had to do: on a processor that is shared everything takes up to three times as long. The floor
is measured between them, in the same seconds: a request whose token is looked up and that asks for nothing,
`/ServiceProviderConfig`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert
from starlette.routing import Router

from sso_gate.clock import to_micros
from sso_gate.scim.definitions import ENTERPRISE_URN
from sso_gate.scim.routes import scim_routes
from sso_gate.storage.database import READERS
from sso_gate.storage.tables import member, scim_group_member, scim_user, scim_value
from tests.support.gates import Gate, Migrated, make_organization, open_gate
from tests.support.valkey import ThrowAwayValkey
from tests.unit.scim.client import PATCH, Client, client_of

pytestmark = pytest.mark.bench

USERS = 100_000
GROUP = 1_000
GOALS = {"list": 5.0, "filter": 1.5, "patch": 2.0, "member": 2.0}  # milliseconds on one quiet core
# What no noisy machine changes: the statements of one request, those of the token, BEGIN and COMMIT included.
STATEMENTS = {"list": 9, "filter": 8, "patch": 11, "member": 14}


def _rows(organization: str, at: int) -> tuple[list[dict[str, object]], ...]:
    people, said, values = [], [], []
    for number in range(USERS):
        who, mail = f"mem_{number:08}", f"person{number}@big.example"
        plain = {"email": mail, "email_key": mail, "name": f"Person {number}", "listed_role": "user", "role": "user"}
        state = {"grants": "[]", "state": "blocked", "generation": 0, "bound_to": "", "locale": "", "source": "scim"}
        people.append({"id": who, "organization": organization, "created_at": at + number, **plain, **state})
        attributes = {
            "name": {"givenName": "Person", "familyName": str(number), "formatted": f"Person {number}"},
            "displayName": f"Person {number}",
            "title": "Engineer",
            "preferredLanguage": "en-US",
            "emails": [{"value": mail, "type": "work", "primary": True}],
            "phoneNumbers": [{"value": "+49 30 1234567", "type": "work"}],
            ENTERPRISE_URN: {"employeeNumber": str(number), "department": "R&D", "manager": {"value": "mem_00000001"}},
        }
        text = json.dumps(attributes)
        row = {"member": who, "organization": organization, "external_id": f"00u{number}", "wanted": False}
        said.append({**row, "attributes": text, "changed_at": at})
        values.append({"member": who, "path": "emails.value", "value": mail, "organization": organization})
    return people, said, values


@pytest.fixture
async def big(migrated: Migrated, tmp_path, valkey: ThrowAwayValkey) -> AsyncIterator[Client]:
    async with open_gate(migrated.sqlite(tmp_path), valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=10)
        people, said, values = _rows(organization.id, to_micros(gate.runtime.clock.now()))

        def fill(tx):
            for table, rows in ((member, people), (scim_user, said), (scim_value, values)):
                for at in range(0, USERS, 10_000):
                    tx.execute(insert(table), rows[at : at + 10_000])
            tx.exec_driver_sql("ANALYZE")

        await gate.runtime.database.write(fill)
        async with client_of(gate, organization) as client:
            yield client


@dataclass
class Answer:
    """What the application answered."""

    status_code: int = 0
    text: str = ""


class Direct:
    """The routes, called as a server calls them."""

    def __init__(self, client: Client) -> None:
        self._router = Router(scim_routes(), redirect_slashes=False)
        self._state = {"runtime": client.gate.runtime}
        self._bearer = client.http.headers["authorization"].encode()

    async def get(self, path: str, **params: Any) -> Answer:
        return await self._send("GET", path, urlencode(params), b"")

    async def patch(self, path: str, *operations: dict[str, Any]) -> Answer:
        body = {"schemas": [PATCH], "Operations": list(operations)}
        return await self._send("PATCH", path, "", json.dumps(body).encode())

    async def _send(self, method: str, path: str, query: str, body: bytes) -> Answer:
        answer = Answer()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            answer.status_code = message.get("status", answer.status_code)
            answer.text += message.get("body", b"").decode()

        headers = [
            (b"host", b"gate.test"),
            (b"authorization", self._bearer),
            (b"content-type", b"application/scim+json"),
        ]
        scope = {"type": "http", "method": method, "path": f"/scim/v2{path}", "query_string": query.encode()}
        more = {"http_version": "1.1", "scheme": "http", "root_path": "", "client": ("127.0.0.1", 1)}
        await self._router({**scope, **more, "headers": headers, "state": dict(self._state)}, receive, send)
        return answer


async def _once(work, number: int, status: int) -> float:
    begun = time.process_time()
    response = await work(number)
    spent = (time.process_time() - begun) * 1000
    assert response.status_code // 100 == status // 100, response.text
    return spent


async def _milliseconds(direct: Direct, work, *, times: int = 60, status: int = 200) -> tuple[float, float, float]:
    """Return what one request costs, what the cheapest tenth cost at most, and the floor in the same seconds."""
    for number in range(5):
        await work(number)
    spent, floor = [], []
    for number in range(5, 5 + times):
        spent.append(await _once(work, number, status))
        floor.append(await _once(lambda _: direct.get("/ServiceProviderConfig"), 0, 200))
    return statistics.median(spent), sorted(spent)[times // 10], statistics.median(floor)


async def test_speed_at_a_hundred_thousand_users(big: Client):
    gate: Gate = big.gate
    direct = Direct(big)
    group = await big.group("thousand", "mem_00000001")
    links = [{"group": group["id"], "member": f"mem_{number:08}"} for number in range(2, GROUP + 1)]
    await gate.runtime.database.write(lambda tx: tx.execute(insert(scim_group_member), links))

    def put_in(number):
        kind = "add" if number % 2 else "remove"
        path = f"/Groups/{group['id']}"
        return direct.patch(path, {"op": kind, "path": "members", "value": [{"value": "mem_00005000"}]})

    get, patch = direct.get, direct.patch
    figures = {
        "list": lambda n: get("/Users", startIndex=1 + 100 * n, count=100),
        "filter": lambda n: get("/Users", filter=f'userName eq "Person{n}@big.example"'),
        "patch": lambda n: patch(f"/Users/mem_{n:08}", {"op": "Replace", "path": "title", "value": f"CTO {n}"}),
        "member": put_in,
    }
    more = {
        "filter by externalId": lambda n: get("/Users", filter=f'externalId eq "00u{n}"'),
        "filter by work address": lambda n: get(
            "/Users", filter=f'emails[type eq "work"].value eq "person{n}@big.example"'
        ),
        "count alone, at once again": lambda n: get("/Users", count=0),
        "list, jumping by 1,000": lambda n: get("/Users", startIndex=1 + 1000 * n, count=100),
        "list behind 90,000": lambda n: get("/Users", startIndex=90_000 - 7 * n, count=100),
        "list behind 90,000, page after page": lambda n: get("/Users", startIndex=90_001 + 100 * n, count=100),
        "list by cursor": lambda n: get("/Users", cursor="", count=100),
        "filter by active": lambda n: get("/Users", filter="active eq true", count=100),
        "filter by userName co": lambda n: get("/Users", filter=f'userName co "son5{n}"', count=10),
    }
    refused = {
        "filter by title, refused": lambda n: get("/Users", filter=f'title eq "{n}"'),
        "64 times userName co, refused": lambda n: get(
            "/Users", filter=" or ".join(f'userName co "x{k}"' for k in range(64))
        ),
    }
    found = {name: await _milliseconds(direct, work) for name, work in figures.items()}
    found |= {name: await _milliseconds(direct, work, times=20) for name, work in more.items()}
    found |= {name: await _milliseconds(direct, work, times=20, status=400) for name, work in refused.items()}
    for name, (spent, least, floor) in found.items():
        goal = f" (goal {GOALS[name]})" if name in GOALS else ""
        said = f"{spent:.2f} ms of CPU, a tenth {least:.2f} or less{goal}"
        sys.stdout.write(f"\n  {name}: {said}, {spent / floor:.1f} times the floor of {floor:.2f}")
    costs = {name: await _statements(gate, work) for name, work in figures.items()}
    sys.stdout.write(f"\n  statements: {costs}")
    assert {name: count for name, count in costs.items() if count > STATEMENTS[name]} == {}


async def _statements(gate: Gate, work) -> int:
    """Return how many statements SQLite runs for one request, on all connections."""
    seen: list[str] = []
    together = threading.Barrier(READERS)

    def listen(tx: Any) -> None:
        tx.connection.driver_connection.set_trace_callback(seen.append)

    def listen_together(tx: Any) -> None:
        together.wait(10)  # so that each reads on a connection of its own
        listen(tx)

    database = gate.runtime.database
    await asyncio.gather(*(database.read(listen_together) for _ in range(READERS)))
    await database.write(listen)
    seen.clear()
    await work(901)
    return len(seen)
