"""Opening a contract, and the changes that an open contract can and cannot take."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from billing_core.archive import Draft, invoice_by_id, issue
from billing_core.contracts import ANNUAL_INVOICED, Contract, Party, Seller
from billing_core.errors import ContractChangeRefused
from billing_core.identifiers import new_id
from billing_core.invoices import Invoice
from billing_core.ledger import (
    StoredContract,
    add_contract,
    change_seats,
    contract_term,
    locked_contract,
    opening_invoice_id,
    record_term,
    save_contract,
)
from billing_core.lines import allocation_quantity, term_line
from billing_core.periods import in_utc, local_date, month_index
from billing_core.wording import known_locale

FIXED = ("kind", "currency", "anchor_date", "timezone", "term_months", "price_per", "proration")
"""What a contract keeps for life: every invoice already issued was computed from these."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The contract, its first term's invoice (None for a kind that is not invoiced here), and whether it is new."""

    contract: StoredContract
    invoice: Invoice | None
    created: bool


def open_contract(
    tx: Connection,
    *,
    customer: str,
    contract: Contract,
    seats: int,
    buyer: Party,
    seller: Seller,
    locale: str,
    now: datetime,
) -> Opened:
    """The customer's contract with its first term, seats and invoice for that whole term, issued at once.

    A customer who has a contract keeps it unchanged, and gets its first invoice again. The term opened is the one that
    holds `now` when the contract renews by itself, so that an anchor years ago does not invoice the past; otherwise it
    is term 0, whether it lies ahead, runs, or is over. `unit_price` is the price of the term opened.
    """
    instant = in_utc(now)
    stored = StoredContract(
        id=new_id("ctr", instant),
        customer=customer,
        declared=contract,
        contract=contract,
        buyer=buyer,
        seller=seller,
        locale=known_locale(locale),
        version=1,
        seats=0,
        allocation_version=0,
        opening_seats=allocation_quantity(seats),
        term=contract_term(contract, _first_index(contract, instant)),
        next_unit_price=None,
        renewal_pin=None,
        opened_at=instant,
    )
    if add_contract(tx, stored):
        return _first_term(tx, stored, seats, instant)
    existing = locked_contract(tx, customer)
    invoice_id = opening_invoice_id(tx, existing.id)
    return Opened(existing, None if invoice_id is None else invoice_by_id(tx, invoice_id), created=False)


def _first_index(contract: Contract, now: datetime) -> int:
    if not contract.auto_renew or contract.kind != ANNUAL_INVOICED:
        return 0
    return max(0, month_index(contract.anchor_date, local_date(now, contract.timezone)) // contract.term_months)


def _first_term(tx: Connection, stored: StoredContract, seats: int, now: datetime) -> Opened:
    invoice_id, invoice = None, None
    if stored.contract.kind == ANNUAL_INVOICED:
        line = term_line(stored.contract, stored.term, seats)
        invoice_id, invoice = issue(tx, stored, Draft((line,), "opening", stored.term.starts_at), now)
    opened = change_seats(tx, stored, kind="opening", delta=seats, invoice_id=invoice_id, at=now, now=now)
    record_term(tx, opened, invoice_id, now)
    save_contract(tx, opened)
    return Opened(opened, invoice, created=True)


def amend_contract(
    tx: Connection,
    *,
    customer: str,
    now: datetime,
    contract: Contract | None = None,
    seats: int | None = None,
    buyer: Party | None = None,
    seller: Seller | None = None,
    locale: str | None = None,
) -> StoredContract:
    """The contract with the changes that it can take; what is not given stays, and nothing given twice changes twice.

    A new price holds from the next term, in the uplift's place. Renewal, minimum, payment days, taxes, PO rule and
    purchase roles hold from the next document; buyer, seller and locale as well. Issued documents never change.
    `seats` is what the caller's file says: fewer than bought is no change, more is refused. Raises
    `ContractChangeRefused` naming the field, and then nothing is changed.
    """
    in_utc(now)
    stored = locked_contract(tx, customer)
    _refuse_seats(stored, seats)
    terms = contract or stored.declared
    _refuse_fixed(stored.declared, terms)
    amended = replace(
        stored,
        declared=terms,
        contract=terms.at_price(stored.contract.unit_price),
        next_unit_price=_next_price(stored, terms),
        buyer=buyer or stored.buyer,
        seller=seller or stored.seller,
        locale=stored.locale if locale is None else known_locale(locale),
    )
    if amended == stored:
        return stored
    amended = replace(amended, version=stored.version + 1)
    save_contract(tx, amended)
    return amended


def _refuse_seats(stored: StoredContract, seats: int | None) -> None:
    if seats is not None and allocation_quantity(seats) > stored.seats and seats != stored.opening_seats:
        raise ContractChangeRefused("seats", f"{stored.seats} are allocated; more are bought by an order")


def _refuse_fixed(old: Contract, new: Contract) -> None:
    for name in (item.name for item in fields(Contract)):
        before, after = getattr(old, name), getattr(new, name)
        if name in FIXED and before != after:
            raise ContractChangeRefused(name, f"{before} holds for the life of the contract and cannot become {after}")


def _next_price(stored: StoredContract, terms: Contract) -> Decimal | None:
    return stored.next_unit_price if terms.unit_price == stored.declared.unit_price else terms.unit_price


def pin_renewal(tx: Connection, *, customer: str, seats: int | None, now: datetime) -> StoredContract:
    """The contract whose next renewal has at least `seats` seats; None takes the pin away. A renewal uses it up."""
    in_utc(now)
    stored = locked_contract(tx, customer)
    pinned = replace(stored, renewal_pin=None if seats is None else allocation_quantity(seats))
    save_contract(tx, pinned)
    return pinned
