"""S8, steps 5 to 8: test login, who may come, switching on and requiring it, codes; each step at its own address."""

from __future__ import annotations

import re
import tomllib

import pytest

from sso_gate.admission.settle import Denied
from sso_gate.apply.apply import apply
from sso_gate.apply.file import OrganizationFile
from sso_gate.errors import Reason
from sso_gate.storage.open import open_runtime
from tests.unit.console.gate import finished, plain
from tests.unit.console.test_administration import in_an_emergency
from tests.unit.console.test_wizard import FORM, NEW, metadata, sent

CHOICE = "/settings/access/_provisioning"
OTHER = "/settings/access/acme-okta"


@pytest.fixture
def draft(gate, ana):
    """A connection that Ana has made and nobody can log in by yet."""
    assert sent(ana, f"{NEW}/okta-saml", upload=metadata()).status_code == 303
    return OTHER


def chosen(browser, provisioning, when_full="refuse", **more):
    return browser.post(CHOICE, data={"provisioning": provisioning, "when_full": when_full, **more})


def comes(gate, name):
    """What becomes of somebody at the door."""

    async def work():
        runtime = open_runtime(gate.settings, gate.clock)
        answer = await gate._sign_in(runtime, name)
        await runtime.close()
        return answer

    return finished(work())


def applied(gate, text):
    async def work():
        runtime = open_runtime(gate.settings, gate.clock)
        wanted = OrganizationFile.model_validate(tomllib.loads(text))
        done = await apply(runtime, wanted, folder=gate.file.parent, text=text, name="acme.toml")
        await runtime.close()
        return done.changes

    return finished(work())


def test_each_step_of_a_draft_has_its_address_and_says_where_one_is(gate, ana, draft):
    steps = {
        3: f"{draft}/edit",
        4: f"{draft}/mapping",
        5: f"{draft}/tests",
        6: f"{CHOICE}?connection=acme-okta",
        7: f"{draft}/enable",
        8: "/settings/access/_codes?connection=acme-okta",
    }
    for number, path in steps.items():
        page = ana.get(path)
        assert page.status_code == 200, path
        listed = re.findall(r"<li([^>]*)>", page.text.split('<ol class="steps"')[1].split("</ol>")[0])
        assert len(listed) == 8
        assert [place for place, of in enumerate(listed, 1) if 'aria-current="step"' in of] == [number], path
        for other in steps.values():
            assert (f'href="{other}"' in page.text) == (other != path), (path, other)


def test_the_steps_lead_from_the_mapping_to_the_codes(gate, ana, draft):
    assert ana.post(f"{draft}/mapping", data={"kind": "okta-saml"}).headers["location"] == f"{draft}/tests"
    gate.passed_trial("acme-okta")
    page = ana.get(f"{draft}/tests").text
    assert "A test login passed with these settings." in page
    assert f'href="{CHOICE}?connection=acme-okta"' in page
    saved = chosen(ana, "scim", "hold_unseated", connection="acme-okta")
    assert saved.headers["location"] == f"{draft}/enable"
    page = plain(ana.get(f"{draft}/enable").text)
    assert "4 members of your organization" in page
    assert "No emergency code works now." in page
    assert "and new people with an address in your domains" not in page
    answer = ana.post(f"{draft}/enable", headers=FORM)
    assert answer.headers["location"] == "/settings/access/_codes?connection=acme-okta"
    issued = ana.post("/settings/access/_codes", data={"email": "olga@acme.example", "connection": "acme-okta"})
    assert issued.status_code == 201
    assert "Issue a code for another Owner" in issued.text
    page = plain(ana.get(answer.headers["location"]).text)
    assert "Only one has a code that works: olga@acme.example." in page


def test_who_is_not_invited_is_refused_where_people_are_invited_and_members_come_as_ever(gate, ana):
    assert chosen(ana, "invite_only").headers["location"] == "/settings/access#provisioning"
    stranger = comes(gate, "nobody")
    assert isinstance(stranger, Denied)
    assert (stranger.reason, stranger.member) == (Reason.NOT_ASSIGNED, None)
    assert "nobody@acme.example" not in ana.get("/settings/members").text
    assert not isinstance(comes(gate, "leo"), Denied)
    assert "New people come in by an invitation only." in ana.get("/settings/access").text
    trace = ana.get(f"/settings/audit/{stranger.reference}").text
    assert "Assigned to the application" in trace
    assert "invite them" in trace
    assert chosen(ana, "jit").status_code == 303
    waits = comes(gate, "nobody")
    assert isinstance(waits, Denied)
    assert waits.reason is Reason.SEAT_UNAVAILABLE, "three seats, three holders: they wait from now on"
    assert chosen(ana, "invite_only").status_code == 303
    assert comes(gate, "nobody").reason is Reason.SEAT_UNAVAILABLE, "who waits already stays in the line"
    log = ana.get("/settings/audit?action=organization.update").text
    assert log.count("organization.update") >= 3


def test_the_file_and_the_settings_say_one_thing(gate, ana):
    text = gate.file.read_text()
    assert chosen(ana, "scim", "hold_unseated").status_code == 303
    assert applied(gate, text) == (), "a file that is silent leaves it"
    said = text.replace('slug = "acme"\n', 'slug = "acme"\nprovisioning = "jit"\n') + '\n[scim]\nwhen_full = "refuse"\n'
    assert applied(gate, said) == (
        'organization.provisioning: "scim" → "jit"',
        'scim.when_full: "hold_unseated" → "refuse"',
    )
    page = ana.get(CHOICE).text
    assert re.search(r'value="jit"[^>]* checked', page)
    assert re.search(r'value="refuse"[^>]* checked', page)
    assert applied(gate, said) == ()


@pytest.mark.parametrize("choice", [("king", "refuse"), ("jit", "sometimes"), ("", "refuse")])
def test_what_is_no_choice_changes_nothing(ana, choice):
    assert chosen(ana, *choice).status_code == 422
    assert re.search(r'value="jit"[^>]* checked', ana.get(CHOICE).text)


def test_nobody_but_owners_finds_the_steps(gate, draft):
    paths = (CHOICE, f"{draft}/tests", f"{draft}/enable", f"{draft}/answers")
    for name in ("leo", "finance"):
        with gate.browser(name) as browser:
            unknown = browser.get("/no/such/path")
            for path in paths:
                for answer in (browser.get(path), browser.post(path, data={"provisioning": "invite_only"})):
                    assert (answer.status_code, answer.content) == (404, unknown.content), path


def test_sso_by_one_connection_is_required_only_once_it_was_tested_and_never_against_ones_own(gate, ana, draft):
    assert "Require SSO by this connection" in ana.get(f"{draft}/enable").text
    refused = ana.post(f"{draft}/enable", data={"require": "1"})
    assert refused.status_code == 409
    assert "First run a successful test with these settings." in refused.text
    gate.passed_trial("acme-okta")
    own = ana.post(f"{draft}/enable", data={"require": "1"})
    assert own.status_code == 409
    assert "You logged in by one of the others yourself." in own.text
    assert 'SAML 2.0</td><td><span class="badge ">' in ana.get("/settings/access").text, "nothing was switched"
    with in_an_emergency(gate, ana) as olga:
        assert olga.post(f"{draft}/enable", data={"require": "1"}).status_code == 303
        page = olga.get(f"{draft}/enable").text
        assert "The connection is on, and the only one." in page
        log = olga.get("/settings/audit?action=connection.update").text
        assert len(set(re.findall(r"/settings/audit/evt_[-\w]+", log))) == 2, "one was switched on, one off"
        with gate.browser() as nobody:
            assert nobody.get("/login/acme-oidc").status_code != 302
            assert nobody.get("/login/acme-okta").status_code == 302
