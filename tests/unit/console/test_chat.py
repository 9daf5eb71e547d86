"""Owners' news for chats and programs: a choice for each kind, and messages that really arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from sso_gate.notify import streams
from sso_gate.notify.owners import tell_owners
from sso_gate.notify.webhooks import new_secret
from sso_gate.settings import Settings
from sso_gate.storage.tables import notification_chat
from sso_gate.worker import keep_promises
from tests.support.gates import Migrated
from tests.support.listener import Listener
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate, plain
from tests.unit.console.test_numbers import done

PATH = "/settings/notifications"
WAIT, THRESHOLD = "chat_0", "chat_1"


@pytest.fixture
def near(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path) -> Iterator[Gate]:
    """A gate that may send to this machine, without a mail server."""
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(tmp_path),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
        allow_private_networks="127.0.0.0/8",  # type: ignore[arg-type] - as the environment gives it
    )
    with Gate(settings, tmp_path).serving() as gate:
        yield gate


def everything_said(gate):
    async def work(runtime, _organization):
        await tell_owners(runtime)
        while await keep_promises(runtime):
            pass

    done(gate, work)


def test_what_was_chosen_goes_to_the_chat_and_its_address_is_never_shown_again(near):
    with near.browser("ana") as ana, Listener() as chat:
        saved = ana.post(PATH, data={"chat_url": f"{chat.url}/services/s3cret", WAIT: "1"})
        assert saved.headers["location"] == f"{PATH}?done=saved"
        page = ana.get(PATH).text
        assert "Messages go to http://127.0.0.1" in plain(page)
        assert "s3cret" not in page + ana.get("/settings/audit").text

        async def kept(runtime, _organization):
            [row] = await runtime.database.read(lambda tx: tx.execute(notification_chat.select()).all())
            assert "s3cret" not in row.sealed_url

        done(near, kept)
        near.waits("eva")
        everything_said(near)
        text = json.loads(chat.received())["text"]
        assert text.startswith("*1 pessoa não consegue entrar em Acme Ltda.: nenhum assento disponível*")
        assert "https://gate.example/settings/billing/seats/edit?add=1" in text
        sample = ana.post(f"{PATH}/sample", data={"kind": "mail.certificate", "to": "chat"})
        assert sample.headers["location"] == f"{PATH}?done=chat"
        everything_said(near)
        assert "certificado" in json.loads(chat.received())["text"]
        assert ana.post(PATH, data={"chat_off": "1"}).status_code == 303
        assert "Messages go to" not in plain(ana.get(PATH).text)
        assert ana.post(f"{PATH}/sample", data={"kind": "mail.certificate", "to": "chat"}).status_code == 404


def test_what_was_chosen_goes_to_every_webhook_signed_and_tells_no_person(near):
    with near.browser("ana") as ana, Listener() as program:
        sample = {"kind": "mail.certificate", "to": "webhook"}
        assert ana.post(f"{PATH}/sample", data=sample).status_code == 404, "there is no webhook yet"
        assert "webhook_0" not in ana.get(PATH).text
        made = ana.post("/settings/developer/webhooks", data={"url": f"{program.url}/in", "audit": "1"})
        secret = re.search(r'<code id="secret">(whsec_[^<]+)</code>', made.text)
        assert secret
        assert ana.post(PATH, data={"webhook_0": "1"}).headers["location"] == f"{PATH}?done=saved"
        assert 'name="webhook_0" value="1" checked' in ana.get(PATH).text
        near.waits("eva")
        everything_said(near)
        body, headers = program.message()
        at, told = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC), json.loads(body)
        assert headers["webhook-signature"] == Webhook(secret[1]).sign(headers["webhook-id"], at, body)
        assert (told["type"], told["data"]["count"]) == ("seats.people_waiting", 1)
        assert "eva" not in body
        assert ana.post(f"{PATH}/sample", data=sample).headers["location"] == f"{PATH}?done=webhook"
        everything_said(near)
        sent = json.loads(program.received())
        assert (sent["type"], sent["data"]["sample"]) == ("connection.certificate_expiring", True)


def test_a_webhook_that_answers_late_holds_up_no_other(near):
    with near.browser("ana") as ana, Listener(together=2) as program:
        for name in ("one", "two"):
            ana.post("/settings/developer/webhooks", data={"url": f"{program.url}/{name}", "audit": "1"})
        ana.post(f"{PATH}/sample", data={"kind": "mail.certificate", "to": "webhook"})
        everything_said(near)
        assert not program.everybody.broken, "the one would have waited for the other"
        assert program.message()[1]["webhook-id"] != program.message()[1]["webhook-id"]


def test_a_notice_has_the_headers_that_the_webhook_was_given(near):
    with near.browser("ana") as ana, Listener() as program:

        async def made(runtime, organization):
            given = {"headers": [("X-Api-Key", "let-me-in")], "keyring": runtime.keyring, "clock": near.clock}
            secret = new_secret()
            await runtime.database.write(
                lambda tx: streams.create(tx, organization, "webhook", f"{program.url}/in", secret, **given)
            )

        done(near, made)
        ana.post(f"{PATH}/sample", data={"kind": "mail.certificate", "to": "webhook"})
        everything_said(near)
        headers = program.message()[1]
        assert headers["x-api-key"] == "let-me-in"
        assert "webhook-signature" in headers


def test_an_address_that_may_not_be_reached_is_refused(ana):
    for url in ("http://hooks.example/", "https://127.0.0.1/", "nonsense"):
        answer = ana.post(PATH, data={"chat_url": url})
        assert answer.status_code == 422, url
        assert 'href="#chat_url"' in answer.text
    assert "Messages go to" not in ana.get(PATH).text
