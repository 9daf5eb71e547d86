"""The page of somebody whom the gate knows and cannot let in: in each family of reasons it says who can help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from httpx2 import Client as Browser

from sso_gate.errors import Reason
from sso_gate.members import store as members
from sso_gate.organizations import store as organizations
from sso_gate.refusals import REFUSALS
from sso_gate.settings import Settings
from sso_gate.storage.open import open_runtime
from sso_gate.waiting.ticket import Ticket, Tickets
from tests.support.gates import Migrated
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate

HELPERS = {
    Reason.NOT_ASSIGNED: "Your IT team can fix this.",
    Reason.MEMBER_DEACTIVATED: "The Owners of Acme Ltda. can fix this.",
    Reason.SEAT_RELEASED: "The Owners of Acme Ltda. can fix this.",
    Reason.CONTRACT_ENDED: "The Owners of Acme Ltda. can fix this.",
    Reason.ORGANIZATION_DISABLED: "The Owners of Acme Ltda. can fix this.",
    Reason.DOMAIN_NOT_ALLOWED: "Your IT team can fix this.",
    Reason.CONNECTION_DISABLED: "Your IT team can fix this.",
    Reason.EMAIL_MISSING: "Your IT team can fix this.",
    Reason.EMAIL_UNVERIFIED: "You can fix this yourself.",
    Reason.RATE_LIMITED: "You can fix this yourself.",
    Reason.UNAVAILABLE: "This is ours to fix.",
}
Page = Callable[[Reason], str]


@pytest.fixture(params=["none", "names"])
def shown(request: pytest.FixtureRequest) -> str:
    word: str = request.param
    return word


@pytest.fixture
def page(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path, shown: str) -> Iterator[Page]:
    """What a refused person's browser shows for a reason."""
    settings = Settings.model_validate(
        {
            "public_url": "https://gate.example",
            "database_url": migrated.sqlite(tmp_path),
            "redis_url": valkey.url,
            "secret_keys": ("k" * 43,),
            "denied_show_owners": shown,
        }
    )
    gate = Gate(settings, tmp_path)
    gate.waits("eva")
    ticket = asyncio.run(_ticket(gate))
    with gate.serving(), gate.browser() as browser:
        yield lambda reason: _read(browser, gate, replace(ticket, reason=reason))


async def _ticket(gate: Gate) -> Ticket:
    runtime = open_runtime(gate.settings, gate.clock)
    acme = await runtime.database.read(lambda tx: organizations.by_slug(tx, "acme"))
    assert acme is not None
    eva = await runtime.database.read(lambda tx: members.find(tx, acme.id, "eva@acme.example"))
    assert eva is not None
    await runtime.close()
    return Ticket(acme.id, eva.id, eva.email, "", "9Q2W7KXM", "acme-oidc", "/", 0, "")


def _read(browser: Browser, gate: Gate, ticket: Ticket) -> str:
    async def issued() -> str:
        runtime = open_runtime(gate.settings, gate.clock)
        text = await Tickets(runtime.redis).issue(ticket)
        await runtime.close()
        return text

    answer = browser.get(f"/denied/{asyncio.run(issued())}")
    assert answer.status_code == 403
    assert "9Q2W7KXM" in answer.text
    return unescape(answer.text)


@pytest.mark.parametrize("shown", ["none"], indirect=True)
def test_every_family_of_reasons_has_its_words_and_says_who_can_help(page: Page):
    for reason, helper in HELPERS.items():
        shown = page(reason)
        assert helper in shown
        assert unescape(REFUSALS[reason].sentence) in shown
        assert "Ask for a seat" not in shown
    assert {REFUSALS[reason].family for reason in [*HELPERS, Reason.SEAT_UNAVAILABLE]} == {
        told.family for told in REFUSALS.values()
    }


def test_owners_are_named_where_the_installation_wants_it_and_never_by_address(page: Page, shown: str):
    for reason in (Reason.SEAT_UNAVAILABLE, Reason.SEAT_RELEASED):
        text = page(reason)
        assert ("Owners of Acme Ltda.: Ana Souza, Olga" in text) == (shown == "names")
        assert "ana@acme.example" not in text
    assert "Ana Souza" not in page(Reason.NOT_ASSIGNED), "they cannot help there"
