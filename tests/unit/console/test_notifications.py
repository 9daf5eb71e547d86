"""S12: owners choose who hears of what; what they chose is on record, and letters obey it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from sso_gate.errors import InvalidInput
from sso_gate.notify.letters import write_letters
from sso_gate.notify.preferences import CODE_USED, KINDS, PEOPLE_WAIT, THRESHOLD, checked_others
from sso_gate.organizations import store as organizations
from sso_gate.storage import outbox
from sso_gate.storage.open import open_runtime
from tests.unit.console.gate import Gate, finished, plain

PATH = "/settings/notifications"
AT = {kind: number for number, kind in enumerate(KINDS)}


def chosen(**fields: str) -> dict[str, str]:
    return {f"to_{number}": "owners" for number in range(len(KINDS))} | fields


def readers(gate: Gate, kind: str) -> list[str]:
    """Whom a promise of this kind becomes letters to."""

    async def work() -> list[str]:
        runtime = open_runtime(gate.settings, gate.clock)

        def write(tx: Connection) -> list[str]:
            organization = organizations.by_slug(tx, "acme")
            assert organization is not None
            payload = {"count": 1, "left": 1, "purchased": 3}
            outbox.add(tx, organization.id, kind, clock=gate.clock, payload=payload)
            for promise in outbox.claim(tx, now=gate.clock.now()):
                write_letters(tx, promise, origin="https://gate.example", clock=gate.clock)
            letters = [one for one in outbox.claim(tx, now=gate.clock.now()) if one.kind == "mail.letter"]
            for one in letters:
                outbox.done(tx, one, now=gate.clock.now())
            return sorted(one.payload["to"] for one in letters)

        found = await runtime.database.write(write)
        await runtime.close()
        return found

    return finished(work())


def test_letters_go_to_whom_the_owners_chose_and_the_choice_is_on_record(gate, ana):
    both = ["ana@acme.example", "olga@acme.example"]
    assert readers(gate, PEOPLE_WAIT) == both
    fields = {
        f"to_{AT[PEOPLE_WAIT]}": "primary_owner",
        f"also_{AT[PEOPLE_WAIT]}": "it@acme.example, ANA@acme.example",
        f"to_{AT[THRESHOLD]}": "nobody",
        f"to_{AT[CODE_USED]}": "nobody",
    }
    assert ana.post(PATH, data=chosen(**fields)).headers["location"] == f"{PATH}?done=saved"
    page = ana.get(f"{PATH}?done=saved").text
    assert 'value="it@acme.example, ANA@acme.example"' in page
    assert readers(gate, PEOPLE_WAIT) == ["ana@acme.example", "it@acme.example"], "nobody is told twice"
    assert readers(gate, THRESHOLD) == []
    assert readers(gate, CODE_USED) == both, "what opens the settings is told to all owners whatever was chosen"
    log = ana.get("/settings/audit?action=notification.update").text
    assert log.count("<code>notification.update") == 1 or "notification.update" in plain(log)


@pytest.mark.parametrize(
    ("field", "value"),
    [("also_0", "it@elsewhere.example"), ("also_0", "it"), ("also_0", "a@b@acme.example"), ("seats_left", "-1")],
)
def test_what_cannot_be_kept_is_said_at_its_field_and_nothing_is_kept(ana, field, value):
    answer = ana.post(PATH, data=chosen(**{field: value, "to_1": "nobody"}))
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'value="{value}"' in answer.text
    assert '<option value="nobody" selected>' in answer.text, "nothing has to be chosen again"
    assert '<option value="nobody" selected>' not in ana.get(PATH).text


def test_the_number_of_seats_that_counts_as_short_can_be_ones_own(ana):
    assert "Once, when the free seats fall to 1; again only after there were more than 2" in plain(ana.get(PATH).text)
    assert ana.post(PATH, data=chosen(seats_left="4")).status_code == 303
    assert "Once, when the free seats fall to 4; again only after there were more than 8" in plain(ana.get(PATH).text)


def test_without_a_mail_server_the_page_says_so_and_sends_no_sample(ana):
    assert "has no mail server" in ana.get(PATH).text
    assert ana.post(f"{PATH}/sample", data={"kind": PEOPLE_WAIT}).status_code == 404


def test_nobody_but_owners_chooses(gate):
    with gate.browser("finance") as finance:
        unknown = finance.get("/no/such/path").content
        for answer in (finance.get(PATH), finance.post(PATH, data=chosen()), finance.post(f"{PATH}/sample")):
            assert (answer.status_code, answer.content) == (404, unknown)


def test_a_form_of_another_site_changes_nothing(ana):
    assert ana.post(PATH, data=chosen(to_0="nobody"), headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("text", [" ".join(f"a{n}@acme.example" for n in range(6)), "@acme.example", "x@evil.example"])
def test_other_addresses_are_few_and_in_the_organizations_domains(text):
    with pytest.raises(InvalidInput):
        checked_others(text, ("acme.example",))


def test_addresses_are_told_apart_by_commas_spaces_and_semicolons():
    assert checked_others("a@acme.example; b@acme.example,a@acme.example", ("acme.example",)) == (
        "a@acme.example",
        "b@acme.example",
    )
