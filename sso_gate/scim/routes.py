"""`/scim/v2/…`: requests in, answers out. Refused in this order: 401, 403 scope, 413, 415, 400, then by the use case.

Every answer below `/scim/` is in SCIM's own form, errors included (RFC 7644 3.12).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.audit.event import Action
from sso_gate.errors import Reason, Unavailable
from sso_gate.scim import bulk, discovery, preconditions
from sso_gate.scim.asked import read_asked
from sso_gate.scim.caller import WINDOW_SECONDS, Caller, Remembered, caller_with
from sso_gate.scim.kinds import GROUP_KIND, USER_KIND, Kind
from sso_gate.scim.patch import read_operations
from sso_gate.scim.projection import Projection, read_projection
from sso_gate.scim.reading import Shown
from sso_gate.scim.rejection import Rejected, not_there
from sso_gate.scim.requests import USER_BYTES, answer, is_id, read_json, read_query, read_search
from sso_gate.scim.schema import ResourceType
from sso_gate.seats import ledger
from sso_gate.web.request_state import state_of

PREFIX = "/scim/v2"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_log = structlog.get_logger("sso_gate.scim")


@dataclass(frozen=True, slots=True)
class _Door:
    """What one method of one path does; `action` is what it changes, None where it only reads."""

    handle: Callable[[Request, Caller], Awaitable[Response]]
    action: Action | None = None


def scim_routes() -> list[Route]:
    """Return the routes; whatever else is asked for below `/scim/` gets a 404 in SCIM's form."""
    paths: dict[str, dict[str, _Door]] = {
        **_paths_of(USER_KIND),
        **_paths_of(GROUP_KIND),
        "/Bulk": {"POST": _Door(_bulk, Action.SCIM_USER_UPDATE)},
        "/ServiceProviderConfig": {"GET": _Door(_config)},
        "/ResourceTypes": {"GET": _Door(_resource_types)},
        "/ResourceTypes/{id}": {"GET": _Door(_resource_type)},
        "/Schemas": {"GET": _Door(_schemas)},
        "/Schemas/{id}": {"GET": _Door(_schema)},
    }
    remembered = Remembered()
    known = [Route(PREFIX + path, _endpoint(doors, remembered), methods=_METHODS) for path, doors in paths.items()]
    return [*known, Route("/scim/{path:path}", _endpoint({}, remembered), methods=_METHODS)]


def _paths_of(kind: Kind) -> dict[str, dict[str, _Door]]:
    act, path = kind.actions, f"/{kind.endpoint}"
    return {
        path: {"GET": _Door(partial(_list, kind)), "POST": _Door(partial(_create, kind), act["POST"])},
        f"{path}/.search": {"POST": _Door(partial(_search, kind))},
        f"{path}/{{id}}": {
            "GET": _Door(partial(_get, kind)),
            "PUT": _Door(partial(_put, kind), act["PUT"]),
            "PATCH": _Door(partial(_patch, kind), act["PATCH"]),
            "DELETE": _Door(partial(_delete, kind), act["DELETE"]),
        },
    }


def _endpoint(doors: Mapping[str, _Door], remembered: Remembered) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            return await _served(request, doors, remembered)
        except Rejected as rejected:
            return _told(request, rejected)
        except Unavailable as trouble:
            _log.warning("http.unavailable", detail=trouble.detail)
            state_of(request.scope)["outcome"] = "error"
            later = Rejected(503, "the gate cannot answer just now: try again", reason=Reason.UNAVAILABLE)
            return answer(later.body(), 503, headers={"retry-after": str(trouble.retry_after_seconds)})
        except Exception as error:  # noqa: BLE001 - an error that nobody expected is answered in SCIM's form too
            _log.error("http.failed", exc_info=error)
            return answer(Rejected(500, "internal error").body(), 500)

    return serve


def _told(request: Request, rejected: Rejected) -> Response:
    state = state_of(request.scope)
    state["reason"], state["outcome"] = str(rejected.reason), "denied"
    headers = {
        401: {"www-authenticate": 'Bearer realm="scim"'},
        429: {"retry-after": str(WINDOW_SECONDS)},
        405: {"allow": rejected.check},
    }
    return answer(rejected.body(), rejected.status, headers=headers.get(rejected.status))


async def _served(request: Request, doors: Mapping[str, _Door], remembered: Remembered) -> Response:
    method = "GET" if request.method == "HEAD" else request.method
    door = doors.get(method)
    writes = method in ("PUT", "PATCH", "DELETE") or (door is not None and door.action is not None)
    caller = await caller_with(request, remembered, writes=writes)
    if door is None:
        raise _no_door(request, doors)
    try:
        response = await door.handle(request, caller)
    except Rejected as rejected:
        if door.action:
            await caller.note_refused(door.action, str(request.path_params.get("id", "")), rejected)
        raise
    await caller.recorder.record(caller.dialect.ignored)
    return response


def _no_door(request: Request, doors: Mapping[str, _Door]) -> Rejected:
    path = request.url.path
    if doors:
        return Rejected(405, f"{request.method} is not possible here", check=", ".join(doors))
    if path.startswith(f"{PREFIX}/Me") or path.rstrip("/") in (PREFIX, f"{PREFIX}/.search"):
        return Rejected(501, "not supported: see ServiceProviderConfig")
    return not_there("resource")


def _projection(request: Request, resource: ResourceType) -> Projection:
    words = read_query(request)
    wanted, unwanted = words.get("attributes", ""), words.get("excludedAttributes", "")
    return read_projection(resource, wanted.split(","), unwanted.split(","))


def _one(shown: Shown, caller: Caller, kind: Kind, status: int = 200) -> Response:
    location = f"{caller.base}/{kind.endpoint}/{shown.id}"
    return answer(shown.text, status, headers={"etag": shown.etag, "location": location})


def _id(request: Request) -> str:
    """Return the id that the path names; what cannot be one is nowhere."""
    named = str(request.path_params["id"])
    if not is_id(named):
        raise not_there("resource")
    return named


def _if_match(request: Request) -> str:
    return request.headers.get("if-match", "")


async def _list(kind: Kind, request: Request, caller: Caller) -> Response:
    await caller.spend("read")
    return await _found(kind, read_query(request), caller)


async def _search(kind: Kind, request: Request, caller: Caller) -> Response:
    await caller.spend("read")
    return await _found(kind, read_search(await read_json(request, limit=USER_BYTES)), caller)


async def _found(kind: Kind, words: dict[str, Any], caller: Caller) -> Response:
    asked = read_asked(kind.resource, words, strict=caller.dialect.strict)
    return answer(await kind.reader.search(caller, asked))


async def _create(kind: Kind, request: Request, caller: Caller) -> Response:
    await caller.spend("write")
    body = await read_json(request, limit=kind.most_bytes)
    made = await kind.create(caller, body, _projection(request, kind.resource))
    return _one(made, caller, kind, 201)


async def _get(kind: Kind, request: Request, caller: Caller) -> Response:
    await caller.spend("read")
    found = await kind.reader.get(caller, _id(request), _projection(request, kind.resource))
    if preconditions.names(request.headers.get("if-none-match", ""), found.etag):
        return Response(status_code=304, headers={"etag": found.etag})
    return _one(found, caller, kind)


async def _put(kind: Kind, request: Request, caller: Caller) -> Response:
    body = await read_json(request, limit=kind.most_bytes)
    await caller.spend(kind.budget_of_put(body))
    projection = _projection(request, kind.resource)
    left = await kind.put(caller, _id(request), body, _if_match(request), projection)
    return _one(left, caller, kind)


async def _patch(kind: Kind, request: Request, caller: Caller) -> Response:
    operations = read_operations(await read_json(request, limit=kind.most_bytes), caller.dialect)
    await caller.spend(kind.budget_of_patch(operations))
    tells = kind.tells_patched or bool({"attributes", "excludedAttributes"} & read_query(request).keys())
    projection = _projection(request, kind.resource) if tells else None
    left = await kind.patch(caller, _id(request), operations, _if_match(request), projection)
    if projection is None:
        return answer(None, 204, headers={"etag": left.etag})
    return _one(left, caller, kind)


async def _delete(kind: Kind, request: Request, caller: Caller) -> Response:
    await caller.spend(kind.budget_of_delete)
    await kind.delete(caller, _id(request), _if_match(request))
    return answer(None, 204)


async def _bulk(request: Request, caller: Caller) -> Response:
    return answer(await bulk.run(caller, await read_json(request, limit=USER_BYTES)))


async def _config(request: Request, caller: Caller) -> Response:
    wanted = str(read_query(request).get("attributes", "")).casefold()
    if discovery.GATE_CONFIG_URN.casefold() not in wanted:
        return answer(discovery.service_provider_config(caller.base, strict=caller.dialect.strict))
    now = caller.runtime.clock.now()
    pool = await caller.runtime.database.read(lambda tx: ledger.read(tx, caller.organization.id, now=now))
    heard = await caller.recorder.heard()
    gate = {
        "mode": caller.organization.scim_mode,
        "whenFull": caller.organization.scim_when_full,
        "seats": {"limit": pool.purchased, "used": pool.used, "reserved": pool.reserved},
        "ignored": [{"name": name, "times": heard[name]} for name in sorted(heard)],
    }
    return answer(discovery.service_provider_config(caller.base, strict=caller.dialect.strict, gate=gate))


async def _resource_types(request: Request, caller: Caller) -> Response:
    return _everything(request, discovery.resource_types(caller.base))


async def _resource_type(request: Request, caller: Caller) -> Response:
    return _described(request, discovery.resource_types(caller.base))


async def _schemas(request: Request, caller: Caller) -> Response:
    return _everything(request, discovery.schemas(caller.base))


async def _schema(request: Request, caller: Caller) -> Response:
    return _described(request, discovery.schemas(caller.base))


def _everything(request: Request, documents: dict[str, dict[str, Any]]) -> Response:
    if "filter" in read_query(request):
        raise Rejected(403, "these documents cannot be filtered (RFC 7644 4)")
    found = list(documents.values())
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(found),
        "itemsPerPage": len(found),
        "startIndex": 1,
        "Resources": found,
    }
    return answer(body)


def _described(request: Request, documents: dict[str, dict[str, Any]]) -> Response:
    found = documents.get(_id(request))
    if found is None:
        raise not_there("description")
    return answer(found)
