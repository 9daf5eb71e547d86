"""Who hears of what: the owners' choice for each kind of letter, and how few seats count as short.

Without a choice all owners hear of everything. What opens the settings past single sign-on is told to all owners
whatever was chosen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row, delete, insert, select

from sso_gate.errors import InvalidInput
from sso_gate.identity import email_domain
from sso_gate.members import store as members
from sso_gate.members.roles import Role
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import notification

Recipients = Literal["owners", "primary_owner", "nobody"]
RECIPIENTS: tuple[Recipients, ...] = ("owners", "primary_owner", "nobody")
MAX_OTHERS = 5
PEOPLE_WAIT = "mail.people_wait"
SOLVED = "mail.nobody_waits"  # goes to whoever hears of PEOPLE_WAIT
THRESHOLD = "mail.threshold"
CERTIFICATE = "mail.certificate"
STREAM_FAILS = "mail.stream_fails"
SEATS_ADDED = "seats.increased"
CODE_ISSUED = "breakglass.issued"
CODE_USED = "breakglass.used"
KINDS = (PEOPLE_WAIT, THRESHOLD, SEATS_ADDED, CERTIFICATE, STREAM_FAILS, CODE_ISSUED, CODE_USED)
ALWAYS_OWNERS = frozenset({CODE_ISSUED, CODE_USED})


@dataclass(frozen=True, slots=True)
class Preference:
    """One kind of letter: to whom, and to which addresses of the organization's domains besides. `seats_left` is the
    number of free seats that counts as short; None: by the size of the organization. `chat` and
    `webhook`: the chat, and every webhook, hears of it too.
    """

    recipients: Recipients = "owners"
    others: tuple[str, ...] = ()
    seats_left: int | None = None
    chat: bool = False
    webhook: bool = False


@dataclass(frozen=True, slots=True)
class Addressee:
    """Where a letter goes, and the language that is read there."""

    email: str
    locale: str


def preferences(tx: Connection, organization: str) -> dict[str, Preference]:
    """Return the choice for every kind."""
    rows = tx.execute(select(notification).where(notification.c.organization == organization))
    chosen = {row.kind: row for row in rows}
    found = {}
    for kind in KINDS:
        row = chosen.get(kind)
        found[kind] = _preference(row) if row else Preference()
    return found


def _preference(row: Row[Any]) -> Preference:
    recipients = cast("Recipients", row.recipients)
    return Preference(recipients, tuple(json.loads(row.others)), row.seats_left, bool(row.chat), bool(row.webhook))


def save(tx: Connection, organization: str, wanted: Mapping[str, Preference]) -> None:
    """Keep the choice for every kind."""
    tx.execute(delete(notification).where(notification.c.organization == organization))
    rows = [
        {
            "organization": organization,
            "kind": kind,
            "recipients": one.recipients,
            "others": json.dumps(one.others),
            "seats_left": one.seats_left,
            "chat": one.chat,
            "webhook": one.webhook,
        }
        for kind, one in wanted.items()
        if one != Preference()
    ]
    if rows:
        tx.execute(insert(notification), rows)


def checked_others(text: str, domains: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses in a text of several, separated by commas or spaces.

    Raises:
        InvalidInput: one is no address, or in none of the domains; or there are too many.
    """
    found = tuple(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))
    for one in found:
        local, at, domain = one.partition("@")
        if not (local and at) or "@" in domain or email_domain(one) not in domains:
            raise InvalidInput("others", one)
    if len(found) > MAX_OTHERS:
        raise InvalidInput("others", str(len(found)))
    return found


def chosen_for(tx: Connection, organization: str, kind: str) -> Preference:
    """Return the choice that counts for a promise of this kind."""
    return preferences(tx, organization).get(PEOPLE_WAIT if kind == SOLVED else kind, Preference())


def addressees(tx: Connection, organization: Organization, kind: str) -> list[Addressee]:
    """Return everybody who hears of this kind, nobody twice."""
    chosen = chosen_for(tx, organization.id, kind)
    people = members.owners(tx, organization.id)
    if kind not in ALWAYS_OWNERS and chosen.recipients != "owners":
        wanted = {Role.PRIMARY_OWNER} if chosen.recipients == "primary_owner" else set()
        people = [one for one in people if one.role in wanted]
    found = {one.email.casefold(): Addressee(one.email, one.locale or organization.locale) for one in people}
    for other in chosen.others:
        if email_domain(other) in organization.domains:  # a domain may have been taken away since
            found.setdefault(other.casefold(), Addressee(other, organization.locale))
    return list(found.values())
