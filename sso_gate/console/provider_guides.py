"""What each identity provider calls the values that we exchange with it, word for word as its own screens have them.

The words are the providers' English ones and are never translated: they are looked for on a screen. The same facts,
with more around them, stand in `docs/connect-an-identity-provider.md`.
"""

from dataclasses import dataclass
from typing import Literal

from sso_gate.protocols.protocol import Endpoints

Ours = Literal["acs", "entity_id", "slo", "start", "callback", "backchannel", "signed_out"]
"""One of the gate's own values, which a connection's id decides."""


@dataclass(frozen=True, slots=True)
class Guide:
    """One kind of provider: `way` leads to its form, `ours` are its fields with what goes in, `fixed` are those with
    words of its own, `metadata` and `issuer` are its names for what it gives to us, each with an example.
    """

    kind: str
    name: str
    protocol: Literal["saml", "oidc"]
    way: str
    ours: tuple[tuple[str, Ours], ...]
    fixed: tuple[tuple[str, str], ...] = ()
    metadata: tuple[str, str] = ("", "")
    by_file: bool = False
    issuer: tuple[str, str] = ("Issuer", "https://login.acme.example")
    client: tuple[str, str] = ("Client ID", "Client secret")

    @property
    def short_name(self) -> str:
        """The last part of the id that is suggested for such a connection."""
        return self.kind.partition("-")[0]


_OKTA_SAML = Guide(
    kind="okta-saml",
    name="Okta",
    protocol="saml",
    way="Applications › Create App Integration › SAML 2.0",
    ours=(("Single sign-on URL", "acs"), ("Audience URI (SP Entity ID)", "entity_id")),
    fixed=(
        ("Default RelayState", ""),
        ("Name ID format", "Persistent"),
        ("Response", "Signed"),
        ("Assertion Signature", "Signed"),
        ("Signature Algorithm", "RSA-SHA256"),
        ("Attribute Statements", "email = user.email, displayName = user.displayName"),
        ("Group Attribute Statements", "groups"),
    ),
    metadata=("Sign On › Metadata URL", "https://acme.okta.com/app/exk1/sso/saml/metadata"),
)
_ENTRA_SAML = Guide(
    kind="entra-saml",
    name="Microsoft Entra ID",
    protocol="saml",
    way="Enterprise applications › New application › Create your own application › Single sign-on › SAML",
    ours=(
        ("Identifier (Entity ID)", "entity_id"),
        ("Reply URL (Assertion Consumer Service URL)", "acs"),
        ("Sign on URL", "start"),
        ("Logout Url", "slo"),
    ),
    fixed=(
        ("Unique User Identifier (Name ID)", "user.objectid, Persistent"),
        ("emailaddress", "user.mail"),
        ("name", "user.displayname"),
        ("Signing Option", "Sign SAML assertion"),
        ("Signing Algorithm", "SHA-256"),
    ),
    metadata=(
        "App Federation Metadata Url",
        "https://login.microsoftonline.com/TENANT/federationmetadata/2007-06/federationmetadata.xml?appid=APP",
    ),
)
_GOOGLE_SAML = Guide(
    kind="google-saml",
    name="Google Workspace",
    protocol="saml",
    way="Apps › Web and mobile apps › Add app › Add custom SAML app",
    ours=(("ACS URL", "acs"), ("Entity ID", "entity_id"), ("Start URL", "start")),
    fixed=(
        ("Signed response", "✓"),
        ("Name ID format", "EMAIL"),
        ("Name ID", "Basic Information > Primary email"),
        ("Attributes", "First name = firstName, Last name = lastName"),
        ("Group membership", "groups"),
    ),
    metadata=("Download Metadata", ""),
    by_file=True,
)
_KEYCLOAK_SAML = Guide(
    kind="keycloak-saml",
    name="Keycloak",
    protocol="saml",
    way="Clients › Create client › Client type SAML",
    ours=(
        ("Client ID", "entity_id"),
        ("Valid redirect URIs", "acs"),
        ("Master SAML Processing URL", "acs"),
        ("Logout Service Redirect Binding URL", "slo"),
    ),
    fixed=(
        ("Name ID format", "persistent"),
        ("Sign documents", "On"),
        ("Sign assertions", "On"),
        ("Signature algorithm", "RSA_SHA256"),
        ("Client signature required", "Off"),
        ("Mappers", "User Property email = email, Group list = groups (Full group path Off)"),
    ),
    metadata=(
        "SAML 2.0 Identity Provider Metadata",
        "https://keycloak.acme.example/realms/acme/protocol/saml/descriptor",
    ),
)
_ADFS_SAML = Guide(
    kind="adfs-saml",
    name="AD FS",
    protocol="saml",
    way="Relying Party Trusts › Add Relying Party Trust",
    ours=(
        ("Federation metadata address (host name or URL)", "entity_id"),
        ("Relying party trust identifier", "entity_id"),
        ("Relying party SAML 2.0 SSO service URL", "acs"),
    ),
    fixed=(
        ("Secure hash algorithm", "SHA-256"),
        ("E-Mail-Addresses", "E-Mail Address"),
        ("Display-Name", "Name"),
        ("Token-Groups - Unqualified Names", "Group"),
        ("objectGUID", "Name ID"),
    ),
    metadata=(
        "FederationMetadata.xml",
        "https://adfs.acme.example/FederationMetadata/2007-06/FederationMetadata.xml",
    ),
)
_OTHER_SAML = Guide(
    kind="saml",
    name="SAML 2.0",
    protocol="saml",
    way="",
    ours=(
        ("Metadata URL, Entity ID, Audience", "entity_id"),
        ("Assertion Consumer Service (ACS, HTTP-POST)", "acs"),
        ("Single Logout Service", "slo"),
    ),
    metadata=("Metadata URL", "https://idp.acme.example/metadata"),
)
_OKTA_OIDC = Guide(
    kind="okta-oidc",
    name="Okta",
    protocol="oidc",
    way="Applications › Create App Integration › OIDC - OpenID Connect › Web Application",
    ours=(("Sign-in redirect URIs", "callback"), ("Sign-out redirect URIs", "signed_out")),
    fixed=(("Grant type", "Authorization Code"),),
    issuer=("Issuer", "https://acme.okta.com"),
)
_ENTRA_OIDC = Guide(
    kind="entra-oidc",
    name="Microsoft Entra ID",
    protocol="oidc",
    way="App registrations › New registration › Accounts in this organizational directory only › Redirect URI: Web",
    ours=(("Redirect URI (Web)", "callback"),),
    fixed=(("Token configuration › Optional claims › ID", "email, xms_edov"), ("Add groups claim", "Security groups")),
    issuer=(
        "Endpoints › OpenID Connect metadata document › issuer",
        "https://login.microsoftonline.com/TENANT-ID/v2.0",
    ),
    client=("Application (client) ID", "Certificates & secrets › New client secret › Value"),
)
_GOOGLE_OIDC = Guide(
    kind="google-oidc",
    name="Google Workspace",
    protocol="oidc",
    way="Google Cloud › APIs & Services › Credentials › Create credentials › OAuth client ID › Web application",
    ours=(("Authorized redirect URIs", "callback"),),
    issuer=("Issuer", "https://accounts.google.com"),
)
_KEYCLOAK_OIDC = Guide(
    kind="keycloak-oidc",
    name="Keycloak",
    protocol="oidc",
    way="Clients › Create client › Client type OpenID Connect",
    ours=(
        ("Valid redirect URIs", "callback"),
        ("Valid post logout redirect URIs", "signed_out"),
        ("Backchannel logout URL", "backchannel"),
    ),
    fixed=(
        ("Client authentication", "On"),
        ("Authentication flow", "Standard flow"),
        ("Backchannel logout session required", "On"),
        ("Mappers", "Group Membership = groups"),
    ),
    issuer=("OpenID Endpoint Configuration › issuer", "https://keycloak.acme.example/realms/acme"),
    client=("Client ID", "Credentials › Client Secret"),
)
_OTHER_OIDC = Guide(
    kind="oidc",
    name="OpenID Connect",
    protocol="oidc",
    way="",
    ours=(
        ("Redirect URI", "callback"),
        ("Post-logout redirect URI", "signed_out"),
        ("Back-channel logout URI", "backchannel"),
    ),
)
_ALL = (
    _OKTA_SAML, _OKTA_OIDC, _ENTRA_SAML, _ENTRA_OIDC, _GOOGLE_SAML, _GOOGLE_OIDC, _KEYCLOAK_SAML, _KEYCLOAK_OIDC,
    _ADFS_SAML, _OTHER_SAML, _OTHER_OIDC,
)  # fmt: skip
GUIDES = {guide.kind: guide for guide in _ALL}


def guides_by_provider() -> dict[str, list[Guide]]:
    """Return the guides under the names of their providers, in the order of the first step; every other provider's are
    under an empty name.
    """
    found: dict[str, list[Guide]] = {}
    for guide in _ALL:
        found.setdefault("" if guide.kind == guide.protocol else guide.name, []).append(guide)
    return found


def guide_of(kind: str, protocol: str) -> Guide:
    """Return the guide of this kind where it speaks the protocol, or the one for every other provider."""
    found = GUIDES.get(kind)
    return found if found and found.protocol == protocol else GUIDES[protocol]


def our_values(endpoints: Endpoints) -> dict[str, str]:
    """Return the gate's own values for one connection, by the names that guides use."""
    return {
        "acs": endpoints.saml_acs,
        "entity_id": endpoints.saml_entity_id,
        "slo": endpoints.saml_slo,
        "start": f"{endpoints.origin}/login/{endpoints.connection}",
        "callback": endpoints.oidc_callback,
        "backchannel": endpoints.oidc_backchannel_logout,
        "signed_out": f"{endpoints.origin}/signed-out",
    }
