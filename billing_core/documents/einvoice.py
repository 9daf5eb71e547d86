"""The document as an EN 16931 invoice in UN/CEFACT CII syntax, by drafthorse, checked against its XSD.

A quantity is a decimal there, so a line of 5 seats for 296/31 months is 1480 seat-months at the price of 31: quantity
times price over base quantity is exactly the line, and a price per seat and year has 12 more in its base quantity.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from babel.core import get_global
from drafthorse.models.accounting import ApplicableTradeTax
from drafthorse.models.document import Document
from drafthorse.models.note import IncludedNote
from drafthorse.models.party import TaxRegistration
from drafthorse.models.payment import PaymentTerms
from drafthorse.models.tradelines import LineItem

from billing_core.contracts import Party
from billing_core.errors import EInvoiceUnavailable
from billing_core.invoices import INVOICE, Invoice
from billing_core.lines import Line
from billing_core.money import Money, minor_digits, plain
from billing_core.taxes import TaxGroup, TaxRate

GUIDELINE = "urn:cen.eu:en16931:2017"
TYPE_CODE = {"invoice": "380", "credit_note": "381"}
UNIT = "C62"
"""UN/ECE Recommendation 20 "one": a seat for a month has no unit of its own."""
NOT_TAXED = TaxRate("O", Decimal(0), "Not subject to VAT")
REASONS = {"E": "Exempt from VAT", "AE": "Reverse charge", "K": "Intra-community supply", "G": "Export outside the EU"}


def invoice_xml(invoice: Invoice) -> bytes:
    """The XML of the document, valid against the EN 16931 CII schema.

    Raises `EInvoiceUnavailable` where the format cannot hold the document: amounts of more than two decimals (BR-DEC),
    more than one tax on a line (BG-30), no country (BR-9, BR-11). What the document merely does not know is listed by
    `einvoice_gaps`.
    """
    _refuse(invoice)
    made = Document()
    made.context.guideline_parameter.id = GUIDELINE
    made.header.id = invoice.number
    made.header.type_code = TYPE_CODE[invoice.kind]
    made.header.issue_date_time = _day(invoice.issued_on)
    _notes(made, invoice)
    _parties(made, invoice)
    for position, line in enumerate(invoice.lines, 1):
        made.trade.items.add(_item(position, line, invoice))
    _settlement(made, invoice)
    return bytes(made.serialize(schema="FACTUR-X_EN16931"))


def einvoice_gaps(invoice: Invoice) -> list[str]:
    """The EN 16931 rules that the XML would break because the contract does not know something: "BR-S-02: …"."""
    gaps = []
    taxed = any(group.category in ("S", "L", "M") for group in invoice.totals.taxes)
    if taxed and not invoice.seller.tax_id:
        gaps.append("BR-S-02: the seller has no tax identifier")
    if any(group.category in ("AE", "K") for group in invoice.totals.taxes) and not invoice.buyer.tax_id:
        gaps.append("BR-AE-02: the buyer has no tax identifier")
    return gaps


def _refuse(invoice: Invoice) -> None:
    if minor_digits(invoice.currency) > 2:
        raise EInvoiceUnavailable(f"{invoice.currency} amounts have more than the two decimals of EN 16931")
    if any(len(line.taxes) > 1 for line in invoice.lines):
        raise EInvoiceUnavailable("EN 16931 has one tax category a line")
    for party, zone in ((invoice.seller, invoice.seller.timezone), (invoice.buyer, invoice.grid.timezone)):
        if not country(party, zone):
            raise EInvoiceUnavailable(f"the country of {party.name} is not known")


def country(party: Party, timezone: str) -> str:
    """The party's country, else the one whose time zone it keeps; empty where neither says."""
    territory = party.country or get_global("zone_territories").get(timezone, "")
    return territory if len(territory) == 2 and territory.isalpha() else ""


def _day(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _notes(made: Document, invoice: Invoice) -> None:
    for text in (invoice.reason, invoice.seller.note):
        if text:
            note = IncludedNote()
            note.content = text
            made.header.notes.add(note)


def _parties(made: Document, invoice: Invoice) -> None:
    agreement = made.trade.agreement
    sides = (
        (agreement.seller, invoice.seller, invoice.seller.timezone),
        (agreement.buyer, invoice.buyer, invoice.grid.timezone),
    )
    for side, party, zone in sides:
        side.name = party.name
        side.address.country_id = country(party, zone)
        side.address.city_name = party.city
        side.address.postcode = party.postcode
        for name, text in zip(("line_one", "line_two", "line_three"), party.address, strict=False):
            setattr(side.address, name, text)
        if party.tax_id:
            side.tax_registrations.add(TaxRegistration(id=("VA", party.tax_id)))
    if invoice.po_number:
        agreement.buyer_order.issuer_assigned_id = invoice.po_number


def _item(position: int, line: Line, invoice: Invoice) -> LineItem:
    quantity, price, base = _product(line)
    item = LineItem()
    item.document.line_id = str(position)
    item.product.name = line.text
    item.agreement.net.amount = plain(price)
    item.agreement.net.basis_quantity = (base, UNIT)
    item.delivery.billed_quantity = (quantity, UNIT)
    rate = next(iter(line.taxes), NOT_TAXED)
    tax = item.settlement.trade_tax
    tax.type_code = "VAT"
    tax.category_code = rate.category
    tax.rate_applicable_percent = plain(rate.rate_percent)
    item.settlement.period.start = _day(line.period_start)
    item.settlement.period.end = _day(line.last_day)
    item.settlement.monetary_summation.total_amount = _amount(line.net, invoice)
    return item


def _product(line: Line) -> tuple[int, Decimal, int]:
    """Quantity, price and base quantity whose product is the line; a share is one piece at its own amount."""
    if line.basis == "share":
        return 1, line.amount.decimal, 1
    twelfth = 12 if line.price_per == "seat_year" else 1
    return line.seats * line.months.numerator, line.unit_price, line.months.denominator * twelfth


def _settlement(made: Document, invoice: Invoice) -> None:
    settlement = made.trade.settlement
    settlement.currency_code = invoice.currency
    for group in _groups(invoice):
        settlement.trade_tax.add(_tax(group, invoice))
    if invoice.kind == INVOICE:
        terms = PaymentTerms()
        terms.due = _day(invoice.due_on)
        settlement.terms.add(terms)
    if invoice.refers_to:
        settlement.invoice_referenced_document.issuer_assigned_id = invoice.refers_to
    sums = settlement.monetary_summation
    sums.line_total = _amount(invoice.totals.net, invoice)
    sums.charge_total = sums.allowance_total = _amount(0, invoice)
    sums.tax_basis_total = (_amount(invoice.totals.net, invoice), None)
    sums.tax_total = (_amount(invoice.totals.tax, invoice), invoice.currency)
    sums.grand_total = (_amount(invoice.totals.gross, invoice), None)
    sums.due_amount = _amount(invoice.totals.gross, invoice)


def _groups(invoice: Invoice) -> Iterator[TaxGroup]:
    yield from invoice.totals.taxes
    if not invoice.totals.taxes:
        yield TaxGroup(NOT_TAXED.category, NOT_TAXED.rate_percent, invoice.totals.net, 0, NOT_TAXED.reason)


def _tax(group: TaxGroup, invoice: Invoice) -> ApplicableTradeTax:
    tax = ApplicableTradeTax()
    tax.calculated_amount = _amount(group.amount, invoice)
    tax.type_code = "VAT"
    tax.basis_amount = _amount(group.base, invoice)
    tax.category_code = group.category
    tax.rate_applicable_percent = plain(group.rate_percent)
    reason = group.reason or REASONS.get(group.category, "")
    if reason:
        tax.exemption_reason = reason
    return tax


def _amount(minor: int, invoice: Invoice) -> str:
    return plain(Money(minor, invoice.currency).decimal)
