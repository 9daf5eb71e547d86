"""What the provider remembers for a while: who is signed in, which codes and tokens it has given."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sso_gate.clock import Clock
from sso_gate.demo.people import Person

MOST = 1000

T = TypeVar("T")


class Memory(Generic[T]):
    """Keeps values under unguessable names for `lifetime`, and no more than the newest thousand."""

    def __init__(self, clock: Clock, lifetime: timedelta) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._kept: OrderedDict[str, tuple[datetime, T]] = OrderedDict()

    def keep(self, value: T) -> str:
        """Return the name under which the value can be had again."""
        name = secrets.token_urlsafe(32)
        self._kept[name] = (self._clock.now() + self._lifetime, value)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> T | None:
        """Return the value while it lives."""
        until, value = self._kept.get(name, (None, None))
        return value if until is not None and self._clock.now() < until else None

    def take(self, name: str) -> T | None:
        """Return the value while it lives, and forget it."""
        value = self.get(name)
        self._kept.pop(name, None)
        return value


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person at one browser; `index` names this sign-in to the gate (SessionIndex, `sid`)."""

    person: Person
    at: datetime
    index: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for until it is exchanged. Source: RFC 6749 4.1.2, RFC 7636 4.4."""

    client_id: str
    redirect_uri: str
    nonce: str
    code_challenge: str
    signed_in: SignedIn
