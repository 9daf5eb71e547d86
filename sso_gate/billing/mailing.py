"""Promises to mail an issued invoice to the billing contacts, made in the transaction that issues it."""

from sqlalchemy import Connection

from billing_core import Invoice, money_text
from sso_gate.billing.details import details_of
from sso_gate.clock import Clock
from sso_gate.organizations.organization import Organization
from sso_gate.storage import outbox

INVOICE_ISSUED = "invoice.issued"


def promise_invoice(tx: Connection, organization: Organization, invoice: Invoice, *, clock: Clock) -> None:
    """Promise a letter with the document to everybody whom the billing details name; to nobody where they name none."""
    details = details_of(tx, organization.id)
    if details is None or not details.recipients:
        return
    payload = {
        "to": list(details.recipients),
        "invoice": invoice.number,
        "amount": money_text(invoice.gross, invoice.locale),
        "due_on": invoice.due_on.isoformat(),
    }
    outbox.add(tx, organization.id, INVOICE_ISSUED, clock=clock, payload=payload)
