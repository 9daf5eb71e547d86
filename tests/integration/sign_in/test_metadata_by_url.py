"""A provider's metadata at its address: what is taken over by itself, what waits for a person, and what stays."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from lxml import etree

from sso_gate.apply.apply import apply
from sso_gate.apply.file import OrganizationFile
from sso_gate.apply.metadata_refresh import last_look, refresh_metadata
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import body
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml.keys import ServiceProviderKeys
from sso_gate.protocols.saml.response import verify
from sso_gate.storage.tables import audit_event
from tests.support.gates import make_organization, open_gate
from tests.support.keys import make_key_pair
from tests.support.saml_forge import NOW, Message, sign
from tests.support.servers import LOOPBACK
from tests.unit.protocols.saml.world import own_keys

ENTITY = "https://idp.acme.example/saml"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"


@cache
def keys(name):
    return make_key_pair(name)


def metadata(*names, entity_id=ENTITY, sso="https://idp.acme.example/sso", more="", signed_by=""):
    descriptors = "".join(
        '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>{body(keys(name).certificate)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        "</md:KeyDescriptor>"
        for name in names
    )
    xml = (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{entity_id}" ID="_m"{more}><md:IDPSSODescriptor'
        f' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{descriptors}<md:SingleSignOnService'
        f' Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{sso}"/></md:IDPSSODescriptor>'
        "</md:EntityDescriptor>"
    )
    if not signed_by:
        return xml.encode()
    root = etree.fromstring(xml)
    sign(root, keys(signed_by))
    return etree.tostring(root)


class Published:
    """A host that publishes whatever a test puts there."""

    def __init__(self):
        published = self
        self.body, self.status = b"", 200

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(published.status)
                self.send_header("Content-Type", "application/samlmetadata+xml")
                self.send_header("Content-Length", str(len(published.body)))
                self.end_headers()
                self.wfile.write(published.body)

            def log_message(self, *_):
                pass

        self._server = HTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/metadata"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Watched:
    """One connection with metadata by URL, and what becomes of it."""

    def __init__(self, gate, published, organization, file):
        self.runtime, self.published, self.organization, self.file = gate.runtime, published, organization, file
        self.id = file.connections[-1].id

    async def apply_again(self):
        await apply(self.runtime, self.file, folder=Path("/"), text="", name="org.toml")

    async def look(self, published):
        """Publish this and let the gate look; return what is held, and what went wrong."""
        self.published.body = published
        await refresh_metadata(self.runtime)
        seen = await last_look(self.runtime, self.id)
        return " ".join(seen.held), seen.problem

    async def connection(self):
        return await self.runtime.database.read(lambda tx: connections.get(tx, self.runtime.keyring, self.id))

    async def pinned(self):
        settings = (await self.connection()).settings
        names = {keys(name).certificate: name for name in ("old", "new", "thief")}
        return [names[certificate] for certificate in settings.certificates]

    async def verdict(self, name):
        """Return whether a login that is signed by this key is a person's, or why not."""
        connection, endpoints = await self.connection(), Endpoints("https://gate.example", self.id)
        message = Message(keys(name), ENTITY, endpoints.saml_acs, endpoints.saml_entity_id)
        own = own_keys("own")
        try:
            verify(
                message.encoded(),
                connection=connection,
                endpoints=endpoints,
                keys=ServiceProviderKeys(own, (own,)),
                now=NOW,
            )
        except Refused as refused:
            return refused.reason
        return "person"

    async def events(self, what):
        table = audit_event
        rows = await self.runtime.database.read(
            lambda tx: (
                tx.exec_driver_sql(f"SELECT body FROM {table.name} WHERE organization = '{self.organization.id}'")
                .scalars()
                .all()
            )
        )
        return [row for row in rows if re.search(what, row)]


@pytest.fixture
async def watched(migrated, valkey, tmp_path):
    with closing(Published()) as published:
        published.body = metadata("old")
        allowed = {"allow_private_networks": "127.0.0.0/8"}
        async with open_gate(migrated.sqlite(tmp_path), valkey.socket_url, **allowed) as gate:
            organization = await make_organization(gate.runtime)
            known = OrganizationFile.model_validate(
                {
                    "organization": {
                        "slug": organization.slug,
                        "name": organization.slug,
                        "domains": [f"{organization.slug}.example"],
                    },
                    "contract": {
                        "kind": "annual_invoiced",
                        "currency": "USD",
                        "unit_price": "20.00",
                        "anchor_date": "2026-01-01",
                        "seats": 3,
                    },
                    "seller": {"name": "Example GmbH", "timezone": "UTC"},
                    "members": [{"email": f"owner@{organization.slug}.example", "role": "primary_owner"}],
                    "connections": [
                        {"id": f"{organization.slug}-saml", "protocol": "saml", "metadata_url": published.url}
                    ],
                }
            )
            found = Watched(gate, published, organization, known)
            await found.apply_again()
            assert await found.pinned() == ["old"]
            yield found


async def test_a_new_key_is_held_until_it_is_approved_and_on_record_once(watched):
    assert "new key" in (await watched.look(metadata("old", "thief")))[0]
    await watched.look(metadata("old", "thief"))
    assert await watched.pinned() == ["old"]
    assert await watched.verdict("thief") == Reason.KEY_UNKNOWN
    assert len(await watched.events("metadata_held")) == 1
    await watched.apply_again()
    assert await watched.pinned() == ["old"], "applying the file again approves nothing"


async def test_a_provider_rolls_its_key_over_in_metadata_that_it_signs(watched):
    assert await watched.look(metadata("old", "new", signed_by="old")) == ("", "")
    assert [await watched.verdict(name) for name in ("old", "new", "thief")] == ["person", "person", "key_unknown"]
    assert await watched.look(metadata("new", signed_by="new")) == ("", "")
    assert [await watched.verdict(name) for name in ("old", "new")] == ["key_unknown", "person"]
    changed = await watched.events('"metadata":')
    assert len(changed) == len([one for one in changed if '"connection.certificate.change"' in one]) == 2
    assert (await watched.connection()).revision == 3


async def test_a_signature_by_the_new_key_itself_approves_nothing(watched):
    assert "new key" in (await watched.look(metadata("old", "thief", signed_by="thief")))[0]
    assert await watched.pinned() == ["old"]


async def test_another_address_on_the_same_host_is_taken_over_and_another_host_is_held(watched):
    assert await watched.look(metadata("old", sso="https://idp.acme.example/new")) == ("", "")
    assert (await watched.connection()).settings.sso_url == "https://idp.acme.example/new"
    held, _ = await watched.look(metadata("old", sso="https://idp.evil.example/sso", signed_by="old"))
    assert "sso_url" in held
    assert (await watched.connection()).settings.sso_url == "https://idp.acme.example/new"


async def test_another_entity_id_is_held_even_when_it_is_signed(watched):
    held, problem = await watched.look(metadata("old", entity_id="https://idp.acme.example/other", signed_by="old"))
    assert ("entity id" in held, problem) == (True, "")
    assert (await watched.connection()).settings.idp_entity_id == ENTITY


@pytest.mark.parametrize(
    ("status", "published"),
    [
        (503, b"away"),
        (200, b"<html>an error page</html>"),
        (200, metadata()),
        (200, metadata("old", more=' validUntil="2020-01-01T00:00:00Z"')),
        (200, b"<!DOCTYPE a>" + metadata("old")),
        (200, b"<a>" + b" " * 2 * 1024 * 1024 + b"</a>"),
        (302, b""),
    ],
    ids=["away", "an error page", "no key", "expired", "document type", "too large", "redirect"],
)
async def test_the_last_good_metadata_stays_when_nothing_good_is_there(watched, status, published):
    watched.published.status = status
    held, problem = await watched.look(published)
    assert (held, bool(problem)) == ("", True)
    assert await watched.pinned() == ["old"]
    watched.published.status = 200
    in_time = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await watched.look(metadata("old", more=f' validUntil="{in_time}"')) == ("", "")
