"""The command line: what each command prints where, how it ends, and what `--dry-run` leaves alone."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.gate import ROOT, Api, Organization
from tests.integration.people import lay_road
from tests.support.browser_jar import BrowserJar


@pytest.fixture(scope="module")
def shop(gate, _samlp_server, oidc_provider):
    return lay_road(gate, _samlp_server, oidc_provider, Organization(seats=2))


@pytest.fixture(scope="module")
def staffed(gate, _samlp_server, oidc_provider):
    """An organization with seats to spare, whatever the tests before have taken."""
    return lay_road(gate, _samlp_server, oidc_provider, Organization(seats=50))


def command(road, *words, said=""):
    return road.gate.run(*words, "--org", road.organization.slug, said=said)


def test_seats_are_shown_as_one_stable_json_object_equal_to_the_apis(shop):
    ran = command(shop, "seats", "show", "--json")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.json() | {"as_of": ""} == shop.api.seats() | {"as_of": ""}


def test_a_token_prints_its_secret_alone_on_stdout_and_never_again(shop):
    ran = command(shop, "token", "create", "--scope", "seats:read", "--name", "ci", "--expires", "90d")
    assert ran.code == 0
    secret = ran.out.strip()
    assert ran.out == f"{secret}\n"
    assert re.fullmatch(r"sgt_[A-Za-z0-9_-]{43}", secret)
    assert secret not in ran.err
    assert Api(shop.gate, secret).get("seats").status_code == 200
    listed = command(shop, "token", "list", "--json")
    assert secret not in listed.out
    row = next(row for row in listed.json() if row["name"] == "ci")
    assert row["scopes"] == ["seats:read"]
    assert row["expires"]


def test_a_secret_that_is_shown_once_is_shown_as_json_too(shop, tmp_path):
    made = command(shop, "token", "create", "--scope", "audit:read", "--name", "siem", "--json").json()
    assert (made["name"], made["scopes"], made["revoked"]) == ("siem", ["audit:read"], None)
    assert Api(shop.gate, made["secret"]).get("audit-events").status_code == 200
    issued = command(shop, "breakglass", "issue", shop.organization.owner, "--yes", "--json").json()
    assert issued["email"] == shop.organization.owner
    assert issued["code"]
    path = tmp_path / "log.jsonl"
    written = command(shop, "audit", "export", "--output", str(path), "--json").json()
    assert written["lines"] == len(path.read_text().splitlines())
    assert (written["format"], written["first"]) == ("jsonl", 1)


def test_a_file_that_cannot_be_written_is_told_in_words(shop, tmp_path):
    path = tmp_path / "no-such-folder" / "x"
    number = command(shop, "invoices", "list", "--json").json()[0]["number"]
    for words in (("invoices", "download", number), ("audit", "export")):
        ran = command(shop, *words, "--output", str(path))
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"{path} cannot be written: No such file or directory\n"


def test_more_seats_show_the_price_and_ask_before_anything_is_bought(shop):
    before = shop.api.seats()["purchased"]
    refused = command(shop, "seats", "add", "--add", "1", said="n\n")
    assert refused.code == 1
    assert "due today" in refused.err
    assert refused.out == ""
    only_shown = command(shop, "seats", "add", "--add", "1", "--dry-run")
    assert (only_shown.code, only_shown.out) == (0, "")
    priced = command(shop, "seats", "add", "--add", "1", "--dry-run", "--json").json()
    assert priced["seats_after"] == before + 1
    assert shop.api.seats()["purchased"] == before
    bought = command(shop, "seats", "add", "--add", "1", "--json", said="y\n")
    assert bought.code == 0, bought.err
    assert shop.api.seats()["purchased"] == before + 1
    number = bought.json()["number"]
    assert command(shop, "invoices", "list", "--json").json()[0]["number"] == number
    shown = command(shop, "invoices", "show", number, "--json").json()
    assert {"number", "kind", "issued_on", "due_on", "status", "lines", "net", "tax", "gross"} <= set(shown)
    assert shown["net"]["amount"] == shown["lines"][0]["net"]["amount"]


def test_a_quote_can_be_bought_later_by_its_name_and_once(shop):
    before = shop.api.seats()["purchased"]
    quote = command(shop, "seats", "quote", "--add", "2", "--json").json()
    assert quote["id"].startswith("quo_")
    assert command(shop, "seats", "add", "--quote", quote["id"], "--yes").code == 0
    assert shop.api.seats()["purchased"] == before + 2
    again = command(shop, "seats", "add", "--quote", quote["id"], "--yes")
    assert again.code == 5, "conflict or stale"
    assert shop.api.seats()["purchased"] == before + 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("seats", "quote", "--add", "0"), 2),
        (("seats", "quote"), 2),
        (("seats", "add"), 2),
        (("seats", "add", "--quote", "quo_unknown", "--yes"), 3),
        (("invoices", "show", "no-such-number"), 3),
        (("members", "release-seat", "nobody@nowhere.example", "--yes"), 3),
        (("token", "revoke", "tok_unknown", "--yes"), 3),
        (("token", "create", "--scope", "everything"), 2),
        (("audit", "list", "--reason", "zzz"), 2),
        (("audit", "export", "--action", "zzz"), 2),
        (("token", "create", "--scope", "scim", "--expires", "soon"), 2),
        (("breakglass", "issue", "somebody@nowhere.example", "--yes"), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands_end_with_the_code_that_says_why(shop, words, code):
    ran = command(shop, *words)
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert ran.err


def test_emergency_codes_are_for_owners_only(staffed):
    person = staffed.newcomer()
    staffed.signed_in(person).close()
    ran = command(staffed, "breakglass", "issue", person.email, "--yes")
    assert (ran.code, ran.out) == (4, "")
    issued = command(staffed, "breakglass", "issue", staffed.organization.owner, "--yes")
    assert issued.code == 0
    assert len(issued.out.split()) == 1


def test_the_program_is_there_under_both_of_its_names():
    for words in ([str(Path(sys.executable).with_name("sso-gate"))], [sys.executable, "-m", "sso_gate"]):
        done = subprocess.run([*words, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("Usage: sso-gate [OPTIONS] COMMAND")
        assert done.stderr == ""


def test_an_unknown_organization_is_not_found(gate):
    assert gate.run("seats", "show", "--org", "no-such-organization").code == 3


def test_nothing_is_written_by_a_dry_run(staffed):
    person = staffed.newcomer()
    staffed.signed_in(person).close()
    events = len(staffed.api.deeds())
    for words in (
        ("members", "release-seat", person.email),
        ("members", "reassign", person.email, "other@nowhere.example"),
        ("token", "create", "--scope", "scim"),
        ("waiting", "decline", person.email),
    ):
        ran = command(staffed, *words, "--dry-run")
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert ran.err
    assert len(staffed.api.deeds()) == events
    people = {row["email"]: row["state"] for row in staffed.api.get("members").json()["data"]}
    assert people[person.email] == "held"


def test_a_seat_can_be_reassigned_by_name(staffed):
    giver, taker = staffed.newcomer(), staffed.newcomer()
    staffed.signed_in(giver).close()
    ran = command(staffed, "members", "reassign", giver.email, taker.email, "--yes")
    assert ran.code == 0, ran.err
    people = {row["email"]: row["state"] for row in command(staffed, "members", "list", "--json").json()}
    assert (people[giver.email], people[taker.email]) == ("released", "held")
    ran = command(staffed, "members", "release-seat", staffed.organization.owner, "--yes")
    assert ran.code == 2, "the primary owner always holds a seat"


def test_the_audit_log_is_printed_with_the_reason_of_every_refusal(shop):
    with BrowserJar() as jar:
        shop.saml_login(jar, shop.newcomer(), sign="none")
    reference = shop.last_refusal()["reference"]
    ran = command(shop, "audit", "list", "--outcome", "denied", "--reference", reference, "--json")
    assert ran.code == 0
    assert [event["reason"] for event in ran.json()] == ["signature_missing"]
    lines = command(shop, "audit", "list", "--outcome", "denied").out.splitlines()
    assert any(reference in line and "signature_missing" in line for line in lines)


def test_the_books_agree_and_a_second_run_renews_nothing(shop):
    assert command(shop, "reconcile").code == 0
    ran = command(shop, "renew", "--json")
    assert (ran.code, ran.json()) == (0, [])


def test_books_that_disagree_are_told_until_they_are_repaired(gate):
    organization = gate.applied(Organization(seats=3))

    def reconcile(*options):
        return gate.run("reconcile", "--org", organization.slug, *options)

    def change(columns):
        with closing(sqlite3.connect(gate.folder / "var" / "sso-gate.db", isolation_level=None, timeout=10)) as books:
            mine = "(SELECT id FROM organization WHERE slug = ?)"
            books.execute(f"UPDATE seat_pool SET {columns} WHERE organization = {mine}", [organization.slug])

    drift = {"org": organization.slug, "used": 2, "holders": 1, "entered": 1, "untold": 0}
    change("used = 2")
    for options in ((), ("--repair", "--dry-run")):
        ran = reconcile(*options, "--json")
        assert (ran.code, ran.json()) == (1, [{**drift, "repaired": False}])
        assert f"{organization.slug}: used 2, holders 1, entered 1, not on record 0: left as it is" in ran.err
    ran = reconcile("--repair", "--json")
    assert (ran.code, ran.json()) == (0, [{**drift, "repaired": True}])
    assert reconcile().code == 0
    change("used = 0, purchased = 0")
    ran = reconcile("--repair")
    assert ran.code == 1, "more people hold seats than there are: nothing was repaired"
    assert "left as it is" in ran.err
    change("purchased = 3, used = 1")
    assert reconcile().code == 0


def test_a_promise_that_is_late_is_told_with_the_books(gate):
    with closing(sqlite3.connect(gate.folder / "var" / "sso-gate.db", isolation_level=None, timeout=10)) as database:
        row = "'out_late', id, 'session.purge', 'mem_nobody', 1, '{}', 0, 9223372036854775807, 3"
        database.execute(
            "INSERT INTO outbox (id, organization, kind, subject, generation, payload, created_at, due_at, attempts)"
            f" SELECT {row} FROM organization LIMIT 1"
        )
        ran = gate.run("reconcile")
        database.execute("DELETE FROM outbox WHERE id = 'out_late'")
    assert ran.code == 1
    assert "promises of more than 15 minutes ago that are not kept: 1" in ran.err
    assert gate.run("reconcile").code == 0


@pytest.fixture(scope="module")
def yearly(gate):
    """An organization whose seller numbers no other's invoices."""
    return gate.applied(Organization(seats=3, seller="Renewals GmbH"))


def test_a_renewal_is_shown_and_asked_for_before_anything_is_invoiced(gate, yearly):
    def renew(*options):
        return gate.run("renew", "--as-of", "2027-01-02T00:00:00Z", *options, "--json")

    assert renew("--org", "nobody").code == renew("--org", "nobody", "--dry-run").code == 3
    assert renew().code == 2, "every contract, at an instant that has not come"
    shown = renew("--org", yearly.slug, "--dry-run")
    assert shown.json() == [
        {"org": yearly.slug, "term": "2027-01-01", "seats": 1, "due": "285.60 USD", "invoice": None}
    ]
    renewed = renew("--org", yearly.slug, "--yes")
    assert [line["invoice"] for line in renewed.json()] == ["INV-2027-000001"], "the preview has used no number"
    assert {**renewed.json()[0], "invoice": None} == shown.json()[0]


def test_amounts_are_printed_as_people_read_money(gate, yearly):
    assert "856.80 USD" in gate.run("invoices", "list", "--org", yearly.slug).out
    quoted = gate.run("seats", "quote", "--org", yearly.slug, "--add", "1")
    assert "minor units" not in quoted.out


def test_a_check_says_that_everything_answers_and_what_means_nothing(gate):
    ran = gate.run("check", "--json", settings={"PUBLIK_URL": "http://x"})
    assert ran.code == 0
    assert ran.json() == {"settings": "ok", "database": "ok", "redis": "ok"}
    assert "SSO_GATE_PUBLIK_URL" in ran.err


def test_the_description_of_the_api_is_the_one_that_is_served(gate):
    ran = gate.run("openapi")
    assert ran.code == 0
    assert json.loads(ran.out) == gate.client.get("/api/v1/openapi.json").raise_for_status().json()


@pytest.mark.parametrize("proxy", ["nginx", "traefik", "caddy", "envoy"])
def test_a_proxys_recipe_is_printed_with_this_gates_address(gate, proxy):
    ran = gate.run("proxy-config", proxy, "--app-host", "app.acme.example")
    assert ran.code == 0
    assert "app.acme.example" in ran.out
    assert str(gate.port) in ran.out


@pytest.mark.parametrize("wrong", ["SESSION_IDLE", "REDIS_URL", "WORKERS"])
def test_invalid_settings_end_every_command_with_7(gate, wrong):
    ran = gate.run("seats", "show", "--org", "x", settings={wrong: "nonsense"})
    assert ran.code == 7
    assert f"SSO_GATE_{wrong}: " in ran.err


def test_servers_that_do_not_answer_are_a_reason_to_try_later(gate):
    ran = gate.run("seats", "show", "--org", "x", settings={"DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    assert ran.code == 75, ran.err
