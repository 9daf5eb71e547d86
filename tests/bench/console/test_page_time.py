"""How long the server takes for each page of a large organization, against the page that nobody has: the 404.

`pytest -m bench tests/bench/console` prints medians and ratios. Both are taken in turns, so a busy machine is busy
for both.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from time import perf_counter

import pytest
from httpx2 import Client as Browser

from tests.support.gates import Migrated
from tests.unit.console.crowd import PAGES, owner_of_a_crowd

pytestmark = pytest.mark.bench
PEOPLE, WAITING, ROUNDS = 10_000, 300, 20
FLOOR = "/no/such/path"
MOST_TIMES_THE_FLOOR = 20


@pytest.fixture(scope="module")
def ana(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with owner_of_a_crowd(migrated, tmp_path_factory.mktemp("crowd"), people=PEOPLE, waiting=WAITING) as browser:
        yield browser


def milliseconds(browser: Browser, path: str) -> float:
    begun = perf_counter()
    browser.get(path)
    return (perf_counter() - begun) * 1000


def test_pages_of_ten_thousand_members_against_a_page_that_does_not_exist(ana: Browser):
    ratios, told = {}, []
    for path in PAGES:
        ana.get(path)
        pairs = [(milliseconds(ana, path), milliseconds(ana, FLOOR)) for _ in range(ROUNDS)]
        page, floor = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios[path] = page / floor
        size = len(ana.get(path).content) / 1024
        told.append(f"{path:<46} {page:6.1f} ms {ratios[path]:5.1f} x the 404, {size:5.1f} KiB")
    print("", *told, sep="\n")  # noqa: T201 - a bench tells
    assert max(ratios.values()) < MOST_TIMES_THE_FLOOR, ratios
