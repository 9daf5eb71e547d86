"""The log as people and programs reach it: the command line, the API and what they leave on record."""

import json

import pytest

from tests.integration.gate import Api, Organization


def applied(gate):
    organization = gate.applied(Organization(seats=2))
    return organization, Api(gate, gate.token(organization, "audit:read"))


def test_an_export_of_the_program_is_proved_by_the_program(gate, tmp_path):
    organization, _ = applied(gate)
    path, key = tmp_path / "log.jsonl", gate.run("audit", "key").out.strip()
    ran = gate.run("audit", "export", "--org", organization.slug, "--output", str(path))
    assert ran.code == 0, ran.err
    assert gate.run("audit", "verify", str(path), "--key", key).code == 0
    path.write_text(path.read_text().replace("organization.apply", "organization.appll", 1))
    spoiled = gate.run("audit", "verify", str(path), "--key", key)
    assert spoiled.code == 1
    assert "changed: position 1" in spoiled.err


def test_the_log_in_the_database_is_proved_by_the_gates_own_keys(gate):
    organization, _ = applied(gate)
    ran = gate.run("audit", "verify", "--org", organization.slug, "--json")
    assert (ran.code, ran.json()["whole"]) == (0, True), ran.err
    assert gate.run("audit", "verify", "--org", "nobody").code == 3
    assert gate.run("audit", "verify").code == 2


def test_one_event_is_proved_by_the_program(gate, tmp_path):
    organization, _ = applied(gate)
    path, proof, key = tmp_path / "log.jsonl", tmp_path / "proof.json", gate.run("audit", "key").out.strip()
    path.write_text(gate.run("audit", "export", "--org", organization.slug).out)
    event = json.loads(path.read_text().splitlines()[1])["id"]
    proof.write_text(gate.run("audit", "prove", str(path), event).out)
    assert gate.run("audit", "verify", str(proof), "--key", key).code == 0
    assert gate.run("audit", "verify", str(proof)).code == 2
    proof.write_text(proof.read_text().replace("organization.apply", "organization.appll"))
    assert gate.run("audit", "verify", str(proof), "--key", key).code == 1
    kept = tmp_path / "kept.jsonl"
    kept.write_text(path.read_text().splitlines()[-1] + "\n")
    proof.write_text(gate.run("audit", "prove", str(path), "--checkpoint", str(kept)).out)
    assert gate.run("audit", "verify", str(proof), "--key", key).code == 0
    assert gate.run("audit", "prove", str(path)).code == 2


def test_the_api_gives_json_and_ndjson_of_the_same_events_and_says_who_reads(gate):
    _, api = applied(gate)
    events = api.events()
    assert {"organization.apply", "audit.read"} <= {event["action"] for event in events}
    assert [event["chain"]["pos"] for event in events] == list(range(1, len(events) + 1))
    lines = api._client.get(
        "/api/v1/audit-events", headers={**api._bearer, "Accept": "application/x-ndjson"}, params={"limit": "200"}
    )
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()][: len(events)] == events
    assert api.get("audit-events", after=str(events[-1]["chain"]["pos"])).json()["data"] == []


def test_the_api_narrows_by_time_and_refuses_what_is_none(gate):
    _, api = applied(gate)
    assert api.get("audit-events", since="2000-01-01").json()["data"]
    assert api.get("audit-events", until="2000-01-01").json()["data"] == []
    assert api.get("audit-events", since="yesterday").status_code in (400, 422)


def test_retention_and_erasure_by_the_program(gate):
    organization, api = applied(gate)
    assert gate.run("audit", "retention", "--org", organization.slug).out.strip() == "400"
    assert gate.run("audit", "retention", "--org", organization.slug, "--days", "90").out.strip() == "90"
    assert organization.owner in json.dumps(api.events())
    assert gate.run("audit", "erase", "--org", organization.slug, "--yes", organization.owner).code == 0
    assert organization.owner not in json.dumps(api.events())


def test_a_destination_by_the_program(gate):
    organization, _ = applied(gate)
    refused = gate.run("audit", "streams", "add", "--org", organization.slug, "webhook", "https://10.0.0.1/hook")
    assert refused.code == 2
    made = gate.run("audit", "streams", "add", "--org", organization.slug, "webhook", "https://127.0.0.1:1/hook")
    assert made.code == 0, made.err
    stream, secret = made.out.split()
    assert secret.startswith("whsec_")
    assert gate.run("audit", "streams", "test", "--org", organization.slug, stream).code == 1
    listed = gate.run("audit", "streams", "list", "--org", organization.slug, "--json").json()
    assert [one["id"] for one in listed] == [stream]
    assert secret not in json.dumps(listed)
    assert gate.run("audit", "streams", "rotate", "--org", organization.slug, stream).out.startswith("whsec_")
    assert gate.run("audit", "streams", "remove", "--org", organization.slug, stream).code == 0
    assert gate.run("audit", "streams", "remove", "--org", organization.slug, stream).code == 3


def test_a_key_is_rolled_over_by_the_program_and_the_log_verifies_with_both(gate, tmp_path):
    organization, _ = applied(gate)
    keys = tmp_path / "keys"
    before = gate.run("audit", "key").out.split()
    assert gate.run("audit", "key", "--roll-over", "--dry-run").code == 0
    assert gate.run("audit", "key").out.split() == before
    keys.write_text(gate.run("audit", "key", "--roll-over", "--yes").out)
    assert keys.read_text().split()[1:] == before
    path = tmp_path / "log.jsonl"
    path.write_text(gate.run("audit", "export", "--org", organization.slug).out)
    assert gate.run("audit", "verify", str(path), "--key", str(keys)).code == 0
    assert gate.run("audit", "verify", str(path), "--key", before[0]).code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("retention", "--days", "90"),
        ("erase", "somebody@acme.example"),
        ("streams", "add", "webhook", "https://127.0.0.1:1/hook"),
    ],
)
def test_a_dry_run_changes_nothing(gate, words):
    organization, api = applied(gate)
    before = [event for event in api.deeds() if event["action"] != "audit.read"]
    ran = gate.run("audit", *words, "--org", organization.slug, "--dry-run")
    assert ran.code == 0
    assert "would do" in ran.err
    assert [event for event in api.deeds() if event["action"] != "audit.read"] == before
    assert gate.run("audit", "streams", "list", "--org", organization.slug, "--json").json() == []
