"""Fuzz the way from a posted form field to an identity: `python -m tests.unit.protocols.saml.fuzz --minutes 60`.

Two kinds of messages. *Bent*: a right, signed message changed without any key, which must be refused or say what was
signed. *Signed after bending*: what an odd or hostile provider could send, which must end in a refusal or in the name
that stands in its NameID. What is accepted must have signatures that libxmlsec verifies as well, which the gate does
not ask. Whatever else happens is written to a folder, with the keys of the run: make a test of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import xmlsec
from lxml import etree

from sso_gate.errors import Refused
from sso_gate.identity import Identity
from tests.support.saml_forge import DS, NOW, SAML, assertion_of, encode, encrypt, reparsed, sign
from tests.unit.protocols.saml.bending import bend_bytes, bend_tree
from tests.unit.protocols.saml.world import World

FOUND = Path(tempfile.gettempdir()) / "sso-gate-fuzz"
PEOPLE = ("ana", "bob")
MAX_SECONDS = 1.0
FORMS = ("assertion", "response", "both", "encrypted", "encrypted and signed")


@cache
def world() -> World:
    return World.new()


@cache
def right(form: str, person: str = "ana") -> Any:
    """Return a message of a person that is right, as a tree; there is one of each form in a run."""
    signed = {"encrypted": "assertion", "encrypted and signed": "both"}.get(form, form)
    email = f"{person}@acme.example"
    attributes = {"mail": [email], "displayName": [person], "groups": ["staff", person]}
    ids = {"response_id": f"_r{person}", "assertion_id": f"_a{person}"}
    message = world().message(signed=signed, name_id=email, attributes=attributes, in_response_to=None, **ids)
    return message.encrypted(world().own.certificate_pem) if "encrypted" in form else message.tree()


@cache
def provable() -> tuple[Identity, ...]:
    """Return who may come of messages that were signed as they are: whole ones may take each other's place."""
    return tuple(world().accepts(right("both", person)) for person in PEOPLE)


@dataclass
class Run:
    """What came of the messages of one run."""

    rng: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def found(self) -> list[str]:
        """What else came of a message than a refusal or a person."""
        return [outcome for outcome in self.outcomes if outcome.startswith("FOUND")]

    def once(self) -> None:
        """Make one message and look at what becomes of it."""
        form, draw = self.rng.choice(FORMS), self.rng.random()
        if draw < 0.3:
            self.judge(bend_bytes(etree.tostring(right(form)), self.rng), signed=True)
        elif draw < 0.7:
            donor = right(self.rng.choice(FORMS), "bob") if self.rng.random() < 0.5 else evil(right("assertion"))
            self.judge(etree.tostring(bend_tree(right(form), donor, self.rng)), signed=True)
        else:
            self.signed_after_bending()

    def signed_after_bending(self) -> None:
        root = bend_tree(world().message(in_response_to=None).unsigned_tree(), right("both", "bob"), self.rng)
        inner = assertion_of(root)
        try:
            if inner is not None:
                sign(inner, world().idp)
                if self.rng.random() < 0.3:
                    encrypt(inner, world().own.certificate_pem)
            if inner is None or self.rng.random() < 0.3:
                sign(root, world().idp)
            data = etree.tostring(reparsed(root))
        except (xmlsec.Error, etree.XMLSyntaxError, AttributeError, ValueError):
            self.outcomes["could not be signed"] += 1
            return
        self.judge(data, signed=False)

    def judge(self, data: bytes, *, signed: bool) -> None:
        """Keep the message if anything else came of it than a refusal or the identity that was signed."""
        began = time.process_time()
        try:
            identity = world().verify(encode(data), now=NOW).identity
        except Refused as refused:
            self.outcomes[refused.reason.value] += 1
        except Exception as error:
            self.keep(data, type(error).__name__)
        else:
            self.outcomes["accepted"] += 1
            if not (identity in provable() if signed else named(data, identity)):
                self.keep(data, "identity")
            if not libxmlsec_agrees(data, world().idp.certificate):
                self.keep(data, "libxmlsec")
        spent = time.process_time() - began
        self.slowest = max(self.slowest, spent)
        if spent > MAX_SECONDS:
            self.keep(data, "slow")

    def keep(self, data: bytes, what: str) -> None:
        self.outcomes[f"FOUND {what}"] += 1
        FOUND.mkdir(exist_ok=True)
        (FOUND / "own.pem").write_text(world().own.private_key_pem)
        (FOUND / "idp.pem").write_text(world().idp.certificate)
        (FOUND / f"{what}-{self.rng.randrange(1 << 30):08x}.xml").write_bytes(data)


def libxmlsec_agrees(data: bytes, certificate: str) -> bool:
    """Return whether every signature that can be seen in a message holds for libxmlsec too; each is the parent's."""
    root = etree.fromstring(data, etree.XMLParser(collect_ids=False))  # an xml:id is none of SAML's
    return all(_holds(element, certificate) for element in root.iter(f"{DS}Signature"))


def _holds(element: Any, certificate: str) -> bool:
    context: Any = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertPem, None)
    context.register_id(element.getparent(), "ID")
    try:
        context.verify(element)
    except xmlsec.Error:
        return False
    return True


def evil(tree: Any) -> Any:
    """Return a message as the one given, but about the owner and signed by nobody."""
    return etree.fromstring(etree.tostring(tree).replace(b"ana", b"owner"))


def named(data: bytes, identity: Identity) -> bool:
    """Return whether the subject stands, whole, in a NameID; that of an encrypted message cannot be looked for."""
    names = ["".join(one.itertext()).strip() for one in etree.fromstring(data).iter(f"{SAML}NameID")]
    return b"EncryptedData" in data or identity.subject in names


def tell(outcomes: Counter[str], slowest: float) -> None:
    """Print how many messages there were, the time that the slowest took, and what came of them."""
    sys.stdout.write(f"{sum(outcomes.values())} messages, slowest {slowest:.3f} s, {dict(outcomes)}\n")
    sys.stdout.flush()


def main() -> int:
    """Run for the minutes asked and print what came of it; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run, end, told = Run(random.Random(given.seed)), time.monotonic() + given.minutes * 60, time.monotonic()
    while time.monotonic() < end:
        run.once()
        if time.monotonic() > told:
            told += 60
            tell(run.outcomes, run.slowest)
    tell(run.outcomes, run.slowest)
    return bool(run.found)


if __name__ == "__main__":
    sys.exit(main())
