from ipaddress import ip_network

import pytest
from starlette.datastructures import Headers

from sso_gate.web.proxies import MAX_HOPS, Forwarded, Trust, forwarded

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def seen(peer: str, *lines: tuple[str, str]) -> Forwarded:
    raw = [(name.encode(), value.encode()) for name, value in lines]
    return forwarded(peer, Headers(raw=raw), trust=Trust(TRUSTED))


def test_a_trusted_proxy_tells_who_asked_for_what():
    told = seen(
        "10.0.0.1",
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "HTTPS"),
        ("x-forwarded-host", "App.Example"),
        ("x-forwarded-method", "post"),
        ("x-forwarded-uri", "/a,b?c=d,e"),
    )
    assert told == Forwarded("203.0.113.7", True, "https", "app.example", "POST", "/a,b?c=d,e")


def test_nobody_else_is_believed():
    told = seen(
        "203.0.113.9", ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", "evil.example"), ("x-forwarded-uri", "/")
    )
    assert told == Forwarded("203.0.113.9", False)


def test_an_address_that_the_client_wrote_into_the_list_is_not_believed():
    assert seen("10.0.0.1", ("x-forwarded-for", "127.0.0.1, 203.0.113.7, 10.0.0.2")).client_address == "203.0.113.7"


def test_the_list_may_come_in_several_lines():
    assert (
        seen("10.0.0.1", ("x-forwarded-for", "9.9.9.9"), ("x-forwarded-for", "203.0.113.7,10.1.1.1")).client_address
        == "203.0.113.7"
    )


def test_an_unreadable_hop_ends_the_walk_at_the_last_trusted_proxy():
    assert seen("10.0.0.1", ("x-forwarded-for", "203.0.113.7, unknown, 10.0.0.2")).client_address == "10.0.0.2"


def test_a_list_of_trusted_proxies_alone_gives_the_farthest():
    assert seen("10.0.0.1", ("x-forwarded-for", "10.0.0.3, 10.0.0.2")).client_address == "10.0.0.3"


def test_only_so_many_hops_are_walked():
    line = ", ".join(["203.0.113.7"] + ["10.0.0.2"] * MAX_HOPS)
    assert seen("10.0.0.1", ("x-forwarded-for", line)).client_address == "10.0.0.2"


@pytest.mark.parametrize(
    ("hop", "address"),
    [("[2001:db8::1]:4711", "2001:db8::1"), ("203.0.113.7:80", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7")],
)
def test_addresses_are_read_with_ports_and_brackets(hop, address):
    assert seen("10.0.0.1", ("x-forwarded-for", hop)).client_address == address


def test_a_mapped_address_of_a_proxy_is_that_proxy():
    assert seen("::ffff:10.0.0.1", ("x-forwarded-host", "app.example")).by_trusted_proxy


@pytest.mark.parametrize(
    "lines",
    [
        [("x-forwarded-host", "a.example"), ("x-forwarded-host", "b.example")],
        [("x-forwarded-host", "a.example, b.example")],
    ],
)
def test_two_words_about_one_thing_are_no_word(lines):
    assert seen("10.0.0.1", *lines).host == ""


def test_a_peer_without_an_address_is_nobody():
    assert seen("", ("x-forwarded-for", "203.0.113.7")) == Forwarded("", False)
    assert seen("testclient") == Forwarded("testclient", False)
