"""A connection and its settings: frozen values, the same for everybody who reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Unsolicited = Literal["no", "restart", "accept"]
EncryptedAssertions = Literal["allow", "require"]
ClientAuthentication = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """Names of the attributes (SAML) or claims (OIDC) to read; an empty name means the protocol's default.

    The defaults cover Okta, Entra ID, Google Workspace, Keycloak and ADFS; an empty `subject` means NameID or `sub`.
    """

    email: str = ""
    name: str = ""
    groups: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class SamlSettings:
    """What is pinned of a SAML identity provider, and what we ask of it.

    `certificates` are PEM texts of the signing certificates, any of which may verify. `allow_cbc_until` is the dated
    override for providers that can only encrypt with AES-CBC. Source: SAML metadata 2.4.3 (IDPSSODescriptor).
    """

    idp_entity_id: str
    sso_url: str
    certificates: tuple[str, ...]
    slo_url: str = ""
    slo_response_url: str = ""
    metadata_url: str = ""
    accept_unsolicited: Unsolicited = "no"
    sign_requests: bool = False
    encrypted_assertions: EncryptedAssertions = "allow"
    allow_cbc_until: date | None = None
    force_authn: bool = False
    authn_context: tuple[str, ...] = ()
    name_id_format: str = ""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """What is registered at an OpenID provider. Endpoints come from its discovery document, checked against `issuer`.

    `trust_email` is for providers that never say whether an address is verified and whose people cannot choose theirs.
    Source: OpenID Connect Discovery 1.0, section 3.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    client_authentication: ClientAuthentication = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    trust_email: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """One identity provider of one organization.

    `id` stands in URLs and is unique over all organizations; `organization` is the organization's id; `revision` grows
    with every change, so (`id`, `revision`) is a cache key; `roles` maps a group of the provider to a role name.
    `keep_answers`: what the provider answered is kept sealed for a day, where the login was refused.
    """

    id: str
    organization: str
    name: str
    enabled: bool
    revision: int
    attributes: AttributeMap
    roles: Mapping[str, str]
    settings: SamlSettings | OidcSettings
    keep_answers: bool = False

    @property
    def protocol(self) -> Literal["saml", "oidc"]:
        """The protocol that this connection speaks."""
        return "saml" if isinstance(self.settings, SamlSettings) else "oidc"
