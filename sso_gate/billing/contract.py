"""The contract of an organization: opened once with its first invoice, changed only where that takes nothing back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

import billing_core
from billing_core import BillingError, Contract, ContractChangeRefused, Invoice, Party, Seller, StoredContract
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization

__all__ = ["BillingError", "Contract", "ContractChangeRefused", "Invoice", "Party", "Seller", "StoredContract"]

GRACE = timedelta(days=14)  # holders keep access that long after a term that was not renewed


@dataclass(frozen=True, slots=True)
class Settled:
    """The contract, what it was before (None: it was opened now), and the invoice that was issued, if any."""

    contract: StoredContract
    before: StoredContract | None
    invoice: Invoice | None


def settle_contract(
    tx: Connection,
    organization: Organization,
    contract: Contract,
    *,
    seats: int,
    buyer: Party,
    seller: Seller,
    now: datetime,
) -> Settled:
    """Open the contract with the invoice of its first term, or change what may be changed of the one that is there.

    Raises `ContractChangeRefused` for a change that would lower seats or rewrite what was invoiced, `ContractInvalid`
    for terms that are none.
    """
    if billing_core.contract_of(tx, organization.id) is None:
        opened = billing_core.open_contract(
            tx,
            customer=organization.id,
            contract=contract,
            seats=seats,
            buyer=buyer,
            seller=seller,
            locale=organization.locale,
            now=now,
        )
        return Settled(opened.contract, None, opened.invoice)
    amend = partial(billing_core.amend_contract, tx, customer=organization.id, now=now)
    before = amend()  # changes nothing and takes the lock: what is compared is what is changed
    after = amend(contract=contract, seats=seats, buyer=buyer, seller=seller, locale=organization.locale)
    return Settled(after, before, None)


def bought_seats(tx: Connection, organization: Organization) -> tuple[int, int] | None:
    """Return the first allocation and the one in force, or None before there is a contract."""
    stored = billing_core.contract_of(tx, organization.id)
    return (stored.opening_seats, stored.seats) if stored else None


def sync_admission(tx: Connection, organization: Organization, stored: StoredContract, *, now: datetime) -> None:
    """Write until when the contract admits people: without end while it renews itself."""
    ends = None if stored.contract.auto_renew else stored.term.ends_at
    until = replace(organization, admits_until=ends, access_until=ends + GRACE if ends else None)
    if until != organization:
        organizations.save(tx, until, at=now)
