"""What the record says of a refused emergency code: whose address was tried, and nothing else that was typed."""

from __future__ import annotations

import json

import pytest

from sso_gate.admission.emergency import admit_by_code
from sso_gate.audit import store as audit
from sso_gate.audit.event import Client
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter
from sso_gate.errors import Reason, Refused
from tests.support.gates import Gate, make_organization


async def tried(gate: Gate, organization: str, typed: str) -> list[str]:
    """Try a wrong code and return the names on the organization's record."""
    with pytest.raises(Refused) as refused:
        await admit_by_code(gate.runtime, gate.door, email=typed, code="wrong", client=Client("203.0.113.9"))
    assert refused.value.reason is Reason.TOKEN_INVALID
    await seal(gate.runtime, wait=True)
    wanted = AuditFilter(action="breakglass.use")
    page = await gate.runtime.database.read(lambda tx: audit.page(tx, organization, wanted))
    return [json.loads(line)["actor"]["name"] for line in page.events]


async def test_an_address_of_the_organization_is_written_as_it_was_typed(inside: Gate):
    organization = await make_organization(inside.runtime)
    assert await tried(inside, organization.id, f"Nobody@{organization.slug}.example") == [
        f"nobody@{organization.slug}.example"
    ]


async def test_what_is_no_address_is_a_keyed_hash(inside: Gate):
    organization = await make_organization(inside.runtime)
    [name] = await tried(inside, organization.id, f"my pass word@{organization.slug}.example")
    assert name.startswith("typed:")
    assert "pass" not in name.removeprefix("typed:")
    assert len(name) == len("typed:") + 32


async def test_what_belongs_to_no_organization_is_on_no_record(inside: Gate):
    organization = await make_organization(inside.runtime)
    assert await tried(inside, organization.id, "hunter2") == []
