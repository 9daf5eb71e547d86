"""Much of something: garbage, seats, codes, requests."""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from urllib.parse import urlencode

import pytest

from tests.attacks.scene import SESSION, new_address
from tests.support.browser_jar import BrowserJar
from tests.support.saml_forge import PERSISTENT, encode

FORM = "application/x-www-form-urlencoded"


def test_garbage_flood_is_counted_and_not_stored_row_by_row(scene):
    """At most twenty rows a minute for equal refusals; the rest is counted, under a reference that is told."""
    address = new_address()
    before = scene.counts()
    began = time.monotonic()

    def post(_):
        return scene.gate.client.post(
            f"/sso/saml/{scene.saml}/acs",
            data={"SAMLResponse": secrets.token_urlsafe(2000), "RelayState": "x"},
            headers={"Host": scene.gate.host, **address},
        )

    with scene.bounded_memory(), ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(post, range(120)))
    minutes = 1 + int((time.monotonic() - began) // 60) + 1  # a minute may end in between
    assert {answer.status_code for answer in answers} == {400}
    after = scene.counts()
    assert 20 <= after.events - before.events <= 20 * minutes
    assert (after.members, after.seats) == (before.members, before.seats)
    references = [answer.text.partition("<code>")[2][:8] for answer in answers]
    assert all(references)
    assert len(set(references)) < 70, "the counted ones share a reference"
    scene.record.forget_floods()


def test_costly_messages_wait_for_one_another_and_not_for_other_peoples_logins(scene):
    """As large as a message may be, and truly signed: only when all of it is canonicalized does a change show."""
    groups = [f"cn=group of people number {number},ou=groups,dc=acme,dc=example" for number in range(1500)]
    tree = scene.world(connection=scene.rivals).message(attributes={"groups": groups}).tree()
    next(tree.iter("{*}NameID")).text = "owner@rival.example"
    body = urlencode({"SAMLResponse": encode(tree), "RelayState": "x"}).encode()
    before, answered = scene.counts(), []

    def post(_):
        answered.append(scene.post_body(f"/sso/saml/{scene.rivals}/acs", body, **{"Content-Type": FORM}).status)

    with BrowserJar() as jar, ThreadPoolExecutor(16) as threads:
        pending = scene.begin(jar)
        storm = [threads.submit(post, number) for number in range(24)]
        wait(storm, return_when=FIRST_COMPLETED)
        begun = len(answered)
        scene.finish(jar, pending)
        assert len(answered) - begun < 8, "a bystander waited behind the storm"
    assert answered == [400] * 24
    after = scene.counts()
    assert max(after.members - before.members, after.seats - before.seats) <= 1, "more than the bystander's"


@pytest.mark.soak
def test_a_counted_flood_is_put_on_record_as_one_event_with_its_count(scene):
    """Nothing is dropped: rows and counts together are what came."""
    address = new_address()
    for _ in range(25):
        scene.gate.client.post(
            f"/sso/saml/{scene.second}/acs",
            data={"SAMLResponse": "garbage"},
            headers={"Host": scene.gate.host, **address},
        )
    deadline = time.monotonic() + 95  # the minute has to be over, and the worker looks every 15 s
    while time.monotonic() < deadline:
        rows = scene.events(connection=scene.second, reason="message_malformed", address=address["X-Forwarded-For"])
        counts = [json.loads(row["body"])["repeat"]["count"] for row in rows]
        if sum(counts) >= 25:
            break
        time.sleep(0.5)
    assert sum(counts) == 25
    assert len(counts) <= 22


def test_seat_flood_one_address_under_many_names_takes_one_seat(scene):
    """A person who can choose their own NameID takes one seat, whatever they call themselves."""
    before = scene.counts()
    for number in range(12):
        with BrowserJar() as browser:
            pending = scene.begin(browser)
            message = scene.world(pending).message(
                name_id=f"many-{number}", name_id_format=PERSISTENT, attributes={"mail": ["many@acme.example"]}
            )
            send = partial(scene.post, browser, message.encoded(), relay_state=pending.relay_state)
            if number:
                scene.refused(send, "subject_conflict")
            else:
                assert send().status == 303
    after = scene.counts()
    assert (after.members, after.entries) == (before.members + 1, before.entries + 1)


def test_seat_flood_strangers_beyond_the_limit_take_none(scene):
    """Sixteen people at the same moment for three free seats: three sessions, and never a seat too many."""
    organization, connection = scene.rival, scene.rivals

    def come(number):
        with BrowserJar() as browser:
            pending = scene.begin(browser, connection)
            email = organization.email(f"guest-{number}")
            message = scene.world(pending).message(name_id=email, attributes={"mail": [email]})
            page = scene.post(browser, message.encoded(), relay_state=pending.relay_state, connection=connection)
            return bool(browser.cookie(SESSION, "gate.localhost")), "/denied/" in page.location

    before = scene.counts()
    with scene.bounded_memory(), ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(come, range(16)))
    assert sorted(outcomes) == [*[(False, True)] * 13, *[(True, False)] * 3]
    after = scene.counts()
    assert (after.seats, after.events) == (before.seats + 3, before.events + 16)


def test_break_glass_guessing(scene, jar):
    """Ten tries in ten minutes, one answer for every wrong word, everything counted on record."""
    address = new_address()
    answers = []
    for email in ("owner", "nobody") * 6:
        form = {"email": f"{email}@{scene.acme.domain}", "code": "7K3M9-Q2W8R-AAAAA-BBBBB"}
        with scene.harmless(events=1):
            page = jar.post(f"{scene.gate.origin}/login/break-glass", form, headers=address)
        answers.append((page.status, page.text.replace(form["email"], "EMAIL")))
        assert not jar.cookie(SESSION, "gate.localhost")
    assert [status for status, _ in answers] == [422] * 10 + [429] * 2
    assert len({text for status, text in answers if status == 422}) == 1
    events = scene.events(action="breakglass.use", address=address["X-Forwarded-For"])
    assert [event["reason"] for event in events] == ["token_invalid"] * 10 + ["rate_limited"] * 2
