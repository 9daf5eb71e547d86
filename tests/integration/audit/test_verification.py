"""An export proves itself; whatever is done to it is found and named, from the file alone."""

import base64
import json
import random
from dataclasses import replace

import pytest

from sso_gate.audit import retention, sealer
from sso_gate.audit.chain import link
from sso_gate.audit.checkpoint import audit_keys, read_checkpoint, signer
from sso_gate.audit.line import check_lines
from sso_gate.audit.proof import check, prove, prove_growth
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.suspects import Kind
from sso_gate.audit.verify import verify
from sso_gate.errors import NotFound

ROWS = 40


@pytest.fixture
async def exported(small_log, monkeypatch):
    monkeypatch.setattr(sealer, "SIGN_EACH", 15)
    for _ in range(ROWS // 10):
        await small_log.sealed(10)
        await sign_due(small_log.runtime)
    return await small_log.export()


def named(lines, **more):
    return [(finding.kind, finding.position) for finding in verify(lines, **more).findings]


def rehashed(line, **changes):
    """The line of a forger who knows how hashes are made."""
    row = json.loads(line)
    body = {**json.loads(row["chain"]["canonical"]), **changes}
    row |= changes
    row["chain"]["canonical"] = json.dumps(body, separators=(",", ":"))
    row["chain"]["hash"] = link(row["chain"]["prev"], row["chain"]["canonical"])
    return json.dumps(row) + "\n"


def renumbered(lines):
    """The lines between head and end, numbered from one as a careful forger would."""
    head, *rows, end = lines
    made = []
    for number, line in enumerate(rows, start=1):
        row = json.loads(line)
        row["chain"]["pos"] = number
        made.append(json.dumps(row) + "\n")
    return [head, *made, end]


def test_an_untouched_export_is_whole(exported):
    report = verify(exported)
    assert report.findings == ()
    assert (report.first, report.last) == (1, report.rows)
    assert report.checkpoints >= 3


def test_several_processes_find_what_one_finds(exported):
    exported[7] = exported[7].replace("ana@acme.example", "eve@acme.example", 1)
    exported[9], exported[12] = exported[12], exported[9]
    exported.insert(20, "nothing\n")
    assert verify(exported, processes=2) == verify(exported)


def test_one_flipped_byte_of_what_is_shown_is_a_changed_row(exported):
    exported[7] = exported[7].replace("ana@acme.example", "eve@acme.example", 1)
    assert named(exported) == [(Kind.CHANGED, 7)]


def test_one_flipped_byte_of_the_canonical_text_is_a_changed_row(exported):
    exported[7] = exported[7].replace('acme-okta\\"', 'acme-0kta\\"', 1)
    assert named(exported) == [(Kind.CHANGED, 7)]


@pytest.mark.parametrize("seed", range(30))
def test_any_flipped_byte_of_a_row_is_found_and_named(exported, seed):
    chance = random.Random(seed)
    at = chance.randrange(1, ROWS)
    line = exported[at]
    spot = chance.randrange(len(line) - 1)
    exported[at] = line[:spot] + chr(ord(line[spot]) ^ 1) + line[spot + 1 :]
    found = named(exported)
    assert found
    assert {kind for kind, _ in found} <= {Kind.CHANGED, Kind.MISSING}
    assert {position for _, position in found} & {at, at - 1, at + 1}


def test_no_byte_of_a_row_can_be_flipped_unseen(exported):
    line = exported[5]
    organization = json.loads(line)["organization"]
    [sound] = check_lines([line], organization)
    flipped = [line[:spot] + chr(ord(line[spot]) ^ 1) + line[spot + 1 :] for spot in range(len(line) - 1)]
    unseen = [spot for spot, found in enumerate(check_lines(flipped, organization)) if found == sound]
    assert unseen == []


def test_a_forger_who_hashes_again_is_named_by_the_row_behind(exported):
    exported[7] = rehashed(exported[7], reference="FORGED00")
    assert named(exported) == [(Kind.CHANGED, 7)]


def test_a_forger_who_changes_the_last_row_is_named_by_the_checkpoint(exported):
    exported[-2] = rehashed(exported[-2], outcome="denied")
    assert named(exported) == [(Kind.CHANGED, len(exported) - 2)]


@pytest.mark.parametrize("at", [1, 12, ROWS])
def test_a_deleted_row_is_missing(exported, at):
    del exported[at]
    assert named(exported) == [(Kind.MISSING, at)]


def test_deleted_rows_are_missing_also_when_the_rest_is_numbered_anew(exported):
    del exported[12:14]
    assert (Kind.MISSING, 12) in named(renumbered(exported))


@pytest.mark.parametrize(("one", "other"), [(5, 6), (5, 30), (1, 2), (39, 40)])
def test_two_swapped_rows_are_both_named(exported, one, other):
    exported[one], exported[other] = exported[other], exported[one]
    assert sorted(named(exported)) == [(Kind.SWAPPED, one), (Kind.SWAPPED, other)]


def test_two_swapped_rows_are_named_also_when_they_carry_each_others_numbers(exported):
    exported[5], exported[6] = exported[6], exported[5]
    assert {kind for kind, _ in named(renumbered(exported))} == {Kind.SWAPPED}


def test_an_inserted_row_is_named(exported):
    stranger = rehashed(exported[9], reference="FORGED00", id="evt_forged")
    exported.insert(10, stranger)
    assert named(exported) == [(Kind.INSERTED, 9)]


def test_an_inserted_row_is_named_also_when_it_is_chained_and_numbered(exported):
    row = json.loads(exported[9])
    forged = json.loads(rehashed(exported[9], id="evt_forged"))
    forged["chain"]["prev"] = row["chain"]["hash"]
    forged["chain"]["hash"] = link(forged["chain"]["prev"], forged["chain"]["canonical"])
    exported.insert(10, json.dumps(forged) + "\n")
    assert named(renumbered(exported)) == [(Kind.INSERTED, 10)]


def test_a_duplicated_row_is_named(exported):
    exported.insert(21, exported[8])
    assert named(exported) == [(Kind.DUPLICATED, 8)]


def test_a_cut_file_is_named(exported):
    assert named(exported[:-6]) == [(Kind.CUT, len(exported) - 6)]


def test_a_cut_tail_is_named_by_the_closing_checkpoint(exported):
    left = [*exported[:-6], exported[-1]]
    assert named(left) == [(Kind.CUT, len(exported) - 6)]


async def test_a_tail_cut_before_the_export_is_named_by_a_checkpoint_kept_elsewhere(small_log, exported):
    closing = read_checkpoint(json.loads(exported[-1])["checkpoint"])
    older = json.loads(next(line for line in exported if '"audit.checkpoint"' in line))["changes"]["checkpoint"]
    shorter = [*exported[: older["size"] + 1], json.dumps({"checkpoint": older}) + "\n"]
    assert named(shorter) == []
    assert named(shorter, checkpoints=[closing]) == [(Kind.CUT, older["size"] + 1)]


async def test_a_history_written_anew_is_named_by_a_checkpoint_kept_elsewhere(small_log, exported):
    kept = read_checkpoint(json.loads(exported[-1])["checkpoint"])
    other = replace(kept, root="0" * 64)
    keys = await signer(small_log.runtime)
    at = small_log.clock.now()
    forged = keys.sign(organization=kept.organization, size=kept.size, head=kept.head, root=bytes(32), at=at)
    assert named(exported, checkpoints=[forged]) == [(Kind.REWRITTEN, kept.size)]
    assert named(exported, checkpoints=[other]) == [(Kind.CHECKPOINT, kept.size)]


async def test_another_key_than_the_expected_one_is_named(small_log, exported):
    ours = (await audit_keys(small_log.runtime))[0].public
    assert named(exported, keys=[ours]) == []
    stranger = base64.b64encode(bytes(range(32))).decode()
    assert {kind for kind, _ in named(exported, keys=[stranger])} == {Kind.CHECKPOINT}


def test_what_is_no_export_is_said_to_be_unreadable():
    assert named(["hello\n"]) == named([]) == [(Kind.UNREADABLE, 0)]


def test_a_file_broken_everywhere_is_told_in_bounded_time(exported):
    rows = [line for at, line in enumerate(exported[1:-1]) if at % 2]
    assert {kind for kind, _ in named([exported[0], *rows, exported[-1]])} == {Kind.MISSING}


async def test_a_part_is_proved_row_by_row_and_says_that_it_is_a_part(small_log, exported):
    await small_log.sealed(3, person="li@acme.example")
    part = await small_log.export(person="li@acme.example")
    report = verify(part)
    assert (report.is_part, report.rows, report.findings) == (True, 3, ())
    assert named([part[0], part[2], part[1], *part[3:]])[0][0] is Kind.SWAPPED


async def test_a_span_of_time_is_whole_in_itself(small_log, exported):
    small_log.clock.move(days=1)
    begin = small_log.clock.now()
    await small_log.sealed(5)
    report = verify(await small_log.export(since=begin))
    assert report.findings == ()
    assert report.first > ROWS
    until = verify(await small_log.export(until=begin))
    assert until.findings == ()
    assert until.first == 1
    assert until.last < report.first


@pytest.mark.parametrize("at", [1, 2, 17, ROWS])
async def test_one_event_is_proved_with_the_public_key_alone(small_log, exported, at):
    key = (await audit_keys(small_log.runtime))[0].public
    event = json.loads(exported[at])["id"]
    proof = prove(exported, event)
    assert check(proof, keys=[key]).problem == ""
    text = json.dumps(proof)
    assert not any(json.loads(line)["id"] in text for line in exported[1:-1] if json.loads(line)["id"] != event)
    proof["proof"]["event"]["canonical"] = proof["proof"]["event"]["canonical"].replace("acme-okta", "acme-evil")
    assert check(proof, keys=[key]).problem


async def test_a_proof_of_another_position_or_key_fails(small_log, exported):
    key = (await audit_keys(small_log.runtime))[0].public
    proof = prove(exported, json.loads(exported[9])["id"])
    assert check(proof, keys=[base64.b64encode(bytes(range(32))).decode()]).problem
    proof["proof"]["event"]["pos"] = 10
    assert check(proof, keys=[key]).problem


async def test_a_log_that_has_grown_is_proved_by_a_checkpoint_kept_elsewhere(small_log, exported):
    key = (await audit_keys(small_log.runtime))[0].public
    kept = read_checkpoint(json.loads(exported[-1])["checkpoint"])
    await small_log.sealed(20)
    proof = prove_growth(await small_log.export(), kept)
    proved = check(proof, keys=[key])
    assert (proved.problem, proved.position, proved.size > kept.size) == ("", kept.size, True)
    assert '"evt_' not in json.dumps(proof), "it shows no event"
    assert check(proof, keys=[base64.b64encode(bytes(range(32))).decode()]).problem
    for wrong in ({"size": kept.size - 1}, {"root": "00" * 32}, {"organization": "org_other"}):
        assert check({"proof": {**proof["proof"], "older": {**kept.to_json(), **wrong}}}, keys=[key]).problem
    resigned = (await signer(small_log.runtime)).sign(
        organization=kept.organization, size=kept.size, head=kept.head, root=bytes(32), at=small_log.clock.now()
    )
    assert check(prove_growth(await small_log.export(), resigned), keys=[key]).problem, "another log was signed then"
    with pytest.raises(NotFound):
        prove_growth(exported, replace(kept, size=kept.size + 1))


def test_what_is_not_in_the_export_has_no_proof(exported):
    with pytest.raises(NotFound):
        prove(exported, "evt_none")


async def test_after_expiry_the_rest_is_whole_and_its_events_can_be_proved(small_log, exported):
    small_log.clock.move(days=401)
    await small_log.sealed(3)
    assert await retention.expire(small_log.runtime) > 0
    await seal(small_log.runtime)
    rest = await small_log.export()
    report = verify(rest)
    assert report.findings == ()
    assert report.first > 15
    kept = read_checkpoint(json.loads(exported[-1])["checkpoint"])
    assert verify(rest, checkpoints=[kept]).findings == ()
    proof = prove(rest, json.loads(rest[-2])["id"])
    assert check(proof, keys=report.keys).problem == ""
