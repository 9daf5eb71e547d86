"""Settings: what each text means, and that everything wrong is said at once."""

import string
from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.settings import (
    PREFIX,
    Address,
    Rate,
    Settings,
    SettingsInvalid,
    load_settings,
    parse_duration,
    parse_name_server,
    unknown_variables,
)

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def load(**values):
    return load_settings({f"{PREFIX}{name}": value for name, value in values.items()})


def problems(**values):
    with pytest.raises(SettingsInvalid) as caught:
        load(**values)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults():
    assert load() == Settings()


def test_variables_of_other_programs_are_left_alone():
    assert load_settings({"PATH": "/bin", "SSO_GATEWAY_PORT": "x", "WORKERS": "x"}) == Settings()


@given(st.integers(1, 9999), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_in_its_unit(number, unit):
    assert parse_duration(f" {number}{unit} ") == timedelta(**{UNITS[unit]: number})


@given(st.text(max_size=8))
def test_any_other_text_is_no_duration(text):
    stripped = text.strip()
    is_one = stripped[:-1].strip().isdecimal() and stripped[-1:] in UNITS and int(stripped[:-1]) > 0
    if not is_one:
        with pytest.raises(ValueError, match="expected a whole number and a unit"):
            parse_duration(text)


@pytest.mark.parametrize("text", ["36601d", "99999999d", f"{'9' * 400}h"])
def test_nothing_lasts_longer_than_a_hundred_years(text):
    with pytest.raises(ValueError, match="a hundred years"):
        parse_duration(text)


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "smtp://mail.example:0", "mail.example"])
def test_mail_goes_by_smtp_to_a_host(url):
    (said,) = problems(SMTP_URL=url, MAIL_FROM="gate@acme.example")
    assert said.startswith("SSO_GATE_SMTP_URL: ")


@pytest.mark.parametrize("sender", ["bad", "@acme.example", "gate@", "gate@acme_example"])
def test_mail_comes_from_an_address(sender):
    (said,) = problems(SMTP_URL="smtp://mail.example", MAIL_FROM=sender)
    assert said.startswith("SSO_GATE_MAIL_FROM: ")


@pytest.mark.parametrize("host", ["http://a.example", "*", "a.example/path", "a@b", ".example"])
def test_a_login_returns_to_hosts_alone(host):
    (said,) = problems(RETURN_HOSTS=f"app.example {host}")
    assert said.startswith("SSO_GATE_RETURN_HOSTS: ")
    assert host in said


def test_hosts_may_have_a_port():
    assert load(RETURN_HOSTS="app.localhost:8081, [::1]:80").return_hosts == ("app.localhost:8081", "[::1]:80")


@pytest.mark.parametrize("server", ["dns.example", "9.9.9.9:0", "9.9.9.9:65536", "[::1]:x", "9.9.9"])
def test_a_name_server_is_an_address_perhaps_with_a_port(server):
    (said,) = problems(DNS_SERVERS=f"9.9.9.9, {server}")
    assert said.startswith("SSO_GATE_DNS_SERVERS: ")
    named = ("9.9.9.9", "127.0.0.1:5353", "2620:fe::9:53", "[::1]:5353", "[2620:fe::9]:53")
    found = [("9.9.9.9", 53), ("127.0.0.1", 5353), ("2620:fe::9:53", 53), ("::1", 5353), ("2620:fe::9", 53)]
    assert [parse_name_server(name) for name in named] == found


@given(st.integers(1, 10**6), st.integers(1, 60), st.sampled_from(sorted(UNITS)))
def test_a_rate_is_a_count_in_a_period(count, number, unit):
    rate = Rate.parse(f"{count}/{number}{unit}")
    assert (rate.count, rate.period) == (count, timedelta(**{UNITS[unit]: number}))


@given(st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), st.integers(0, 65535))
def test_an_address_is_a_host_and_a_port(host, port):
    assert Address.parse(f"{host}:{port}") == Address(host=host, port=port)


def test_an_address_of_version_6_stands_in_brackets():
    assert Address.parse("[::1]:8080") == Address(host="::1", port=8080)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "gate.example.com"),
        ("PUBLIC_URL", "ftp://gate.example.com"),
        ("PUBLIC_URL", "https://gate.example.com/path"),
        ("PUBLIC_URL", "https://gate.example.com/?x=1"),
        ("PUBLIC_URL", "https://gate.example.com#x"),
        ("PUBLIC_URL", "https://user@gate.example.com"),
        ("PUBLIC_URL", "https://gate.example.com:99999"),
        ("PUBLIC_URL", "https://[gate"),
        ("BIND", "8080"),
        ("BIND", "127.0.0.1:65536"),
        ("BIND", ":8080"),
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("SESSION_IDLE", "8"),
        ("SESSION_MAX", "0h"),
        ("LOGIN_RATE", "600"),
        ("LOGIN_RATE", "0/1m"),
        ("LOGIN_RATE", "-1/1m"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("DATABASE_URL", "mysql://db"),
        ("REDIS_URL", "http://redis"),
        ("SECRET_KEYS", "short"),
        ("DENIED_SHOW_OWNERS", "emails"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_variable(name, value):
    found = problems(**{name: value})
    assert len(found) == 1, found
    assert found[0].startswith(f"{PREFIX}{name}: ")
    assert "\n" not in found[0]


def test_everything_wrong_is_said_at_once_also_what_does_not_go_together():
    found = problems(BIND="x", WORKERS="0", SESSION_IDLE="48h", SMTP_URL="smtp://localhost", LOG_LEVEL="loud")
    assert [line.partition(":")[0].removeprefix(PREFIX) for line in found] == [
        "BIND",
        "WORKERS",
        "LOG_LEVEL",
        "SESSION_IDLE",
        "SMTP_URL",
    ]


def test_what_does_not_go_together_is_not_said_of_a_value_that_is_wrong_by_itself():
    assert problems(SESSION_IDLE="48h", SESSION_MAX="soon") == [
        f"{PREFIX}SESSION_MAX: expected a whole number and a unit, such as 30m, 8h or 90d"
    ]


@pytest.mark.parametrize("name", ["SECRET_KEYS", "DATABASE_URL", "REDIS_URL", "SMTP_URL"])
def test_every_secret_may_come_from_a_file(name, tmp_path):
    values = {
        "SECRET_KEYS": "k" * 32,
        "DATABASE_URL": "postgresql://db/gate",
        "REDIS_URL": "rediss://redis",
        "SMTP_URL": "smtp://mail",
    }
    file = tmp_path / "secret"
    file.write_text(f"{values[name]}\n")
    beside = {"MAIL_FROM": "gate@acme.example"} if name == "SMTP_URL" else {}
    assert load(**{f"{name}_FILE": str(file)}, **beside) == load(**{name: values[name]}, **beside)


def test_a_secret_that_is_given_twice_is_wrong(tmp_path):
    file = tmp_path / "secret"
    file.write_text("k" * 32)
    assert problems(SECRET_KEYS="x" * 32, SECRET_KEYS_FILE=str(file)) == [
        f"{PREFIX}SECRET_KEYS_FILE: given twice, as {PREFIX}SECRET_KEYS too"
    ]


def test_a_file_that_cannot_be_read_is_a_problem_beside_the_others(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff")
    found = problems(SECRET_KEYS_FILE=str(tmp_path / "none"), SMTP_URL_FILE=str(tmp_path / "binary"), WORKERS="0")
    assert {line.partition(":")[0].removeprefix(PREFIX) for line in found} == {
        "SECRET_KEYS_FILE",
        "SMTP_URL_FILE",
        "WORKERS",
    }


@given(st.lists(st.text(string.ascii_letters + string.digits, min_size=32, max_size=40), min_size=1, max_size=4))
def test_secret_keys_keep_their_order_newest_first(keys):
    assert load(SECRET_KEYS=", ".join(keys)).secret_keys == tuple(keys)


def test_networks_may_be_separated_by_commas_and_blanks():
    expected = tuple(ip_network(word) for word in ("10.0.0.0/8", "192.168.1.1/32", "fd00::/8"))
    assert load(TRUSTED_PROXIES="10.0.0.0/8, 192.168.1.1 fd00::/8").trusted_proxies == expected


def test_the_gates_own_host_is_always_a_return_host():
    settings = load(PUBLIC_URL="https://Gate.Example.com:8443/", RETURN_HOSTS="App.Example.com")
    assert settings.origin == "https://Gate.Example.com:8443"
    assert settings.allowed_return_hosts == {"gate.example.com:8443", "app.example.com"}


def test_no_message_repeats_a_secret():
    found = problems(DATABASE_URL="mysql://user:hunter2-hunter2@db", SECRET_KEYS="hunter2-hunter2")
    assert "hunter2" not in "\n".join(found)


def test_unknown_variables_are_told_and_stop_nothing():
    environment = {f"{PREFIX}PORT": "tcp://10.0.0.1", f"{PREFIX}BIND": "127.0.0.1:1", f"{PREFIX}REDIS_URL_FILE": "/x"}
    assert unknown_variables(environment) == [f"{PREFIX}PORT"]
