"""What another organization has is not there: the bytes of a path that does not exist, whatever it is asked for by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.audit import stored_exports
from sso_gate.audit.store import AuditFilter
from sso_gate.billing import purchase
from sso_gate.breakglass.manage import issue_code, issued_codes
from sso_gate.console.routes import console_routes
from sso_gate.login.trial import Trials
from sso_gate.members import store as members
from sso_gate.notify.destinations import add_destination
from sso_gate.notify.webhooks import new_secret
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_event
from sso_gate.tokens.manage import create_token
from sso_gate.tokens.token import Scope
from tests.support.gates import OPERATOR
from tests.unit.console.gate import FILE, Gate
from tests.unit.console.test_numbers import done

FORM = {"content-type": "application/x-www-form-urlencoded"}
FORMS = {
    "reassign": {"email": "eva@acme.example"},
    "metadata": {"seen": "what was shown"},
    "replay": {"since": "all"},
}
# What has no page of its own for a member or a connection of this kind.
NO_PAGE = ("/primary", "/metadata")


async def everything_of(runtime: Runtime, slug: str) -> dict[str, str]:
    """One of each thing that an organization can have, by the names that the routes have for their parameters."""
    organization = await runtime.database.read(lambda tx: organizations.by_slug(tx, slug))
    assert organization is not None
    log, connection, email = organization.id, f"{slug}-oidc", f"ana@{slug}.example"
    quote = await purchase.review(runtime, organization=organization, add=1)
    key = {"idempotency_key": slug, "by": OPERATOR}
    ordered = await purchase.order(runtime, organization=organization, quote_id=quote.id, **key)
    assert isinstance(ordered, purchase.Ordered)
    await issue_code(runtime, log, email, by=OPERATOR)
    token = await create_token(runtime, log, name="", scopes=frozenset({Scope.SCIM}), lifetime=None, by=OPERATOR)
    export = await stored_exports.ask(runtime, log, AuditFilter(), form="jsonl", by=OPERATOR)
    await stored_exports.make_exports(runtime)
    return {
        "order": ordered.order.id,
        "number": ordered.invoice.number,
        "member": (await runtime.database.read(lambda tx: members.find(tx, log, email))).id,
        "code": (await issued_codes(runtime, log))[0].id,
        "connection": connection,
        "trial": await Trials.of(runtime).ask(connection),
        "export": export,
        "event": await runtime.database.read(
            lambda tx: tx.execute(select(func.min(audit_event.c.id)).where(audit_event.c.organization == log)).scalar()
        ),
        "token": token.token.id,
        "stream": await add_destination(runtime, log, "webhook", "https://hooks.example/", new_secret(), by=OPERATOR),
    }


def both(gate: Gate) -> tuple[dict[str, str], dict[str, str]]:
    """What Ana's organization has, and what another one has."""
    found: list[Any] = []

    async def work(runtime: Runtime, _organization: str) -> None:
        gate.file.write_text(FILE.replace("acme", "beta").replace("Acme", "Beta"))
        wanted, text = read_file(gate.file)
        await apply(runtime, wanted, folder=gate.file.parent, text=text, name="beta.toml")
        found.extend([await everything_of(runtime, slug) for slug in ("acme", "beta")])

    done(gate, work)
    return found[0], found[1]


def requests(things: dict[str, str]) -> list[tuple[str, str]]:
    """Every method and path of the settings that names one of these things."""
    return sorted(
        (method, route.path.format(**things))
        for route in console_routes()
        for method in (route.methods or set()) - {"HEAD"}
        if "{" in route.path and "{kind}" not in route.path
    )


def ask(browser: Any, method: str, path: str) -> Any:
    form = FORMS.get(path.rpartition("/")[2], {})
    return browser.get(path) if method == "GET" else browser.post(path, data=form, headers=FORM)


def test_nothing_of_another_organization_is_there(gate, ana):
    ours, theirs = both(gate)
    for method, path in requests(ours):
        if method == "GET" and not path.endswith(NO_PAGE):
            assert ask(ana, method, path).status_code != 404, path
    before = size_of_their_log(gate)
    unknown = ana.get("/no/such/path").content
    for method, path in requests(theirs):
        answer = ask(ana, method, path)
        assert (answer.status_code, answer.content) == (404, unknown), (method, path)
    assert size_of_their_log(gate) == before, "whatever changes something is on record"


def size_of_their_log(gate: Gate) -> int:
    found: list[int] = []

    async def work(runtime: Runtime, _organization: str) -> None:
        def count(tx: Any) -> int:
            beta = organizations.by_slug(tx, "beta")
            assert beta is not None
            return tx.execute(select(func.count()).where(audit_event.c.organization == beta.id)).scalar_one()

        found.append(await runtime.database.read(count))

    done(gate, work)
    return found[0]
