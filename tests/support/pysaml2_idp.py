"""A second SAML identity provider that nobody here wrote: pysaml2, which signs by the `xmlsec1` program.

It makes its answers in this process; nothing listens. Unlike npm `samlp` it reads the service provider's metadata and
refuses who is not in it, uses persistent NameIDs and `urn:oid:` attribute names, and signs with other code.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import saml2.entity
import saml2.sigver
from saml2 import BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server

from tests.support.forms import Form
from tests.support.keys import make_key_pair
from tests.support.people import Person
from tests.support.servers import program

SSO_URL = "https://pysaml2.example/sso"
SLO_URL = "https://pysaml2.example/slo"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


class Pysaml2Idp:
    """One provider; `trust` a service provider's metadata before a login."""

    slo_url = SLO_URL

    def __init__(self, *, entity_id: str = "https://pysaml2.example/metadata", encrypt: bool = False) -> None:
        """Make its key and configuration in a folder of its own."""
        self.entity_id = entity_id
        self.keys = make_key_pair("pysaml2 test provider")
        self._folder = tempfile.TemporaryDirectory(prefix="pysaml2-")
        self._encrypt = encrypt
        folder = Path(self._folder.name)
        (folder / "key.pem").write_text(self.keys.key)
        (folder / "certificate.pem").write_text(self.keys.certificate)
        self._configuration = IdPConfig()
        self._configuration.load(self._settings(folder))
        self._server = Server(config=self._configuration)

    def _settings(self, folder: Path) -> dict[str, Any]:
        return {
            "entityid": self.entity_id,
            "xmlsec_binary": program("xmlsec1"),
            "key_file": str(folder / "key.pem"),
            "cert_file": str(folder / "certificate.pem"),
            "service": {
                "idp": {
                    # By itself it signs with SHA-1.
                    "signing_algorithm": RSA_SHA256,
                    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                    "endpoints": {
                        "single_sign_on_service": [(SSO_URL, BINDING_HTTP_REDIRECT)],
                        "single_logout_service": [(SLO_URL, BINDING_HTTP_REDIRECT)],
                    },
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                    "policy": {
                        "default": {
                            "lifetime": {"minutes": 5},
                            "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
                        }
                    },
                }
            },
            "metadata": {},
        }

    @property
    def metadata_xml(self) -> str:
        """Return the provider's metadata, unsigned."""
        return str(entity_descriptor(self._configuration))

    def trust(self, sp_metadata_xml: str) -> None:
        """Let a service provider send people here."""
        self._server.metadata.load("inline", sp_metadata_xml)

    def login(self, person: Person, authn_request_url: str) -> Form:
        """Return the form that the provider's page would post: a signed assertion for the request in the URL.

        Raises:
            saml2.s_utils.SAMLError: the request comes from nobody in the trusted metadata, or is not well formed.
        """
        query = parse_qs(urlsplit(authn_request_url).query)
        request = self._server.parse_authn_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT)
        arguments = self._server.response_args(request.message)
        response = self._server.create_authn_response(
            identity=self._attributes(person),
            userid=person.as_entry()["subject"],
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person.as_entry()["subject"]),
            authn={
                "class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
                "authn_auth": SSO_URL,
            },
            sign_assertion=True,
            sign_response=False,
            encrypt_assertion=self._encrypt,
            **{name: arguments[name] for name in ("in_response_to", "sp_entity_id", "destination", "name_id_policy")},
        )
        fields = {
            "SAMLResponse": base64.b64encode(str(response).encode()).decode(),
            "RelayState": query.get("RelayState", [""])[0],
        }
        return Form(action=arguments["destination"], method="post", page_url=SSO_URL, fields=fields)

    def answer_logout(self, logout_request_url: str) -> str:
        """Return where the provider sends the browser after a logout of ours: back, with its signed answer.

        Raises:
            saml2.sigver.SignatureError: the request is not signed by the service provider's key.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(logout_request_url).query).items()}
        signed = {"relay_state": query["RelayState"], "sigalg": query["SigAlg"], "signature": query["Signature"]}
        request = self._server.parse_logout_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT, **signed)
        if request is None:
            raise ValueError("pysaml2 does not take this for a logout request")
        arguments = self._server.response_args(request.message, [BINDING_HTTP_REDIRECT], "spsso")
        response = self._server.create_logout_response(request.message, [BINDING_HTTP_REDIRECT], sign=False)
        return self._redirect(str(response), arguments["destination"], query["RelayState"], response=True)

    def begin_logout(self, person: Person, sp_entity_id: str, slo_url: str) -> str:
        """Return where the provider sends the browser to have this person logged out of a service provider."""
        _, request = self._server.create_logout_request(
            slo_url,
            issuer_entity_id=sp_entity_id,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person.as_entry()["subject"]),
        )
        return self._redirect(str(request), slo_url, "", response=False)

    def _redirect(self, message: str, destination: str, relay_state: str, *, response: bool) -> str:
        made = self._server.apply_binding(
            BINDING_HTTP_REDIRECT,
            message,
            destination,
            relay_state,
            response=response,
            sign=True,
            sigalg=RSA_SHA256,
        )
        return str(dict(made["headers"])["Location"])

    def _attributes(self, person: Person) -> dict[str, Any]:
        return {"mail": [person.email], "displayName": [person.name], "isMemberOf": list(person.groups)}

    @contextmanager
    def encrypting_with_gcm(self) -> Iterator[None]:
        """Encrypt assertions with AES-GCM; pysaml2 has no setting for that, and takes 3DES by itself."""
        by_program = saml2.sigver.CryptoBackendXmlSec1.encrypt_assertion

        def with_aes(
            program: Any, statement: Any, enc_key: Any, template: Any, _key_type: Any, node_xpath: Any = None
        ) -> Any:
            return by_program(program, statement, enc_key, template, "aes-256", node_xpath)

        gcm = partial(saml2.sigver.pre_encryption_part, msg_enc="http://www.w3.org/2009/xmlenc11#aes256-gcm")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self, "_encrypt", True)
            patch.setattr(saml2.entity, "pre_encryption_part", gcm)
            patch.setattr(saml2.sigver.CryptoBackendXmlSec1, "encrypt_assertion", with_aes)
            yield

    def close(self) -> None:
        """Forget everybody."""
        self._server.close()
        self._folder.cleanup()
