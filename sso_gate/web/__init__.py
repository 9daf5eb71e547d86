"""HTTP plumbing without domain knowledge: languages, templates, headers, cookies, limits, errors, the static files.

Owns what every page and every answer have in common. Must not know members, seats or money: what depends on them
comes in as a value or as a callable (the wording of refusals, the visitor's saved language). Start with
`request_state.py` (what hangs on a request), then `templates.py` (`render`) and `problems.py` (errors as pages or
problem+json). The order of the middleware, outermost first, is: `AccessLog`, `SecurityHeaders`, `Proxies`,
`Languages`, `ProblemBoundary`, the door of `/settings`, cross-origin protection, `BodyLimits`.
"""

from sso_gate.web.request_state import client_address, request_id, runtime_of

__all__ = ["client_address", "request_id", "runtime_of"]
