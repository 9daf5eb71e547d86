"""The provider's OpenID Connect addresses: discovery, authorization, token, UserInfo, keys, logout."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import unquote_plus, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sso_gate.demo.pages import page
from sso_gate.demo.provider.keys import TOKEN_ALGORITHM
from sso_gate.demo.provider.memory import Grant, SignedIn
from sso_gate.demo.provider.registry import TOKEN_LIFETIME, CannotAnswer, Client, Provider
from sso_gate.demo.provider.sign_in import choose, chosen, forget, remember, remembered
from sso_gate.demo.provider.tokens import id_token, matches_challenge, person_claims

_CARRIED = (
    *("client_id", "redirect_uri", "response_type", "scope", "state", "nonce"),
    *("prompt", "max_age", "code_challenge", "code_challenge_method"),
)
_NOT_STORED = {"Cache-Control": "no-store"}


class OidcEndpoints:
    """OpenID Connect for one provider; the issuer is the provider's origin."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the addresses that the discovery document names."""
        return [
            Route("/.well-known/openid-configuration", self.discover, methods=["GET"]),
            Route("/oidc/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/oidc/token", self.exchange, methods=["POST"]),
            Route("/oidc/userinfo", self.tell, methods=["GET"]),
            Route("/oidc/jwks", self.keys, methods=["GET"]),
            Route("/oidc/logout", self.sign_off, methods=["GET"]),
        ]

    async def discover(self, _request: Request) -> Response:
        """Answer with the provider's metadata. Source: OpenID Connect Discovery 1.0, section 3."""
        origin = self._provider.origin
        return JSONResponse(
            {
                "issuer": origin,
                "authorization_endpoint": f"{origin}/oidc/authorize",
                "token_endpoint": f"{origin}/oidc/token",
                "userinfo_endpoint": f"{origin}/oidc/userinfo",
                "jwks_uri": f"{origin}/oidc/jwks",
                "end_session_endpoint": f"{origin}/oidc/logout",
                "authorization_response_iss_parameter_supported": True,
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "scopes_supported": ["openid", "email", "profile"],
                "id_token_signing_alg_values_supported": [TOKEN_ALGORITHM],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        """Ask who is there, or send the browser back with a code. Source: OpenID Connect Core 3.1.2."""
        form = await request.form() if request.method == "POST" else request.query_params
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        client = self._provider.client(fields.get("client_id", ""))
        if fields.get("redirect_uri") != client.redirect_uri:
            raise CannotAnswer(f"{fields.get('redirect_uri')!r} is not the registered redirect URI")
        problem = _problem_with(fields)
        if problem:
            return self._back(fields, error=problem)
        if request.method == "POST" and "person" in fields:
            signed_in = chosen(self._provider, fields["person"], protocol="oidc")
            return remember(self._provider, signed_in, self._back(fields, code=self._code(fields, signed_in)))
        return self._without_choice(request, fields)

    async def exchange(self, request: Request) -> Response:
        """Exchange a code for tokens, once. Source: RFC 6749 4.1.3, RFC 7636 4.6."""
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        client = self._authenticated(request, form)
        if client is None:
            return JSONResponse({"error": "invalid_client"}, 401, {**_NOT_STORED, "WWW-Authenticate": "Basic"})
        if form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "unsupported_grant_type"}, 400, _NOT_STORED)
        grant = self._provider.codes.take(form.get("code", ""))
        if grant is None or not _redeems(grant, client, form):
            return JSONResponse({"error": "invalid_grant"}, 400, _NOT_STORED)
        return JSONResponse(self._tokens(grant), headers=_NOT_STORED)

    async def tell(self, request: Request) -> Response:
        """Answer what the bearer of an access token may know. Source: OpenID Connect Core 5.3."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        signed_in = self._provider.access_tokens.get(token) if scheme.lower() == "bearer" else None
        if signed_in is None:
            return JSONResponse({"error": "invalid_token"}, 401, {**_NOT_STORED, "WWW-Authenticate": "Bearer"})
        return JSONResponse(person_claims(signed_in.person), headers=_NOT_STORED)

    async def keys(self, _request: Request) -> Response:
        """Answer with the public key of the tokens."""
        return JSONResponse(self._provider.keys.public_jwks())

    async def sign_off(self, request: Request) -> Response:
        """End the sign-in of this browser. Source: OpenID Connect RP-Initiated Logout 1.0, section 2."""
        target = request.query_params.get("post_logout_redirect_uri", "")
        if not target:
            return forget(self._provider, request, page(request, "provider_home.html", person=None, signed_out=True))
        client = self._provider.client(request.query_params.get("client_id", ""))
        if target != client.origin and not target.startswith(f"{client.origin}/"):
            raise CannotAnswer(f"{target!r} is not an address of the registered client")
        state = request.query_params.get("state")
        url = f"{target}{'&' if '?' in target else '?'}{urlencode({'state': state})}" if state else target
        return forget(self._provider, request, RedirectResponse(url, 303))

    def _without_choice(self, request: Request, fields: Mapping[str, str]) -> Response:
        prompts = fields.get("prompt", "").split()
        known = remembered(self._provider, request)
        again = {"login", "select_account"}.intersection(prompts) or fields.get("max_age") == "0"
        if known is not None and known.person.protocol == "oidc" and not again:
            return self._back(fields, code=self._code(fields, known))
        if "none" in prompts:
            return self._back(fields, error="login_required")
        carried = {name: fields[name] for name in _CARRIED if name in fields}
        return choose(self._provider, request, protocol="oidc", action="/oidc/authorize", fields=carried)

    def _code(self, fields: Mapping[str, str], signed_in: SignedIn) -> str:
        return self._provider.codes.keep(
            Grant(
                client_id=fields["client_id"],
                redirect_uri=fields["redirect_uri"],
                nonce=fields.get("nonce", ""),
                code_challenge=fields["code_challenge"],
                signed_in=signed_in,
            )
        )

    def _back(self, fields: Mapping[str, str], **answer: str) -> Response:
        if "state" in fields:
            answer["state"] = fields["state"]
        query = urlencode({**answer, "iss": self._provider.origin})  # RFC 9207 2
        return RedirectResponse(f"{fields['redirect_uri']}?{query}", 303, _NOT_STORED)

    def _tokens(self, grant: Grant) -> dict[str, str | int]:
        access_token = self._provider.access_tokens.keep(grant.signed_in)
        signed = id_token(
            self._provider.origin, grant, access_token, keys=self._provider.keys, now=self._provider.clock.now()
        )
        lifetime = int(TOKEN_LIFETIME.total_seconds())
        return {"access_token": access_token, "token_type": "Bearer", "expires_in": lifetime, "id_token": signed}

    def _authenticated(self, request: Request, form: Mapping[str, str]) -> Client | None:
        client_id, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        try:
            client = self._provider.client(client_id)
        except CannotAnswer:
            return None
        return client if hmac.compare_digest(secret.encode(), client.client_secret.encode()) else None


def _problem_with(fields: Mapping[str, str]) -> str:
    if fields.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in fields.get("scope", "").split():
        return "invalid_scope"
    if fields.get("code_challenge_method") != "S256" or not fields.get("code_challenge"):
        return "invalid_request"
    return ""


def _redeems(grant: Grant, client: Client, form: Mapping[str, str]) -> bool:
    same = grant.client_id == client.client_id and grant.redirect_uri == form.get("redirect_uri")
    return same and matches_challenge(form.get("code_verifier", ""), grant.code_challenge)


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(client_id), unquote_plus(secret)
