"""The form of an identity provider's values: from what was typed to the settings, by the code that applies files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sso_gate.apply.file import ConnectionPart
from sso_gate.apply.provider_settings import as_connection, check_provider, provider_settings
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings
from sso_gate.errors import InvalidInput, Reason, Refused
from sso_gate.protocols.saml.metadata import MAX_CERTIFICATES
from sso_gate.storage.runtime import Runtime
from sso_gate.web.limits import Field

_ = str
_ONCE = _("Give the metadata once: by its address, as a file or as text")
_NOTHING = _("Give the metadata of the identity provider, or enter its values")
_MISSING = _("This is needed")
_UNUSABLE = _("This cannot be used here")
_METADATA = _("This metadata cannot be used")
_NO_ANSWER = _("Nothing answered at this address. Check it, and whether it can be reached from the Internet.")
_OTHER_ANSWER = _("What this address answers cannot be used. Check it to the letter.")
_CERTIFICATE = _("This is not a certificate in PEM form")
_SECRET = _("Enter the client secret")
_NEW_SECRET = _("Another issuer needs its own client secret")
_TEXT = 256 * 1024
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
SAML_FIELDS = {
    "metadata_url": Field(2048),
    "metadata_text": Field(_TEXT, free=True),
    "idp_entity_id": Field(1024),
    "sso_url": Field(2048),
    "slo_url": Field(2048),
    "certificates": Field(64 * 1024, free=True),
    "accept_unsolicited": Field(8),
    "sign_requests": Field(1),
    "encrypted_assertions": Field(8),
    "allow_cbc_until": Field(10),
    "approve": Field(1),
}
OIDC_FIELDS = {
    "issuer": Field(2048),
    "client_id": Field(512),
    "client_secret": Field(2048),
    "client_authentication": Field(32),
    "scopes": Field(500),
}
NEVER_SHOWN = frozenset({"client_secret"})


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one field: an English source text, and what a program said of it."""

    field: str
    text: str
    detail: str = ""


class FormInvalid(Exception):
    """The form cannot be used as it is; `problems` say why, field by field."""

    def __init__(self, *problems: Wrong) -> None:
        super().__init__()
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Typed:
    """What was sent: the fields, and the bytes of an uploaded file."""

    form: Mapping[str, str]
    upload: bytes = b""

    def read(self, name: str, field: str) -> bytes:
        """Return the metadata that was uploaded or pasted: all that a form can name."""
        if field != "metadata_file":
            raise InvalidInput(field, f"not a certificate: {name[:40]}")
        return self.upload or self.form["metadata_text"].encode()

    def shown_again(self) -> dict[str, str]:
        """Return what the form is filled with when it is shown again: everything but secrets; a file as its text."""
        kept = {name: value for name, value in self.form.items() if name not in NEVER_SHOWN}
        if self.upload and len(self.upload) <= _TEXT:
            kept["metadata_text"] = self.upload.decode("utf-8", "replace")
        return kept


async def connection_from(runtime: Runtime, typed: Typed, about: Connection) -> Connection:
    """Return `about` with the settings that the form describes; what a form does not ask for stays as it is.

    Raises:
        FormInvalid: with everything that can be said at once.
    """
    saml = about.protocol == "saml"
    values = _saml_values(typed) if saml else _oidc_values(typed, about)
    part = _part(about, values)
    try:
        settings = await provider_settings(runtime, part, read=typed.read, environment={})
        made = as_connection(part, _with_the_rest(settings, about), organization=about.organization)
        made = replace(
            made,
            revision=about.revision,
            attributes=about.attributes,
            roles=about.roles,
            keep_answers=about.keep_answers,
        )
        if _issuer(made) != _issuer(about):
            await check_provider(runtime, made)
    except (InvalidInput, Refused) as error:
        raise FormInvalid(_wrong(error, typed, saml=saml)) from error
    return made


def blank(protocol: str, *, connection_id: str, name: str, organization: str) -> Connection:
    """Return a connection of which nothing is known yet, for `connection_from` to fill."""
    settings = SamlSettings("", "", ()) if protocol == "saml" else OidcSettings("", "")
    return Connection(
        connection_id,
        organization,
        name,
        enabled=False,
        revision=0,
        attributes=AttributeMap(),
        roles={},
        settings=settings,
    )


def filled_in(settings: SamlSettings | OidcSettings) -> dict[str, str]:
    """Return the form's fields as the settings have them; a secret is never among them."""
    if isinstance(settings, OidcSettings):
        return {
            "issuer": settings.issuer,
            "client_id": settings.client_id,
            "client_authentication": settings.client_authentication,
            "scopes": " ".join(settings.scopes),
        }
    by_hand = {
        "idp_entity_id": settings.idp_entity_id,
        "sso_url": settings.sso_url,
        "slo_url": settings.slo_url,
        "certificates": "\n".join(one.strip() for one in settings.certificates),
    }
    return {
        **({"metadata_url": settings.metadata_url} if settings.metadata_url else by_hand),
        "accept_unsolicited": settings.accept_unsolicited,
        "sign_requests": "1" if settings.sign_requests else "",
        "encrypted_assertions": settings.encrypted_assertions,
        "allow_cbc_until": settings.allow_cbc_until.isoformat() if settings.allow_cbc_until else "",
    }


def _saml_values(typed: Typed) -> dict[str, Any]:
    form = typed.form
    given = [name for name in ("metadata_url", "metadata_text") if form[name]]
    given += ["metadata_file"] if typed.upload else []
    if len(given) > 1:
        raise FormInvalid(Wrong(given[-1], _ONCE))
    options = {
        "accept_unsolicited": form["accept_unsolicited"] or "no",
        "sign_requests": bool(form["sign_requests"]),
        "encrypted_assertions": form["encrypted_assertions"] or "allow",
        "allow_cbc_until": form["allow_cbc_until"] or None,
    }
    if "metadata_url" in given:
        return options | {"metadata_url": form["metadata_url"]}
    if given:
        return options | {"metadata_file": "metadata.xml"}
    return options | _by_hand(form)


def _by_hand(form: Mapping[str, str]) -> dict[str, Any]:
    needed = ("idp_entity_id", "sso_url", "certificates")
    missing = [name for name in needed if not form[name]]
    if len(missing) == len(needed):
        raise FormInvalid(Wrong("metadata_url", _NOTHING))
    if missing:
        raise FormInvalid(*(Wrong(name, _MISSING) for name in missing))
    found = tuple(_PEM.findall(form["certificates"]))
    if not found or len(found) > MAX_CERTIFICATES:
        raise FormInvalid(Wrong("certificates", _CERTIFICATE))
    return {
        "idp_entity_id": form["idp_entity_id"],
        "sso_url": form["sso_url"],
        "slo_url": form["slo_url"],
        "certificates": found,
    }


def _oidc_values(typed: Typed, about: Connection) -> dict[str, Any]:
    form, known = typed.form, about.settings
    missing = [Wrong(name, _MISSING) for name in ("issuer", "client_id") if not form[name]]
    by_key = form["client_authentication"] == "private_key_jwt"
    secret = form["client_secret"]
    if not secret and not by_key and isinstance(known, OidcSettings):
        if known.client_secret and known.issuer != form["issuer"]:
            missing.append(Wrong("client_secret", _NEW_SECRET))  # what one provider gave is never sent to another
        secret = known.client_secret
    if not secret and not by_key:
        missing.append(Wrong("client_secret", _SECRET))
    if missing:
        raise FormInvalid(*missing)
    return {
        "issuer": form["issuer"],
        "client_id": form["client_id"],
        "client_secret": "" if by_key else secret,
        "private_key_jwt": by_key,
        **({} if by_key else {"client_authentication": form["client_authentication"] or "client_secret_basic"}),
        "scopes": tuple(form["scopes"].split()) or ("openid", "email", "profile"),
    }


def _part(about: Connection, values: Mapping[str, Any]) -> ConnectionPart:
    named = {"id": about.id, "name": about.name, "protocol": about.protocol, "enabled": about.enabled}
    try:
        return ConnectionPart.model_validate({**named, **values})
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        raise FormInvalid(*(Wrong(_place(item["loc"]), _UNUSABLE, _said(item["msg"])) for item in wrong)) from error


def _place(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name in SAML_FIELDS or name in OIDC_FIELDS else ""


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _with_the_rest(settings: SamlSettings | OidcSettings, about: Connection) -> SamlSettings | OidcSettings:
    known = about.settings
    if isinstance(settings, SamlSettings) and isinstance(known, SamlSettings):
        return replace(
            settings,
            force_authn=known.force_authn,
            authn_context=known.authn_context,
            name_id_format=known.name_id_format,
        )
    if isinstance(settings, OidcSettings) and isinstance(known, OidcSettings):
        return replace(settings, algorithms=known.algorithms, trust_email=known.trust_email)
    return settings


def _issuer(one: Connection) -> str:
    return one.settings.issuer if isinstance(one.settings, OidcSettings) else ""


def _wrong(error: InvalidInput | Refused, typed: Typed, *, saml: bool) -> Wrong:
    if isinstance(error, Refused):
        unreachable = error.reason is Reason.PROVIDER_UNREACHABLE
        return Wrong("metadata_url" if saml else "issuer", _NO_ANSWER if unreachable else _OTHER_ANSWER)
    if error.field == "certificates":
        return Wrong("certificates", _CERTIFICATE)
    if not saml:
        return Wrong(_place((error.field,)), _UNUSABLE, error.message)
    given = "metadata_file" if typed.upload else "metadata_text" if typed.form["metadata_text"] else "metadata_url"
    return Wrong(given, _METADATA, error.message)
