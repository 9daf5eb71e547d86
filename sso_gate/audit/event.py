"""One audit event, as a value that never changes. The text that is kept of it is made in `canonical.py`.

Named tuples: every login makes five of them, and a frozen dataclass takes two to four times as long to make.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from sso_gate.clock import Clock, to_micros
from sso_gate.errors import Reason
from sso_gate.identity import Identity, new_id

# Crockford's base 32: no I, L, O or U, so a reference can be read out to the help desk.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LETTERS = bytes(ord(_ALPHABET[byte % 32]) for byte in range(256))
_REFERENCE_LENGTH = 8
MAX_TEXT = 512

ActorType = Literal["user", "scim_token", "api_token", "admin", "system"]


class Action(StrEnum):
    """What was done, or tried. A closed list."""

    LOGIN = "auth.login"
    LOGOUT = "auth.logout"
    GATE = "auth.gate"
    SESSION_REVOKE = "session.revoke"
    SEAT_GRANT = "seat.grant"
    SEAT_RELEASE = "seat.release"
    SEAT_ASK = "seat.ask"
    SEAT_HOLD = "seat.hold"
    SEAT_DECLINE = "seat.decline"
    SEAT_INVITE = "seat.invite"
    SEAT_INVITE_WITHDRAW = "seat.invite.withdraw"
    SEAT_LIMIT_CHANGE = "seat.limit.change"
    SEAT_DRIFT = "seat.drift"
    SEAT_THRESHOLD = "seat.threshold"
    ORGANIZATION_APPLY = "organization.apply"
    ORGANIZATION_UPDATE = "organization.update"
    CONNECTION_CREATE = "connection.create"
    CONNECTION_UPDATE = "connection.update"
    CONNECTION_CERTIFICATE = "connection.certificate.change"
    CONNECTION_DELETE = "connection.delete"
    CONNECTION_TEST = "connection.test"
    DOMAIN_VERIFY = "domain.verify"
    NOTIFICATION_UPDATE = "notification.update"
    ROLE_CHANGE = "admin.role.change"
    TOKEN_CREATE = "token.create"  # noqa: S105 - an action, not a secret
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - an action, not a secret
    API_AUTH = "api.auth"
    SCIM_AUTH = "scim.auth"
    SCIM_THROTTLE = "scim.throttle"
    SCIM_USER_CREATE = "scim.user.create"
    SCIM_USER_UPDATE = "scim.user.update"
    SCIM_USER_ACTIVATE = "scim.user.activate"
    SCIM_USER_DEACTIVATE = "scim.user.deactivate"
    SCIM_USER_DELETE = "scim.user.delete"
    SCIM_GROUP_CREATE = "scim.group.create"
    SCIM_GROUP_UPDATE = "scim.group.update"
    SCIM_GROUP_DELETE = "scim.group.delete"
    SCIM_GROUP_MEMBER_ADD = "scim.group.member.add"
    SCIM_GROUP_MEMBER_REMOVE = "scim.group.member.remove"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
    AUDIT_CHECKPOINT = "audit.checkpoint"
    AUDIT_RETENTION = "audit.retention.change"
    AUDIT_EXPIRE = "audit.expire"
    AUDIT_ERASE = "audit.erase"
    AUDIT_CLOCK = "audit.clock"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_KEY = "audit.key.change"
    STREAM_CREATE = "audit.stream.create"
    STREAM_UPDATE = "audit.stream.update"
    STREAM_DELETE = "audit.stream.delete"
    STREAM_TEST = "audit.stream.test"
    STREAM_FAIL = "audit.stream.fail"
    BILLING_UPDATE = "billing.update"
    BREAKGLASS_ISSUE = "breakglass.issue"
    BREAKGLASS_USE = "breakglass.use"
    BREAKGLASS_REVOKE = "breakglass.revoke"


class Client(NamedTuple):
    """Where it came from: the address as the nearest trusted proxy tells it, the program's name for itself, and the
    request: its id is that of the log lines, `route` the pattern that its path fits, since a path may hold a ticket.
    """

    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    method: str = ""
    route: str = ""


NOWHERE = Client()


class Actor(NamedTuple):
    """Who did it. Personal data: `name` (an email for people, a token's name for programs) and `subject`, the name that
    the identity provider has for the person.

    `session` is the mark of the session in which they did it, or which they were given; `client` is where they did it
    from, for the events that do not say so themselves.
    """

    type: ActorType
    id: str = ""
    name: str = ""
    subject: str = ""
    session: str = ""
    client: Client = NOWHERE


class Via(NamedTuple):
    """Which way it came: the connection and protocol of a login, or the id of a token.

    Of a login besides: `initiated` is `sp` where the gate asked for it and `idp` where nobody did, `multi_factor` is
    what the provider said of it, and `assertion_id` its name there, which is personal data.
    """

    connection: str = ""
    protocol: str = ""
    token: str = ""
    initiated: Literal["", "sp", "idp"] = ""
    multi_factor: bool | None = None
    assertion_id: str = ""

    @classmethod
    def of(cls, proved: Identity) -> Self:
        """Return the way that a login came."""
        began: Literal["sp", "idp"] = "idp" if proved.began_at_provider else "sp"
        return cls(proved.connection, proved.protocol, "", began, proved.multi_factor, proved.proof_id)


class SeatCount(NamedTuple):
    """The seats at the instant of the decision; `policy` is what the organization chose for provisioning into a full
    house, empty where nothing was provisioned.
    """

    limit: int
    used: int
    policy: str = ""


class Event(NamedTuple):
    """What happened, once. `reason` is set exactly where the outcome is `denied`; `login_id` names a proof used up;
    `repeat_count` equal refusals since `repeat_first` are told by this one event.

    `target` is the id of what it was done to, `target_name` what people call it: of a member, their address.
    """

    id: str
    organization: str
    at: datetime
    action: Action
    actor: Actor
    reason: Reason | None = None
    reference: str = ""
    via: Via = Via()
    client: Client = NOWHERE
    seat: SeatCount | None = None
    target: str = ""
    target_name: str = ""
    check: str = ""
    changes: Mapping[str, Any] = MappingProxyType({})
    login_id: str | None = None
    attempt: str = ""
    repeat_count: int = 1
    repeat_first: datetime | None = None

    @property
    def outcome(self) -> Literal["success", "denied"]:
        """Whether it was done."""
        return "denied" if self.reason else "success"

    @property
    def origin(self) -> Client:
        """Where it came from, as the event itself says, or else whoever did it."""
        return self.actor.client if self.client is NOWHERE else self.client

    @property
    def target_type(self) -> str:
        """What kind of thing it was done to; empty where it was nothing with an id or a name of its own."""
        if not (self.target or self.target_name):
            return ""
        kind = _KINDS.get(self.target.partition("_")[0])
        return kind or next((kind for head, kind in _KINDS_BY_ACTION if self.action.startswith(head)), "")


# Ids say what they are of. A connection's is a word of the organization's, and what a client of SCIM asked for may be
# anything.
_KINDS = {"mem": "member", "grp": "group", "tok": "token", "brk": "emergency_code", "str": "stream", "exp": "export"}
_KINDS_BY_ACTION = (
    ("connection.", "connection"),
    ("domain.", "domain"),
    ("scim.user.", "member"),
    ("scim.group.", "group"),
    ("seat.", "member"),
)


def new_event(
    clock: Clock,
    organization: str,
    action: Action,
    by: Actor,
    *,
    target: str = "",
    target_name: str = "",
    seat: SeatCount | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Event:
    """Return the event of something that was done just now."""
    event_id, now, told = new_id("evt", clock), clock.now(), dict(changes or {})
    return Event(
        event_id, organization, now, action, by, target=target, target_name=target_name, seat=seat, changes=told
    )


def new_reference() -> str:
    """Return a short code for the help desk, such as 7K3M9Q2W: it names an event and opens nothing."""
    return secrets.token_bytes(_REFERENCE_LENGTH).translate(_LETTERS).decode()


def repeatable_id(words: str, at: datetime) -> str:
    """Return an event's id that is the same for the same words and instant: writing it twice fails instead of counting
    twice.

    Source: RFC 9562 5.7 (UUID version 7), its random bits taken from a hash of the words.
    """
    digest = int.from_bytes(hashlib.sha256(words.encode()).digest()[:10], "big")
    value = (
        (to_micros(at) // 1000 << 80) | (0x7 << 76) | ((digest >> 68) << 64) | (0x2 << 62) | (digest & ((1 << 62) - 1))
    )
    text = f"{value:032x}"
    return f"evt_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
