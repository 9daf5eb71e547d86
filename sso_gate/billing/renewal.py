"""Renewal: at the end of a term the contract is invoiced anew with the seats in use, and only there may the allocation
shrink.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

import billing_core
from billing_core import Renewed
from sso_gate.billing.allocation import begin_due_terms, publish
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats.ledger import Pool
from sso_gate.storage.runtime import Runtime

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RenewedContract:
    """The terms that were invoiced for an organization just now, oldest first."""

    organization: Organization
    renewed: tuple[Renewed, ...]


async def renew_due(runtime: Runtime) -> list[RenewedContract]:
    """Renew every contract whose term is over; a second run finds nothing. One that cannot be renewed is logged and
    holds up none of the others.
    """
    now = runtime.clock.now()
    due = await due_for_renewal(runtime, now=now)
    return [one for customer in due if (one := await _renewed(runtime, customer, now=now))]


async def _renewed(runtime: Runtime, customer: str, *, now: datetime) -> RenewedContract | None:
    try:
        return await renew(runtime, customer, now=now)
    except (billing_core.BillingError, LookupError, ValueError):
        _log.exception("renewal of %s", customer)
        return None


async def due_for_renewal(runtime: Runtime, *, now: datetime) -> list[str]:
    """Return the ids of the organizations whose contract has a term to renew at this instant, a hundred at most."""
    return await runtime.database.read(lambda tx: billing_core.due_for_renewal(tx, now=now))


async def renew(runtime: Runtime, organization_id: str, *, now: datetime) -> RenewedContract:
    """Bring one contract to the term that holds `now`, with the seats in use as of each boundary, however late."""

    def work(tx: Connection) -> tuple[RenewedContract, Pool | None]:
        organization = _organization(tx, organization_id)
        renewed, pool = begin_due_terms(tx, runtime, organization, now=now)
        return RenewedContract(organization, tuple(renewed)), pool

    result, pool = await runtime.database.write(work)
    if pool:
        await publish(runtime, organization_id, pool)
    return result


async def preview_renewal(runtime: Runtime, organization_id: str, *, now: datetime) -> RenewedContract:
    """Return what `renew` would come to, its invoices without a number that counts; nothing of it stays."""

    def work(tx: Connection) -> RenewedContract:
        organization = _organization(tx, organization_id)
        attempt = tx.begin_nested()
        try:
            return RenewedContract(organization, tuple(begin_due_terms(tx, runtime, organization, now=now)[0]))
        finally:
            attempt.rollback()

    return await runtime.database.write(work)


def _organization(tx: Connection, organization_id: str) -> Organization:
    found = organizations.get(tx, organization_id)
    if found is None:
        raise LookupError(organization_id)
    return found
