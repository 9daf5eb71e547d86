"""Pages stay light whatever the size of the organization: lists come in pages, and style and scripts are small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from httpx2 import Client as Browser

from tests.support.gates import Migrated
from tests.unit.console.crowd import PAGES, owner_of_a_crowd

PEOPLE, WAITING = 10_000, 300
LARGEST_PAGE = 40 * 1024


@pytest.fixture(scope="module")
def ana(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The owner of a large organization, in her browser."""
    with owner_of_a_crowd(migrated, tmp_path_factory.mktemp("crowd"), people=PEOPLE, waiting=WAITING) as browser:
        yield browser


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_heavier_than_its_budget_with_ten_thousand_members(ana, path):
    answer = ana.get(path)
    assert answer.status_code == 200
    assert len(answer.content) <= LARGEST_PAGE


def test_every_one_of_many_who_wait_can_be_reached_page_by_page(ana):
    path, met = "/settings/members/requests", set()
    while path:
        page = ana.get(path).text
        met |= set(re.findall(r"<dd>(maria[^<]+)</dd>", page))
        found = re.search(r'href="([^"]+)">Next page', page)
        path = f"/settings/members/requests{unescape(found[1])}" if found else ""
    assert len(met) == WAITING
