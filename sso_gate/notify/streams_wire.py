"""Events in the form that each kind of destination reads: Standard Webhooks, Splunk's HTTP Event Collector, syslog."""

import codecs
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sso_gate.audit.forms import Form, in_form
from sso_gate.clock import iso
from sso_gate.notify.streams import Kind

# Receivers advise bodies under 20 kB (Standard Webhooks); one event is never split.
MAX_BYTES = {"webhook": 18_000, "splunk": 200_000, "syslog": 200_000, "s3": 8_000_000}
_SOURCES = {"json": "audit", "ocsf": "audit:ocsf", "ecs": "audit:ecs"}
_LOG_AUDIT = 13  # RFC 5424 6.2.1
_SEVERITIES = {"low": 6, "medium": 5, "high": 4}  # informational, notice, warning


def fitting(kind: Kind, lines: Sequence[str]) -> int:
    """Return how many of the lines, at least one, go into one delivery."""
    size, limit = 0, MAX_BYTES[kind]
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > limit and number:
            return number
    return len(lines)


def webhook_body(lines: Sequence[str], *, at: datetime, kind: str = "audit.events", form: Form = "json") -> str:
    """Return the body of a webhook; the events in it are the bytes of the API's NDJSON, or in another form."""
    events = [in_form(form, line) for line in lines]
    head = f'{{"type":"{kind}","timestamp":"{iso(at)}","data":'
    return f'{head}{{"events":[{",".join(events)}]}}}}'


def splunk_body(lines: Sequence[str], *, form: Form = "json") -> str:
    """Return events for Splunk's HTTP Event Collector, one object a line."""
    return "\n".join(_splunk(line, form) for line in lines)


def _splunk(line: str, form: Form) -> str:
    seconds = datetime.fromisoformat(json.loads(line)["time"]).timestamp()
    head = f'"time":{seconds:.6f},"source":"sso-gate","sourcetype":"sso-gate:{_SOURCES[form]}"'
    return f'{{{head},"event":{in_form(form, line)}}}'


def syslog_frames(lines: Sequence[str], *, host: str, form: Form = "json") -> bytes:
    """Return events as RFC 5424 messages, each behind its length (RFC 6587 3.4.1, RFC 5425 4.3)."""
    return b"".join(b"%d %s" % (len(message), message) for message in (_syslog(line, host, form) for line in lines))


def _syslog(line: str, host: str, form: Form) -> bytes:
    event = json.loads(line)
    priority = _LOG_AUDIT * 8 + _SEVERITIES[event["severity"]]
    named = {"id": event["id"], "reason": event["reason"] or "", "organization": event["organization"]}
    data = " ".join(f'{name}="{_escaped(value)}"' for name, value in named.items())
    # 32473 is the private enterprise number for examples (RFC 5612): the project has none of its own.
    head = f"<{priority}>1 {event['time']} {host[:255] or '-'} sso-gate - {event['action'][:32]} [audit@32473 {data}]"
    # RFC 5424 6.4: a message that is not ASCII alone says by these three bytes that it is UTF-8.
    text = in_form(form, line)
    mark = b"" if text.isascii() else codecs.BOM_UTF8
    return f"{head} ".encode("ascii", "replace") + mark + text.encode("utf-8", "replace")


def _escaped(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
