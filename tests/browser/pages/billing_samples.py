"""Sample pages of the billing details and of one document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from billing_core import TAX_ID_LABELS, invoice_html, tax_id_label
from sso_gate.web.format import countries
from sso_gate.web.language import ENGLISH
from tests.browser.pages.samples import DETAILS, Sample, frame, invoice

FORM = {
    "name": DETAILS.buyer.name,
    "address": "\n".join(DETAILS.buyer.address),
    "city": DETAILS.buyer.city,
    "postcode": DETAILS.buyer.postcode,
    "country": "BR",
    "tax_id": DETAILS.buyer.tax_id,
    "email": DETAILS.buyer.email,
    "contacts": ", ".join(DETAILS.contacts),
    "seen": DETAILS.seen,
}


def billing_samples() -> Iterator[Sample]:
    """The details as a form, wrong, and for who only looks; an invoice as a page."""
    given: dict[str, Any] = {
        "frame": frame(),
        "details": DETAILS,
        "form": FORM,
        "by_file": False,
        "may_change": True,
        "countries": countries(ENGLISH),
        "tax_id_name": tax_id_label("BR", "en"),
        "tax_id_names": TAX_ID_LABELS,
        "any_tax_id": tax_id_label("", "en"),
        "mail": True,
        "back": {"add": "7", "po_number": ""},
        "way_back": "/settings/billing/seats/review?add=7",
        "done": "",
        "errors": [],
    }
    yield Sample("billing-details", "console/billing_details.html", given)
    wrong = {
        "form": {**FORM, "name": "", "email": "finance", "country": ""},
        "tax_id_name": tax_id_label("", "en"),
        "mail": False,
        "way_back": "",
        "errors": [
            {"field": "name", "text": "Enter the legal name of who buys"},
            {"field": "email", "text": "Enter an email address, such as finance@acme.example"},
        ],
    }
    yield Sample("billing-details-wrong", "console/billing_details.html", {**given, **wrong}, 422)
    looks = {"may_change": False, "by_file": True, "way_back": "", "done": "saved"}
    yield Sample("billing-details-viewer", "console/billing_details.html", {**given, **looks})
    document = {
        "frame": frame(),
        "number": "INV-2027-000012",
        "kind": "invoice",
        "status": "open",
        "spoken": "en",
        "document": Markup(invoice_html(invoice(), fragment=True)),
        "stylesheet": "/document.css",
        "refers_to": "",
    }
    yield Sample("invoice", "console/invoice.html", document)
