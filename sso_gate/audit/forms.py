"""An event in the words of another program: one line of text, whatever it is made of."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sso_gate.audit.cef import cef_line
from sso_gate.audit.ecs import ecs_event
from sso_gate.audit.ocsf import ocsf_event

Form = Literal["json", "ocsf", "ecs", "cef"]
_encoded = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_FORMS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "ocsf": lambda event: _encoded(ocsf_event(event)),
    "ecs": lambda event: _encoded(ecs_event(event)),
    "cef": cef_line,
}


def in_form(form: Form, line: str) -> str:
    """Return an event, given as its JSON line with its place in the chain, in this form: JSON stays as it is."""
    return line if form == "json" else _FORMS[form](json.loads(line))
