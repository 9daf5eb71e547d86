"""How a gate starts, what it refuses to start with, and the limits that its settings set."""

import stat
import time

import pytest

from tests.integration.gate import SECRET_KEYS, Api, Organization, RunningGate
from tests.integration.people import lay_road, session_of
from tests.support.browser_jar import BrowserJar


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A gate with tight limits, and its secret from a file."""
    file = tmp_path_factory.mktemp("secrets") / "keys"
    file.write_text(f"{SECRET_KEYS}\n")
    limits = {"LOGIN_RATE": "4/1m", "SESSION_IDLE": "2s", "SESSION_MAX": "1h", "QUOTE_TTL": "1s"}
    running = RunningGate(**limits, SECRET_KEYS="", SECRET_KEYS_FILE=str(file))
    yield running
    running.close()


@pytest.fixture(scope="module")
def strict_road(strict, _samlp_server, oidc_provider):
    return lay_road(strict, _samlp_server, oidc_provider, Organization(seats=5))


def test_wrong_settings_stop_the_start_with_one_line_each_all_at_once(gate):
    wrong = {"BIND": "nowhere", "WORKERS": "0", "SESSION_IDLE": "48h", "PUBLIC_URL": "ftp://x", "LOG_LEVEL": "loud"}
    ran = gate.run("serve", settings=wrong)
    assert ran.code == 7
    assert ran.out == ""
    lines = ran.err.strip().splitlines()
    assert len(lines) == len(wrong)
    assert {line.partition(":")[0] for line in lines} == {f"SSO_GATE_{name}" for name in wrong}


def test_a_secret_file_that_cannot_be_read_stops_the_start(gate):
    ran = gate.run("serve", settings={"SMTP_URL_FILE": "/nowhere/at/all"})
    assert ran.code == 7
    assert "SSO_GATE_SMTP_URL_FILE" in ran.err


def test_the_data_folder_is_closed_to_others(gate):
    folder = gate.folder / "var"
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir() or "secret" in path.name)):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_health_is_told_in_public_in_one_word_and_metrics_to_admins_alone(gate, road):
    assert gate.client.get("/health/live").json() == {"status": "live"}
    assert gate.client.get("/health/ready").json() == {"status": "ready"}
    for path in ("/metrics", "/health"):
        assert gate.client.get(path).status_code == 404
    admin = gate.address.replace(str(gate.port), str(gate.admin_port))
    metrics = gate.client.get(f"{admin}/metrics")
    assert metrics.status_code == 200
    assert f'sso_gate_seats{{org="{road.organization.slug}",state="purchased"}} 1000.0' in metrics.text
    assert gate.client.get(f"{admin}/health").status_code == 200


def test_the_public_url_alone_makes_the_gates_addresses(gate, road):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    for path in ("/", f"/login/{road.organization.saml}", f"/sso/saml/{road.organization.saml}/metadata", "/login"):
        answer = gate.client.get(path, headers=headers)
        assert "evil" not in answer.text + str(answer.headers), path


def test_too_many_login_messages_from_one_address_are_refused_with_a_time_to_come_back(strict, strict_road):
    path = f"/sso/saml/{strict_road.organization.saml}/acs"
    said = {"X-Forwarded-For": "192.0.2.77"}
    answers = [strict.client.post(path, data={"SAMLResponse": "x"}, headers=said) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 4 + [429] * 2
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    other = strict.client.post(path, data={"SAMLResponse": "x"}, headers={"X-Forwarded-For": "192.0.2.78"})
    assert other.status_code == 400
    api = Api(strict, strict.token(strict_road.organization, "audit:read"))
    reasons = [event["reason"] for event in api.events(address="192.0.2.77")]
    assert reasons[:4] == ["message_malformed"] * 4
    assert set(reasons[4:]) == {"rate_limited"}


def test_an_idle_session_ends(strict, strict_road):
    with BrowserJar() as jar:
        assert strict_road.saml_login(jar, strict_road.newcomer()).status == 303
        assert session_of(jar)
        assert jar.get(f"{strict.origin}/").status == 200
        time.sleep(2.5)
        assert jar.get(f"{strict.origin}/").status == 302


def test_a_price_is_held_for_its_time_and_no_longer(strict, strict_road):
    api = Api(strict, strict.token(strict_road.organization, "seats:write", "seats:read"))
    before = api.seats()["purchased"]
    quote = api.post("seat-quotes", {"add": 1}).json()
    time.sleep(1.2)
    answer = api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key="late")
    assert answer.status_code == 409
    assert api.seats()["purchased"] == before


def test_a_gate_that_starts_again_knows_everybody_and_its_keys_are_the_same():
    gate = RunningGate()
    try:
        organization = gate.applied(Organization(seats=1))
        keys = gate.client.get("/.well-known/jwks.json").json()
        api = Api(gate, gate.token(organization, "seats:read"))
        gate.process.terminate()
        assert gate.process.wait(30) == 0
        gate.start()
        assert api.seats()["in_use"] == 1
        assert gate.client.get("/.well-known/jwks.json").json() == keys
    finally:
        gate.close()


def test_the_log_has_no_address_token_or_message_of_anybody(gate, road, browser_jar):
    person = road.newcomer()
    page = road.saml_login(browser_jar, person)
    assert page.status == 303
    secret = session_of(browser_jar)
    browser_jar.get(f"{gate.origin}/?secret={secret}")
    log = gate.log_text()
    assert "http.request" in log
    for word in (person.email, secret, secret.partition(".")[2], "SAMLResponse"):
        assert word not in log
