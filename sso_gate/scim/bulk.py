"""Several changes in one request: each is a request of its own, with its own transaction, budget and audit event.

One that is refused undoes nothing of the others. They are done in the order in which they are sent, so a `bulkId` names
what an operation before it has made. Source: RFC 7644 3.7.
"""

from dataclasses import dataclass
from typing import Any

from sso_gate.errors import Reason
from sso_gate.scim.caller import Caller
from sso_gate.scim.kinds import KINDS, Kind
from sso_gate.scim.patch import read_operations
from sso_gate.scim.rejection import Rejected, invalid, not_there
from sso_gate.scim.requests import MAX_ID, is_id

REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
MAX_OPERATIONS = 100
_MAX_DEPTH = 16  # of references to a bulkId; no value of ours lies deeper
Done = tuple[str, str, int]  # id, ETag, status


@dataclass(frozen=True, slots=True)
class _Change:
    """One operation; `which` is the id in its path, empty where something is to be made."""

    method: str
    endpoint: str
    which: str
    bulk_id: str
    version: str
    data: Any


async def run(caller: Caller, body: Any) -> dict[str, Any]:
    """Return the BulkResponse, with one entry for each operation that was tried.

    Raises:
        Rejected: 400: not a BulkRequest. 413: too many operations. Nothing was done then.
    """
    changes, most_errors = _read(body)
    made: dict[str, str] = {}
    answers: list[dict[str, Any]] = []
    failed = 0
    for change in changes:
        answer, is_done = await _tried(caller, change, made)
        answers.append(answer)
        failed += not is_done
        if most_errors and failed >= most_errors:
            break
    return {"schemas": [RESPONSE_URN], "Operations": answers}


def _read(body: Any) -> tuple[list[_Change], int]:
    named = _lowered(body)
    if REQUEST_URN not in (named.get("schemas") or []):
        raise invalid("invalidSyntax", f"schemas: expected {REQUEST_URN}")
    operations, most = named.get("operations"), named.get("failonerrors", 0)
    if not isinstance(operations, list) or not operations:
        raise invalid("invalidSyntax", "Operations: expected a list of operations")
    if len(operations) > MAX_OPERATIONS:
        said = f"Operations: more than {MAX_OPERATIONS} (bulk.maxOperations)"
        raise Rejected(413, said, reason=Reason.MESSAGE_TOO_LARGE)
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise invalid("invalidValue", "failOnErrors: expected a number")
    return [_change(one) for one in operations], most


def _lowered(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid("invalidSyntax", "expected JSON objects")
    return {name.casefold(): part for name, part in value.items()}


def _change(one: Any) -> _Change:
    named = _lowered(one)
    texts = {name: named.get(name) or "" for name in ("method", "path", "bulkid", "version")}
    if not all(isinstance(text, str) and len(text) <= 2 * MAX_ID and text.isprintable() for text in texts.values()):
        raise invalid("invalidSyntax", "method, path, bulkId and version: expected short texts that can be printed")
    method = texts["method"].upper()
    endpoint, _, which = texts["path"].strip("/").partition("/")
    if method not in _DOORS or endpoint not in KINDS or (method == "POST") is bool(which):
        raise invalid("invalidSyntax", "method and path: no such operation on /Users or /Groups")
    if method == "POST" and not texts["bulkid"]:
        raise invalid("invalidSyntax", "bulkId: needed with POST")
    return _Change(method, endpoint, which, texts["bulkid"], texts["version"], named.get("data"))


async def _tried(caller: Caller, change: _Change, made: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """Return the entry of one operation in the response, and whether it was done."""
    said = {"method": change.method, **({"bulkId": change.bulk_id} if change.bulk_id else {})}
    place = f"{caller.base}/{change.endpoint}"
    try:
        which, etag, status = await _done(caller, change, made)
    except Rejected as rejected:
        await caller.note_refused(KINDS[change.endpoint].actions[change.method], change.which, rejected)
        there = {"location": f"{place}/{change.which}"} if change.which else {}
        return {**said, **there, "status": str(rejected.status), "response": rejected.body()}, False
    if change.bulk_id:
        made[change.bulk_id] = which
    version = {"version": etag} if etag else {}
    return {**said, "location": f"{place}/{which}", **version, "status": str(status)}, True


async def _done(caller: Caller, change: _Change, made: dict[str, str]) -> Done:
    data, which = _resolved(change.data, made), _resolved(change.which, made)
    if which and not is_id(which):
        raise not_there("resource")
    return await _DOORS[change.method](KINDS[change.endpoint], caller, which, data, change.version)


def _resolved(value: Any, made: dict[str, str], depth: int = 0) -> Any:
    """Return the value with what `bulkId:…` stands for. `Rejected`: 409 for what nothing before it has made."""
    if isinstance(value, str) and value.startswith("bulkId:"):
        found = made.get(value.removeprefix("bulkId:"))
        if found is None:
            raise Rejected(409, f"{value[:MAX_ID]} was not made before this operation", reason=Reason.CONFLICT)
        return found
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {name: _resolved(part, made, depth + 1) for name, part in value.items()}
    return [_resolved(part, made, depth + 1) for part in value] if isinstance(value, list) else value


async def _create(kind: Kind, caller: Caller, _: str, data: Any, __: str) -> Done:
    await caller.spend("write")
    made = await kind.create(caller, data, None)
    return made.id, made.etag, 201


async def _put(kind: Kind, caller: Caller, which: str, data: Any, version: str) -> Done:
    await caller.spend(kind.budget_of_put(data))
    left = await kind.put(caller, which, data, version, None)
    return which, left.etag, 200


async def _patch(kind: Kind, caller: Caller, which: str, data: Any, version: str) -> Done:
    operations = read_operations(data, caller.dialect)
    await caller.spend(kind.budget_of_patch(operations))
    left = await kind.patch(caller, which, operations, version, None)
    return which, left.etag, 200 if kind.tells_patched else 204


async def _delete(kind: Kind, caller: Caller, which: str, _: Any, version: str) -> Done:
    await caller.spend(kind.budget_of_delete)
    await kind.delete(caller, which, version)
    return which, "", 204


_DOORS = {"POST": _create, "PUT": _put, "PATCH": _patch, "DELETE": _delete}
