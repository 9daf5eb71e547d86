"""A provisioning client inside one process: the real routes on a real database and Valkey, without a socket."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.routing import Router

from sso_gate.audit import store as audit
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter
from sso_gate.organizations.organization import Organization
from sso_gate.scim.routes import scim_routes
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import Scope, new_secret
from tests.support.gates import Gate

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEAT = "urn:sso-gate:scim:schemas:extension:seat:2.0:User"
SEAT_ERROR = "urn:sso-gate:scim:api:messages:2.0:SeatError"
_numbers = itertools.count(1)


@dataclass
class Client:
    """Somebody with a token of one organization."""

    gate: Gate
    organization: Organization
    http: httpx2.AsyncClient

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named = {"content-type": "application/scim+json", **named}
        return await self.http.request(method, f"/scim/v2{path}", json=body, headers=named)

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        return await self.http.get(f"/scim/v2{path}", params=params)

    async def create(self, who: str = "", **more: Any) -> httpx2.Response:
        """Create a user of the organization."""
        user_name = f"{who or f'user{next(_numbers)}'}@{self.organization.slug}.example"
        return await self.send("POST", "/Users", {"schemas": [USER], "userName": user_name, **more})

    async def created(self, who: str = "", **more: Any) -> dict[str, Any]:
        """Return a user who was created."""
        response = await self.create(who, **more)
        assert response.status_code == 201, response.text
        return response.json()

    async def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> httpx2.Response:
        return await self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    async def activate(self, user: str, active: bool | str = True) -> httpx2.Response:
        return await self.patch(f"/Users/{user}", {"op": "replace", "path": "active", "value": active})

    async def group(self, name: str, *members: str) -> dict[str, Any]:
        """Return a group that was created."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members]}
        response = await self.send("POST", "/Groups", body)
        assert response.status_code == 201, response.text
        return response.json()

    async def used(self) -> int:
        return (await self.gate.pool(self.organization.id)).used

    async def events(self, **columns: str) -> list[dict[str, Any]]:
        """Return the events of the organization that fit (by default those of SCIM), oldest first."""
        await seal(self.gate.runtime, wait=True)
        wanted = AuditFilter().narrowed(columns)
        page = await self.gate.runtime.database.read(lambda tx: audit.page(tx, self.organization.id, wanted, limit=200))
        found = [json.loads(line) for line in page.events]
        return found if columns else [one for one in found if one["action"].startswith("scim.")]


async def make_token(runtime: Runtime, organization: str, *scopes: Scope) -> str:
    """Return the secret of a new token."""
    secret, wanted = new_secret(), frozenset(scopes)
    await runtime.database.write(
        lambda tx: tokens.add(
            tx, organization, name="Okta", scopes=wanted, secret=secret, expires=None, clock=runtime.clock
        )
    )
    return secret


@asynccontextmanager
async def client_of(gate: Gate, organization: Organization, *scopes: Scope, secret: str = "") -> AsyncIterator[Client]:
    """Open a client with a new token."""
    secret = secret or await make_token(gate.runtime, organization.id, *(scopes or (Scope.SCIM,)))
    router = Router(scim_routes(), redirect_slashes=False)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"runtime": gate.runtime}
        await router(scope, receive, send)

    transport = httpx2.ASGITransport(app=app)
    bearer = {"authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://gate.test", headers=bearer) as http:
        yield Client(gate, organization, http)
