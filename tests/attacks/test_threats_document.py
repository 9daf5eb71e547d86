"""`docs/threats.md` is complete: every known attack has a row, its files and tests exist, every test has a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "threats.md"
CELLS = r" \| ".join(f"(?P<{name}>[^|]+)" for name in ("attack", "defence", "files", "tests"))
ROW = re.compile(rf"^\| {CELLS} \|$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")

# Published attacks on SAML and OpenID Connect, and on gates in front of applications: a new one is added here first.
KNOWN = """
signature wrapping; hidden or second assertion; encrypted injection; comment split; CDATA split; processing
instruction split; parser differential; entity and DTD; transform flood; reference flood; depth flood; local
reference; remote reference; key from the message; HMAC confusion; algorithm confusion; signature exclusion; status
confusion; logout wrapping; unsigned logout; replay; replay on another worker; replay after Redis was emptied;
cross-connection replay; cross-organization replay; mix-up; code injection; state fixation; session fixation; login
CSRF; open redirect; header smuggling; forged forwarded headers; host injection; request smuggling; SSRF; DNS
rebinding; JWKS flood; back-channel token confusion; seat race; seat flood; garbage flood; costly message flood; audit
injection; role escalation; takeover by email; break-glass guessing; host ticket theft; missing audience; recipient or
destination by prefix; unlimited validity; weak algorithms; truncated subject; name of the attacker's choice; other
encodings; deflate bomb; missing ID token; token confusion; stale token; another person at UserInfo; unsolicited
response; padding oracle; secrets in logs; login rate; kept answer
"""

# What holds an attack to everything that it must leave alone.
SHARED = {"refused", "refused_and_unharmed", "harmless"}
# Attacks that are let in, without what they wanted, or that never reach a running gate.
OF_ANOTHER_KIND = {
    "test_session_fixation_a_login_never_keeps_the_session_that_the_browser_brought": "both people sign in",
    "test_open_redirect_by_relay_state_of_an_unsolicited_answer": "the person signs in, and goes home",
    "test_header_smuggling_by_the_persons_own_words": "the person signs in; the headers are looked at",
    "test_ssrf_by_metadata_when_a_connection_is_saved": "a file that is not applied",
    "test_ssrf_by_any_fetch": "the client alone",
    "test_dns_rebinding_a_name_is_asked_once_and_the_checked_address_is_connected_to": "the client alone",
    "test_dns_rebinding_one_bad_address_among_good_ones_refuses_all": "the client alone",
    "test_garbage_flood_is_counted_and_not_stored_row_by_row": "many at once: counts its rows and memory itself",
    "test_costly_messages_wait_for_one_another_and_not_for_other_peoples_logins": "many, and a bystander",
    "test_a_counted_flood_is_put_on_record_as_one_event_with_its_count": "looks at the record alone",
    "test_seat_flood_strangers_beyond_the_limit_take_none": "many at once: counts seats, rows and memory itself",
    "test_replay_on_another_worker_at_the_same_time": "one of the sixteen signs in; counts the rows itself",
    "test_role_escalation_by_a_group_that_is_not_mapped": "the person signs in, as a user",
    "test_role_escalation_by_a_claim": "the person signs in, as a user",
    "test_role_escalation_a_mapped_group_gives_its_role_and_loses_it_again": "the person signs in, as a user",
    "test_role_escalation_to_primary_owner_cannot_be_mapped": "a file that is not applied",
    "test_audit_injection": "the person signs in; the record is looked at",
    "test_back_channel_a_notice_of_one_session_leaves_the_persons_others_alone": "a true notice ends what it names",
    "test_back_channel_a_session_whose_name_nobody_told_us_could_be_the_one_that_is_meant": "a true notice",
    "test_no_assertion_token_or_secret_is_in_any_log": "looks at the log alone",
}


def known() -> set[str]:
    return {" ".join(name.split()) for name in KNOWN.split(";")}


def rows() -> list[re.Match[str]]:
    return [row for row in ROW.finditer(DOCUMENT.read_text()) if row["attack"].strip() not in ("Attack", "---")]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def cited() -> set[tuple[str, str]]:
    """Return (file, function) of every test that a row names."""
    tests = (name for row in rows() for name in CODE.findall(row["tests"]))
    return {tuple(name.split("::", 1)) for name in tests}  # type: ignore[misc]  # two parts: the next test says so


def test_every_known_attack_has_exactly_one_row():
    named = [row["attack"].strip() for row in rows()]
    assert sorted(named) == sorted(known())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["attack"].strip())
def test_every_row_names_files_and_tests_that_exist(row):
    files, tests = CODE.findall(row["files"]), CODE.findall(row["tests"])
    assert files
    assert tests
    assert [name for name in files if not (ROOT / name).is_file()] == []
    for name in tests:
        file, _, function = name.partition("::")
        assert function in functions(ROOT / "tests" / file), name


def test_every_attack_test_is_in_the_table():
    here = {
        (f"attacks/{path.name}", name)
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for name in functions(path)
    }
    assert here - cited() == set()


def names_called(function: ast.AST) -> set[str]:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in calls}


def test_every_attack_test_holds_the_attack_to_all_that_it_must_leave_alone():
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    tests = [node for path in files for node in ast.parse(path.read_text()).body if isinstance(node, kinds)]
    alone = {test.name for test in tests if test.name.startswith("test_") and not names_called(test) & SHARED}
    assert alone == set(OF_ANOTHER_KIND)
