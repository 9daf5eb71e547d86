"""Our side of OAuth, spoken by authlib over the guarded transport: redirect, pushed request, code exchange."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from sso_gate.connections.connection import OidcSettings
from sso_gate.errors import Reason, Refused, Unavailable
from sso_gate.protocols.fetch import JSON, Expected, Fetcher
from sso_gate.protocols.oidc.keys import ClientKey, signing_key
from sso_gate.protocols.oidc.provider import Discovery
from sso_gate.protocols.oidc.strict_json import parse_object

ASSERTION_LIFETIME_SECONDS = 60
MAX_ANSWER_BYTES = 256 * 1024
MAX_ERROR_LENGTH = 100
# An OAuth error is an answer, too (RFC 6749 5.2): its code is worth keeping.
_STATUSES = (200, 201, 400, 401, 403)
_TOKEN = Expected(Reason.TOKEN_REFUSED, statuses=_STATUSES, content_types=JSON, max_bytes=MAX_ANSWER_BYTES)
_PUSHED = Expected(Reason.PROVIDER_REFUSED, statuses=_STATUSES, content_types=JSON, max_bytes=MAX_ANSWER_BYTES)


class OAuth:
    """One connection's OAuth client at one instant: cheap to make, used for one request or two."""

    def __init__(
        self,
        settings: OidcSettings,
        discovery: Discovery,
        fetcher: Fetcher,
        *,
        redirect_uri: str,
        client_key: ClientKey | None,
        now: datetime,
    ) -> None:
        self._settings = settings
        self._discovery = discovery
        self._fetcher = fetcher
        self._redirect_uri = redirect_uri
        self._client_key = client_key
        self._now = now

    async def authorization_url(self, *, state: str, code_verifier: str, extra: Mapping[str, str]) -> str:
        """Return the URL to send the browser to; the request itself is pushed where the provider takes that.

        Source: RFC 6749 4.1.1, RFC 7636 4.3, RFC 9126.

        Raises:
            Refused: `provider_refused`, `provider_unreachable` or `token_refused` when pushing fails.
        """
        discovery = self._discovery
        async with self._client(_PUSHED) as client:
            url, _ = client.create_authorization_url(
                discovery.authorization_endpoint, state=state, code_verifier=code_verifier, **extra
            )
            if not discovery.pushed_authorization_request_endpoint:
                return str(url)
            fields = dict(parse_qsl(urlsplit(str(url)).query, keep_blank_values=True))
            uri = await self._push(client, fields)
        handed = {"client_id": self._settings.client_id, "request_uri": uri}
        return str(httpx2.URL(discovery.authorization_endpoint).copy_merge_params(handed))

    async def exchange_code(self, code: str, *, code_verifier: str) -> dict[str, Any]:
        """Return the answer of the token endpoint. Source: RFC 6749 4.1.3, RFC 7636 4.5.

        Raises:
            Refused: `provider_refused` with the provider's error code, `token_refused` or `provider_unreachable`.
        """
        async with self._client(_TOKEN) as client:
            client.register_compliance_hook("access_token_response", _strictly_read)
            try:
                answer = await client.fetch_token(
                    self._discovery.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=code_verifier,
                )
            except AuthlibBaseError as error:
                raise refused_by_provider(error.error) from error
            except (httpx2.HTTPError, ValueError, TypeError, OverflowError) as error:
                raise Refused(Reason.TOKEN_REFUSED, f"the token endpoint: {type(error).__name__}") from error
        return dict(answer)

    async def _push(self, client: Any, fields: Mapping[str, str]) -> str:
        # authlib puts client_id into a body that carries the secret; twice would be once too often (RFC 6749 3.1).
        posted = self._settings.client_authentication == "client_secret_post"
        response = await client.post(
            self._discovery.pushed_authorization_request_endpoint,
            data={name: value for name, value in fields.items() if not (posted and name == "client_id")},
            auth=client.client_auth(self._settings.client_authentication),
        )
        answer = parse_object(response.content, refusal=Reason.PROVIDER_REFUSED, what="the pushed request's answer")
        if "error" in answer or response.status_code not in (200, 201):
            raise refused_by_provider(answer.get("error"))
        uri = answer.get("request_uri")
        if not isinstance(uri, str) or not 0 < len(uri) <= 2048 or not uri.isascii() or not uri.isprintable():
            raise Refused(Reason.PROVIDER_REFUSED, "the pushed request has no request_uri that is a URI")
        return uri

    @asynccontextmanager
    async def _client(self, expected: Expected) -> AsyncIterator[Any]:
        settings = self._settings
        async with AsyncOAuth2Client(
            client_id=settings.client_id,
            client_secret=self._secret(),
            token_endpoint_auth_method=settings.client_authentication,
            scope=" ".join(dict.fromkeys(("openid", *settings.scopes))),
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            transport=self._fetcher.transport(expected),
            trust_env=False,
            follow_redirects=False,
        ) as client:
            client.register_client_auth_method(("client_secret_basic", _basic))
            client.register_client_auth_method(self._assertion())
            yield client

    def _secret(self) -> Any:
        if self._settings.client_authentication != "private_key_jwt":
            return self._settings.client_secret
        if self._client_key is None:
            raise Unavailable("the gate's client key is missing")
        return signing_key(self._client_key)

    def _assertion(self) -> Any:
        # The audience is the issuer and nothing that the discovery document says: another provider could name there
        # somebody's token endpoint, and use the assertion itself (audience injection, draft-ietf-oauth-rfc7523bis).
        issued = int(self._now.timestamp())
        return PrivateKeyJWT(
            token_endpoint=self._settings.issuer,
            alg=self._client_key.algorithm if self._client_key else None,
            headers={"kid": self._client_key.kid} if self._client_key else None,
            claims={"iat": issued, "exp": issued + ASSERTION_LIFETIME_SECONDS},
        )


def refused_by_provider(code: object) -> Refused:
    """Return the refusal for an OAuth error code, which is kept as far as it is one (RFC 6749 4.1.2.1)."""
    text = "".join(letter for letter in str(code) if letter.isascii() and letter.isprintable())
    return Refused(Reason.PROVIDER_REFUSED, text[:MAX_ERROR_LENGTH] or "no error code")


def _strictly_read(response: httpx2.Response) -> httpx2.Response:
    answer = parse_object(response.content, refusal=Reason.TOKEN_REFUSED, what="the token endpoint's answer")
    if "error" not in answer and response.status_code != 200:
        raise Refused(Reason.TOKEN_REFUSED, f"the token endpoint answered with {response.status_code} and no error")
    return response


def _basic(client: Any, _method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    # RFC 6749 2.3.1 wants both parts form-encoded first, which authlib's own method leaves out.
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
    return uri, headers, body
