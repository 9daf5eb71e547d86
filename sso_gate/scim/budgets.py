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
    try:
        made = apply_patch(USERS, {}, operations[:2], Dialect())
    except Rejected:
        return "write"
    return "give_back" if made == {"active": False} and len(operations) <= 2 else "write"
