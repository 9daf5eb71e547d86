"""Every request that changes something leaves one event of its action, every refusal one denial; and no secret is in
any of it.
"""

import json

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import SESSION, session_of

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
HOOK = "https://127.0.0.1:1/hook"
BESIDE = {"audit.read", "audit.checkpoint"}


class Office:
    """One organization, and what can be done to it without an identity provider."""

    def __init__(self, gate):
        self.gate = gate
        self.organization = Organization(seats=4)
        self.organization.add_member("olga", role="owner")
        gate.applied(self.organization)
        self.tokens = {scope: gate.token(self.organization, scope) for scope in ("audit:read", "scim", "seats:read")}
        self.api = Api(gate, self.tokens["audit:read"])
        self.users = {}

    def run(self, *words):
        ran = self.gate.run(*words, "--org", self.organization.slug)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def scim(self, method, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token or self.tokens['scim']}", "Content-Type": "application/scim+json"}
        content = json.dumps(body) if body is not None else None
        return self.gate.client.request(method, f"/scim/v2{path}", content=content, headers=headers)

    def create(self, name, **fields):
        made = self.scim("POST", "/Users", {"schemas": [USER], "userName": self.organization.email(name), **fields})
        self.users[name] = made.json().get("id", "")
        return made.status_code

    def activate(self, name, value):
        operation = {"op": "replace", "path": "active", "value": value}
        body = {"schemas": [PATCH], "Operations": [operation]}
        return self.scim("PATCH", f"/Users/{self.users[name]}", body).status_code

    def told(self, do):
        """Do it, and return (action, reason) of the events that it left: a log is also read, and signed, beside it."""
        before = str(self.api.events()[-1]["chain"]["pos"])
        do(self)
        found = self.api.get("audit-events", after=before, limit="200").json()["data"]
        return [(event["action"], event["reason"]) for event in found if event["action"] not in BESIDE]


@pytest.fixture
def office(gate):
    return Office(gate)


def stream(office):
    return json.loads(office.run("audit", "streams", "list", "--json"))[0]["id"]


def with_stream(*words):
    return lambda office: office.run("audit", "streams", *words, stream(office))


def test_every_change_leaves_one_event_of_its_action(office):
    changes = [
        ("token.create", lambda one: one.run("token", "create", "--scope", "seats:read")),
        ("breakglass.issue", lambda one: one.run("breakglass", "issue", one.organization.email("olga"))),
        ("audit.retention.change", lambda one: one.run("audit", "retention", "--days", "90")),
        ("audit.stream.create", lambda one: one.run("audit", "streams", "add", "webhook", HOOK)),
        ("audit.stream.update", with_stream("rotate")),
        ("audit.stream.update", with_stream("enable")),
        ("audit.stream.delete", with_stream("remove")),
        ("audit.export", lambda one: one.run("audit", "export")),
        ("audit.erase", lambda one: one.run("audit", "erase", "--yes", "nobody@acme.example")),
        ("scim.user.create", lambda one: one.create("ana")),
        ("scim.user.deactivate", lambda one: one.activate("ana", value=False)),
        ("scim.user.activate", lambda one: one.activate("ana", value=True)),
        ("scim.user.delete", lambda one: one.scim("DELETE", f"/Users/{one.users['ana']}")),
        ("organization.apply", lambda one: one.run_apply()),
    ]
    office.run_apply = lambda: office.gate.applied(renamed(office.organization))
    for action, do in changes:
        told = office.told(do)
        assert [one for one in told if one[0] == action] == [(action, None)], told
        assert [one for one in told if one[1]] == [], told


def renamed(organization):
    organization.add_member("newly-listed")
    return organization


def test_every_refusal_leaves_one_denial(office):
    office.create("zoe", active=False)
    for name in ("one", "two", "three", "four"):
        office.create(name)
    wrong = "sso_scim_" + "x" * 40
    refusals = [
        (("scim.user.create", "seat_unavailable"), 403, lambda one: one.create("five")),
        (("scim.user.create", "conflict"), 409, lambda one: one.create("zoe", active=False)),
        (("scim.user.activate", "seat_unavailable"), 403, None),
        (("api.auth", "insufficient_scope"), 403, lambda one: Api(one.gate, one.tokens["seats:read"]).get("members")),
    ]
    zoe = office.users["zoe"]
    for wanted, status, do in refusals:
        seen = []

        def once(one, do=do, seen=seen):
            if do is None:
                one.users["zoe"] = zoe
                do = lambda office: office.activate("zoe", value=True)  # noqa: E731 - one of a list
            answer = do(one)
            seen.append(getattr(answer, "status_code", answer))

        assert office.told(once) == [wanted]
        assert seen == [status]
    assert office.scim("GET", "/Users", token=wrong).status_code == 401


def test_no_secret_is_in_any_log_or_event(road, tmp_path):
    """Tokens, session cookies, codes, keys of destinations: what opens something is told nowhere."""
    slug, gate, splunk = road.organization.slug, road.gate, tmp_path / "token"
    splunk.write_text("splunk-token-of-the-test")
    api, scim = gate.token(road.organization, "audit:read"), gate.token(road.organization, "scim")
    code = gate.run("breakglass", "issue", "--org", slug, road.organization.email("listed-owner")).out.strip()
    hook, secret = gate.run("audit", "streams", "add", "--org", slug, "webhook", f"{HOOK}/in-the-path").out.split()
    gate.run("audit", "streams", "add", "--org", slug, "splunk", HOOK, "--secret-file", str(splunk))
    exchanged = gate.run("audit", "streams", "rotate", "--org", slug, hook).out.strip()
    gate.run("audit", "streams", "test", "--org", slug, hook)
    with road.signed_in(road.newcomer()) as jar:
        session = session_of(jar).partition(".")[2]
        gate.client.get("/settings", headers={"Host": gate.host, "Cookie": f"{SESSION}={session_of(jar)}"})
    gate.client.get("/api/v1/audit-events", headers={"Authorization": f"Bearer {api}"})
    gate.client.get("/scim/v2/Users?filter=" + scim, headers={"Authorization": f"Bearer {scim}"})
    told = gate.log_text() + "".join(
        gate.run("audit", "export", "--org", slug, "--format", form).out for form in ("jsonl", "csv", "ocsf")
    )
    secrets = [api, scim, code.split()[-1], secret, exchanged, splunk.read_text(), session, "in-the-path"]
    assert all(len(one) > 8 for one in secrets)
    assert [one for one in secrets if one in told] == []
    for one in json.loads(gate.run("audit", "streams", "list", "--org", slug, "--json").out):
        assert gate.run("audit", "streams", "remove", "--org", slug, one["id"]).code == 0
