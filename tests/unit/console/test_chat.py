"""Owners' news in a chat: an address that is kept sealed, a choice for each kind, and messages that really arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sso_gate.notify.owners import tell_owners
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


def test_an_address_that_may_not_be_reached_is_refused(ana):
    for url in ("http://hooks.example/", "https://127.0.0.1/", "nonsense"):
        answer = ana.post(PATH, data={"chat_url": url})
        assert answer.status_code == 422, url
        assert 'href="#chat_url"' in answer.text
    assert "Messages go to" not in ana.get(PATH).text
