"""Which budget a change is paid from: giving a seat back has one of its own."""

from typing import Any

from sso_gate.scim.caller import Kind
from sso_gate.scim.definitions import USERS
from sso_gate.scim.patch import Operation, apply_patch
from sso_gate.scim.rejection import Rejected
from sso_gate.scim.values import Dialect


def kind_of_put(body: Any) -> Kind:
    """Return `give_back` for a user who is replaced by an inactive one."""
    named = {name.casefold(): value for name, value in body.items()} if isinstance(body, dict) else {}
    return "give_back" if str(named.get("active")).casefold() == "false" else "write"


def kind_of_patch(operations: list[Operation]) -> Kind:
    """Return `give_back` for operations that do nothing but deactivate."""
    if len(operations) > 2 or not any(map(_speaks_of_active, operations)):
        return "write"
    try:
        made = apply_patch(USERS, {}, operations, Dialect())
    except Rejected:
        return "write"
    return "give_back" if made == {"active": False} else "write"


def _speaks_of_active(operation: Operation) -> bool:
    """Return whether the word is in it at all: most operations say something else, and are read once, not twice."""
    names = operation.value if operation.path is None else (operation.path,)
    return any("active" in name.casefold() for name in names)
