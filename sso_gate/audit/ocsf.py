"""An event in the words of OCSF 1.8.0, for programs that read many products' logs.

Classes: Authentication 3002, Account Change 3001, Group Management 3006, Entity Management 3004, each with the profile
`security_control`. What OCSF has no word for stands under `unmapped`.
"""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from sso_gate.audit.origin import plain_address
from sso_gate.clock import to_micros

VERSION = "1.8.0"
_AUTHENTICATION, _ACCOUNT, _GROUP, _ENTITY, _OTHER = 3002, 3001, 3006, 3004, 99
_CATEGORY_IAM = 3
_BLOCKED, _REJECTED, _UNAUTHORIZED, _REVOKED, _ERROR, _ALLOWED = 2, 25, 26, 24, 27, 1

# Where the last word of the action does not say it.
_ACTIVITIES = MappingProxyType(
    {
        "auth.login": (_AUTHENTICATION, 1),
        "breakglass.use": (_AUTHENTICATION, 1),
        "api.auth": (_AUTHENTICATION, 1),
        "scim.auth": (_AUTHENTICATION, 1),
        "auth.gate": (_AUTHENTICATION, _OTHER),
        "auth.logout": (_AUTHENTICATION, 2),
        "session.revoke": (_AUTHENTICATION, 2),
        "scim.user.create": (_ACCOUNT, 1),
        "scim.user.activate": (_ACCOUNT, 2),
        "scim.user.deactivate": (_ACCOUNT, 5),
        "scim.user.delete": (_ACCOUNT, 6),
        "scim.user.update": (_ACCOUNT, _OTHER),
        "admin.role.change": (_ACCOUNT, _OTHER),
        "scim.group.create": (_GROUP, 6),
        "scim.group.delete": (_GROUP, 5),
        "scim.group.update": (_GROUP, _OTHER),
        "scim.group.member.add": (_GROUP, 3),
        "scim.group.member.remove": (_GROUP, 4),
    }
)
_ENTITY_VERBS = MappingProxyType(
    {"create": 1, "issue": 1, "list": 2, "read": 2, "export": 2, "apply": 3, "change": 3, "update": 3}
    | {"reassign": 3, "delete": 4, "revoke": 4, "expire": 4, "erase": 4}
)
_SEVERITIES = MappingProxyType({"low": 1, "medium": 3, "high": 4})
_PROTOCOLS = MappingProxyType({"saml": 5, "oidc": 4})
_DISPOSITIONS = MappingProxyType(
    dict.fromkeys(
        (
            "seat_unavailable",
            "seat_released",
            "member_deactivated",
            "domain_not_allowed",
            "organization_disabled",
            "contract_ended",
            "subject_conflict",
            "rate_limited",
            "proxy_untrusted",
        ),
        _BLOCKED,
    )
    | dict.fromkeys(("not_assigned", "token_missing", "token_invalid", "insufficient_scope"), _UNAUTHORIZED)
    | dict.fromkeys(("status_refused", "provider_refused", "provider_unreachable", "unavailable"), _ERROR)
)


def ocsf_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the OCSF form of a readable event that has its place in the chain."""
    class_uid, activity = _activity(event["action"])
    denied = event["outcome"] == "denied"
    mapped = {
        "activity_id": activity,
        "category_uid": _CATEGORY_IAM,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "time": to_micros(datetime.fromisoformat(event["time"])) // 1000,
        "severity_id": _SEVERITIES[event["severity"]],
        "status_id": 2 if denied else 1,
        "action_id": 2 if denied else 1,
        "disposition_id": _disposition(event),
        "metadata": _metadata(event),
        "unmapped": _unmapped(event),
        **_about(class_uid, event),
        **_origin(event),
    }
    if denied:
        mapped["status_code"] = event["reason"]
    if event["check"]:
        mapped["status_detail"] = event["check"]
    return mapped


def _activity(action: str) -> tuple[int, int]:
    return _ACTIVITIES.get(action) or (_ENTITY, _ENTITY_VERBS.get(action.rpartition(".")[2], _OTHER))


def _disposition(event: dict[str, Any]) -> int:
    if event["reason"]:
        return _DISPOSITIONS.get(event["reason"], _REJECTED)
    return _REVOKED if event["action"] == "session.revoke" else _ALLOWED


def _metadata(event: dict[str, Any]) -> dict[str, Any]:
    found = {
        "version": VERSION,
        "product": {"name": "sso-gate", "vendor_name": "sso-gate"},
        "profiles": ["security_control"],
        "uid": event["id"],
        "tenant_uid": event["organization"],
        "event_code": event["action"],
        "sequence": event["chain"]["pos"],
    }
    if event["request"]["id"]:
        found["correlation_uid"] = event["request"]["id"]
    return found


def _unmapped(event: dict[str, Any]) -> dict[str, Any]:
    names = ("reference", "target", "seat", "changes", "repeat")
    found = {name: event[name] for name in names if event[name]}
    if event["request"]["route"]:
        found["route"] = event["request"]["route"]
    return {**found, "chain_hash": event["chain"]["hash"]}


def _about(class_uid: int, event: dict[str, Any]) -> dict[str, Any]:
    """Whom or what the event is about, as its class needs it."""
    whom = _named(event["target"]) if event["target"] else {}
    what = {word: whom[word] for word in ("uid", "name") if word in whom}
    match class_uid:
        case 3002:
            service = {"service": {"name": "sso-gate"}}
            return {"user": _person(event), **service, **_session(event), **_protocol(event["via"])}
        case 3001:
            return {"user": whom or _person(event), **_doer(event)}
        case 3006:
            return {"group": what or {"uid": "unknown"}, **_doer(event)}
        case _:
            kind = event["action"].rpartition(".")[0]
            return {"entity": {"uid": event["organization"], **what, "type": kind}, **_doer(event)}


def _named(thing: dict[str, Any]) -> dict[str, Any]:
    """An id and a name, of people the address besides."""
    name = thing["name"]
    address = name if "@" in name and thing["type"] in ("user", "member") else ""
    found = {"uid": thing["id"], "name": name, "email_addr": address}
    return {word: value for word, value in found.items() if value}


def _session(event: dict[str, Any]) -> dict[str, Any]:
    return {"session": {"uid": event["session"]}} if event["session"] else {}


def _protocol(via: dict[str, Any]) -> dict[str, Any]:
    protocol = via["protocol"]
    if not protocol:
        return {}
    known = _PROTOCOLS.get(protocol, _OTHER)
    factors = {} if via["mfa"] is None else {"is_mfa": via["mfa"]}
    return {"auth_protocol_id": known, **({"auth_protocol": protocol} if known == _OTHER else {}), **factors}


def _person(event: dict[str, Any]) -> dict[str, Any]:
    return _named(event["actor"]) or {"name": "unknown"}


def _doer(event: dict[str, Any]) -> dict[str, Any]:
    actor = event["actor"]
    if actor["type"] in ("user", "admin"):
        return {"actor": {"user": _person(event), **_session(event)}}
    return {"actor": {"app_name": actor["name"] or actor["type"], "app_uid": actor["id"] or actor["type"]}}


def _origin(event: dict[str, Any]) -> dict[str, Any]:
    client, request = event["client"], event["request"]
    address = plain_address(client["ip"])
    found: dict[str, Any] = {"src_endpoint": {"ip": address}} if address else {}
    asked = {"user_agent": client["ua"], "http_method": request["method"] if request["method"] != "OTHER" else ""}
    if any(asked.values()):
        found["http_request"] = {name: value for name, value in asked.items() if value}
    return found
