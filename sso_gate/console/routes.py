"""Every route of the settings."""

from starlette.routing import Route

from sso_gate.console import (
    access,
    audit,
    audit_exports,
    banner,
    billing,
    billing_details,
    connection_edit,
    developer,
    domains,
    emergency,
    going_live,
    invites,
    invoices,
    members,
    notifications,
    ownership,
    provisioning,
    trials,
    webhooks,
    wizard,
)


def console_routes() -> list[Route]:
    """Return the routes; the application puts `door.Door` in front of them."""
    return [
        *billing.routes(),
        *banner.routes(),
        *billing_details.routes(),
        *invoices.routes(),
        *members.routes(),
        *ownership.routes(),
        *invites.routes(),
        *emergency.routes(),
        *domains.routes(),
        *provisioning.routes(),
        *wizard.routes(),
        *connection_edit.routes(),
        *going_live.routes(),
        *trials.routes(),
        *access.routes(),
        *audit_exports.routes(),
        *audit.routes(),
        *notifications.routes(),
        *developer.routes(),
        *webhooks.routes(),
    ]
