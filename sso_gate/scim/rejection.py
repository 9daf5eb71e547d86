"""What a SCIM client is told when its request is not done. Source: RFC 7644 3.12 (error response)."""

from typing import Any

from sso_gate.errors import Reason, SsoGateError

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class Rejected(SsoGateError):
    """The request was not done: `status` and `scim_type` of RFC 7644 table 9, `detail` for the administrator.

    `reason` and `check` are for the audit record, where it `is_on_record` once it was written; `extension` are further
    members of the answer under their own URN.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        scim_type: str = "",
        reason: Reason = Reason.MESSAGE_MALFORMED,
        check: str = "",
        extension: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail.encode(errors="replace").decode()  # it may tell what was sent, half characters too
        self.scim_type = scim_type
        self.reason = reason
        self.check = check or scim_type
        self.extension = extension or {}
        self.is_on_record = False

    def recorded(self) -> "Rejected":
        """Return this refusal, which is on the audit record now."""
        self.is_on_record = True
        return self

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        return {
            "schemas": [ERROR_URN, *self.extension],
            "status": str(self.status),
            **({"scimType": self.scim_type} if self.scim_type else {}),
            "detail": self.detail,
            **self.extension,
        }


def invalid(scim_type: str, detail: str) -> Rejected:
    """Return the 400 of this type, one of RFC 7644 table 9."""
    return Rejected(400, detail, scim_type=scim_type)


def not_there(what: str) -> Rejected:
    """Return the 404 for a resource that the token's organization does not have."""
    return Rejected(404, f"{what} not found", reason=Reason.CONFLICT, check="not_found")


def not_unique(detail: str) -> Rejected:
    """Return the 409 for a name that is taken."""
    return Rejected(409, detail, scim_type="uniqueness", reason=Reason.CONFLICT)
