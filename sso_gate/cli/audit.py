"""`sso-gate audit`."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import click

from sso_gate.audit import reading, retention
from sso_gate.audit.checkpoint import Checkpoint, audit_keys, key_id, read_checkpoint
from sso_gate.audit.checkpoint import roll_over as make_new_key
from sso_gate.audit.event import Action
from sso_gate.audit.export import export
from sso_gate.audit.proof import check, prove, prove_growth
from sso_gate.audit.store import AuditFilter
from sso_gate.audit.verify import verify
from sso_gate.cli.audit_streams import streams_group
from sso_gate.cli.session import (
    ERROR,
    OPERATOR,
    USAGE,
    Caller,
    agreed,
    dry_run_option,
    json_option,
    org_option,
    run,
    run_for,
    say,
    show_json,
    show_table,
    stop,
    writing,
    yes_option,
)
from sso_gate.errors import NotFound, Reason
from sso_gate.storage.runtime import Runtime

PAGE = 200
LARGE = 50_000_000
PROGRESS_EACH = 1_000_000
FORMATS = ("jsonl", "csv", "ocsf", "ecs", "cef")


@click.group("audit")
def audit_group() -> None:
    """The audit log: every login, admitted or refused, with its reason."""


audit_group.add_command(streams_group)


def _instant(_context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("expected a date or an instant, such as 2026-11-20", param=parameter) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _word(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    return value or ""


_FILTERS = (
    click.option("--outcome", type=click.Choice(["success", "denied"]), callback=_word),
    click.option("--reason", type=click.Choice(sorted(map(str, Reason))), metavar="REASON", callback=_word),
    click.option("--action", type=click.Choice(sorted(map(str, Action))), metavar="ACTION", callback=_word),
    click.option("--person", default="", help="An email address."),
    click.option("--connection", default=""),
    click.option("--address", default="", help="An IP address."),
    click.option("--reference", default="", help="The code on an employee's page."),
    click.option("--since", callback=_instant, help="The first date or instant, UTC unless it says its zone."),
    click.option("--until", callback=_instant, help="The first date or instant no longer wanted."),
)


def _filtered(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@audit_group.command("list")
@org_option
@_filtered
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
def list_events(*, slug: str, limit: int, as_json: bool, **filters: Any) -> None:
    """Print events, oldest first."""

    async def work(caller: Caller) -> list[str]:
        found: list[str] = []
        after = ""
        while len(found) < limit:
            wanted = AuditFilter(**filters, after=after)
            size = min(PAGE, limit - len(found))
            page = await reading.read(caller.runtime, caller.organization.id, wanted, limit=size, by=OPERATOR)
            found += page.events
            after = page.next_after
            if not after:
                break
        return found

    events = [json.loads(line) for line in run_for(slug, work)]
    if as_json:
        show_json(events)
        return
    headings = ("Time", "Outcome", "Action", "Reason", "Person", "Connection", "Reference")
    show_table(headings, [_cells(event) for event in events])


def _cells(event: dict[str, Any]) -> tuple[str, ...]:
    names = ("time", "outcome", "action", "reason")
    words = [*(event[name] for name in names), event["actor"]["name"], event["via"]["connection"], event["reference"]]
    # A terminal obeys what it is shown; text from outside must not be able to give orders.
    return tuple("".join(letter if letter.isprintable() else "?" for letter in word or "") for word in words)


@audit_group.command("export")
@org_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to stdout.")
@_filtered
@json_option
def export_events(*, slug: str, form: str, output: Path | None, as_json: bool, **filters: Any) -> None:
    """Print the log: JSON Lines that `audit verify` proves, CSV, OCSF 1.8, ECS or CEF. The export itself is on record.

    With --output, --json prints what was written.
    """
    if as_json and output is None and form in ("csv", "cef"):
        raise click.UsageError("--json: the log itself goes to stdout; give --output too, or another --format")

    async def work(caller: Caller) -> dict[str, Any]:
        wanted = AuditFilter(**filters)
        span, blocks = await export(caller.runtime, caller.organization.id, wanted, form=form, by=OPERATOR)
        written = 0
        with _target(output) as file, _progress("Exporting", span.count) as bar:
            async for block in blocks:
                lines = block.count("\n")
                file.write(block)
                bar.update(lines)
                written += lines
        say(f"positions {span.first} to {span.last}, {written} lines")
        return {"format": form, "output": str(output), "first": span.first, "last": span.last, "lines": written}

    done = run_for(slug, work)
    if as_json and output is not None:
        show_json(done)


def _progress(label: str, length: int) -> Any:
    """A bar for people at a terminal; programs see nothing."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


@contextmanager
def _target(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with writing(output):
        file = output.open("w", encoding="utf-8", newline="")
        output.chmod(0o600)
    with file:
        yield file


@audit_group.command("verify")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--org", "slug", default="", metavar="SLUG", help="Prove the log as the database has it now, by our own keys."
)
@click.option(
    "--checkpoints",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoints that were kept elsewhere, one JSON object a line (`audit.checkpoint` events will do).",
)
@click.option(
    "--key",
    default="",
    help="The public keys that may have signed, as `sso-gate audit key` prints them, or their file.",
)
@json_option
def verify_log(*, file: Path | None, slug: str, checkpoints: Path | None, key: str, as_json: bool) -> None:
    """Prove an export, or a proof of one event, from the FILE alone; name what was changed, missing, swapped or cut."""
    if (file is None) == (not slug):
        raise click.UsageError("give one of FILE and --org")
    if file is not None:
        _verify(file, checkpoints, _public_keys(key), as_json=as_json)
        return
    with TemporaryDirectory(prefix="sso-gate-audit-") as folder:
        exported = Path(folder) / "log.jsonl"
        ours = run_for(slug, partial(_write_log, exported))
        _verify(exported, checkpoints, _public_keys(key) or ours, as_json=as_json)


async def _write_log(target: Path, caller: Caller) -> list[str]:
    """Export the whole log into the file and return the public keys of this installation."""
    _, blocks = await export(caller.runtime, caller.organization.id, AuditFilter(), form="jsonl", by=OPERATOR)
    with _target(target) as file:
        async for block in blocks:
            file.write(block)
    return [key.public for key in await audit_keys(caller.runtime)]


def _verify(file: Path, checkpoints: Path | None, expected: Sequence[str], *, as_json: bool) -> None:
    kept = _checkpoints(checkpoints) if checkpoints else []
    with click.open_file(str(file), encoding="utf-8", errors="replace") as lines:
        first = next(lines, "")
        if first.startswith('{"proof"'):
            _verify_proof(json.loads(first), expected, as_json=as_json)
            return
        size = file.stat().st_size if str(file) != "-" else 0
        with _progress("Verifying", size) as bar:
            report = verify(_chained(first, lines, bar), keys=expected, checkpoints=kept, processes=_processes(size))
    if as_json:
        show_json({"whole": report.is_whole, **asdict(report)})
    for finding in report.findings:
        say(f"{finding.kind}: position {finding.position}, line {finding.line}: {finding.words}")
    if not expected:
        named = ", ".join(key_id(one) for one in report.keys)
        say(f"signed by {named}, which the file itself names: give --key to know that it is yours")
    if not report.is_whole:
        stop(ERROR, f"{len(report.findings)} findings in {report.rows} events")
    whole = "some events of" if report.is_part else "the whole of"
    say(f"{whole} positions {report.first} to {report.last}: {report.rows} events, {report.checkpoints} checkpoints")


def _processes(size: int) -> int:
    """To start processes takes a second each: that is worth it for a large file alone."""
    return (os.cpu_count() or 1) if size > LARGE else 1


def _chained(first: str, lines: Iterable[str], bar: Any) -> Iterator[str]:
    """The first line and the others; the bar moves with what was read, in ASCII as many bytes as characters."""
    read = 0
    for line in chain([first], lines):
        read += len(line)
        if read > PROGRESS_EACH:
            bar.update(read)
            read = 0
        yield line


def _verify_proof(found: Any, keys: Sequence[str], *, as_json: bool) -> None:
    if not keys:
        stop(USAGE, "a proof needs --key: it would prove nothing with a key of its own")
    proved = check(found, keys=keys)
    if as_json:
        show_json(asdict(proved))
    if proved.problem:
        stop(ERROR, f"{proved.event or 'the proof'}: {proved.problem}")
    if proved.event:
        say(f"{proved.event} is position {proved.position} of the log that the checkpoint signs")
    else:
        say(f"the log of {proved.size} events begins with the {proved.position} that the older checkpoint signs")


def _public_keys(key: str) -> list[str]:
    if key and len(key) < 200 and Path(key).is_file():
        return Path(key).read_text(encoding="ascii").split()
    return key.split()


def _checkpoints(path: Path) -> list[Checkpoint]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        value = json.loads(line)
        for inner in ("changes", "checkpoint"):
            value = value.get(inner, value) if isinstance(value, dict) else value
        checkpoint = read_checkpoint(value)
        if checkpoint is None:
            stop(USAGE, f"{path}:{number}: not a checkpoint")
        found.append(checkpoint)
    return found


@audit_group.command("prove")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("event", required=False)
@click.option(
    "--checkpoint",
    "older",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint that was kept elsewhere: prove that the log has only grown since.",
)
def prove_event(*, file: Path, event: str | None, older: Path | None) -> None:
    """Print the proof that EVENT is in the log of the export FILE; it shows no other event.

    With --checkpoint instead of EVENT, the proof that the log of that checkpoint is the beginning of this one.
    """
    if (event is None) == (older is None):
        raise click.UsageError("give one of EVENT and --checkpoint")
    with file.open(encoding="utf-8") as lines:
        try:
            proof = prove(lines, event) if event else prove_growth(lines, _one_checkpoint(older))
            click.echo(json.dumps(proof, separators=(",", ":")))
        except NotFound as missing:
            stop(3, str(missing))


def _one_checkpoint(path: Path | None) -> Checkpoint:
    found = _checkpoints(path) if path else []
    if len(found) != 1:
        stop(USAGE, f"{path}: expected one checkpoint")
    return found[0]


@audit_group.command("key")
@click.option("--roll-over", is_flag=True, help="Make a new one first, which signs from now on; older ones verify.")
@dry_run_option
@yes_option
@json_option
def show_key(*, roll_over: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Print the public keys that sign checkpoints, newest first. Keep them where this machine cannot write."""
    if roll_over:
        agreed("make a new key for the checkpoints of every log", yes=yes, dry_run=dry_run)

    async def work(runtime: Runtime) -> list[str]:
        if roll_over:
            await make_new_key(runtime, by=OPERATOR)
        return [key.public for key in await audit_keys(runtime)]

    known = run(work)
    if as_json:
        show_json([{"id": key_id(public), "public": public} for public in known])
    else:
        click.echo("\n".join(known))


@audit_group.command("retention")
@org_option
@click.option("--days", type=click.IntRange(retention.SHORTEST_DAYS, retention.LONGEST_DAYS), help="Keep for so long.")
@dry_run_option
@yes_option
@json_option
def show_retention(*, slug: str, days: int | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Print, or set, for how many days events are kept."""
    if days is not None:
        agreed(f"keep the events of {slug} for {days} days; older ones are removed", yes=yes, dry_run=dry_run)

    async def work(caller: Caller) -> int:
        if days is not None:
            await retention.keep_for(caller.runtime, caller.organization.id, days, by=OPERATOR)
        return await retention.retention_days(caller.runtime, caller.organization.id)

    kept = run_for(slug, work)
    if as_json:
        show_json({"days": kept})
    else:
        click.echo(str(kept))


@audit_group.command("erase")
@org_option
@click.argument("person")
@dry_run_option
@yes_option
def erase_person(*, slug: str, person: str, dry_run: bool, yes: bool) -> None:
    """Delete what the log holds of a PERSON: an email address, or a member's id with every address they came with.

    The chain still verifies. It cannot be undone.
    """
    question = f"delete every name, address and program of {person} from the log of {slug}"
    if not yes and not dry_run:
        click.confirm(f"{question}?", abort=True, err=True)  # also where nobody sits: this is for ever
    agreed(question, yes=True, dry_run=dry_run)

    async def work(caller: Caller) -> int:
        return await retention.erase(caller.runtime, caller.organization.id, person, by=OPERATOR)

    say(f"{run_for(slug, work)} events no longer name them")
