"""Metadata: ours, signed, for a provider to read, and a provider's, for us to pin. Source: SAML metadata 2.0.

A provider's metadata is configuration: what is wrong with it is an `InvalidInput` that an operator reads.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import xmlsec
from lxml import etree
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.metadata import OneLogin_Saml2_Metadata

from sso_gate.connections import certificates
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import InvalidInput, Refused
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml import document, instants, signature
from sso_gate.protocols.saml.keys import ServiceProviderKeys
from sso_gate.protocols.saml.names import DS, HTTP_POST, HTTP_REDIRECT, MD, PROTOCOL_NS, UNSPECIFIED, Element
from sso_gate.protocols.saml.request import escaped, saml_settings

# python3-saml signs with libxmlsec, which from here on opens no file and no address in this process.
xmlsec.cleanup_callbacks()

OWN_VALIDITY = timedelta(days=14)
MAX_CERTIFICATES = 10
MAX_NAME_CHARACTERS = 1024  # SAML core 8.3.6


@dataclass(frozen=True, slots=True)
class IdentityProviderMetadata:
    """What a provider publishes about itself; `certificates` (PEM) are those it signs with, in its order.

    `slo_url` and `slo_response_url` may be empty. `signed_by_pinned` says that one of the keys given to the parser has
    signed the document, and then everything here was read from the signed bytes.
    """

    entity_id: str
    sso_url: str
    slo_url: str
    slo_response_url: str
    certificates: tuple[str, ...]
    valid_until: datetime | None
    name_id_formats: tuple[str, ...]
    wants_requests_signed: bool
    signed_by_pinned: bool


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """What new metadata would change: the settings to have then, every difference, and those that need an approval.

    While `held` names anything, nothing of the change may be applied: the last good settings stay.
    """

    settings: SamlSettings
    changes: tuple[str, ...]
    held: tuple[str, ...]


def service_provider_metadata(
    connection: Connection, endpoints: Endpoints, *, keys: ServiceProviderKeys, now: datetime
) -> bytes:
    """Return our metadata for this connection, signed, valid for two weeks: UTF-8, media type
    application/samlmetadata+xml.

    Every key is in it, for signing and for encryption, the one that signs now first: while keys roll over a provider
    knows the next one before we use it, and may still use the old one.
    """
    settings = saml_settings(connection)
    built = OneLogin_Saml2_Metadata.builder(
        {
            "entityId": escaped(endpoints.saml_entity_id),
            "NameIDFormat": escaped(settings.name_id_format or UNSPECIFIED),
            "assertionConsumerService": {"url": escaped(endpoints.saml_acs), "binding": HTTP_POST},
            "singleLogoutService": {"url": escaped(endpoints.saml_slo), "binding": HTTP_REDIRECT},
        },
        authnsign=settings.sign_requests,
        wsign=True,
        valid_until=instants.saml(now + OWN_VALIDITY),
        cache_duration="P1D",
    )
    root = etree.fromstring(built.encode(), etree.XMLParser(resolve_entities=False, remove_blank_text=True))
    root.set("ID", f"_{secrets.token_hex(16)}")
    role = root[0]
    other_binding = etree.Element(f"{MD}SingleLogoutService", Binding=HTTP_POST, Location=endpoints.saml_slo)
    role[0].addnext(other_binding)
    role[:0] = [
        _key_descriptor(use, pair.certificate_pem) for use in ("signing", "encryption") for pair in keys.decryption
    ]
    signed: bytes | str = OneLogin_Saml2_Metadata.sign_metadata(
        etree.tostring(root).decode(), keys.signing.private_key_pem, keys.signing.certificate_pem
    )
    return signed.encode() if isinstance(signed, str) else signed


def parse_identity_provider(
    xml: bytes, *, now: datetime, entity_id: str | None = None, pinned: tuple[str, ...] = ()
) -> IdentityProviderMetadata:
    """Return what the metadata says about the only provider in it, or about the one of several named `entity_id`.

    `pinned` are the certificates (PEM) that the connection trusts already; see `signed_by_pinned`.

    Raises:
        InvalidInput: not metadata, too large, expired, no such provider or several, or nothing that we could use.
    """
    try:
        return _parsed(xml, now, entity_id, pinned)
    except InvalidInput:
        raise
    except Refused as error:
        raise _invalid(error.detail) from error
    except Exception as error:  # python3-saml lets out whatever happens to it
        raise _invalid(f"unexpected {type(error).__name__}") from error


def compare(old: SamlSettings, new: IdentityProviderMetadata) -> MetadataChange:
    """Return what taking over `new` would change, and what of that somebody must approve first.

    Another entity id or another host is always held: that is another provider. A key that was not pinned is held unless
    a pinned key has signed the metadata. Keys that are published side by side are pinned side by side, and a key that
    is no longer published is dropped.
    """
    proposed = replace(
        old,
        idp_entity_id=new.entity_id,
        sso_url=new.sso_url,
        slo_url=new.slo_url,
        slo_response_url=new.slo_response_url,
        certificates=new.certificates,
    )
    changes, held = [], []
    if new.entity_id != old.idp_entity_id:
        changes.append(f"entity id {old.idp_entity_id} becomes {new.entity_id}")
        held.append(changes[-1])
    for what in ("sso_url", "slo_url", "slo_response_url"):
        before, after = getattr(old, what), getattr(new, what)
        if before != after:
            changes.append(f"{what} {before or 'none'} becomes {after or 'none'}")
            if after and _host(after) not in {_host(old.sso_url), _host(before)}:
                held.append(changes[-1])
    known = {certificates.fingerprint(one) for one in old.certificates}
    published = {certificates.fingerprint(one) for one in new.certificates}
    for key in sorted(published - known):
        changes.append(f"new key {key}")
        if not new.signed_by_pinned:
            held.append(changes[-1])
    changes += [f"key {key} is no longer published" for key in sorted(known - published)]
    return MetadataChange(proposed, tuple(changes), tuple(held))


def _parsed(xml: bytes, now: datetime, entity_id: str | None, pinned: tuple[str, ...]) -> IdentityProviderMetadata:
    root = document.parse_metadata(xml)
    verified = _verified(root, pinned)
    entity, ends = _choose(root if verified is None else verified, entity_id)
    role = _only_role(entity)
    valid_until = _valid_until([*ends, entity.get("validUntil"), role.get("validUntil")], now)
    parsed = OneLogin_Saml2_IdPMetadataParser.parse(etree.tostring(_alone(entity, role)))["idp"]
    slo = parsed.get("singleLogoutService", {}).get("url", "")
    return IdentityProviderMetadata(
        entity_id=_entity_id(entity),
        sso_url=_address(parsed.get("singleSignOnService", {}).get("url"), "SingleSignOnService by HTTP-Redirect"),
        slo_url=_address(slo, "SingleLogoutService") if slo else "",
        slo_response_url=_response_address(role),
        certificates=_certificates(parsed),
        valid_until=valid_until,
        name_id_formats=tuple((one.text or "").strip() for one in role.findall(f"{MD}NameIDFormat")),
        wants_requests_signed=role.get("WantAuthnRequestsSigned") in ("true", "1"),
        signed_by_pinned=verified is not None,
    )


def _key_descriptor(use: str, certificate: str) -> Element:
    descriptor = etree.Element(f"{MD}KeyDescriptor", use=use)
    info = etree.SubElement(descriptor, f"{DS}KeyInfo")
    data = etree.SubElement(info, f"{DS}X509Data")
    etree.SubElement(data, f"{DS}X509Certificate").text = certificates.body(certificate)
    return descriptor


def _verified(root: Element, pinned: tuple[str, ...]) -> Element | None:
    """Return the signed document, re-parsed, if a pinned key verifies it; none if not, which is nothing unusual."""
    found = root.findall(f"{DS}Signature")
    if not pinned or len(found) != 1:
        return None
    try:
        return signature.verified(signature.profile(found[0]), pinned)
    except Refused:
        return None


def _choose(root: Element, entity_id: str | None) -> tuple[Element, list[str | None]]:
    """Return the provider's EntityDescriptor and the validUntil of everything around it."""
    if root.tag not in (f"{MD}EntityDescriptor", f"{MD}EntitiesDescriptor"):
        raise _invalid("expected an EntityDescriptor or EntitiesDescriptor of SAML 2.0")
    providers = [
        entity
        for entity in root.iter(f"{MD}EntityDescriptor")
        if document.child(entity, f"{MD}IDPSSODescriptor") is not None
    ]
    if len(providers) > 1 and entity_id is not None:  # compared here, never put into an XPath
        providers = [entity for entity in providers if entity.get("entityID") == entity_id]
    if len(providers) != 1:
        names = ", ".join(sorted(str(entity.get("entityID"))[:200] for entity in providers[:10]))
        raise _invalid(f"expected one identity provider, found {len(providers)} {names}".rstrip())
    around = [outer.get("validUntil") for outer in providers[0].iterancestors(f"{MD}EntitiesDescriptor")]
    return providers[0], around


def _only_role(entity: Element) -> Element:
    roles = [
        role
        for role in entity.findall(f"{MD}IDPSSODescriptor")
        if PROTOCOL_NS in (role.get("protocolSupportEnumeration") or "").split()
    ]
    if len(roles) != 1:
        raise _invalid(f"expected one IDPSSODescriptor for SAML 2.0, found {len(roles)}")
    return roles[0]


def _alone(entity: Element, role: Element) -> Element:
    """Return a descriptor of this entity and role alone, so that python3-saml, which takes the first, takes this
    one.
    """
    alone = etree.Element(entity.tag, nsmap=entity.nsmap, entityID=entity.get("entityID") or "")
    alone.append(role)
    return alone


def _entity_id(entity: Element) -> str:
    name = entity.get("entityID") or ""
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise _invalid("the entityID is empty, too long or not printable")
    return name


def _valid_until(ends: list[str | None], now: datetime) -> datetime | None:
    earliest = min((instants.parse(end, "validUntil") for end in ends if end is not None), default=None)
    if earliest is not None and now >= earliest:
        raise _invalid(f"expired at {instants.saml(earliest)}")
    return earliest


def _certificates(parsed: dict[str, Any]) -> tuple[str, ...]:
    """Return the signing certificates (a KeyDescriptor without `use` is for both, SAML metadata 2.4.1.1) as PEM."""
    single = parsed.get("x509cert")
    bodies = [single] if single else parsed.get("x509certMulti", {}).get("signing", [])
    if len(bodies) > MAX_CERTIFICATES:
        raise _invalid(f"more than {MAX_CERTIFICATES} certificates")
    try:
        pems = dict.fromkeys(certificates.from_body(body) for body in bodies)
    except ValueError as error:
        raise _invalid("a certificate that cannot be read") from error
    usable = tuple(pem for pem in pems if signature.pinned_key(pem).usable)
    if not usable:
        raise _invalid("no signing certificate with RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521")
    return usable


def _response_address(role: Element) -> str:
    for service in role.findall(f"{MD}SingleLogoutService"):
        if service.get("Binding") == HTTP_REDIRECT:
            answer = service.get("ResponseLocation") or ""
            return _address(answer, "SingleLogoutService ResponseLocation") if answer else ""
    return ""


def _address(url: str | None, what: str) -> str:
    if not url:
        raise _invalid(f"no {what}")
    if not _plain_address(url):
        raise _invalid(f"{what}: expected a plain https address, got {url[:200]}")
    return url


def _plain_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
    return named and parts.scheme in ("https", "http") and not parts.fragment and url.isprintable() and " " not in url


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _invalid(detail: str) -> InvalidInput:
    return InvalidInput("metadata", detail)
