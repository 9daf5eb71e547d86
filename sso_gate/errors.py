"""What can go wrong, in words for machines: the closed list of refusal reasons and the errors that carry one.

A reason is for machines, the public sentence for people stands in one table (`sso_gate.refusals`), the
private detail is for the log and the audit record alone.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why somebody or something was refused. A closed list: audit log, metrics and API errors use the same words."""

    SEAT_UNAVAILABLE = "seat_unavailable"
    SEAT_RELEASED = "seat_released"
    NOT_ASSIGNED = "not_assigned"
    MEMBER_DEACTIVATED = "member_deactivated"
    ORGANIZATION_DISABLED = "organization_disabled"
    CONTRACT_ENDED = "contract_ended"
    CONNECTION_DISABLED = "connection_disabled"
    CONNECTION_MISMATCH = "connection_mismatch"
    DOMAIN_NOT_ALLOWED = "domain_not_allowed"
    EMAIL_MISSING = "email_missing"
    EMAIL_UNVERIFIED = "email_unverified"
    SUBJECT_INVALID = "subject_invalid"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_PROFILE = "signature_profile"
    ALGORITHM_REFUSED = "algorithm_refused"
    KEY_UNKNOWN = "key_unknown"
    MESSAGE_MALFORMED = "message_malformed"
    MESSAGE_TOO_LARGE = "message_too_large"
    STRUCTURE_REFUSED = "structure_refused"
    ENCRYPTION_REFUSED = "encryption_refused"
    STATUS_REFUSED = "status_refused"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE_MISMATCH = "audience_mismatch"
    RECIPIENT_MISMATCH = "recipient_mismatch"
    DESTINATION_MISMATCH = "destination_mismatch"
    RESPONSE_EXPIRED = "response_expired"
    RESPONSE_FROM_FUTURE = "response_from_future"
    VALIDITY_TOO_LONG = "validity_too_long"
    REQUEST_UNKNOWN = "request_unknown"
    REQUEST_MISMATCH = "request_mismatch"
    UNSOLICITED_REFUSED = "unsolicited_refused"
    REPLAYED = "replayed"
    STATE_MISMATCH = "state_mismatch"
    NONCE_MISMATCH = "nonce_mismatch"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason, not a secret
    DISCOVERY_REFUSED = "discovery_refused"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    SUBJECT_CONFLICT = "subject_conflict"
    PROXY_UNTRUSTED = "proxy_untrusted"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason, not a secret
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a reason, not a secret
    INSUFFICIENT_SCOPE = "insufficient_scope"
    CONFLICT = "conflict"


class SsoGateError(Exception):
    """The root of every error that this package raises on purpose."""


class Refused(SsoGateError):
    """A message or a person was refused for `reason`; `detail` tells an operator what was expected and what came."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class Unavailable(SsoGateError):
    """The gate itself cannot decide just now: nobody gets in by this, nobody loses anything, 503 with Retry-After."""

    def __init__(self, detail: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class NotFound(SsoGateError):
    """The thing that was named does not exist, or not for the one who asks."""


class InvalidInput(SsoGateError):
    """What a person or program gave is wrong: `field` names the place, the message says what is expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Conflict(SsoGateError):
    """The change is well formed but does not fit what is there now; nothing was changed."""


class NoSeatFree(Conflict):
    """What was asked for takes a free seat, and there is none."""
