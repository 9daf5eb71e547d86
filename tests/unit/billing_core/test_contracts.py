"""Every field of a contract and of a party is checked where the value is made."""

from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core import Contract, ContractInvalid, Party, PriceInvalid, Seller, TaxRate
from tests.support.frozen import frozen
from tests.unit.billing_core.firm import BUYER, SELLER, TERMS, contract


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("anchor_date", "2026-02-30"),
        ("anchor_date", datetime(2026, 1, 1)),
        ("anchor_date", 20260101),
        ("anchor_date", date(1969, 12, 31)),
        ("anchor_date", date(9001, 1, 1)),
        ("timezone", "Nowhere"),
        ("currency", "XYZ"),
        ("unit_price", 20.0),
        ("unit_price", "-1"),
        ("term_months", 0),
        ("term_months", 37),
        ("term_months", True),
        ("price_per", "user"),
        ("price_per", None),
        ("proration", "daily"),
        ("kind", "Annual"),
        ("kind", 7),
        ("minimum_seats", -1),
        ("minimum_seats", 1_000_001),
        ("minimum_seats", "1"),
        ("auto_renew", 1),
        ("uplift_percent", "100.01"),
        ("uplift_percent", 0.5),
        ("payment_days", 366),
        ("payment_days", None),
        ("po_required", "yes"),
        ("purchase_roles", ["Owner"]),
        ("tax", [{"category": "S"}]),
        ("tax", ["S"]),
        ("tax", [{"category": "X", "rate_percent": "19"}]),
        ("tax", [{"category": "S", "rate_percent": "101"}]),
        ("tax", [{"category": "E", "rate_percent": "1"}]),
        ("tax", [{"category": "E", "rate_percent": "0", "reason": "two\nlines"}]),
        ("tax", [{"category": "S", "rate_percent": "7"}, {"category": "S", "rate_percent": "7.0"}]),
        ("tax", [{"category": "S", "rate_percent": str(rate)} for rate in range(5)]),
    ],
)
def test_a_wrong_term_is_refused_by_name(field, value):
    with pytest.raises(ContractInvalid, match=field):
        contract(**{field: value})


def test_a_wrong_price_has_its_own_code():
    with pytest.raises(PriceInvalid) as refused:
        contract(unit_price=20.0)
    assert refused.value.code == "PRICE_INVALID"


def test_the_defaults_are_the_published_plan():
    made = Contract(anchor_date="2026-01-01", timezone="UTC", currency="USD", unit_price="20.00")
    assert (made.term_months, made.price_per, made.proration, made.kind) == (
        12,
        "seat_month",
        "started_month",
        "annual_invoiced",
    )
    assert (made.minimum_seats, made.auto_renew, made.payment_days, made.tax) == (1, False, 30, ())


def test_text_and_values_make_the_same_contract():
    assert contract() == contract(anchor_date=date(2026, 1, 1), unit_price=Decimal("20.00"))


def test_a_frozen_date_is_a_date_like_any_other():
    with frozen("2026-01-01"):
        assert contract(anchor_date=date.today()) == contract()  # noqa: DTZ011 # the frozen type is the point


def test_a_contract_is_read_from_a_mapping_an_object_or_itself():
    made = contract()
    assert Contract.of(made) is made
    assert Contract.of({**TERMS, "seats": 100}) == made
    assert Contract.of(SimpleNamespace(**TERMS)) == made


def test_a_mapping_without_a_price_is_refused():
    with pytest.raises(ContractInvalid, match="unit_price"):
        Contract.of({"anchor_date": "2026-01-01", "timezone": "UTC", "currency": "USD"})


@given(
    price=st.decimals(0, 9999, places=5),
    uplift=st.decimals(0, 100, places=2),
    rates=st.lists(st.decimals(0, 100, places=2), max_size=4, unique=True),
)
def test_a_contract_survives_storage(price, uplift, rates):
    tax = [TaxRate("S", rate) for rate in rates]
    made = contract(unit_price=price, uplift_percent=uplift, tax=tax, purchase_roles=["owner"], po_required=True)
    assert Contract.of(made.to_json()) == made


@pytest.mark.parametrize(
    ("price", "uplift", "currency", "raised"),
    [
        ("20.00", "3.5", "USD", "20.70"),
        ("20.70", "3.5", "USD", "21.42"),
        ("20", "0", "USD", "20.00"),
        ("0.0050", "10", "USD", "0.0055"),
        ("1500", "3.5", "JPY", "1553"),
        ("1.005", "50", "KWD", "1.508"),
    ],
)
def test_an_uplift_is_rounded_half_up_to_the_digits_of_the_price(price, uplift, currency, raised):
    uplifted = contract(unit_price=price, uplift_percent=uplift, currency=currency).uplifted()
    assert str(uplifted.unit_price) == raised


def test_a_party_survives_storage():
    assert Party.of(BUYER.to_json()) == BUYER
    assert Seller.of(SELLER.to_json()) == SELLER


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "x" * 201},
        {"name": None},
        {"name": "A", "country": "Brazil"},
        {"name": "A", "address": ("\x00",)},
    ],
)
def test_a_party_that_cannot_be_printed_is_refused(wrong):
    with pytest.raises(ContractInvalid):
        Party(**wrong)


@pytest.mark.parametrize("wrong", [{"timezone": "Mars"}, {"note": "x" * 501}, {"payment": ("tab\t",)}])
def test_a_seller_that_cannot_be_printed_is_refused(wrong):
    with pytest.raises(ContractInvalid):
        Seller("Example GmbH", **wrong)
