"""Long lists: their length and where their pages begin are remembered for some seconds, and nothing is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sso_gate.scim import long_lists
from sso_gate.scim.long_lists import KEPT, MAX_NOTES, LongLists
from tests.unit.scim.client import client_of

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_a_long_total_is_counted_once_in_its_time_and_a_short_one_always():
    lists, counted = LongLists(), []

    def length(number):
        return lambda: counted.append(number) or number

    for at in (NOW, NOW + KEPT / 2, NOW + KEPT):
        lists.of("org_a", now=at).total("everybody", length(long_lists.LONG))
        lists.of("org_a", now=at).total("few", length(3))
    assert counted == [long_lists.LONG, 3, 3, long_lists.LONG, 3]


def test_notes_are_of_one_organization_and_one_question_and_end_with_a_change():
    lists = LongLists()
    for organization in ("org_a", "org_b"):
        lists.of(organization, now=NOW).note_place("q", long_lists.LONG, (organization, "mem"))
    assert lists.of("org_a", now=NOW).place("q", long_lists.LONG) == ("org_a", "mem")
    assert lists.of("org_a", now=NOW).place("other", long_lists.LONG) is None
    lists.forget("org_a")
    found = [lists.of(organization, now=NOW).place("q", long_lists.LONG) for organization in ("org_a", "org_b")]
    assert found == [None, ("org_b", "mem")]


def test_notes_are_bounded():
    lists = LongLists()
    for number in range(MAX_NOTES * 2):
        lists.of("org_a", now=NOW).note_place("q", long_lists.LONG + number, (number, "mem"))
    kept = [lists.of("org_a", now=NOW).place("q", long_lists.LONG + number) for number in range(MAX_NOTES * 2)]
    assert 0 < sum(one is not None for one in kept) <= MAX_NOTES


@pytest.mark.parametrize("order", [{}, {"sortBy": "userName", "sortOrder": "descending"}])
async def test_an_import_page_by_page_sees_everybody_once_although_somebody_goes(scim, monkeypatch, order):
    monkeypatch.setattr(long_lists, "LONG", 2)
    users = [await scim.created(f"p{number}", active=False) for number in range(7)]
    whole = [one["id"] for one in (await scim.get("/Users", count=200, **order)).json()["Resources"]]
    async with client_of(scim.gate, scim.organization) as other:  # another process: it remembers nothing
        seen, start = [], 1
        while page := (await scim.get("/Users", startIndex=start, count=3, **order)).json()["Resources"]:
            seen += [one["id"] for one in page]
            start += 3
            if start == 4:
                gone = next(one["id"] for one in users if one["id"] in seen)
                await other.send("DELETE", f"/Users/{gone}")
    assert seen == whole


async def test_a_process_sees_its_own_changes_at_once_and_those_of_others_soon(scim, monkeypatch, moving_clock):
    monkeypatch.setattr(long_lists, "LONG", 2)

    async def total(client):
        return (await client.get("/Users", startIndex=2, count=1)).json()["totalResults"]

    async with client_of(scim.gate, scim.organization) as other:
        await scim.created(active=False)
        assert (await total(scim), await total(other)) == (2, 2)
        await scim.created(active=False)
        assert (await total(scim), await total(other)) == (3, 2)
        moving_clock.move(timedelta(seconds=11))
        assert await total(other) == 3
