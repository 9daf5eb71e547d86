"""What applying a file changes, in words: which key, what it said before and says now, and from when that counts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal

from sso_gate.apply.file import MemberPart
from sso_gate.billing.contract import StoredContract
from sso_gate.connections.connection import Connection
from sso_gate.members.roles import Role
from sso_gate.members.store import Candidate
from sso_gate.organizations.organization import Organization

_ORGANIZATION = {
    "name": "organization.name",
    "enabled": "organization.enabled",
    "locale": "organization.locale",
    "domains": "organization.domains",
    "hold_for_waiting": "organization.hold_for_waiting",
    "it_contact": "organization.it_contact",
    "provisioning": "organization.provisioning",
    "scim_when_full": "scim.when_full",
    "scim_mode": "scim.mode",
    "purchase_roles": "contract.purchase_roles",
}
_NEXT_TERM = frozenset({"unit_price", "uplift_percent", "minimum_seats"})
_NEXT_DOCUMENT = frozenset({"payment_days", "tax", "po_required"})


def of_organization(before: Organization, after: Organization) -> list[str]:
    """Return a line for every key of `[organization]` and `[scim]` that differs."""
    return [
        _line(key, getattr(before, name), getattr(after, name))
        for name, key in _ORGANIZATION.items()
        if getattr(before, name) != getattr(after, name)
    ]


def of_contract(before: StoredContract, after: StoredContract) -> list[str]:
    """Return a line for every key of `[contract]`, `[buyer]` and `[seller]` that differs from what was agreed."""
    next_document = " from the next invoice"
    return [
        *(f"{line}{_when(key, after)}" for key, line in _differing("contract.", before.declared, after.declared)),
        *(f"{line}{next_document}" for _, line in _differing("buyer.", before.buyer, after.buyer)),
        *(f"{line}{next_document}" for _, line in _differing("seller.", before.seller, after.seller)),
    ]


def of_member(part: MemberPart, known: Candidate) -> list[str]:
    """Return a line for what differs in a person who is listed; none where nothing does.

    A name is told without its letters: it would stand in the record that is never erased. Whoever is primary owner
    stays that: it is transferred, not applied.
    """
    member = known.member
    said = [f"member {part.email}: name changed"] if part.name and part.name != member.name else []
    pairs: dict[str, tuple[object, object]] = {
        "grants": (sorted(member.grants), sorted(part.grants)),
        "connection": (known.bound_to, part.connection),
    }
    if member.role is not Role.PRIMARY_OWNER:
        pairs["role"] = (member.listed_role, part.role)
    return said + [_line(f"member {part.email}: {key}", old, new) for key, (old, new) in pairs.items() if old != new]


def of_connection(before: Connection, after: Connection) -> str:
    """Return which of its keys differ; values are not told: there are secrets and certificates among them."""
    names = [
        name for name in ("name", "enabled", "attributes", "roles", "keep_answers") if _differs(name, before, after)
    ]
    if type(before.settings) is type(after.settings):
        settings = [item.name for item in fields(after.settings)]
        names += [name for name in settings if _differs(name, before.settings, after.settings)]
    else:
        names.append("protocol")
    return f"connection {after.id} changed: {', '.join(names)}"


def _differing(table: str, before: object, after: object) -> Iterator[tuple[str, str]]:
    for item in fields(after):  # type: ignore[arg-type]  # contracts, buyers and sellers are dataclasses
        if _differs(item.name, before, after):
            yield item.name, _line(table + item.name, getattr(before, item.name), getattr(after, item.name))


def _differs(name: str, before: object, after: object) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def _when(key: str, contract: StoredContract) -> str:
    if key in _NEXT_DOCUMENT:
        return " from the next invoice"
    if key in _NEXT_TERM:
        first_day = str(contract.next_term.starts_on)
        return f" from the next term, {first_day if contract.renews else 'if the contract is renewed'}"
    return ""


def _line(what: str, before: object, after: object) -> str:
    return f"{what}: {_value(before)} → {_value(after)}"


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return format(value, "f")
        case date():
            return value.isoformat()
        case _:
            shown: Mapping[str, object] = value.to_json()  # type: ignore[attr-defined]  # a tax of the contract
            return {key: said for key, said in shown.items() if said}
