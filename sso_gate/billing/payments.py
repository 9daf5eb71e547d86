"""Money that came in for an invoice, as whoever keeps the books enters it. It never blocks or opens anything."""

from datetime import date

import billing_core
from billing_core import Invoice
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime


async def record_payment(
    runtime: Runtime, organization: Organization, number: str, *, amount: int, paid_on: date, reference: str
) -> Invoice:
    """Return the invoice with `amount` minor units more paid; the same reference again changes nothing.

    Raises:
        BillingError: there is no such invoice, more was paid than is outstanding, or the reference says something else.
    """
    now = runtime.clock.now()
    return await runtime.database.write(
        lambda tx: billing_core.record_payment(
            tx,
            customer=organization.id,
            number=number,
            amount=amount,
            paid_on=paid_on,
            reference=reference,
            now=now,
        )
    )
