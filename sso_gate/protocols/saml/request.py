"""Sending a browser to the identity provider with an AuthnRequest. Source: SAML core 3.4.1, profiles 4.1.4.1."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from xml.sax.saxutils import escape

from onelogin.saml2.xml_templates import OneLogin_Saml2_Templates

from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.protocol import Departure, Endpoints
from sso_gate.protocols.saml import instants, redirect
from sso_gate.protocols.saml.keys import ServiceProviderKeys
from sso_gate.protocols.saml.names import EMAIL_ADDRESS, HTTP_POST, UNSPECIFIED

MAX_LOGIN_HINT_CHARACTERS = 254


def begin(
    connection: Connection,
    endpoints: Endpoints,
    *,
    handle: str,
    keys: ServiceProviderKeys,
    now: datetime,
    login_hint: str | None = None,
    force_authn: bool = False,
) -> Departure:
    """Return where the browser goes, `handle` (at most 80 bytes) as RelayState; `expectations` holds `request_id`.

    The request is signed where the connection says so. `login_hint` is a stranger's text: it goes along as a subject
    when it is one short printable line, else it is left out.
    """
    settings = saml_settings(connection)
    request_id = new_message_id()
    xml = fill(
        OneLogin_Saml2_Templates.AUTHN_REQUEST,
        {
            "id": request_id,
            "issue_instant": instants.saml(now),
            "destination": settings.sso_url,
            "acs_binding": HTTP_POST,
            "assertion_url": endpoints.saml_acs,
            "entity_id": endpoints.saml_entity_id,
        },
        provider_name="",
        is_passive_str="",
        attr_consuming_service_str="",
        force_authn_str=' ForceAuthn="true"' if settings.force_authn or force_authn else "",
        subject_str=_subject(login_hint),
        nameid_policy_str=_name_id_policy(settings.name_id_format),
        requested_authn_context_str=_requested_context(settings.authn_context),
    )
    signing = keys.signing if settings.sign_requests else None
    relay_state = redirect.handle_of_ours(handle)
    url = redirect.address(settings.sso_url, kind=redirect.REQUEST, xml=xml, relay_state=relay_state, signing=signing)
    return Departure(url, {"request_id": request_id})


def saml_settings(connection: Connection) -> SamlSettings:
    """Return the settings of a connection that speaks SAML; `connection_mismatch` for any other."""
    if not isinstance(connection.settings, SamlSettings):
        raise Refused(Reason.CONNECTION_MISMATCH, f"{connection.id} is not a SAML connection")
    return connection.settings


def new_message_id() -> str:
    """Return an ID that nobody can guess: 160 random bits (SAML core 1.3.4), and no digit in front (XML names)."""
    return f"_{secrets.token_hex(20)}"


def fill(template: str, texts: Mapping[str, str], **markup: str) -> str:
    """Return python3-saml's template with every text escaped, which the template itself never does."""
    return template % ({name: escaped(text) for name, text in texts.items()} | markup)


def escaped(text: str) -> str:
    """Return the text as it may stand in an element or in a quoted attribute."""
    return escape(text, {'"': "&quot;", "'": "&apos;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _subject(login_hint: str | None) -> str:
    hint = (login_hint or "").strip()
    if not hint or len(hint) > MAX_LOGIN_HINT_CHARACTERS or not hint.isprintable():
        return ""
    name_format = EMAIL_ADDRESS if "@" in hint else UNSPECIFIED
    return f'<saml:Subject><saml:NameID Format="{name_format}">{escaped(hint)}</saml:NameID></saml:Subject>'


def _name_id_policy(name_id_format: str) -> str:
    if not name_id_format:
        return ""
    return f'<samlp:NameIDPolicy Format="{escaped(name_id_format)}" AllowCreate="true"/>'


def _requested_context(classes: tuple[str, ...]) -> str:
    if not classes:
        return ""
    inner = "".join(f"<saml:AuthnContextClassRef>{escaped(one)}</saml:AuthnContextClassRef>" for one in classes)
    return f'<samlp:RequestedAuthnContext Comparison="exact">{inner}</samlp:RequestedAuthnContext>'
