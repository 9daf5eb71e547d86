"""The description of the API (OpenAPI 3.1), kept by hand: the contract comes first, a test holds the routes to it."""

import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


def openapi() -> dict[str, Any]:
    """Return the description as JSON values."""
    text = files("sso_gate.api").joinpath("openapi.json").read_text(encoding="utf-8")
    description: dict[str, Any] = json.loads(text)
    return description


async def read_description(_: Request) -> Response:
    """GET /api/v1/openapi.json: for everybody, since it says nothing about anybody."""
    return JSONResponse(openapi(), headers={"Cache-Control": "public, max-age=300"})
