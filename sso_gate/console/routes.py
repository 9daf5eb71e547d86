"""Every route of the settings."""

from starlette.routing import Route

from sso_gate.console import access, audit, billing, developer, emergency, invoices, members, trials


def console_routes() -> list[Route]:
    """Return the routes; the application puts `door.Door` in front of them."""
    return [
        *billing.routes(),
        *invoices.routes(),
        *members.routes(),
        *emergency.routes(),
        *trials.routes(),
        *access.routes(),
        *audit.routes(),
        *developer.routes(),
    ]
