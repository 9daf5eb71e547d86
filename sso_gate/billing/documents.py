"""Invoices and credit notes for the gate's pages, API and command line: all from the stored documents."""

import billing_core
from billing_core import (
    Invoice,
    Money,
    explain,
    invoice_css,
    invoice_html,
    invoice_pdf,
    invoice_xml,
    lines_csv,
    money_text,
)
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime

__all__ = [
    "Invoice",
    "Money",
    "explain",
    "invoice",
    "invoice_css",
    "invoice_html",
    "invoice_pdf",
    "invoice_xml",
    "invoices",
    "lines_csv",
    "money_text",
]


async def invoices(runtime: Runtime, organization: Organization, after: str | None, limit: int) -> list[Invoice]:
    """Return at most `limit` documents, newest first; `after` is the last number of the page before."""
    return await runtime.database.read(
        lambda tx: billing_core.invoices(tx, customer=organization.id, after=after, limit=limit)
    )


async def invoice(runtime: Runtime, organization: Organization, number: str) -> Invoice | None:
    """Return the organization's document with this number, or None."""
    return await runtime.database.read(lambda tx: billing_core.invoice(tx, customer=organization.id, number=number))
