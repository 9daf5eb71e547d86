"""An event in ArcSight's Common Event Format, version 0, for programs that read nothing else.

One line: whatever cannot be printed is a space, a line break inside of a value is written as `\\n`. Source: ArcSight
Common Event Format, implementation standard (header, extension, encoding rules).
"""

from datetime import datetime
from typing import Any

from sso_gate.audit.origin import plain_address
from sso_gate.clock import to_micros

_SEVERITIES = {"low": 3, "medium": 6, "high": 8}
_VENDOR, _PRODUCT, _VERSION = "sso-gate", "sso-gate", "1"


def cef_line(event: dict[str, Any]) -> str:
    """Return the CEF form of a readable event that has its place in the chain, without a line break."""
    head = ("CEF:0", _VENDOR, _PRODUCT, _VERSION, event["action"], _name(event), str(_SEVERITIES[event["severity"]]))
    fields = {name: value for name, value in _fields(event).items() if value not in ("", None)}
    return "|".join(map(_header, head)) + "|" + " ".join(f"{name}={_value(str(fields[name]))}" for name in fields)


def _name(event: dict[str, Any]) -> str:
    return f"{event['action']} {event['outcome']}"


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    actor, via, client, request = event["actor"], event["via"], event["client"], event["request"]
    seat, target = event["seat"] or {}, event["target"] or {}
    return {
        "rt": to_micros(datetime.fromisoformat(event["time"])) // 1000,
        "externalId": event["id"],
        "act": event["action"],
        "outcome": event["outcome"],
        "reason": event["reason"],
        "suid": actor["id"],
        "suser": actor["name"],
        "duid": target.get("id"),
        "duser": target.get("name"),
        "destinationServiceName": _PRODUCT,
        **_address(client["ip"]),
        "requestClientApplication": client["ua"],
        "requestMethod": request["method"],
        "app": via["protocol"],
        "msg": event["check"],
        **_labelled("cs1", "requestId", request["id"]),
        **_labelled("cs2", "organization", event["organization"]),
        **_labelled("cs3", "reference", event["reference"]),
        **_labelled("cs4", "connection", via["connection"]),
        **_labelled("cs5", "chainHash", event["chain"]["hash"]),
        **_labelled("cs6", "session", event["session"]),
        **_labelled("flexString1", "route", request["route"]),
        **_labelled("flexString2", "seatPolicy", seat.get("policy")),
        **_labelled("cn1", "position", event["chain"]["pos"]),
        **_labelled("cn2", "seatLimit", seat.get("limit")),
        **_labelled("cn3", "seatsUsed", seat.get("used")),
        "cnt": event["repeat"]["count"],
    }


def _labelled(name: str, label: str, value: Any) -> dict[str, Any]:
    return {} if value in ("", None) else {name: value, f"{name}Label": label}


def _address(text: str) -> dict[str, Any]:
    """An address has a field of its own by its kind; what is none, or was erased, has no field."""
    address = plain_address(text)
    return _labelled("c6a2", "Source IPv6 Address", address) if ":" in address else {"src": address}


def _header(text: str) -> str:
    return _printable(text.replace("\n", " ")).replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    parts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\\n".join(_printable(part).replace("\\", "\\\\").replace("=", "\\=") for part in parts)


def _printable(text: str) -> str:
    """Return the text without what a terminal would obey, and without what some readers take for the end of a line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
