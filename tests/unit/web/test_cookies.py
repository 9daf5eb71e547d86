import pytest
from starlette.responses import Response

from sso_gate.web.cookies import LOGIN_COOKIE, MAX_VALUE_LENGTH, SESSION_COOKIE, HostCookie


def header(cookie: HostCookie, **values: int) -> set[str]:
    response = Response()
    cookie.set(response, "v", **{f"{name}_seconds": value for name, value in values.items()})
    return set(response.headers["set-cookie"].split("; "))


def test_the_session_cookie_is_as_the_interface_says():
    assert header(SESSION_COOKIE) == {"__Host-sso_gate=v", "HttpOnly", "Path=/", "SameSite=Lax", "Secure"}


def test_the_login_cookie_arrives_with_a_cross_site_post_and_lasts_minutes():
    assert header(LOGIN_COOKIE, max_age=600) == {
        "__Host-sso_gate_login=v",
        "HttpOnly",
        "Max-Age=600",
        "Path=/",
        "SameSite=None",
        "Secure",
    }


def test_clearing_uses_the_same_attributes_as_setting():
    response = Response()
    SESSION_COOKIE.clear(response)
    parts = set(response.headers["set-cookie"].split("; "))
    assert {"HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"} <= parts


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("__Host-sso_gate=abc", "abc"),
        ("a=b; __Host-sso_gate=a.b-c_d; c=d", "a.b-c_d"),
        ("x__Host-sso_gate=abc", None),
        ("__Host-sso_gate_login=abc", None),
        ("__Host-sso_gate=a; __Host-sso_gate=b", None),
        ("__Host-sso_gate=", None),
        ("__Host-sso_gate=" + "a" * (MAX_VALUE_LENGTH + 1), None),
        ("", None),
        (";;;=;", None),
    ],
)
def test_a_cookie_is_read_when_it_came_once_and_is_not_too_long(sent, value):
    assert SESSION_COOKIE.read_header(sent) == value
