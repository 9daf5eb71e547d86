import pytest
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sso_gate.errors import InvalidInput
from sso_gate.web.limits import FORM_BYTES, BodyLimits, Field, read_form, read_query

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def _form(request: Request) -> JSONResponse:
    try:
        return JSONResponse(await read_form(request, name=Field(5, required=True), note=Field(10, multiline=True)))
    except InvalidInput as error:
        return JSONResponse({"field": error.field, "message": error.message}, 422)


async def _query(request: Request) -> JSONResponse:
    try:
        return JSONResponse(read_query(request, after=Field(5)))
    except InvalidInput as error:
        return JSONResponse({"field": error.field}, 422)


async def _size(request: Request) -> JSONResponse:
    return JSONResponse(len(await request.body()))


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[
            Route("/form", _form, methods=["POST"]),
            Route("/query", _query),
            Route("/{any:path}", _size, methods=["POST"]),
        ]
    )
    limited = BodyLimits(app, default_bytes=1000, by_prefix={"/sso/": 2000, "/sso/small/": 10, "/sso/own/": None})
    return TestClient(ExceptionMiddleware(limited))


def refused(client: TestClient, body: bytes, headers: dict[str, str] = FORM) -> str:
    answer = client.post("/form", content=body, headers=headers)
    assert answer.status_code == 422
    return str(answer.json()["field"])


def test_a_form_gives_its_fields_trimmed_and_the_others_empty(client):
    answer = client.post(
        "/form", content=b"name=+Ana+", headers={"content-type": FORM["content-type"] + "; charset=utf-8"}
    )
    assert answer.json() == {"name": "Ana", "note": ""}


def test_a_field_sent_twice_is_refused(client):
    assert refused(client, b"name=a&name=b") == "name"


def test_an_unknown_field_is_refused(client):
    assert refused(client, b"name=a&role=owner") == "form"


def test_a_missing_required_field_is_named(client):
    assert refused(client, b"note=x") == "name"
    assert refused(client, b"name=++") == "name"


def test_a_field_has_a_longest_length(client):
    assert refused(client, b"name=abcdef") == "name"


def test_control_characters_are_refused_and_lines_only_where_wanted(client):
    assert refused(client, b"name=a%00b") == "name"
    assert refused(client, b"name=a%0Ab") == "name"
    assert client.post("/form", content=b"name=a&note=x%0D%0Ay", headers=FORM).json()["note"] == "x\ny"


@pytest.mark.parametrize("body", [b"name=%ff", b"name=\xff", b"&".join(b"a=1" for _ in range(60))])
def test_what_cannot_be_read_as_a_form_is_refused(client, body):
    assert refused(client, body) == "form"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_only_url_encoded_forms_are_read(client, kind):
    assert refused(client, b"name=Ana", {"content-type": kind}) == "form"


def test_a_query_leaves_other_names_alone_but_not_a_name_twice(client):
    assert client.get("/query?after=a&utm_source=mail&lang=es").json() == {"after": "a"}
    assert client.get("/query?after=a&after=b").json() == {"field": "after"}
    assert client.get("/query?after=abcdef").status_code == 422
    assert client.get("/query?x=" + "y" * 9000).status_code == 422


@pytest.mark.parametrize(("path", "limit"), [("/any", 1000), ("/sso/acs", 2000), ("/sso/small/x", 10)])
def test_the_longest_prefix_decides_how_large_a_body_may_be(client, path, limit):
    assert client.post(path, content=b"x" * limit).json() == limit
    assert client.post(path, content=b"x" * (limit + 1)).status_code == 413


def test_a_streamed_body_is_counted(client):
    assert client.post("/any", content=(b"x" * 400 for _ in range(4))).status_code == 413


def test_a_handler_may_have_a_limit_of_its_own(client):
    assert client.post("/sso/own/x", content=b"x" * 5000).json() == 5000


def test_a_request_without_a_body_is_an_empty_form(client):
    assert client.post("/form").json() == {"field": "name", "message": "is missing"}


def test_the_default_is_large_enough_for_our_own_forms():
    assert FORM_BYTES == 65536
