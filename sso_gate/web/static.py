"""The few files that pages load: read once, named by their content, kept by browsers for a year, compressed once."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.errors import NotFound

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_YEAR = "public, max-age=31536000, immutable"
_SHORT = "public, max-age=300"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file: its bytes plain and compressed, its media type, and the hash that its address carries."""

    body: bytes
    compressed: bytes
    kind: str
    version: str


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Return every file of the `static` folder by name."""
    return {
        entry.name: _read(entry.name, entry.read_bytes())
        for entry in files("sso_gate.web").joinpath("static").iterdir()
        if "." + entry.name.rpartition(".")[2] in _KINDS
    }


def static_url(name: str) -> str:
    """Return the address of a file; it changes with the file's content."""
    return f"/static/{name}?v={static_files()[name].version}"


async def serve(request: Request) -> Response:
    """Return the file; 304 where the browser has it already."""
    file = static_files().get(request.path_params["name"])
    if file is None:
        raise NotFound
    current = request.query_params.get("v") == file.version
    headers = {"etag": f'"{file.version}"', "cache-control": _YEAR if current else _SHORT, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.kind, headers={**headers, "content-encoding": "gzip"})
    return Response(file.body, media_type=file.kind, headers=headers)


def static_routes() -> list[Route]:
    """Return the route of the static files."""
    return [Route("/static/{name}", serve)]


def _read(name: str, body: bytes) -> StaticFile:
    version = hashlib.sha256(body).hexdigest()[:12]
    return StaticFile(body, gzip.compress(body, 9, mtime=0), _KINDS["." + name.rpartition(".")[2]], version)
