"""Every route of the settings."""

from starlette.routing import Route

from sso_gate.console import (
    access,
    audit,
    banner,
    billing,
    connection_edit,
    developer,
    domains,
    emergency,
    invites,
    invoices,
    members,
    notifications,
    ownership,
    trials,
    webhooks,
    wizard,
)


def console_routes() -> list[Route]:
    """Return the routes; the application puts `door.Door` in front of them."""
    return [
        *billing.routes(),
        *banner.routes(),
        *invoices.routes(),
        *members.routes(),
        *ownership.routes(),
        *invites.routes(),
        *emergency.routes(),
        *domains.routes(),
        *wizard.routes(),
        *connection_edit.routes(),
        *trials.routes(),
        *access.routes(),
        *audit.routes(),
        *notifications.routes(),
        *developer.routes(),
        *webhooks.routes(),
    ]
