"""An operator takes a seat back, or passes it on, beside a gate that serves: at once, and for every process of it."""

import pytest

from tests.integration.gate import Organization, RunningGate
from tests.integration.people import SESSION, Road, session_of
from tests.support.browser_jar import BrowserJar

OVER = {401, 403}
"""Once the refusal is told, with its reason; from then on nobody is signed in."""


@pytest.fixture(params=["gate", "big_gate"])
def full(request: pytest.FixtureRequest, lay) -> Road:
    """The way into an organization with two seats, on each kind of gate; its owner holds one of them."""
    running: RunningGate = request.getfixturevalue(request.param)
    road: Road = lay(running, Organization(seats=2))
    return road


def check(road: Road, session: str) -> int:
    return road.gate.client.get("/check", headers={"Cookie": f"{SESSION}={session}"}).status_code


def run(road: Road, *words: str) -> None:
    ran = road.gate.run("members", *words, "--yes", "--org", road.organization.slug)
    assert ran.code == 0, ran.err


def test_a_released_seat_is_free_and_its_sessions_are_over_when_the_command_ends(full: Road):
    with full.signed_in(full.person("ana")) as ana:
        session = session_of(ana)
        assert check(full, session) == 200
        run(full, "release-seat", full.organization.email("ana"))
        assert {check(full, session) for _ in range(6)} <= OVER
    with full.signed_in(full.person("bob"), protocol="oidc") as bob:
        assert check(full, session_of(bob)) == 200
        assert check(full, session) in OVER


def test_a_reassigned_seat_has_changed_hands_when_the_command_ends(full: Road):
    with full.signed_in(full.person("ana")) as ana, BrowserJar() as again:
        session = session_of(ana)
        run(full, "reassign", full.organization.email("ana"), full.organization.email("bob"))
        assert {check(full, session) for _ in range(6)} <= OVER
        with full.signed_in(full.person("bob")) as bob:
            assert check(full, session_of(bob)) == 200
        assert "/denied/" in full.saml_login(again, full.person("ana")).location
        assert full.api.seats()["in_use"] == 2
