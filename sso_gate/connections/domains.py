"""Proving a domain by DNS: a TXT record that only whoever holds the domain can make (RFC 1464 in manner).

The record's value is worked out from the organization, the domain and this installation's key, so that there is
nothing to keep before the proof, and no organization can use another one's.
"""

from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.errors import Conflict, NotFound
from sso_gate.organizations import store as organizations
from sso_gate.settings import parse_name_server
from sso_gate.storage.runtime import Runtime

LABEL = "_sso-gate"
SECONDS = 5.0
MOST_RECORDS = 20
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Record:
    """The record that proves a domain."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What DNS answers now: `found` at the record's name; `elsewhere` when the value is at the domain itself instead.
    `silent` when no server answered in time.
    """

    proven: bool
    found: tuple[str, ...] = ()
    elsewhere: bool = False
    silent: bool = False


class _Silent(Exception):
    """No name server gave an answer that counts."""


def record_of(runtime: Runtime, organization: str, domain: str) -> Record:
    """Return the record by which this organization proves this domain."""
    digest = runtime.keyring.keyed_hash(f"domain {organization} {domain}")
    return Record(f"{LABEL}.{domain}", f"sso-gate={digest[:40]}")


async def look_up(runtime: Runtime, organization: str, domain: str) -> Looked:
    """Ask DNS for the record, five seconds at most for each of two questions."""
    wanted = record_of(runtime, organization, domain)
    try:
        found = await _texts(runtime, wanted.name)
        if wanted.value in found:
            return Looked(proven=True, found=found)
        return Looked(proven=False, found=found, elsewhere=wanted.value in await _texts(runtime, domain))
    except _Silent:
        return Looked(proven=False, silent=True)


async def prove(runtime: Runtime, organization: str, domain: str, *, by: Actor) -> Looked:
    """Look the record up, and make the domain the organization's when it is there.

    Raises:
        Conflict: it is an organization's already.
    """
    looked = await look_up(runtime, organization, domain)
    if not looked.proven:
        return looked

    def write(tx: Connection) -> None:
        if not organizations.add_proven_domain(tx, organization, domain, at=runtime.clock.now()):
            raise Conflict(f"{domain} is an organization's already")
        audit.record(tx, [new_event(runtime.clock, organization, Action.DOMAIN_VERIFY, by, target=domain)])

    await runtime.database.write(write)
    return looked


async def give_up(runtime: Runtime, organization: str, domain: str, *, by: Actor) -> None:
    """Take away a domain that was proven.

    Raises:
        NotFound: there is none; what a file lists is taken away in the file.
    """

    def write(tx: Connection) -> None:
        if not organizations.drop_proven_domain(tx, organization, domain):
            raise NotFound(f"{domain} was not proven")
        changes = {"domain_removed": domain}
        audit.record(tx, [new_event(runtime.clock, organization, Action.ORGANIZATION_UPDATE, by, changes=changes)])

    await runtime.database.write(write)


async def _texts(runtime: Runtime, name: str) -> tuple[str, ...]:
    """Return the TXT records of a name; none where the name has none."""
    try:
        answer = await _resolver(runtime).resolve(name, "TXT", search=False, lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except dns.exception.DNSException as error:
        raise _Silent from error
    records = (b"".join(record.strings) for record in answer)
    return tuple(text.decode("utf-8", "replace")[:MOST_CHARACTERS] for text in records)[:MOST_RECORDS]


def _resolver(runtime: Runtime) -> dns.asyncresolver.Resolver:
    servers = runtime.settings.dns_servers
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*parse_name_server(server)) for server in servers]
    return resolver
