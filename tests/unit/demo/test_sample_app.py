"""The sample application believes the gate's signed word alone, and shows people who they are."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sso_gate.demo.sample_app import Assertions, EdDsaOnly, create_sample_app
from sso_gate.demo.servers import LOOPBACK, bind, port_of
from tests.unit.demo.serve import served

ISSUER = "http://gate.localhost:8080"
AUDIENCE = "app.localhost:8081"
USER = "mem_1"


class Gate:
    """A gate that publishes keys, and signs."""

    def __init__(self):
        self.keys = [OKPKey.generate_key("Ed25519", auto_kid=True)]
        self.asked = 0

    async def jwks(self, _request: Request):
        self.asked += 1
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    def assertion(self, *, key=None, algorithm="EdDSA", later=timedelta(0), **changes):
        issued = int((datetime.now(UTC) + later).timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "iat": issued, "exp": issued + 60, **changes}
        key = key or self.keys[0]
        header = {"alg": algorithm, "kid": key.kid}
        claims = {name: value for name, value in claims.items() if value is not None}
        registry = EdDsaOnly(algorithms=[algorithm]) if algorithm == "EdDSA" else None
        return jwt.encode(header, claims, key, algorithms=[algorithm], registry=registry)


@pytest.fixture(scope="module")
def running():
    gate, gate_socket, app_socket = Gate(), bind(0), bind(0)

    class Clock:
        def now(self):
            return datetime.now(UTC)

    assertions = Assertions(
        gate=f"http://{LOOPBACK}:{port_of(gate_socket)}", issuer=ISSUER, audience=AUDIENCE, clock=Clock()
    )
    app = create_sample_app(assertions, gate_origin=ISSUER)
    publisher = Starlette(routes=[Route("/.well-known/jwks.json", gate.jwks)])
    with served([(publisher, gate_socket), (app, app_socket)]):
        yield gate, f"http://{LOOPBACK}:{port_of(app_socket)}"


def visit(address, assertion, *, path="/api/me", language="en", **identity):
    headers = {
        f"X-SSO-Gate-{name}": value for name, value in {"User": USER, "Assertion": assertion, **identity}.items()
    }
    return httpx2.get(f"{address}{path}", headers={**headers, "Accept-Language": language})


def test_a_person_whom_the_gate_vouches_for_sees_who_they_are(running):
    gate, address = running
    page = visit(address, gate.assertion(), path="/some/page", Name="Carla G%C3%B3mez", Email="carla@acme.example")
    assert "Carla Gómez" in page.text
    assert "carla@acme.example" in page.text
    assert "verified with the gate&#39;s published key" in page.text


@pytest.mark.parametrize(("language", "words"), [("pt", "Você entrou."), ("es", "Está dentro."), ("de", "You are in.")])
def test_the_page_speaks_the_language_of_the_browser(running, language, words):
    gate, address = running
    assert words in visit(address, gate.assertion(), path="/", language=language).text


def test_markup_in_a_name_is_text(running):
    gate, address = running
    assert "<script>x" not in visit(address, gate.assertion(), path="/", Name="<script>x").text


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://evil.example"},
        {"aud": "other.localhost:8081"},
        {"aud": None},
        {"sub": "mem_2"},
        {"exp": None},
        {"iat": None},
        {"exp": 9999999999},
        {"later": timedelta(seconds=-70)},
        {"later": timedelta(seconds=30)},
    ],
    ids=str,
)
def test_an_assertion_with_other_claims_is_not_believed(running, claims):
    gate, address = running
    told = visit(address, gate.assertion(**claims)).json()
    assert told["verified"] is False
    assert told["problem"]


def test_an_assertion_for_another_person_than_the_headers_name_is_not_believed(running):
    gate, address = running
    assert visit(address, gate.assertion(), User="mem_2").json()["verified"] is False
    assert visit(address, gate.assertion(sub=""), User="").json()["verified"] is False


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_no_assertion_is_not_believed(running, assertion):
    _, address = running
    assert visit(address, assertion).json()["verified"] is False


def test_another_key_or_algorithm_is_not_believed(running):
    gate, address = running
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    assert visit(address, gate.assertion(key=stranger)).json()["verified"] is False
    elliptic = ECKey.generate_key("P-256", auto_kid=True)
    assert visit(address, gate.assertion(key=elliptic, algorithm="ES256")).json()["verified"] is False
    shared = OctKey.import_key(gate.keys[0].as_dict(private=False)["x"] * 2, {"kid": gate.keys[0].kid})
    assert visit(address, gate.assertion(key=shared, algorithm="HS256")).json()["verified"] is False


def test_a_new_key_of_the_gate_is_fetched_when_it_is_first_seen_and_kept(running):
    gate, address = running
    gate.keys.insert(0, OKPKey.generate_key("Ed25519", auto_kid=True))
    assert visit(address, gate.assertion()).json()["verified"] is True
    before = gate.asked
    assert visit(address, gate.assertion()).json()["verified"] is True
    assert gate.asked == before
