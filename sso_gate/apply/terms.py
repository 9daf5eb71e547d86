"""What a file says of money, as the values of a contract; what they refuse is told with its line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sso_gate.apply.file import ContractPart, OrganizationFile, PartyPart
from sso_gate.apply.places import Places
from sso_gate.billing import contract as contracts


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract, who buys (None: the file is silent) with the addresses that get invoices, and who issues them."""

    contract: contracts.Contract
    buyer: contracts.Party | None
    contacts: tuple[str, ...]
    seller: contracts.Seller


def terms_of(wanted: OrganizationFile, places: Places) -> Terms:
    """Return the terms of the file. Raises `FileInvalid`."""
    with in_table(places, "contract", ContractPart):
        contract = _contract(wanted.contract)
    with in_table(places, "buyer", PartyPart):
        buyer = _buyer(wanted)
    with in_table(places, "seller", PartyPart):
        seller = contracts.Seller(**wanted.seller.model_dump())
    return Terms(contract, buyer, wanted.buyer.contacts if wanted.buyer else (), seller)


@contextmanager
def in_table(places: Places, table: str, part: type[ContractPart] | type[PartyPart]) -> Iterator[None]:
    """Turn what the billing refuses into an error at the key of the table: its messages begin with the key's name."""
    try:
        yield
    except contracts.BillingError as error:
        name, named, said = str(error).partition(": ")
        key, *_ = name.split(".")
        location = (table, key) if key in part.model_fields else (table,)
        raise places.wrong(location, said if named and name.replace(".", "").isidentifier() else str(error)) from error


def _contract(part: ContractPart) -> contracts.Contract:
    return contracts.Contract(
        kind=part.kind,
        currency=part.currency,
        unit_price=part.unit_price,
        price_per=part.price_per,
        anchor_date=part.anchor_date,
        timezone=part.timezone,
        minimum_seats=part.minimum_seats,
        auto_renew=part.auto_renew,
        proration=part.proration,
        purchase_roles=part.purchase_roles,
        payment_days=part.payment_days,
        uplift_percent=part.uplift_percent,
        po_required=part.po_required,
        tax=tuple({"category": tax.category, "rate_percent": str(tax.rate_percent)} for tax in part.tax),
    )


def _buyer(wanted: OrganizationFile) -> contracts.Party | None:
    return contracts.Party(**wanted.buyer.model_dump(exclude={"timezone", "contacts"})) if wanted.buyer else None
