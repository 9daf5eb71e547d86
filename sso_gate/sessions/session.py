"""A session, its token and its JSON."""

import hashlib
import json
import secrets
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, Self

from sso_gate.clock import from_micros, to_micros

_RANDOM_BYTES = 32
MAX_TOKEN_LENGTH = 160
MARK_LENGTH = 16  # of the hex digits by which Redis knows a session

# A session with a seat opens applications; one for settings belongs to an owner without a seat, or to a break-glass
# code.
Kind = Literal["seat", "settings"]


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What the browser's cookie holds: the organization's id (it names the Redis slot) and 256 random bits."""

    organization: str
    secret: str

    @classmethod
    def new(cls, organization: str) -> Self:
        """Return a fresh token."""
        return cls(organization, secrets.token_urlsafe(_RANDOM_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the token that a cookie's value holds, or None where it has not the form of one."""
        organization, dot, secret = text.partition(".")
        wrong = not (dot and organization and secret) or len(text) > MAX_TOKEN_LENGTH or not text.isascii()
        return (
            None if wrong or not organization.replace("_", "").replace("-", "").isalnum() else cls(organization, secret)
        )

    @property
    def text(self) -> str:
        """The cookie's value."""
        return f"{self.organization}.{self.secret}"

    @property
    def mark(self) -> str:
        """What the audit log calls the session of the gate's own host that this token opens."""
        return self.digest[:MARK_LENGTH]

    @property
    def digest(self) -> str:
        """SHA-256 of the secret: what Redis knows of it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """An admitted person in one browser, on one host (`host` is empty for the gate's own).

    `slug` is the organization's short name, for applications. `generation` is that of the seat at admission;
    `checked_at` is when SQL last confirmed it; `ends_at` is its latest end. `family` is the digest of the gate's own
    session from which sessions on application hosts stem: they end together. `logout` is what the protocol needs to end
    it at the identity provider.
    """

    organization: str
    slug: str
    member: str
    kind: Kind
    connection: str
    subject: str
    session_index: str
    generation: int
    email: str
    name: str
    role: str
    groups: tuple[str, ...]
    created_at: datetime
    checked_at: datetime
    ends_at: datetime
    family: str
    host: str = ""
    logout: str = ""

    def confirmed(self, at: datetime, **changes: Any) -> "Session":
        """Return this session as SQL has just confirmed it."""
        return replace(self, checked_at=at, **changes)

    @property
    def mark(self) -> str:
        """What the audit log calls this session, and those on application hosts that stem from it; it opens nothing."""
        return self.family[:MARK_LENGTH]

    def to_json(self) -> str:
        """Return the session as Redis keeps it."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return _line({**values, **{name: to_micros(values[name]) for name in _TIMES}})

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Return the session that `to_json` wrote, or None for one that is still pending."""
        values = json.loads(text)
        if "member" not in values:
            return None
        times = {name: from_micros(values[name]) for name in _TIMES}
        return cls(**{**values, **times, "groups": tuple(values["groups"])})

    @classmethod
    def remains(cls, text: str) -> Self:
        """Return what `purge.lua` has left of a session: whose it was, by id, and for what. The rest is empty."""
        return cls(**{**_EMPTY, **json.loads(text)})


_FIELDS = tuple(field.name for field in fields(Session))
_TIMES = ("created_at", "checked_at", "ends_at")
_EMPTY: dict[str, Any] = {**dict.fromkeys(_FIELDS, ""), **dict.fromkeys(_TIMES, from_micros(0)), "groups": ()}
# Made once: `json.dumps` makes a new encoder at every call that names separators.
_line = json.JSONEncoder(separators=(",", ":")).encode
