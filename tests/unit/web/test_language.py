import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sso_gate.web.language import LANGUAGE_COOKIE, Languages, Wishes, accepted_languages, wishes_in
from sso_gate.web.request_state import language_of, speak


def chosen(accept: str = "", **values: str) -> str:
    saved, default = values.pop("saved", ""), values.pop("default", "")
    return Wishes(accepted=accepted_languages(accept), **values).choose(saved=saved, default=default).tag


@pytest.mark.parametrize("accept", ["pt", "pt-PT", "pt-BR", "pt-AO", "PT-br;q=0.9", "de,pt;q=0.2"])
def test_every_portuguese_gets_brazilian_words(accept):
    assert chosen(accept) == "pt-BR"


@pytest.mark.parametrize("accept", ["es", "es-MX", "es-419", "es-ES,en;q=0.5"])
def test_every_spanish_gets_spanish_words(accept):
    assert chosen(accept) == "es"


@pytest.mark.parametrize("accept", ["", "de", "*", "zh-Hant-TW", ";;;", "pt;q=0", "pt;q=x", "x" * 5000])
def test_what_we_do_not_speak_gets_english(accept):
    assert chosen(accept) == "en"


def test_the_heavier_weight_wins_over_the_earlier_place():
    assert chosen("es;q=0.3, pt-BR;q=0.9, en;q=0.1") == "pt-BR"


def test_the_order_is_the_persons_newest_choice_then_saved_then_browser_then_organization():
    assert chosen("es", asked="en", kept="pt-BR", saved="es", default="es") == "en"
    assert chosen("es", kept="pt-BR", saved="es", default="es") == "pt-BR"
    assert chosen("es", saved="pt-BR", default="es") == "pt-BR"
    assert chosen("es", default="pt-BR") == "es"
    assert chosen("de", default="pt-BR") == "pt-BR"


@pytest.mark.parametrize(
    ("accept", "region"),
    [("es-MX,es;q=0.9", "es_MX"), ("es", "es"), ("en-GB", "en_GB"), ("pt", "pt_BR"), ("es-ZZ", "es")],
)
def test_numbers_follow_the_region_of_the_browser(accept, region):
    assert Wishes(accepted=accepted_languages(accept)).choose().region == region


def test_a_region_of_another_language_does_not_count():
    assert Wishes(asked="es", accepted=("en-GB", "pt-BR")).choose().region == "es"


def test_only_the_first_twenty_languages_of_a_header_are_read():
    assert chosen(",".join(["de"] * 20 + ["es"])) == "en"


def test_an_unknown_or_broken_wish_is_no_wish():
    headers = Headers({"cookie": f"{LANGUAGE_COOKIE}=klingon; a=b"})
    assert wishes_in(b"lang=tlh&lang=es", headers) == Wishes()


async def _tag(request: Request) -> PlainTextResponse:
    saved = request.query_params.get("saved", "")
    language = speak(request, saved=saved) if saved else language_of(request)
    return PlainTextResponse(language.tag)


@pytest.fixture
def client() -> TestClient:
    app = Starlette(routes=[Route("/", _tag)])
    app.add_middleware(Languages)
    return TestClient(app, base_url="https://gate.example")


def test_a_language_in_the_address_is_kept_for_the_next_pages(client):
    answer = client.get("/?lang=es")
    assert answer.text == "es"
    assert (
        f"{LANGUAGE_COOKIE}=es; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax"
        in answer.headers["set-cookie"]
    )
    assert client.get("/").text == "es"


def test_an_unknown_language_in_the_address_sets_nothing(client):
    answer = client.get("/?lang=<script>")
    assert (answer.text, "set-cookie" in answer.headers) == ("en", False)


def test_the_saved_language_of_the_person_counts_when_it_is_known(client):
    assert client.get("/?saved=pt-BR", headers={"accept-language": "es"}).text == "pt-BR"
