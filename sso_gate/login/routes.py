"""HTTP of signing in: /login, the assertion consumer and callback, our metadata, sign-out. No rules: those are in
`flow.py`.
"""

from urllib.parse import urlencode

from sqlalchemy import Connection as Transaction
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.emergency import TRIES, admit_by_code, record_refused_code
from sso_gate.admission.recheck import Recheck
from sso_gate.audit.event import Action, Client
from sso_gate.audit.origin import client_of
from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection
from sso_gate.errors import NotFound, Reason, Refused
from sso_gate.login.answer import Answer, keep_answer, keep_refused
from sso_gate.login.browser import (
    departing_browser,
    last_connection,
    remember,
    remember_connection,
    remember_waiting,
    returning_browser,
)
from sso_gate.login.discovery import Realm, find_realm
from sso_gate.login.flow import Arrived, Browser, Finish, LoginFlow, Rejected, Restarted, Tried, TurnedAway, flow_of
from sso_gate.login.message_form import read_message_form
from sso_gate.login.provider_logout import receive_backchannel, receive_saml
from sso_gate.login.rate import LoginRate
from sso_gate.login.sign_out import sign_out
from sso_gate.login.trial import Trials
from sso_gate.metrics import DENIALS, LOGINS
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.protocols.oidc.keys import public_jwks
from sso_gate.protocols.saml.metadata import service_provider_metadata
from sso_gate.refusals import REFUSALS
from sso_gate.sessions.host_ticket import HostTicket, HostTickets
from sso_gate.sessions.session import Session
from sso_gate.waiting.ticket import Ticket, Tickets, browser_hash
from sso_gate.web.catalogues import translations
from sso_gate.web.cookies import SESSION_COOKIE
from sso_gate.web.headers import login_policy
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.request_state import language_of, runtime_of, speak
from sso_gate.web.return_to import ReturnTo
from sso_gate.web.templates import render

_LOGIN_FIELDS = {
    "org": Field(64),
    "email": Field(320),
    "connection": Field(64),
    "return_to": Field(2000),
    "bind": Field(64),
    "choose": Field(1),
}


async def login(request: Request) -> Response:
    """GET /login: straight on when signed in or when one connection fits, otherwise the page that asks for an email."""
    flow = flow_of(request)
    asked = read_query(request, **_LOGIN_FIELDS)
    return_to = ReturnTo.checked(asked["return_to"], flow.runtime.settings)
    signed_in = await Recheck.of(flow.runtime).signed_in(SESSION_COOKIE.read(request))
    if signed_in and not asked["choose"] and _opens(signed_in.session, return_to):
        return await _onward(flow, signed_in.session, return_to, asked["bind"])
    if asked["connection"]:
        return await _depart(request, flow, await flow.connection(asked["connection"]), asked)
    if asked["email"]:  # what exists is not to be found out by asking for one domain after another
        await LoginRate.of(flow.runtime).check(client_of(request).address, purpose="discovery")
    realm = await _realm(flow, asked)
    if len(realm.connections) == 1 and not asked["choose"]:
        return await _depart(request, flow, realm.connections[0], asked)
    last = await _last_used(flow, realm, last_connection(request))
    return _login_page(request, realm, asked, error=_login_error(realm, asked), last=last)


async def _realm(flow: LoginFlow, asked: dict[str, str]) -> Realm:
    keyring = flow.runtime.keyring
    return await flow.runtime.database.read(lambda tx: find_realm(tx, keyring, slug=asked["org"], email=asked["email"]))


async def _last_used(flow: LoginFlow, realm: Realm, connection_id: str) -> Connection | None:
    """Return the connection that this browser used last, where it is on and the page is not another organization's."""
    keyring = flow.runtime.keyring
    if not connection_id:
        return None
    found = await flow.runtime.database.read(lambda tx: connections.get(tx, keyring, connection_id))
    other = found is not None and realm.organization is not None and realm.organization.id != found.organization
    return found if found and found.enabled and not other else None


def _opens(session: Session, return_to: ReturnTo) -> bool:
    return session.kind == "seat" or not return_to.host


def _login_error(realm: Realm, asked: dict[str, str]) -> str:
    if realm.connections or not (asked["email"] or asked["org"]):
        return ""
    return "unknown" if "@" in asked["email"] or asked["org"] else "invalid"


def _login_page(
    request: Request, realm: Realm, asked: dict[str, str], *, error: str, last: Connection | None
) -> Response:
    organization = realm.organization
    if organization:
        speak(request, default=organization.locale)
    kept = {name: asked[name] for name in ("return_to", "bind") if asked[name]}
    onward = {**kept, "email": asked["email"]} if asked["email"] else kept
    choices = [
        {"name": found.name, "url": f"/login/{found.id}" + (f"?{urlencode(onward)}" if onward else "")}
        for found in (*realm.connections, *([last] if last else ()))
    ]
    used = choices.pop() if last else None
    return render(
        request,
        "login/login.html",
        headers={"content-security-policy": login_policy(runtime_of(request).settings.origin)},
        organization_name=organization.name if organization else "",
        email=asked["email"],
        error=error,
        return_to=asked["return_to"],
        bind=asked["bind"],
        choices=choices,
        last_connection=used,
        show_break_glass=True,
        organization_slug=organization.slug if organization else "",
    )


async def begin(request: Request) -> Response:
    """GET /login/{connection}: off to the identity provider."""
    flow = flow_of(request)
    asked = read_query(request, return_to=Field(2000), email=Field(320), bind=Field(64), trial=Field(64))
    connection = await flow.connection(request.path_params["connection"])
    trial = asked["trial"]
    if trial and not await Trials.of(flow.runtime).is_asked(connection.id, trial):
        raise NotFound("no such test login")
    return await _depart(request, flow, connection, asked, trial=trial)


async def _depart(
    request: Request, flow: LoginFlow, connection: Connection, asked: dict[str, str], *, trial: str = ""
) -> Response:
    browser = departing_browser(request)
    return_to = ReturnTo.checked(asked["return_to"], flow.runtime.settings)
    try:
        # Counted apart from the messages that come back: a login is one of each.
        await LoginRate.of(flow.runtime).check(browser.client.address, purpose="departure")
        url = await flow.begin(
            connection, browser=browser, return_to=return_to, bind=asked["bind"], email=asked["email"], trial=trial
        )
    except Refused as refusal:
        if trial:
            tried = await flow.not_sent(connection, trial, refusal, browser)
            return await _finished(request, flow, connection, tried, browser, Answer())
        return await _refuse(request, flow, connection, refusal, browser)
    response = RedirectResponse(url, 302)
    remember(response, browser)
    return response


async def assertion_consumer(request: Request) -> Response:
    """POST /sso/saml/{connection}/acs."""
    flow, named = flow_of(request), request.path_params["connection"]
    browser = returning_browser(request)
    try:
        await LoginRate.of(flow.runtime).check(browser.client.address)
        form = await read_message_form(request)
    except Refused as refusal:
        return await _refuse(request, flow, await flow.connection(named), refusal, browser)
    response, relay_state = form.get("SAMLResponse", ""), form.get("RelayState", "")
    connection, finish = await flow.answer_saml(named, response, relay_state=relay_state, browser=browser)
    return await _finished(request, flow, connection, finish, browser, Answer(response))


async def callback(request: Request) -> Response:
    """GET /sso/oidc/{connection}/callback."""
    flow = flow_of(request)
    connection = await flow.connection(request.path_params["connection"])
    browser = returning_browser(request)
    try:
        await LoginRate.of(flow.runtime).check(browser.client.address)
    except Refused as refusal:
        return await _refuse(request, flow, connection, refusal, browser)
    answer = Answer(parameters=list(request.query_params.multi_items()))
    finish = await flow.finish_oidc(connection, answer=answer, browser=browser)
    return await _finished(request, flow, connection, finish, browser, answer)


async def _refuse(
    request: Request,
    flow: LoginFlow,
    connection: Connection,
    refusal: Refused,
    browser: Browser,
    action: Action = Action.LOGIN,
) -> Response:
    """Put the refusal on record and return its page."""
    rejected = await flow.reject(connection, refusal, browser.client, action=action)
    return _rejected(request, rejected, LoginRate.of(flow.runtime).window_seconds)


async def _finished(
    request: Request, flow: LoginFlow, connection: Connection, finish: Finish, browser: Browser, answer: Answer
) -> Response:
    _count(connection, finish)
    await _keep(flow, connection, finish, answer)
    match finish:
        case Arrived():
            return await _arrived(flow, connection, finish)
        case TurnedAway():
            return await _turned_away(request, flow, connection, finish, browser)
        case Rejected():
            return _rejected(request, finish)
        case Tried(_, trial):
            return render(
                request,
                "login/trial.html",
                connection_name=connection.name,
                steps=trial.steps,
                person=trial.person,
                refused=bool(trial.reason),
            )
        case Restarted(url):
            response = RedirectResponse(url, 303)
            remember(response, browser)
            return response


async def _keep(flow: LoginFlow, connection: Connection, finish: Finish, answer: Answer) -> None:
    """Keep what the provider answered: in a test login always, in a refused one where the connection says so."""
    match finish:
        case Tried(name):
            await keep_answer(flow.runtime, connection.organization, name, answer)
        case TurnedAway(denied) if connection.keep_answers:
            await keep_refused(flow.runtime, connection.organization, denied.reference, answer)
        case Rejected(_, reference) if connection.keep_answers:
            await keep_refused(flow.runtime, connection.organization, reference, answer)
        case _:
            return


def _count(connection: Connection, finish: Finish) -> None:
    match finish:
        case Arrived():
            LOGINS.labels("allowed", connection.protocol).inc()
        case TurnedAway(denied):
            LOGINS.labels("denied", connection.protocol).inc()
            DENIALS.labels(denied.reason).inc()
        case Rejected(reason):
            LOGINS.labels("denied", connection.protocol).inc()
            DENIALS.labels(reason).inc()
        case Restarted() | Tried():
            return


async def _arrived(flow: LoginFlow, connection: Connection, finish: Arrived) -> Response:
    session, return_to = finish.admission.session, finish.return_to
    if not _opens(session, return_to):
        return_to = ReturnTo.home()
    response = await _onward(flow, session, return_to, finish.bind)
    SESSION_COOKIE.set(response, finish.admission.token.text)
    remember_connection(response, connection.id)
    return response


async def _onward(flow: LoginFlow, session: Session, return_to: ReturnTo, bind: str) -> Response:
    """Send a signed-in browser on: to the gate's own page, or with a single-use ticket to an application's host."""
    if not return_to.host:
        return RedirectResponse(flow.runtime.settings.origin + return_to.url, 303)
    if not bind:
        begin_there = urlencode({"return_to": return_to.url})
        return RedirectResponse(f"{return_to.app_origin}/.sso-gate/start?{begin_there}", 303)
    ticket = HostTicket(
        organization=session.organization,
        session=session.family,
        host=return_to.host,
        browser=bind,
        return_to=return_to.url,
    )
    text = await HostTickets(flow.runtime.redis).issue(ticket)
    return RedirectResponse(f"{return_to.app_origin}/.sso-gate/finish?{urlencode({'ticket': text})}", 303)


async def _turned_away(
    request: Request, flow: LoginFlow, connection: Connection, finish: TurnedAway, browser: Browser
) -> Response:
    denied = finish.denied
    if denied.reason is not Reason.SEAT_UNAVAILABLE or denied.member is None:
        return _rejected(request, Rejected(denied.reason, denied.reference, connection.id))
    text = await Tickets(flow.runtime.redis).issue(
        Ticket(
            organization=connection.organization,
            member=denied.member.id,
            email=denied.member.email,
            reason=denied.reason,
            reference=denied.reference,
            connection=connection.id,
            return_to=finish.return_to.url,
            refused_at=to_micros(flow.runtime.clock.now()),
            browser=browser_hash(browser.key),
        )
    )
    response = RedirectResponse(f"{flow.runtime.settings.origin}/denied/{text}", 303)
    remember_waiting(response, browser)
    return response


def _rejected(request: Request, rejected: Rejected, retry_after_seconds: int | None = None) -> Response:
    told = REFUSALS[rejected.reason]
    limited = rejected.reason is Reason.RATE_LIMITED and retry_after_seconds
    return render(
        request,
        "login/refused.html",
        told.status,
        headers={"retry-after": str(retry_after_seconds)} if limited else None,
        text=translations(language_of(request).tag).gettext(told.sentence),
        family=told.family.value,
        reference=rejected.reference,
        try_again_url=f"/login/{rejected.connection}",
    )


async def metadata(request: Request) -> Response:
    """GET /sso/saml/{connection}/metadata: ours, signed."""
    flow = flow_of(request)
    connection = await flow.connection(request.path_params["connection"])
    if connection.protocol != "saml":
        raise NotFound("not a SAML connection")
    await flow.keys.reread()
    body = service_provider_metadata(
        connection, flow.endpoints(connection), keys=flow.keys.saml, now=flow.runtime.clock.now()
    )
    return Response(body, media_type="application/samlmetadata+xml")


async def client_keys(request: Request) -> Response:
    """GET /sso/oidc/{connection}/jwks.json: the public keys with which the gate signs as this connection's client."""
    flow = flow_of(request)
    connection = await flow.connection(request.path_params["connection"])
    if connection.protocol != "oidc":
        raise NotFound("not an OpenID connection")
    await flow.keys.reread()
    return JSONResponse(public_jwks(flow.keys.oidc_published), headers={"Cache-Control": "public, max-age=300"})


async def single_logout(request: Request) -> Response:
    """GET and POST /sso/saml/{connection}/slo: the provider ends sessions, or answers a logout of ours."""
    flow = flow_of(request)
    connection = await flow.connection(request.path_params["connection"])
    browser = returning_browser(request)
    try:
        await LoginRate.of(flow.runtime).check(browser.client.address)
        message: bytes | dict[str, str] = request.scope["query_string"]
        if request.method == "POST":
            message = await read_message_form(request)
        onward = await receive_saml(flow, connection, message, browser.client)
    except Refused as refusal:
        return await _refuse(request, flow, connection, refusal, browser, Action.LOGOUT)
    return RedirectResponse(onward, 303)


async def backchannel_logout(request: Request) -> Response:
    """POST /sso/oidc/{connection}/backchannel-logout. Source: OpenID Connect Back-Channel Logout 1.0, 2.5 and 2.8."""
    flow = flow_of(request)
    connection = await flow.connection(request.path_params["connection"])
    headers = {"Cache-Control": "no-store"}
    try:
        await LoginRate.of(flow.runtime).check(client_of(request).address)
        form = await read_message_form(request)
        await receive_backchannel(flow, connection, form.get("logout_token", ""), client_of(request))
    except Refused as refusal:
        await flow.reject(connection, refusal, client_of(request), action=Action.LOGOUT)
        status = 429 if refusal.reason is Reason.RATE_LIMITED else 400
        return JSONResponse({"error": "invalid_request"}, status, headers=headers)
    return Response(b"", 200, headers=headers)


async def help_page(request: Request) -> Response:
    """GET /login/help: what can stand in the way, and who can help."""
    flow, slug = flow_of(request), read_query(request, org=Field(64))["org"]
    signed_in = await Recheck.of(flow.runtime).signed_in(SESSION_COOKIE.read(request))
    whose = signed_in.member.organization if signed_in else ""

    def work(tx: Transaction) -> Organization | None:
        if slug:
            return organizations.by_slug(tx, slug)
        return organizations.get(tx, whose) if whose else organizations.only_one(tx)

    organization = await flow.runtime.database.read(work)
    return render(request, "login/help.html", contact=organization.it_contact if organization else "")


async def logout(request: Request) -> Response:
    """POST /logout: end the session here, on application hosts, and where possible at the identity provider."""
    flow = flow_of(request)
    signed_in = await Recheck.of(flow.runtime).signed_in(SESSION_COOKIE.read(request))
    onward = await sign_out(flow, signed_in.session, client_of(request)) if signed_in else None
    if onward:
        response: Response = RedirectResponse(onward, 303)
    else:
        response = RedirectResponse("/signed-out", 303)
    SESSION_COOKIE.clear(response)
    return response


async def signed_out(request: Request) -> Response:
    """GET /signed-out: the end of a sign-out."""
    provider_too = request.query_params.get("provider") == "1"
    return render(request, "login/signed_out.html", provider_too=provider_too)


async def break_glass(request: Request) -> Response:
    """GET /login/break-glass: the way in for owners when single sign-on is down."""
    return _break_glass_page(request, email="", error="")


async def use_code(request: Request) -> Response:
    """POST /login/break-glass: one answer for every wrong address and code; as few tries as the rate allows."""
    flow = flow_of(request)
    form = await read_form(request, email=Field(320), code=Field(100))
    client = client_of(request)
    try:
        await _limit_codes(flow, form["email"], client)
        admission = await admit_by_code(flow.runtime, flow.door, email=form["email"], code=form["code"], client=client)
    except Refused as refusal:
        limited = refusal.reason is Reason.RATE_LIMITED
        error = "rate_limited" if limited else "wrong"
        return _break_glass_page(request, email=form["email"], error=error, status=429 if limited else 422)
    response = RedirectResponse("/settings/access", 303)
    SESSION_COOKIE.set(response, admission.token.text)
    return response


async def _limit_codes(flow: LoginFlow, email: str, client: Client) -> None:
    # By client alone: a limit for each address would let anybody lock an owner out, and 100 bits are not guessed.
    try:
        await LoginRate.of(flow.runtime, TRIES).check(client.address, purpose="break-glass")
    except Refused as refusal:
        await record_refused_code(flow.runtime, refusal, email=email, client=client)
        raise


def _break_glass_page(request: Request, *, email: str, error: str, status: int = 200) -> Response:
    headers = {"Retry-After": str(int(TRIES.period.total_seconds()))} if status == 429 else None
    return render(request, "login/break_glass.html", status, headers=headers, email=email, error=error)


def login_routes() -> list[Route]:
    """Return the routes of signing in and out."""
    return [
        Route("/sso/saml/{connection}/acs", assertion_consumer, methods=["POST"]),
        Route("/sso/saml/{connection}/metadata", metadata, methods=["GET"]),
        Route("/sso/saml/{connection}/slo", single_logout, methods=["GET", "POST"]),
        Route("/sso/oidc/{connection}/callback", callback, methods=["GET"]),
        Route("/sso/oidc/{connection}/jwks.json", client_keys, methods=["GET"]),
        Route("/sso/oidc/{connection}/backchannel-logout", backchannel_logout, methods=["POST"]),
        Route("/login", login, methods=["GET"]),
        Route("/login/help", help_page, methods=["GET"]),
        Route("/login/break-glass", break_glass, methods=["GET"]),
        Route("/login/break-glass", use_code, methods=["POST"]),
        Route("/login/{connection}", begin, methods=["GET"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/signed-out", signed_out, methods=["GET"]),
    ]
