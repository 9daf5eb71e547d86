"""If-Match and If-None-Match. Source: RFC 7644 3.14, RFC 9110 13.1."""

from typing import Protocol

from sso_gate.errors import Reason
from sso_gate.scim.rejection import Rejected

MAX_TAGS = 2048


class Tagged(Protocol):
    """What has an ETag."""

    @property
    def etag(self) -> str:
        """A weak ETag of this version."""
        ...


def require_match(if_match: str, current: Tagged) -> None:
    """Raise the 412 where the client knows another version; weak tags are compared as they are (RFC 7644 3.14)."""
    if if_match and not names(if_match, current.etag):
        raise Rejected(
            412, "the resource has changed: read it again", reason=Reason.CONFLICT, check="precondition_failed"
        )


def names(tags: str, etag: str) -> bool:
    """Return whether the list of tags names this one."""
    opaque = etag.removeprefix("W/")
    return tags.strip() == "*" or opaque in {tag.strip().removeprefix("W/") for tag in tags[:MAX_TAGS].split(",")}
