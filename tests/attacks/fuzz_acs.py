"""Fuzz the assertion consumer of a running gate: `python -m tests.attacks.fuzz_acs --minutes 60`.

Every message comes in the browser of a login under way, with the right request. It must end in a refusal (4xx, no
session) or let in the person whom the provider signed; whatever else happens is written to the folder `found`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx2
from lxml import etree

from tests.attacks.scene import SESSION, Pending, Scene
from tests.integration.gate import RunningGate
from tests.support.browser_jar import BrowserJar, Page
from tests.support.oidc_forge import Forge
from tests.support.saml_forge import encode
from tests.unit.protocols.saml.bending import bend_bytes, bend_tree
from tests.unit.protocols.saml.fuzz import FOUND, evil, tell

LOGIN_SECONDS = 120  # a message is right for five minutes and a pending login for ten
NAMES = ("SAMLResponse", "RelayState", "SAMLRequest", "SAMLResponse\0", "x", "")


@dataclass
class Run:
    """One browser after the other, and what came of its messages."""

    scene: Scene
    rng: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def browser(self, end: float) -> None:
        """Post bent messages from one browser until one of them is accepted or the login is old."""
        with BrowserJar() as jar:
            pending = self.scene.begin(jar, self.rng.choice([self.scene.saml, self.scene.accept, self.scene.restart]))
            message = self.scene.world(pending).message(signed=self.rng.choice(["assertion", "response", "both"]))
            sealed = self.rng.random() < 0.3
            root = message.encrypted(self.scene.own_certificate) if sealed else message.tree()
            end = min(end, time.monotonic() + LOGIN_SECONDS)
            while time.monotonic() < end and self.once(jar, pending, root):
                pass

    def once(self, jar: BrowserJar, pending: Pending, root: Any) -> bool:
        """Post one bent message; return whether the login is still under way."""
        data = self.bent(root)
        began = time.monotonic()
        page = self.post(jar, pending, data)
        if page.status == 503:  # a machine that is too busy says so once
            page = self.post(jar, pending, data)
        self.slowest = max(self.slowest, time.monotonic() - began)
        signed_in = jar.cookie(SESSION, "gate.localhost")
        self.outcomes[f"{page.status}{' in' if signed_in else ''}"] += 1
        if page.status // 100 == 4 and not signed_in:
            return True
        if page.status == 302 and pending.connection == self.scene.restart and not signed_in:
            return False  # taken for an unsolicited response: a login of our own begins
        if not (page.status == 303 and self.is_known(jar)):
            FOUND.mkdir(exist_ok=True)
            (FOUND / f"acs-{page.status}-{self.rng.randrange(1 << 30):08x}.xml").write_bytes(data)
            self.outcomes[f"FOUND {page.status}"] += 1
        return False

    def bent(self, root: Any) -> bytes:
        if self.rng.random() < 0.4:
            return bend_bytes(etree.tostring(root), self.rng)
        data: bytes = etree.tostring(bend_tree(root, evil(root), self.rng))
        return data

    def post(self, jar: BrowserJar, pending: Pending, data: bytes) -> Page:
        encoded = encode(data)
        if self.rng.random() < 0.1:
            encoded = bend_bytes(encoded.encode(), self.rng).decode("latin-1")
        more = {self.rng.choice(NAMES): "x"} if self.rng.random() < 0.05 else {}
        more = {name: value for name, value in more.items() if name not in ("SAMLResponse", "RelayState")}
        relay_state = pending.relay_state if self.rng.random() < 0.9 else "x" * self.rng.randrange(200)
        return self.scene.post(jar, encoded, relay_state=relay_state, connection=pending.connection, **more)

    def is_known(self, jar: BrowserJar) -> bool:
        """Return whether the one who came in is the one whom the provider signed, and nobody besides the owner and
        them is a member of the organization.
        """
        return bool(jar.cookie(SESSION, "gate.localhost")) and self.scene.counts().members == 2


def main() -> int:
    """Run for the minutes asked and print what came of it; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Forge() as forge, closing(RunningGate()) as gate, closing(Scene(gate, forge, with_rival=False)) as scene:
        run, end, told = Run(scene, random.Random(given.seed)), time.monotonic() + given.minutes * 60, 0.0
        while time.monotonic() < end:
            try:
                run.browser(end)
            except httpx2.HTTPError as error:
                run.outcomes[f"FOUND {type(error).__name__}"] += 1
            if time.monotonic() > told + 60:
                told = time.monotonic()
                tell(run.outcomes, run.slowest)
        tell(run.outcomes, run.slowest)
    return any(outcome.startswith("FOUND") for outcome in run.outcomes)


if __name__ == "__main__":
    sys.exit(main())
