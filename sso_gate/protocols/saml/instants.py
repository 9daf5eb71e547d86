"""Instants in SAML messages, and how far another clock may be off."""

import re
from datetime import UTC, datetime, timedelta

from sso_gate.errors import Reason, Refused

SKEW = timedelta(minutes=3)
MAX_VALIDITY = timedelta(hours=24)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,12})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)


def parse(text: str | None, what: str) -> datetime:
    """Return the instant, aware, in UTC; one without a zone is UTC. Source: SAML core 1.3.3.

    Raises:
        Refused: `message_malformed` where it is missing or is no xs:dateTime.
    """
    if text is None or not _INSTANT.fullmatch(text):
        raise Refused(Reason.MESSAGE_MALFORMED, f"{what} is not an instant")
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"{what} is not an instant") from error


def optional(text: str | None, what: str) -> datetime | None:
    """Return the instant, or none where there is none."""
    return None if text is None else parse(text, what)


def not_before(instant: datetime | None, what: str, *, now: datetime) -> None:
    """Return only if the instant has come, by a clock that may be `SKEW` ahead of ours."""
    if instant is not None and now + SKEW < instant:
        raise Refused(Reason.RESPONSE_FROM_FUTURE, f"{what} is {instant - now} ahead")


def not_on_or_after(instant: datetime | None, what: str, *, issued: datetime, now: datetime) -> None:
    """Return only if the instant has not come, by a clock that may be `SKEW` behind, and is within the longest
    validity.
    """
    if instant is None:
        return
    # Subtracted from now, not added to the instant: an instant at the end of time must not overflow.
    if now - SKEW >= instant:
        raise Refused(Reason.RESPONSE_EXPIRED, f"{what} was {now - instant} ago")
    if instant - issued > MAX_VALIDITY:
        raise Refused(Reason.VALIDITY_TOO_LONG, f"{what} is {instant - issued} after it was issued")


def saml(instant: datetime) -> str:
    """Return the instant as SAML writes it, to the second, such as 2026-03-01T09:30:00Z."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
