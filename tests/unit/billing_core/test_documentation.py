"""The page of rules is tested: its table of examples is computed, its codes are the package's codes."""

import re
from datetime import UTC, datetime
from fractions import Fraction

import pytest

import billing_core
from billing_core import BillingError, Contract, Money, Why, quote_line
from billing_core.explanation import explain
from billing_core.wording import number_text
from tests.unit.billing_core.conftest import ROOT
from tests.unit.billing_core.firm import Firm

PAGE = ROOT / "docs" / "billing.md"
TEXT = PAGE.read_text("utf-8") if PAGE.exists() else ""
"""The package may be tested beside nothing but its own tests; then there is no page to test."""
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\| \d+ \|.*$", TEXT, re.MULTILINE)
]

needs_page = pytest.mark.skipif(not TEXT, reason="docs/billing.md is not here")


def contract_of(row: list[str]) -> Contract:
    _, anchor, zone, currency, price, per, proration, *_ = row
    return Contract(
        anchor_date=anchor, timezone=zone, currency=currency, unit_price=price, price_per=per, proration=proration
    )


def event_of(row: list[str]) -> datetime:
    return datetime.strptime(row[7], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)


@needs_page
def test_the_page_has_its_examples():
    assert len(ROWS) == 18


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_worked_example_is_what_the_package_computes(row):
    line = quote_line(contract_of(row), int(row[8]), event_of(row))
    assert line.months == Fraction(row[9])
    assert str(Money(line.net, row[3]).decimal) == row[10]


@needs_page
def test_a_worked_example_is_what_an_order_invoices(sqlite_engine):
    firm = Firm(sqlite_engine, now=event_of(ROWS[0]))
    for row in ROWS:
        firm = Firm(sqlite_engine, now=event_of(row), customer=f"org_{row[0]}")
        with sqlite_engine.begin() as tx:
            billing_core.open_contract(
                tx,
                customer=firm.customer,
                contract=contract_of(row),
                seats=1,
                buyer=billing_core.Party("Buyer"),
                seller=billing_core.Seller("Seller"),
                locale="en",
                now=firm.now,
            )
        bought = firm.buy(int(row[8]))
        assert str(bought.net.decimal) == row[10]
        assert "DIFFERS" not in explain(bought)
        assert number_text(bought.net.decimal, "en") in billing_core.invoice_html(bought)
    assert firm.findings() == []


@needs_page
def test_every_code_is_on_the_page():
    def codes(kind: type[BillingError]) -> set[str]:
        return {kind.code}.union(*(codes(each) for each in kind.__subclasses__()))

    for code in (codes(BillingError) - {"BILLING_ERROR"}) | {str(why) for why in Why}:
        assert f"`{code}`" in TEXT
