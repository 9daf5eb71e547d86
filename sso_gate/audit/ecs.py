"""An event in the words of the Elastic Common Schema 8.17, for Elastic and whatever reads it.

What the schema has no word for stands under `labels`, as text. Source: ECS field reference (base, event, user, source,
organization, service, user_agent, http, group); allowed values of `event.category` and `event.type`.
"""

from types import MappingProxyType
from typing import Any

from sso_gate.audit.origin import plain_address

VERSION = "8.17.0"
_SEVERITIES = MappingProxyType({"low": 3, "medium": 6, "high": 8})
_ENDS = ("auth.logout", "session.revoke")
_TYPES = MappingProxyType({"create": "creation", "issue": "creation", "delete": "deletion", "revoke": "deletion"})
_READS = ("read", "list", "export", "verify", "test")


def ecs_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the ECS form of a readable event that has its place in the chain."""
    categories, types = _kind(event["action"])
    denied = event["outcome"] == "denied"
    told = {
        "id": event["id"],
        "kind": "event",
        "category": categories,
        "type": [*types, "denied"] if denied else types,
        "action": event["action"],
        "outcome": "failure" if denied else "success",
        "reason": event["reason"],
        "severity": _SEVERITIES[event["severity"]],
        "sequence": event["chain"]["pos"],
        "provider": "sso-gate",
    }
    mapped = {
        "@timestamp": event["time"],
        "ecs": {"version": VERSION},
        "event": {name: value for name, value in told.items() if value is not None},
        "organization": {"id": event["organization"]},
        "service": {"name": "sso-gate", "type": "sso-gate"},
        "labels": _labels(event),
        **_user(event),
        **_origin(event),
    }
    if event["check"]:
        mapped["message"] = event["check"]
    return mapped


def _kind(action: str) -> tuple[list[str], list[str]]:
    """Return `event.category` and `event.type`."""
    head, _, verb = action.rpartition(".")
    if action in _ENDS:
        return ["authentication", "session"], ["end"]
    if head in ("auth", "api") or action in ("scim.auth", "breakglass.use"):
        return ["authentication"], ["start"]
    change = "access" if verb in _READS else _TYPES.get(verb, "change")
    if head.startswith("scim.group"):
        return ["iam"], ["group", change]
    if head in ("scim.user", "admin.role", "member", "seat", "token", "breakglass"):
        return ["iam"], ["info" if change == "access" else change, "user"]
    return ["configuration"], [change]


def _user(event: dict[str, Any]) -> dict[str, Any]:
    """Who did it, and the person or the group that it was done to."""
    target = event["target"] or {"type": ""}
    user: dict[str, Any] = _person(event["actor"])
    if target["type"] == "member":
        user["target"] = _person(target)
    group = _known(id=target["id"], name=target["name"]) if target["type"] == "group" else {}
    return _known(user=user, group=group)


def _person(thing: dict[str, Any]) -> dict[str, Any]:
    return _known(id=thing["id"], name=thing["name"], email=thing["name"] if "@" in thing["name"] else "")


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _origin(event: dict[str, Any]) -> dict[str, Any]:
    client, request = event["client"], event["request"]
    return _known(
        source=_known(ip=plain_address(client["ip"])),
        user_agent=_known(original=client["ua"]),
        http=_known(request=_known(id=request["id"], method=request["method"])),
    )


def _labels(event: dict[str, Any]) -> dict[str, str]:
    """What has no field of its own; labels are flat, and texts."""
    via, seat, target = event["via"], event["seat"] or {}, event["target"] or {}
    named = {
        "reference": event["reference"],
        "actor_type": event["actor"]["type"],
        "target": target.get("id"),
        "target_type": target.get("type"),
        "target_name": target.get("name"),
        "connection": via["connection"],
        "protocol": via["protocol"],
        "mfa": via["mfa"],
        "token": via["token"],
        "initiated": via["initiated"],
        "route": event["request"]["route"],
        "session": event["session"],
        "seat_limit": seat.get("limit"),
        "seat_used": seat.get("used"),
        "seat_policy": seat.get("policy"),
        "repeat": event["repeat"]["count"],
        "chain_hash": event["chain"]["hash"],
    }
    return {name: _word(value) for name, value in named.items() if value not in ("", None)}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
