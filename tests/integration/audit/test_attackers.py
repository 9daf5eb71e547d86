"""Somebody with SQL access: whatever they do to the rows is named, by the gate itself and from the export alone."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from sso_gate.audit import proving, retention, sealer
from sso_gate.audit.chain import link
from sso_gate.audit.checkpoint import audit_keys, read_checkpoint, roll_over, signer
from sso_gate.audit.export import tree_at
from sso_gate.audit.proof import check, prove
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.suspects import Kind
from sso_gate.audit.verify import verify
from sso_gate.storage.tables import audit_chain, audit_checkpoint, audit_event
from tests.integration.audit.conftest import OWNER, Log, new_organization

ROWS = 40


@pytest.fixture
async def full(small_log, monkeypatch):
    """A log with checkpoints at 15 and 30 or so."""
    monkeypatch.setattr(sealer, "SIGN_EACH", 15)
    for _ in range(ROWS // 10):
        await small_log.sealed(10)
        await sign_due(small_log.runtime)
    await seal(small_log.runtime)
    return small_log


async def attack(log, statement):
    await log.runtime.database.write(lambda tx: tx.execute(statement))


def at(log, position):
    return (audit_event.c.organization == log.organization) & (audit_event.c.position == position)


async def row_at(log, position):
    return await log.runtime.database.read(lambda tx: tx.execute(select(audit_event).where(at(log, position))).one())


async def proved(log):
    log.clock.move(hours=7)
    assert await proving.prove_logs(log.runtime) == 1
    return (await proving.last_proof(log.runtime, log.organization)).problem


def kinds(lines, **more):
    return {finding.kind for finding in verify(lines, **more).findings}


async def test_an_untouched_log_is_proved_to_its_end_and_again_only_after_hours(full):
    assert await proved(full) == ""
    found = await proving.last_proof(full.runtime, full.organization)
    newest = json.loads((await full.page(newest_first=True, limit=1)).events[0])
    assert found.size == newest["chain"]["pos"] > ROWS
    assert found.at is not None
    assert await proving.prove_logs(full.runtime) == 0


async def test_a_changed_row_is_named(full):
    row = await row_at(full, 7)
    await attack(full, update(audit_event).where(at(full, 7)).values(body=row.body.replace("success", "denied!")))
    assert await proved(full) == "position 7 is not the event that was sealed"
    assert kinds(await full.export()) == {Kind.CHANGED}


async def test_a_changed_name_is_named(full):
    row = await row_at(full, 7)
    await attack(full, update(audit_event).where(at(full, 7)).values(personal=row.personal.replace("ana@", "eve@")))
    assert "position 7: its personal data" in await proved(full)
    assert kinds(await full.export()) == {Kind.CHANGED}


async def test_a_missing_row_is_named(full):
    await attack(full, delete(audit_event).where(at(full, 12)))
    assert await proved(full) == "position 12 is missing"
    assert Kind.MISSING in kinds(await full.export())


async def test_swapped_rows_are_named(full):
    one, other = await row_at(full, 5), await row_at(full, 6)
    for row, theirs in ((one, other), (other, one)):
        values = {"body": theirs.body, "personal": theirs.personal}
        await attack(full, update(audit_event).where(audit_event.c.id == row.id).values(values))
    assert await proved(full) == "position 5 is not the event that was sealed"
    assert kinds(await full.export()) == {Kind.CHANGED}


async def test_a_row_that_was_hashed_again_is_named_by_the_next_one(full):
    row = await row_at(full, 7)
    body = row.body.replace("auth.login", "auth.logout")
    await attack(full, update(audit_event).where(at(full, 7)).values(body=body, hash=link(row.prev, body)))
    assert "position 8" in await proved(full)
    assert Kind.CHANGED in kinds(await full.export())


async def test_a_history_hashed_anew_to_its_end_is_named_by_the_checkpoints(full):
    """Whoever rewrites every hash and the end of the chain has no key to sign with."""
    query = select(audit_event).where(audit_event.c.position >= 7).order_by(audit_event.c.position)
    rows = await full.runtime.database.read(lambda tx: tx.execute(query).all())
    # No two rows may follow the same one, not even for a moment.
    await attack(full, update(audit_event).where(audit_event.c.position >= 7).values(prev=audit_event.c.id))
    head = rows[0].prev
    for row in rows:
        body = row.body.replace("auth.login", "auth.logout")
        values = {"body": body, "prev": head, "hash": link(head, body)}
        head = values["hash"]
        await attack(full, update(audit_event).where(audit_event.c.id == row.id).values(values))
    await attack(full, update(audit_chain).values(head=head))
    assert "are not those that were signed" in await proved(full)
    assert Kind.REWRITTEN in kinds(await full.export())


async def test_a_cut_tail_is_named(full):
    await attack(full, delete(audit_event).where(audit_event.c.position > 20))
    assert await proved(full) == "position 21 is missing"
    assert Kind.MISSING in kinds(await full.export())


async def test_a_tail_cut_with_all_that_tells_of_it_is_named_by_a_checkpoint_kept_elsewhere(full):
    kept = read_checkpoint(json.loads((await full.export())[-1])["checkpoint"])
    last = await row_at(full, 20)
    tree, _ = await full.runtime.database.read(lambda tx: tree_at(tx, full.organization, 20))
    roots = " ".join(root.hex() for root in tree.roots)
    await attack(full, delete(audit_event).where(audit_event.c.position.is_(None)))
    await attack(full, delete(audit_event).where(audit_event.c.position > 20))
    await attack(full, delete(audit_checkpoint).where(audit_checkpoint.c.size > 20))
    await attack(full, update(audit_chain).values(size=20, head=last.hash, roots=roots, signed_size=0))
    lines = await full.export()
    assert kinds(lines) == set(), "by itself a log that was cut with care is whole"
    assert kinds(lines, checkpoints=[kept]) == {Kind.CUT}


async def test_a_checkpoint_of_another_organization_proves_nothing(full):
    other = Log(full.runtime, full.clock, await new_organization(full.runtime))
    await other.sealed(3)
    theirs = read_checkpoint(json.loads((await other.export())[-1])["checkpoint"])
    assert kinds(await full.export(), checkpoints=[theirs]) == {Kind.CHECKPOINT}
    lines = await full.export()
    assert kinds([*lines[:-1], json.dumps({"checkpoint": theirs.to_json()})]) >= {Kind.CHECKPOINT}


async def test_an_older_checkpoint_played_again_as_the_closing_one_does_not_hide_a_cut(full):
    lines = await full.export()
    older = json.loads(next(line for line in lines if '"audit.checkpoint"' in line))["changes"]["checkpoint"]
    cut = [*lines[: older["size"] + 1], json.dumps({"checkpoint": older}) + "\n"]
    newest = read_checkpoint(json.loads(lines[-1])["checkpoint"])
    assert kinds(cut, checkpoints=[newest]) == {Kind.CUT}
    replayed = [*lines[:-1], json.dumps({"checkpoint": older}) + "\n"]
    assert kinds(replayed) == {Kind.CHECKPOINT}, "whoever has no key could have written the rows behind it"


async def test_a_checkpoint_whose_size_was_changed_is_not_signed(full):
    lines = await full.export()
    closing = read_checkpoint(json.loads(lines[-1])["checkpoint"])
    for forged in (replace(closing, size=closing.size - 1), replace(closing, time="2020-01-01T00:00:00Z")):
        assert kinds([*lines[:-1], json.dumps({"checkpoint": forged.to_json()})]) >= {Kind.CHECKPOINT}


async def test_a_key_is_rolled_over_and_the_whole_log_still_verifies(full):
    before = (await audit_keys(full.runtime))[0].public
    made = await roll_over(full.runtime, by=OWNER)
    await full.sealed(20)
    assert await sign_due(full.runtime) == 1
    assert (await signer(full.runtime)).public == made != before
    lines = await full.export()
    assert verify(lines).findings == verify(lines, keys=[made, before]).findings == ()
    assert kinds(lines, keys=[made]) == kinds(lines, keys=[before]) == {Kind.CHECKPOINT}
    proof = prove(lines, json.loads(lines[3])["id"])
    assert check(proof, keys=[before]).problem
    assert check(proof, keys=[made, before]).problem == ""
    assert await proved(full) == ""
    told = [json.loads(line) for line in (await full.page(action="audit.key.change")).events]
    assert [event["actor"]["name"] for event in told] == [OWNER.name]


async def test_what_is_found_is_told_once_and_again_when_it_is_gone(full):
    row = await row_at(full, 7)
    await attack(full, update(audit_event).where(at(full, 7)).values(body=row.body + " "))
    assert await proved(full) == await proved(full) == "position 7 is not the event that was sealed"
    await attack(full, update(audit_event).where(at(full, 7)).values(body=row.body))
    assert await proved(full) == ""
    await seal(full.runtime)
    told = [json.loads(line)["changes"]["problem"] for line in (await full.page(action="audit.verify")).events]
    assert told == ["position 7 is not the event that was sealed", ""]


async def test_erasing_and_expiring_are_no_attacks(full):
    await retention.erase(full.runtime, full.organization, "ana@acme.example", by=OWNER)
    assert await proved(full) == ""
    full.clock.move(days=401)
    await full.sealed(2)
    assert await retention.expire(full.runtime) > 0
    await seal(full.runtime)
    assert await proved(full) == ""


async def test_a_signed_root_that_was_exchanged_in_the_database_is_named(full):
    forged = json.dumps({"v": 1, "size": 15})
    await attack(full, update(audit_checkpoint).values(signed=forged))
    assert "are not those that were signed" in await proved(full)
