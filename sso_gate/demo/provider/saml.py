"""The provider's SAML addresses: single sign-on, single logout, metadata."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.demo.pages import page
from sso_gate.demo.provider.memory import SignedIn
from sso_gate.demo.provider.registry import CannotAnswer, Provider, ServiceProvider
from sso_gate.demo.provider.saml_messages import Asked, logout_answer_url, metadata, read_request, signed_response
from sso_gate.demo.provider.sign_in import choose, chosen, forget, remember, remembered


class SamlEndpoints:
    """SAML for one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the addresses that the metadata names."""
        return [
            Route("/saml/sso", self.sign_on, methods=["GET", "POST"]),
            Route("/saml/slo", self.sign_off, methods=["GET"]),
            Route("/saml/metadata", self.publish, methods=["GET"]),
        ]

    async def sign_on(self, request: Request) -> Response:
        """Answer an AuthnRequest: with the page that asks who is there, or the signed assertion about them."""
        fields = await _fields(request)
        deflated = request.method == "GET" or fields.get("binding") == "redirect"
        asked = read_request(fields.get("SAMLRequest", ""), deflated=deflated)
        service = self._service(asked)
        if request.method == "POST" and "person" in fields:
            signed_in = chosen(self._provider, fields["person"], protocol="saml")
            return remember(self._provider, signed_in, self._answer(request, service, asked, signed_in, fields))
        known = remembered(self._provider, request)
        if known is None or known.person.protocol != "saml" or asked.force_authn:
            return self._ask(request, fields, deflated=deflated)
        return self._answer(request, service, asked, known, fields)

    async def sign_off(self, request: Request) -> Response:
        """End the sign-in of this browser and send it back with a signed LogoutResponse."""
        asked = read_request(request.query_params.get("SAMLRequest", ""), deflated=True)
        url = logout_answer_url(
            self._provider.entity_id,
            self._provider.service_provider(asked.issuer),
            asked,
            relay_state=request.query_params.get("RelayState", ""),
            keys=self._provider.keys,
            now=self._provider.clock.now(),
        )
        return forget(self._provider, request, RedirectResponse(url, 303))

    async def publish(self, _request: Request) -> Response:
        """Answer with the metadata."""
        document = metadata(self._provider.entity_id, self._provider.origin, self._provider.keys)
        return Response(document, media_type="application/samlmetadata+xml")

    def _service(self, asked: Asked) -> ServiceProvider:
        service = self._provider.service_provider(asked.issuer)
        if asked.kind != "AuthnRequest" or asked.acs_url not in ("", service.acs_url):
            raise CannotAnswer(f"{asked.acs_url!r} is not the registered assertion consumer of {asked.issuer!r}")
        return service

    def _ask(self, request: Request, fields: Mapping[str, str], *, deflated: bool) -> Response:
        kept = {name: fields[name] for name in ("SAMLRequest", "RelayState") if name in fields}
        kept["binding"] = "redirect" if deflated else "post"
        return choose(self._provider, request, protocol="saml", action="/saml/sso", fields=kept)

    def _answer(
        self, request: Request, service: ServiceProvider, asked: Asked, signed_in: SignedIn, fields: Mapping[str, str]
    ) -> Response:
        provider = self._provider
        message = signed_response(
            provider.entity_id, service, asked, signed_in, keys=provider.keys, now=provider.clock.now()
        )
        answer = {"SAMLResponse": message}
        if "RelayState" in fields:
            answer["RelayState"] = fields["RelayState"]
        return page(request, "continue.html", action=service.acs_url, fields=answer)


async def _fields(request: Request) -> dict[str, str]:
    if request.method == "GET":
        return dict(request.query_params)
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
