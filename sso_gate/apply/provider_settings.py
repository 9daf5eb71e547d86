"""What is configured of an identity provider, made from what somebody gave: the one door for the organization file and
for the forms of the settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sso_gate.apply.file import ConnectionPart
from sso_gate.apply.metadata_refresh import fetch_metadata
from sso_gate.connections import certificates
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.errors import InvalidInput, Reason, Refused
from sso_gate.protocols.fetch import Fetcher
from sso_gate.protocols.oidc.provider import Providers
from sso_gate.protocols.saml.metadata import IdentityProviderMetadata, parse_identity_provider
from sso_gate.storage.runtime import Runtime

MAX_FILE_NAME = 255

Read = Callable[[str, str], bytes]
"""Gives the bytes of what `(name, key of the part)` names; InvalidInput where there is nothing."""


async def provider_settings(
    runtime: Runtime, part: ConnectionPart, *, read: Read, environment: Mapping[str, str]
) -> SamlSettings | OidcSettings:
    """Return the settings that the part describes, its metadata fetched where it names an address.

    Raises:
        InvalidInput: something that it names cannot be read or used.
        Refused: `provider_unreachable` or `discovery_refused`, of the metadata's address.
    """
    if part.protocol == "oidc":
        return _oidc(part, read, environment)
    return await _saml(runtime, part, read)


def as_connection(part: ConnectionPart, settings: SamlSettings | OidcSettings, *, organization: str) -> Connection:
    """Return the connection that the part and its settings make, as one that nobody has stored yet."""
    return Connection(
        id=part.id,
        organization=organization,
        name=part.name or part.id,
        enabled=part.enabled,
        revision=0,
        attributes=AttributeMap(**part.attributes.model_dump()),
        roles={group: str(role) for group, role in part.roles.items()},
        settings=settings,
        keep_answers=bool(part.keep_answers),
    )


def _oidc(part: ConnectionPart, read: Read, environment: Mapping[str, str]) -> OidcSettings:
    secret = part.client_secret
    if part.client_secret_file:
        secret = read(part.client_secret_file, "client_secret_file").decode().strip()
    elif part.client_secret_env:
        secret = environment.get(part.client_secret_env, "")
        if not secret:
            raise InvalidInput("client_secret_env", f"{part.client_secret_env} is not in the environment")
    if not secret and not part.private_key_jwt:
        raise InvalidInput("client_secret", "one of client_secret, _file, _env or private_key_jwt is needed")
    return OidcSettings(
        issuer=part.issuer,
        client_id=part.client_id,
        client_secret=secret,
        client_authentication="private_key_jwt" if part.private_key_jwt else part.client_authentication,
        scopes=part.scopes,
        trust_email=part.trust_email,
    )


async def _saml(runtime: Runtime, part: ConnectionPart, read: Read) -> SamlSettings:
    settings = SamlSettings(
        idp_entity_id=part.idp_entity_id,
        sso_url=part.sso_url,
        slo_url=part.slo_url,
        certificates=tuple(_certificate(text, read) for text in part.certificates),
        metadata_url=part.metadata_url,
        accept_unsolicited=part.accept_unsolicited,
        sign_requests=part.sign_requests,
        encrypted_assertions=part.encrypted_assertions,
        allow_cbc_until=part.allow_cbc_until,
        force_authn=part.force_authn,
        authn_context=part.authn_context,
        name_id_format=part.name_id_format,
    )
    if part.idp_entity_id:
        return settings
    found = await _metadata(runtime, part, read)
    return replace(
        settings,
        idp_entity_id=found.entity_id,
        sso_url=found.sso_url,
        slo_url=found.slo_url,
        slo_response_url=found.slo_response_url,
        certificates=found.certificates,
        sign_requests=part.sign_requests or found.wants_requests_signed,
    )


async def _metadata(runtime: Runtime, part: ConnectionPart, read: Read) -> IdentityProviderMetadata:
    now = runtime.clock.now()
    if part.metadata_url:
        return parse_identity_provider(await fetch_metadata(runtime, part.metadata_url), now=now)
    return parse_identity_provider(read(part.metadata_file, "metadata_file"), now=now)


def _certificate(text: str, read: Read) -> str:
    """Return the PEM of an entry that is a certificate (PEM or bare base64) or names a file with one."""
    is_name = "BEGIN CERTIFICATE" not in text and len(text) <= MAX_FILE_NAME
    said = read(text, "certificates").decode("ascii", "replace") if is_name else text
    try:
        return certificates.from_body(certificates.body(said) if "BEGIN" in said else said)
    except ValueError as error:
        raise InvalidInput("certificates", "not a certificate") from error


async def check_issuer_address(runtime: Runtime, part: ConnectionPart) -> None:
    """Return when the gate may go to the part's OpenID provider as things stand; each fetch checks again. A name that
    does not resolve here and now is no fault of the file.

    Raises:
        InvalidInput: it may not, by the rules of every outgoing fetch.
    """
    if part.protocol != "oidc":
        return
    fetcher = Fetcher(runtime.settings.allow_private_networks)
    try:
        await fetcher.check_url(part.issuer, refusal=Reason.DISCOVERY_REFUSED)
    except Refused as refusal:
        if refusal.reason is Reason.DISCOVERY_REFUSED:
            raise InvalidInput("issuer", str(refusal)) from refusal
    finally:
        await fetcher.aclose()


async def check_provider(runtime: Runtime, value: Connection) -> None:
    """Return when the OpenID provider of the connection publishes what a login needs, and the gate may go wherever it
    would have to; SAML providers are not asked.

    Raises:
        Refused: `provider_unreachable` or `discovery_refused`.
    """
    if value.protocol == "saml":
        return
    fetcher = Fetcher(runtime.settings.allow_private_networks)
    try:
        await Providers(fetcher, runtime.clock).inspect(value)
    finally:
        await fetcher.aclose()
