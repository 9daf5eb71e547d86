"""Whom invoices name as the buyer, and who gets them by mail: said by the organization's file, or by owners in the
settings, never by both. Issued documents keep what they were issued with.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

import billing_core
from billing_core import TAX_ID_LABELS, ContractUnknown, Party, tax_id_label
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.errors import Conflict
from sso_gate.identity import new_id
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import billing_details

__all__ = ["TAX_ID_LABELS", "BillingDetails", "ContractUnknown", "Party", "tax_id_label"]

FILE, CONSOLE = "file", "console"
MAX_CONTACTS = 5


class ChangedMeanwhile(Conflict):
    """Somebody else changed the details since they were shown; nothing was changed."""


@dataclass(frozen=True, slots=True)
class BillingDetails:
    """The buyer on the next invoice, and further addresses that get it, whose readers need not be members. `author`
    is `file`, `console`, or empty while nobody said anything and the organization's name is all there is.
    """

    buyer: Party
    contacts: tuple[str, ...] = ()
    author: str = ""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return every address that an invoice goes to, none twice."""
        found = {one.casefold(): one for one in (self.buyer.email, *self.contacts) if one}
        return tuple(found.values())

    @property
    def seen(self) -> str:
        """Return a short name of this very content, by which a form tells what it was filled in from."""
        return hashlib.sha256(_text(self.to_json()).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        """Return the details as plain values."""
        return {**self.buyer.to_json(), "contacts": list(self.contacts)}


def details_of(tx: Connection, organization: str) -> BillingDetails | None:
    """Return the organization's billing details; None before there is a contract."""
    stored = billing_core.contract_of(tx, organization)
    if stored is None:
        return None
    row = tx.execute(select(billing_details).where(billing_details.c.organization == organization)).one_or_none()
    if row is None:
        return BillingDetails(stored.buyer)
    return BillingDetails(stored.buyer, tuple(json.loads(row.contacts)), row.author)


async def billing_details_of(runtime: Runtime, organization: str) -> BillingDetails | None:
    """Return the organization's billing details; None before there is a contract."""
    return await runtime.database.read(lambda tx: details_of(tx, organization))


async def change_details(
    runtime: Runtime, organization: str, buyer: Party, contacts: tuple[str, ...], *, seen: str, by: Actor
) -> None:
    """Let the next invoices name this buyer and go to these contacts; who changed what is on record.

    Raises:
        ChangedMeanwhile: `seen` is not what is kept now. Conflict: the organization's file says who buys.
        ContractUnknown: there is no contract.
    """

    def write(tx: Connection) -> None:
        billing_core.amend_contract(tx, customer=organization, now=runtime.clock.now())  # takes the lock
        known = details_of(tx, organization)
        if known is None or known.author == FILE:
            raise Conflict("the billing details are what the organization's file says")
        if known.seen != seen:
            raise ChangedMeanwhile("the billing details were changed meanwhile")
        wanted = BillingDetails(buyer, contacts, CONSOLE)
        changes = _differences(known.to_json(), wanted.to_json())
        if not changes:
            return
        billing_core.amend_contract(tx, customer=organization, now=runtime.clock.now(), buyer=buyer)
        _keep(tx, organization, CONSOLE, contacts)
        audit.record(tx, [_event(runtime, organization, by, changes)])

    await runtime.database.write(write)


def adopt_buyer(
    tx: Connection, organization: Organization, said: Party | None, contacts: tuple[str, ...]
) -> tuple[Party, list[str]]:
    """Return whom invoices name once a file that says this was applied, and in words what that changes beside it.

    Where the file is silent, what owners chose stays; what a file said before is theirs to change from now on.
    """
    known = details_of(tx, organization.id)
    author = known.author if known else ""
    if said:
        _keep(tx, organization.id, FILE, contacts)
        return said, _taken_over(known, contacts) if known else []
    if known is None or not author:
        return Party(name=organization.name), []
    if author == FILE:
        _keep(tx, organization.id, CONSOLE, known.contacts)
        return known.buyer, ["billing details left to the settings"]
    return known.buyer, []


def _taken_over(known: BillingDetails, contacts: tuple[str, ...]) -> list[str]:
    changes = ["billing details taken over from the settings"] if known.author == CONSOLE else []
    if known.contacts != contacts:
        changes.append(f"buyer.contacts: {_text(known.contacts)} → {_text(contacts)} from the next invoice")
    return changes


def _keep(tx: Connection, organization: str, author: str, contacts: tuple[str, ...]) -> None:
    values = {"author": author, "contacts": json.dumps(contacts)}
    ours = billing_details.c.organization == organization
    if not tx.execute(update(billing_details).where(ours).values(values)).rowcount:
        tx.execute(insert(billing_details).values(organization=organization, **values))


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    return {name: [before[name], after[name]] for name in after if before[name] != after[name]}


def _event(runtime: Runtime, organization: str, by: Actor, changes: dict[str, object]) -> Event:
    clock = runtime.clock
    return Event(new_id("evt", clock), organization, clock.now(), Action.BILLING_UPDATE, by, changes=changes)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
