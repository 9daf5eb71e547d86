"""The list of commands is the commands, and every one that writes can be tried without writing."""

import click
import pytest
from click.testing import CliRunner

from sso_gate.cli import main as program
from sso_gate.cli.session import agreed, stop_for
from sso_gate.storage.keyring import CannotUnseal

# What changes something, and costs more than another try to undo.
WRITES = {
    "apply",
    "audit erase",
    "audit key",
    "audit retention",
    "audit streams add",
    "audit streams enable",
    "audit streams remove",
    "audit streams rotate",
    "audit streams test",
    "breakglass issue",
    "breakglass revoke",
    "connections disable",
    "connections enable",
    "connections import-metadata",
    "members invite",
    "members reassign",
    "members release-seat",
    "members withdraw-invite",
    "migrate",
    "reconcile",
    "renew",
    "seats add",
    "token create",
    "token revoke",
    "waiting decline",
    "waiting hold",
}
PRINTS = {
    "audit export",
    "audit key",
    "audit list",
    "audit retention",
    "audit streams add",
    "audit streams list",
    "audit streams rotate",
    "audit verify",
    "breakglass issue",
    "breakglass list",
    "check",
    "connections list",
    "invoices list",
    "invoices show",
    "members list",
    "members list-invites",
    "seats explain",
    "seats forecast",
    "seats quote",
    "seats show",
    "token create",
    "token list",
    "waiting list",
}
OF_ONE_ORGANIZATION = {"seats", "members", "waiting", "connections", "invoices", "token", "breakglass"}


def commands():
    found = {}
    for name in program.COMMANDS:
        command = program.main.get_command(click.Context(program.main), name)
        assert command is not None
        found |= verbs(name, command)
    return found


def verbs(name, command):
    if not isinstance(command, click.Group):
        return {name: command}
    found = {}
    for verb, one in command.commands.items():
        found |= verbs(f"{name} {verb}", one)
    return found


def options(command):
    return {word for parameter in command.params for word in parameter.opts}


@pytest.mark.parametrize("name", sorted(program.COMMANDS))
def test_the_list_says_of_a_command_what_it_says_of_itself(name):
    command = program.main.get_command(click.Context(program.main), name)
    said = (command.help or "").split("\n\n")[0].replace("\n", " ")
    sentence = program.COMMANDS[name][1].rstrip(".")
    assert said.startswith(sentence), said


def test_the_list_loads_no_command():
    result = CliRunner().invoke(program.main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in program.COMMANDS)


@pytest.mark.parametrize("name", sorted(WRITES))
def test_what_writes_can_be_tried_first_and_done_without_being_asked(name):
    assert {"--dry-run", "--yes"} <= options(commands()[name])


@pytest.mark.parametrize("name", sorted(PRINTS))
def test_what_prints_data_prints_it_as_json_too(name):
    assert "--json" in options(commands()[name])


@pytest.mark.parametrize("name", sorted(name for name in commands() if name.partition(" ")[0] in OF_ONE_ORGANIZATION))
def test_what_concerns_one_organization_takes_its_short_name(name):
    assert "--org" in options(commands()[name])


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_says_what_it_does(name):
    command = commands()[name]
    assert (command.help or "").strip().endswith((".", ")"))


def test_a_word_that_is_no_command_is_a_usage_error():
    assert CliRunner().invoke(program.main, ["nonsense"]).exit_code == 2


def test_a_key_that_opens_nothing_ends_a_command_with_the_name_of_the_setting(capsys):
    with pytest.raises(SystemExit) as caught:
        stop_for(CannotUnseal("SSO_GATE_SECRET_KEYS: none of the keys fits"))
    assert caught.value.code == 7
    assert "SSO_GATE_SECRET_KEYS" in capsys.readouterr().err


@pytest.mark.parametrize(("dry_run", "yes", "ended"), [(True, True, True), (True, False, True), (False, True, False)])
def test_a_dry_run_ends_before_anything_is_done(capsys, dry_run, yes, ended):
    if ended:
        with pytest.raises(SystemExit) as caught:
            agreed("do it", yes=yes, dry_run=dry_run)
        assert caught.value.code == 0
        assert "would do: do it" in capsys.readouterr().err
    else:
        agreed("do it", yes=yes, dry_run=dry_run)
