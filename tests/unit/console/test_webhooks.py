"""S13: an owner adds a webhook, sees its secret once, tries it, switches it, and has events delivered again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client as Browser

from sso_gate.audit.event import Action
from sso_gate.console.webhooks import FAMILIES
from sso_gate.settings import Settings
from tests.support.gates import Migrated
from tests.support.listener import Listener
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate, plain

PATH = "/settings/developer/webhooks"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def near(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path) -> Iterator[Browser]:
    """Ana, at a gate that may deliver to this machine."""
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(tmp_path),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
        allow_private_networks="127.0.0.0/8",  # type: ignore[arg-type] - as the environment gives it
    )
    with Gate(settings, tmp_path).serving() as gate, gate.browser("ana") as ana:
        yield ana


def secret_in(page: str) -> str:
    found = re.search('<code id="secret">(whsec_[^<]+)</code>', page)
    assert found, page
    return found[1]


def link_in(page: str) -> str:
    found = re.search(rf'href="({PATH}/str_[^"]+)"', page)
    assert found, page
    return found[1]


def test_every_action_is_in_one_family_of_events():
    for action in Action:
        assert sum(action.startswith(prefixes) for prefixes in FAMILIES.values()) == 1, action


def test_an_organization_has_so_many_destinations_at_most(near, monkeypatch):
    monkeypatch.setattr("sso_gate.notify.destinations.MOST", 1)
    assert near.post(PATH, data={"url": "http://127.0.0.1:9/one"}).status_code == 201
    refused = near.post(PATH, data={"url": "http://127.0.0.1:9/two", "seats": "1"})
    assert refused.status_code == 422
    assert "which is the most" in refused.text
    assert 'value="http://127.0.0.1:9/two"' in refused.text, "nothing has to be typed again"


def test_a_webhook_is_made_tried_switched_and_removed_and_its_secret_is_seen_once(near):
    with Listener() as listener:
        made = near.post(PATH, data={"url": f"{listener.url}/in/s3cret", "seats": "1", "denied": "1"})
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        first, own = secret_in(made.text), link_in(made.text)
        assert "/in/s3cret" not in near.get(PATH).text, "a part of the path may be a secret"
        page = near.get(own).text
        assert first not in page
        assert "seat.grant" in page
        assert "auth.login" not in page
        assert "Nothing was sent yet." in page
        tried = near.post(f"{own}/test", headers=FORM)
        assert "Delivered Sample" in plain(tried.text)
        assert "The sample was delivered." in tried.text
        assert json.loads(listener.received())["type"] == "webhook.test"
    assert "The sample did not arrive:" in near.post(f"{own}/test", headers=FORM).text
    assert near.post(f"{own}/events", data={"logins": "1"}).headers["location"] == own
    changed = near.get(own).text
    assert "auth.login" in changed
    assert "seat.grant" not in changed
    assert 'name="logins" value="1" checked' in changed
    second = near.post(f"{own}/secret", headers=FORM)
    assert second.status_code == 201
    assert secret_in(second.text) != first
    assert near.post(f"{own}/off", headers=FORM).headers["location"] == own
    assert "Switch on" in near.get(own).text
    assert near.post(f"{own}/on", headers=FORM).status_code == 303
    near.get("/settings/audit")  # whoever reads the log has it sealed; the worker does it otherwise
    assert near.post(f"{own}/replay", data={"since": "all"}).status_code == 303
    assert "0 events" not in plain(near.get(own).text), "everything is to be delivered again"
    assert near.post(f"{own}/replay", data={"since": "yesterday"}).status_code == 422
    assert near.post(f"{own}/remove", headers=FORM).headers["location"] == PATH
    assert near.get(own).status_code == 404
    log = plain(near.get("/settings/audit").text)
    for action in ("create", "test", "update", "delete"):
        assert f"audit.stream.{action}" in log
    assert first not in log


@pytest.mark.parametrize("url", ["", "http://hooks.acme.example/", "https://127.0.0.1/", "ftp://x", "https://[::1]/"])
def test_an_address_that_may_not_be_reached_is_refused_and_kept_in_the_form(ana, url):
    answer = ana.post(PATH, data={"url": url, "seats": "1"})
    assert answer.status_code == 422
    assert 'href="#url"' in answer.text
    assert f'value="{url}"' in answer.text
    assert "No webhooks yet" in answer.text


def test_nobody_but_owners_gets_near_the_webhooks(gate):
    with gate.browser("leo") as leo:
        unknown = leo.get("/no/such/path").content
        asked = [leo.get(PATH), leo.post(PATH, data={"url": "https://x.example"}), leo.get(f"{PATH}/str_1")]
        asked += [leo.post(f"{PATH}/str_1/{what}") for what in ("test", "on", "off", "replay", "secret", "remove")]
        assert {(answer.status_code, answer.content) for answer in asked} == {(404, unknown)}


def test_what_is_not_there_cannot_be_changed(ana):
    for what in ("test", "on", "off", "secret", "remove"):
        assert ana.post(f"{PATH}/str_1/{what}", headers=FORM).status_code == 404
    assert ana.post(PATH, data={"url": "https://x.example"}, headers={"sec-fetch-site": "same-site"}).status_code == 403
