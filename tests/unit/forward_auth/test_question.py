"""What a proxy asks: host and page from its own word alone, and whether a browser navigates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from sso_gate.errors import Reason, Refused
from sso_gate.forward_auth.question import read_question
from sso_gate.settings import load_settings
from sso_gate.web.proxies import Forwarded
from sso_gate.web.return_to import ReturnTo

SETTINGS = load_settings(
    {"SSO_GATE_PUBLIC_URL": "https://gate.example.com", "SSO_GATE_RETURN_HOSTS": "app.example.com"}
)


def asked(path="/check", query="", forwarded=None, suffix=None, **headers):
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("gate.example.com", 443),
        "scheme": "https",
        "path_params": {} if suffix is None else {"path": suffix},
        "state": {"forwarded": forwarded or Forwarded()},
    }
    return read_question(Request(scope), SETTINGS)


def app(**fields):
    return Forwarded(by_trusted_proxy=True, **{"scheme": "https", "host": "app.example.com", **fields})


@pytest.mark.parametrize(
    ("headers", "navigating"),
    [
        ({"Sec_Fetch_Mode": "navigate"}, True),
        ({"Sec_Fetch_Mode": "navigate", "Accept": "application/json"}, True),
        ({"Sec_Fetch_Mode": "cors", "Accept": "text/html"}, False),
        ({"Sec_Fetch_Mode": "no-cors", "Accept": "*/*"}, False),
        ({"Accept": "text/html,*/*"}, True),
        ({"Accept": "*/*"}, False),
        ({}, False),
    ],
)
def test_a_browser_navigates_by_fetch_metadata_or_without_it_by_what_it_accepts(headers, navigating):
    assert asked(**headers).navigating is navigating


@pytest.mark.parametrize(
    ("path", "query", "dialect"),
    [
        ("/check", "mode=nginx", "nginx"),
        ("/check", "mode=traefik", "traefik"),
        ("/check", "mode=evil", "plain"),
        ("/check", "", "plain"),
        ("/check/x", "mode=nginx", "plain"),
        ("/check/", "mode=nginx", "plain"),
    ],
)
def test_the_recipe_chooses_the_dialect_and_a_browser_behind_envoy_cannot(path, query, dialect):
    assert asked(path, query).dialect == dialect


def test_a_host_that_is_not_allowed_is_refused():
    with pytest.raises(Refused) as caught:
        asked(forwarded=app(host="evil.example"))
    assert caught.value.reason is Reason.PROXY_UNTRUSTED


def test_the_gates_own_host_is_no_application():
    assert asked(forwarded=app(host="gate.example.com")).host == ""


def test_the_wanted_page_is_what_the_proxy_says_before_what_envoy_appends():
    question = asked("/check/appended", "x=1", app(uri="/said?y=2"), suffix="appended")
    assert question.wanted == "https://app.example.com/said?y=2"
    assert asked("/check/a b", "x=1", app(), suffix="a b").wanted == "https://app.example.com/a%20b?x=1"


@given(st.text(max_size=30), st.sampled_from(["http", "https", "javascript", ""]))
def test_whatever_is_forwarded_as_path_the_wanted_page_is_on_the_applications_host(uri, scheme):
    question = asked(forwarded=app(uri=uri, scheme=scheme))
    target = ReturnTo.checked(question.wanted, SETTINGS)
    assert question.scheme in {"http", "https"}
    assert question.uri.startswith("/")
    assert not question.uri.startswith("//")
    assert target.host in {"", "app.example.com"}
