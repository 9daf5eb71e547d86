"""A term that is over and not renewed yet: who came meanwhile keeps their seat, and a seat that is bought is there."""

from datetime import UTC, datetime

import pytest

from billing_core import Ordered
from sso_gate.admission.settle import Allowed, Denied
from sso_gate.billing import purchase
from sso_gate.billing.renewal import renew_due
from sso_gate.organizations.organization import Organization
from tests.support.gates import OPERATOR, Gate, MovingClock, make_organization, person


@pytest.fixture
async def over(inside: Gate, moving_clock: MovingClock) -> Organization:
    """Five seats, one in use when the term ended an hour ago; two people have come since."""
    organization = await make_organization(inside.runtime, seats=5)
    moving_clock.instant = datetime(2027, 1, 1, 1, tzinfo=UTC)
    for name in ("ana", "bob"):
        assert isinstance(await inside.settle(person(organization, name)), Allowed)
    return organization


async def buy(inside: Gate, organization: Organization, seats: int) -> None:
    quote = await purchase.review(inside.runtime, organization=organization, add=seats)
    bought = await purchase.order(
        inside.runtime, organization=organization, by=OPERATOR, quote_id=quote.id, idempotency_key=quote.id
    )
    assert isinstance(bought, Ordered)


async def test_a_seat_that_is_bought_after_a_late_renewal_can_be_used_at_once(inside: Gate, over: Organization):
    await renew_due(inside.runtime)
    assert (await inside.pool(over.id)).purchased == 3
    assert isinstance(await inside.settle(person(over, "cyd")), Denied)
    await buy(inside, over, 1)
    assert (await inside.pool(over.id)).purchased == 4
    assert isinstance(await inside.settle(person(over, "cyd")), Allowed)


async def test_a_price_for_the_new_term_renews_the_contract_and_the_pool_with_it(inside: Gate, over: Organization):
    await purchase.review(inside.runtime, organization=over, add=1)
    assert (await inside.pool(over.id)).purchased == 3
    assert await renew_due(inside.runtime) == []


async def test_a_purchase_before_the_renewal_adds_to_what_is_in_use(inside: Gate, over: Organization):
    await buy(inside, over, 1)
    pool = await inside.pool(over.id)
    assert (pool.purchased, pool.used) == (4, 3)
