"""What a document says on paper, in one language: every label, figure and sentence, ready to be set."""

from dataclasses import dataclass

from billing_core.contracts import Party
from billing_core.invoices import CREDIT_NOTE, INVOICE, Invoice
from billing_core.lines import Line
from billing_core.money import Money
from billing_core.wording import (
    date_text,
    known_locale,
    line_text,
    money_text,
    months_text,
    number_text,
    period_text,
    price_text,
)

_LABELS = {
    "en": {
        INVOICE: "Invoice",
        CREDIT_NOTE: "Credit note",
        "number": "Number",
        "issued": "Issued",
        "due": "Due",
        "po": "PO number",
        "refers": "Refers to",
        "reason": "Reason",
        "from": "From",
        "to": "Billed to",
        "tax_id": "Tax ID",
        "description": "Description",
        "seats": "Seats",
        "months": "Months",
        "seat_month": "Price per seat and month",
        "seat_year": "Price per seat and year",
        "net": "Net",
        "subtotal": "Total net",
        "tax": "Tax {category} {rate} % on {base}",
        "total_invoice": "Total due",
        "total_credit_note": "Total credit",
        "payment": "Payment",
        "page": "Page {page} of {pages}",
        "note": "This document does not replace a fiscal document where the law asks for one.",
    },
    "pt-BR": {
        INVOICE: "Fatura",
        CREDIT_NOTE: "Nota de crédito",
        "number": "Número",
        "issued": "Emissão",
        "due": "Vencimento",
        "po": "Pedido de compra",
        "refers": "Referente a",
        "reason": "Motivo",
        "from": "De",
        "to": "Cobrado de",
        "tax_id": "Identificação fiscal",
        "description": "Descrição",
        "seats": "Assentos",
        "months": "Meses",
        "seat_month": "Preço por assento e mês",
        "seat_year": "Preço por assento e ano",
        "net": "Líquido",
        "subtotal": "Total líquido",
        "tax": "Imposto {category} {rate} % sobre {base}",
        "total_invoice": "Total a pagar",
        "total_credit_note": "Total do crédito",
        "payment": "Pagamento",
        "page": "Página {page} de {pages}",
        "note": "Este documento não substitui documento fiscal (NF-e, NFS-e) quando a lei o exigir.",
    },
    "es": {
        INVOICE: "Factura",
        CREDIT_NOTE: "Nota de crédito",
        "number": "Número",
        "issued": "Emisión",
        "due": "Vencimiento",
        "po": "Orden de compra",
        "refers": "Referente a",
        "reason": "Motivo",
        "from": "De",
        "to": "Facturado a",
        "tax_id": "Identificación fiscal",
        "description": "Descripción",
        "seats": "Asientos",
        "months": "Meses",
        "seat_month": "Precio por asiento y mes",
        "seat_year": "Precio por asiento y año",
        "net": "Neto",
        "subtotal": "Total neto",
        "tax": "Impuesto {category} {rate} % sobre {base}",
        "total_invoice": "Total a pagar",
        "total_credit_note": "Total del crédito",
        "payment": "Pago",
        "page": "Página {page} de {pages}",
        "note": "Este documento no sustituye un comprobante fiscal (CFDI, factura electrónica) si la ley lo exige.",
    },
}

TAX_ID_LABELS = {
    "AR": "CUIT", "BO": "NIT", "BR": "CNPJ", "CL": "RUT", "CO": "NIT", "CR": "Cédula jurídica", "DE": "USt-IdNr.",
    "EC": "RUC", "ES": "NIF", "GT": "NIT", "MX": "RFC", "PE": "RUC", "PT": "NIF", "PY": "RUC", "UY": "RUT", "VE": "RIF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line as set: figures are empty where the line is a share and no product."""

    text: str
    seats: str
    months: str
    price: str
    net: str
    period: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page. `labels` is the language's table; pairs are (label, value) in the order in which they are printed."""

    locale: str
    labels: dict[str, str]
    title: str
    number: str
    facts: tuple[tuple[str, str], ...]
    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    price_label: str
    rows: tuple[Row, ...]
    sums: tuple[tuple[str, str], ...]
    total: tuple[str, str]
    payment: tuple[str, ...]
    note: str


def sheet(invoice: Invoice, locale: str | None = None) -> Sheet:
    """The document as set in `locale`, in its own language without one."""
    chosen = known_locale(locale or invoice.locale)
    labels = _LABELS[chosen]
    return Sheet(
        locale=chosen,
        labels=labels,
        title=labels[invoice.kind],
        number=invoice.number,
        facts=tuple(_facts(invoice, labels, chosen)),
        seller=_party(invoice.seller, labels),
        buyer=_party(invoice.buyer, labels),
        price_label=labels[invoice.lines[0].price_per],
        rows=tuple(_row(invoice, line, chosen) for line in invoice.lines),
        sums=tuple(_sums(invoice, labels, chosen)),
        total=(labels[f"total_{invoice.kind}"], money_text(invoice.gross, chosen)),
        payment=invoice.seller.payment if invoice.kind == INVOICE else (),
        note=invoice.seller.note or labels["note"],
    )


def _facts(invoice: Invoice, labels: dict[str, str], locale: str) -> list[tuple[str, str]]:
    facts = [(labels["issued"], date_text(invoice.issued_on, locale))]
    if invoice.kind == INVOICE:
        facts.append((labels["due"], date_text(invoice.due_on, locale)))
    for name, value in (("po", invoice.po_number), ("refers", invoice.refers_to), ("reason", invoice.reason)):
        if value:
            facts.append((labels[name], value))
    return facts


def tax_id_label(country: str, locale: str) -> str:
    """What a tax identifier is called in a country (ISO 3166 alpha-2), and in general elsewhere."""
    return TAX_ID_LABELS.get(country, _LABELS[known_locale(locale)]["tax_id"])


def _party(party: Party, labels: dict[str, str]) -> tuple[str, ...]:
    place = " ".join(part for part in (party.postcode, party.city, party.country) if part)
    tax_id = f"{TAX_ID_LABELS.get(party.country, labels['tax_id'])} {party.tax_id}" if party.tax_id else ""
    return tuple(text for text in (party.name, *party.address, place, tax_id, party.email) if text)


def _row(invoice: Invoice, line: Line, locale: str) -> Row:
    is_product = line.basis == "product"
    translated = is_product and invoice.kind == INVOICE and locale != invoice.locale
    return Row(
        text=line_text(line, locale) if translated else line.text,
        seats=number_text(line.seats, locale) if is_product else "",
        months=months_text(line.months) if is_product else "",
        price=price_text(line.unit_price, line.currency, locale) if is_product else "",
        net=money_text(line.amount, locale),
        period=period_text(line, locale),
    )


def _sums(invoice: Invoice, labels: dict[str, str], locale: str) -> list[tuple[str, str]]:
    sums = [(labels["subtotal"], money_text(invoice.net, locale))]
    for group in invoice.totals.taxes:
        rate = number_text(group.rate_percent, locale)
        base = money_text(Money(group.base, invoice.currency), locale)
        label = labels["tax"].format(category=group.category, rate=rate, base=base)
        label = f"{label} ({group.reason})" if group.reason else label
        sums.append((label, money_text(Money(group.amount, invoice.currency), locale)))
    return sums
