"""A process pays many requests from one part of a budget: what all of them spend together stays the budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sso_gate.scim import caller as callers
from sso_gate.scim import rations
from sso_gate.scim.rations import MAX_KEPT, Rations, portion
from sso_gate.tokens.token import Scope
from tests.unit.scim.client import Client, client_of, make_token

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_what_was_taken_pays_for_so_many_requests_and_not_for_ever():
    here = Rations()
    assert not here.pay("reads", now=NOW)
    here.fill("reads", 2, until=NOW + timedelta(seconds=10))
    assert [here.pay("reads", now=NOW) for _ in range(3)] == [True, True, False]
    here.fill("reads", 2, until=NOW + timedelta(seconds=10))
    assert not here.pay("writes", now=NOW), "each budget is paid by itself"
    assert not here.pay("reads", now=NOW + timedelta(seconds=10)), "what was not used in its window is gone"


def test_a_part_is_a_hundredth_and_of_small_budgets_one_request():
    assert [portion(budget) for budget in (2000, 150, 99, 1)] == [20, 1, 1, 1]


def test_what_a_process_remembers_of_budgets_is_bounded():
    here = Rations()
    for number in range(MAX_KEPT * 2):
        here.fill(f"budget {number}", 1, until=NOW + timedelta(seconds=10))
    assert sum(here.pay(f"budget {number}", now=NOW) for number in range(MAX_KEPT * 2)) <= MAX_KEPT


async def test_two_processes_spend_one_budget_though_each_takes_parts_of_it(scim: Client, monkeypatch):
    monkeypatch.setattr(rations, "SHARE", 2)
    monkeypatch.setattr(callers, "BUDGETS", {"read": 4, "write": 9, "give_back": 9})
    secret = await make_token(scim.gate.runtime, scim.organization.id, Scope.SCIM)
    async with (
        client_of(scim.gate, scim.organization, secret=secret) as one,
        client_of(scim.gate, scim.organization, secret=secret) as other,
    ):
        asked = [(await client.get("/Users", count=0)).status_code for client in (one, other, one, other, one, other)]
    assert asked == [200, 200, 200, 200, 429, 429]
