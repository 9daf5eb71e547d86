"""What a protocol gives back when it sends a browser away, and how our own addresses are built."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what must be remembered until it is back.

    `url` is absolute. `expectations` are the values that `finish` will demand again (`request_id`, or `nonce` and
    `code_verifier`), kept on the server in the pending login, never in the URL in clear.
    """

    url: str
    expectations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The gate's own addresses for one connection, fixed by the public URL alone (interface: SP metadata, redirect
    URI).
    """

    origin: str
    connection: str

    @property
    def saml_acs(self) -> str:
        """Assertion consumer service, HTTP-POST."""
        return f"{self.origin}/sso/saml/{self.connection}/acs"

    @property
    def saml_entity_id(self) -> str:
        """Our entity id: the address of our metadata."""
        return f"{self.origin}/sso/saml/{self.connection}/metadata"

    @property
    def saml_slo(self) -> str:
        """Single logout service, HTTP-Redirect and HTTP-POST."""
        return f"{self.origin}/sso/saml/{self.connection}/slo"

    @property
    def oidc_callback(self) -> str:
        """Redirect URI."""
        return f"{self.origin}/sso/oidc/{self.connection}/callback"

    @property
    def oidc_backchannel_logout(self) -> str:
        """Back-channel logout URI."""
        return f"{self.origin}/sso/oidc/{self.connection}/backchannel-logout"
