import asyncio
import email
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from email.message import Message
from email.policy import default
from functools import partial

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import select, update

from sso_gate.admission.invites import invite
from sso_gate.admission.settle import Denied
from sso_gate.audit.event import Actor
from sso_gate.billing import purchase
from sso_gate.billing.details import Party, billing_details_of, change_details
from sso_gate.errors import Conflict
from sso_gate.notify import owners
from sso_gate.notify.asking import ask_owners_to_look
from sso_gate.notify.letters import LETTER
from sso_gate.notify.mail import GIVE_UP_AFTER, Letter
from sso_gate.notify.owners import left_when_nearly_full, short_since, tell_of_certificates, tell_owners
from sso_gate.notify.preferences import THRESHOLD, Preference, save
from sso_gate.storage import outbox
from sso_gate.storage.tables import outbox as table
from sso_gate.storage.tables import seat_pool
from sso_gate.worker import keep_promises
from tests.support.gates import OPERATOR, Gate, MovingClock, make_organization, open_gate, person
from tests.support.keys import make_key_pair
from tests.support.servers import LOOPBACK, free_port
from tests.support.valkey import ThrowAwayValkey


class Postbox:
    """What a real SMTP server has received; `refuses` makes it say no for now."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.refuses = False

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        if self.refuses:
            return "451 try again later"
        content = envelope.content
        assert isinstance(content, bytes)
        self.letters.append(email.message_from_bytes(content, policy=default))
        return "250 taken"


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, str]]:
    box = Postbox()
    controller = Controller(box, hostname=LOOPBACK, port=free_port())
    controller.start()
    yield box, f"smtp://{LOOPBACK}:{controller.port}"
    controller.stop()


async def everything_said(gate: Gate) -> None:
    await tell_owners(gate.runtime)
    await tell_of_certificates(gate.runtime)
    while await keep_promises(gate.runtime):
        pass


async def full_house(gate: Gate) -> tuple[object, Denied]:
    organization = await make_organization(gate.runtime, seats=1)
    refused = await gate.login(person(organization, "ana"))
    assert isinstance(refused, Denied)
    return organization, refused


@pytest.fixture
def mailing(gate_database: str, valkey: ThrowAwayValkey, postbox: tuple[Postbox, str], moving_clock: MovingClock):
    settings = {"smtp_url": postbox[1], "mail_from": "gate@acme.example", "public_url": "https://gate.acme.example"}
    return lambda: open_gate(gate_database, valkey.socket_url, clock=moving_clock, **settings)


async def test_owners_are_told_once_that_people_wait_with_a_link_that_is_filled_in(mailing, postbox):
    async with mailing() as gate:
        await full_house(gate)
        await everything_said(gate)
        await everything_said(gate)
    waiting = [one for one in postbox[0].letters if "can't log in" in one["subject"]]
    assert len(waiting) == 1
    assert waiting[0]["to"].startswith("owner@")
    assert "https://gate.acme.example/settings/billing/seats/edit?add=1" in waiting[0].get_content()


async def test_an_administrator_asks_owners_to_look_and_they_read_who_asks(mailing, postbox, moving_clock):
    async with mailing() as gate:
        organization, _ = await full_house(gate)
        await everything_said(gate)
        moving_clock.move(timedelta(minutes=5))
        await ask_owners_to_look(gate.runtime, organization.id, by=Actor("user", "mem_1", "leo@acme.example"))
        with pytest.raises(Conflict):
            await ask_owners_to_look(gate.runtime, organization.id, by=Actor("user", "mem_1", "leo@acme.example"))
        await everything_said(gate)
    said = [one.get_content() for one in postbox[0].letters if "can't log in" in one["subject"]]
    assert ["leo@acme.example asks you to have a look." in text for text in said] == [False, True]


async def test_more_people_within_the_hour_are_told_together(mailing, postbox, moving_clock):
    async with mailing() as gate:
        organization, _ = await full_house(gate)
        await everything_said(gate)
        for name in ("bea", "caio"):
            await gate.login(person(organization, name))
            await everything_said(gate)
        assert len([one for one in postbox[0].letters if "can't log in" in one["subject"]]) == 1
        moving_clock.move(timedelta(minutes=61))
        await everything_said(gate)
    subjects = [one["subject"] for one in postbox[0].letters if "can't log in" in one["subject"]]
    assert len(subjects) == 2
    assert subjects[1].startswith("3 people")


async def test_a_waiting_person_hears_of_the_seat_that_is_kept_for_them(mailing, postbox):
    async with mailing() as gate:
        organization, _ = await full_house(gate)
        quote = await purchase.review(gate.runtime, organization=organization, add=1)
        await purchase.order(
            gate.runtime, organization=organization, by=OPERATOR, quote_id=quote.id, idempotency_key="one"
        )
        await everything_said(gate)
    ready = [one for one in postbox[0].letters if one["to"].startswith("ana@")]
    assert [one["subject"] for one in ready] == [f"Your seat in {organization.name} is ready"]
    assert f"https://gate.acme.example/login?org={organization.slug}" in ready[0].get_content()
    assert any("INV-" in one.get_content() for one in postbox[0].letters if one["to"].startswith("owner@"))


async def test_owners_are_told_once_for_each_step_that_a_certificate_comes_nearer_its_end(
    mailing, postbox, moving_clock, tmp_path
):
    pair = make_key_pair("idp.acme.example")
    end = load_pem_x509_certificate(pair.certificate.encode()).not_valid_after_utc
    (tmp_path / "idp.pem").write_text(pair.certificate)
    moving_clock.instant = end - timedelta(days=25)
    connection = {
        "id": "acme-saml",
        "name": "Okta",
        "protocol": "saml",
        "idp_entity_id": "https://idp.acme.example",
        "sso_url": "https://idp.acme.example/sso",
        "certificates": ["idp.pem"],
    }
    async with mailing() as gate:
        await make_organization(gate.runtime, slug="acme", connections=[connection], folder=tmp_path)
        told = []
        for days_left in (23, 20, 20, 6, 6, 1):
            moving_clock.instant = end - timedelta(days=days_left)
            await everything_said(gate)
            told.append(sum("certificate" in one["subject"] for one in postbox[0].letters))
    assert told == [0, 1, 1, 2, 2, 3]
    assert {one["to"] for one in postbox[0].letters if "certificate" in one["subject"]} == {"owner@acme.example"}


async def test_seats_are_short_at_the_number_that_owners_chose(mailing):
    async with mailing() as gate:
        organization = await make_organization(gate.runtime, seats=5)

        async def is_short() -> bool:
            await tell_owners(gate.runtime)
            return await gate.runtime.database.read(lambda tx: short_since(tx, organization.id)) is not None

        assert not await is_short(), "four are free"
        chosen = {THRESHOLD: Preference(seats_left=4)}
        await gate.runtime.database.write(lambda tx: save(tx, organization.id, chosen))
        assert await is_short()


async def test_an_invoice_goes_as_pdf_to_the_billing_contacts_who_need_not_be_members(mailing, postbox):
    async with mailing() as gate:
        organization = await make_organization(gate.runtime, seats=1)
        known = await billing_details_of(gate.runtime, organization.id)
        assert known is not None
        buyer = Party(name="Acme S.A.", tax_id="30-1", country="AR", email="pay@acme.example")
        books = ("books@accountants.example", "PAY@acme.example")
        await change_details(gate.runtime, organization.id, buyer, books, seen=known.seen, by=OPERATOR)
        quote = await purchase.review(gate.runtime, organization=organization, add=1)
        await purchase.order(
            gate.runtime, organization=organization, by=OPERATOR, quote_id=quote.id, idempotency_key="one"
        )
        await everything_said(gate)
    letters = [one for one in postbox[0].letters if one["subject"].startswith("Invoice INV-")]
    assert sorted(one["to"].casefold() for one in letters) == ["books@accountants.example", "pay@acme.example"]
    [enclosed] = letters[0].iter_attachments()
    assert enclosed.get_filename().startswith("INV-")
    assert enclosed.get_content().startswith(b"%PDF-")
    assert "Due on:" in letters[0].get_body().get_content()


async def test_an_invited_person_hears_of_the_seat_that_is_kept_and_where_to_log_in(mailing, postbox):
    async with mailing() as gate:
        organization = await make_organization(gate.runtime, seats=2)
        email = f"bea@{organization.slug}.example"
        await invite(gate.runtime, organization.id, email, by=OPERATOR)
        await everything_said(gate)
    [letter] = [one for one in postbox[0].letters if one["to"] == email]
    assert letter["subject"] == f"You are invited to {organization.name}"
    assert f"https://gate.acme.example/login?org={organization.slug}&email={email}" in letter.get_content()
    assert "We are holding this seat for you until Mar 15, 2026" in letter.get_content()


async def test_a_letter_that_was_not_taken_is_sent_again_later_and_once(mailing, postbox, moving_clock):
    async with mailing() as gate:
        postbox[0].refuses = True
        await full_house(gate)
        await everything_said(gate)
        assert postbox[0].letters == []
        postbox[0].refuses = False
        moving_clock.move(timedelta(minutes=10))
        await everything_said(gate)
        moving_clock.move(timedelta(minutes=10))
        await everything_said(gate)
    subjects = [one["subject"] for one in postbox[0].letters]
    assert len(subjects) == len(set(subjects))
    assert subjects


async def test_a_letter_that_nobody_takes_is_given_up_after_five_days(mailing, postbox, moving_clock):
    async with mailing() as gate:
        await full_house(gate)
        await tell_owners(gate.runtime)
        await keep_promises(gate.runtime)
        postbox[0].refuses = True

        async def left() -> int:
            soon = moving_clock.now() + timedelta(days=365)
            return await gate.runtime.database.read(lambda tx: outbox.overdue(tx, now=soon))

        await keep_promises(gate.runtime)
        assert await left() > 0, "it is tried again"
        often = update(table).where(table.c.kind == LETTER).values(attempts=GIVE_UP_AFTER)
        await gate.runtime.database.write(lambda tx: tx.execute(often))
        moving_clock.move(timedelta(hours=1))
        await keep_promises(gate.runtime)
        assert await left() == 0
    assert postbox[0].letters == []


async def test_what_nobody_can_keep_holds_up_nothing_behind_it(mailing, postbox):
    async with mailing() as gate:
        organization = await make_organization(gate.runtime, seats=2)

        def promised(tx):
            for template in ("no_such_letter", "breakglass_used"):
                told = {"organization_name": "Acme", "person_email": "", "access_url": ""}
                letter = Letter("ana@acme.example", "en", template, told)
                outbox.add(tx, organization.id, LETTER, clock=gate.runtime.clock, payload=asdict(letter))

        await gate.runtime.database.write(promised)
        await keep_promises(gate.runtime)
    assert [one["to"] for one in postbox[0].letters] == ["ana@acme.example"]


async def test_without_a_mail_server_nothing_is_promised(inside):
    await full_house(inside)
    await asyncio.wait_for(everything_said(inside), 10)


@pytest.mark.parametrize(
    ("purchased", "left"), [(1, 1), (15, 1), (16, 2), (25, 2), (26, 2), (99, 9), (100, 8), (999, 79), (1000, 50)]
)
def test_nearly_full_depends_on_the_size(purchased, left):
    assert left_when_nearly_full(purchased) == left


async def test_the_database_counts_what_is_nearly_full_as_the_pages_do(inside):
    await make_organization(inside.runtime, seats=1)

    def few(tx, purchased):
        tx.execute(update(seat_pool).values(purchased=purchased))
        return tx.execute(select(owners._FEW_BY_SIZE).select_from(seat_pool)).scalar_one()

    for purchased in (1, 2, 15, 16, 25, 26, 29, 30, 99, 100, 112, 113, 999, 1000, 1019, 1020, 100_000):
        said = await inside.runtime.database.write(partial(few, purchased=purchased))
        assert said == left_when_nearly_full(purchased), purchased


async def test_owners_are_reminded_once_after_a_day_and_told_when_nobody_waits_any_more(mailing, postbox, moving_clock):
    async with mailing() as gate:
        organization, _ = await full_house(gate)
        for _ in range(4):
            await everything_said(gate)
            moving_clock.move(timedelta(hours=24))
        assert len([one for one in postbox[0].letters if "can't log in" in one["subject"]]) == 2
        quote = await purchase.review(gate.runtime, organization=organization, add=1)
        await purchase.order(
            gate.runtime, organization=organization, by=OPERATOR, quote_id=quote.id, idempotency_key="one"
        )
        await everything_said(gate)
        await everything_said(gate)
    solved = [one for one in postbox[0].letters if one["subject"].startswith("Solved:")]
    assert [one["subject"] for one in solved] == [f"Solved: nobody waits for a seat in {organization.name} any more"]
    assert solved[0]["to"].startswith("owner@")
