"""What a client sends as values of the attribute table: checked, in canonical names, nothing unknown kept.

In compatible mode the dialects are understood that Entra ID and Okta really send; whatever was ignored is noted, by
name only. Nothing that touches `active` is ever ignored. Source: RFC 7643 2.3 (types), 2.5 (unassigned values).
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sso_gate.identity import normal_email
from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.schema import Attribute, ResourceType, Schema

MAX_TEXT = 1024
MAX_EXTERNAL_ID = 512  # as long as the subject of an identity, which it may name
MAX_ELEMENTS = 200
MAX_NOTES = 20
MAX_COMPARISONS = 50_000  # of elements with a path, by all operations of one request


@dataclass(slots=True)
class Dialect:
    """How one request is read: `strict` refuses what compatible mode understands; `ignored` is what was left out."""

    strict: bool = False
    ignored: set[str] = field(default_factory=set)
    compared: int = 0

    def ignore(self, name: str) -> None:
        """Note an unknown attribute.

        Raises:
            Rejected: 400 in strict mode, and wherever it would touch `active`.
        """
        shown = _printable(name)
        if self.strict or "active" in _segments(name):
            raise invalid("invalidPath", f"{shown} is not known")
        if len(self.ignored) < MAX_NOTES:
            self.ignored.add(shown)

    def compare(self, count: int) -> None:
        """Count comparisons of elements with a path; operations and elements are bounded, and so is their product.

        Raises:
            Rejected: 400 `tooMany`.
        """
        self.compared += count
        if self.compared > MAX_COMPARISONS:
            raise invalid("tooMany", f"the paths would be compared with more than {MAX_COMPARISONS} values")

    def tolerate(self, why: str) -> None:
        """Raise the 400 that strict mode has for something that compatible mode understands."""
        if self.strict:
            raise invalid("invalidValue", why)


def _segments(name: str) -> set[str]:
    return set(name.casefold().replace(":", ".").replace("[", ".").replace("]", ".").split("."))


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:128]


def read_resource(resource: ResourceType, body: Any, dialect: Dialect) -> dict[str, Any]:
    """Return the writable attributes of a resource that was sent whole (POST and PUT), canonical and checked.

    Raises:
        Rejected: 400 `invalidSyntax` or `invalidValue`.
    """
    if not isinstance(body, dict):
        raise invalid("invalidSyntax", "expected a JSON object")
    _check_schemas(resource, body, dialect)
    found: dict[str, Any] = {}
    for name, value in _once(body):
        extension = resource.by_urn.get(name.casefold())
        if name.casefold() == "schemas":
            continue
        if extension:
            _put(found, extension.urn, read_extension(extension, value, dialect))
        else:
            _read_named(found, resource.core_names.get(name.casefold()), name, value, dialect)
    return found


def _check_schemas(resource: ResourceType, body: dict[str, Any], dialect: Dialect) -> None:
    sent = next((value for name, value in body.items() if name.casefold() == "schemas"), None)
    if sent is None:
        dialect.tolerate("schemas is missing")
        return
    if not isinstance(sent, list) or not all(isinstance(urn, str) for urn in sent):
        raise invalid("invalidSyntax", "schemas: expected a list of URNs")
    if resource.core.urn.casefold() not in {urn.casefold() for urn in sent}:
        raise invalid("invalidSyntax", f"schemas: expected {resource.core.urn} in it")


def _once(body: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Give the members of an object; a name that stands twice in other letter case could be read in two ways."""
    seen = set()
    for name, value in body.items():
        if name.casefold() in seen:
            raise invalid("invalidSyntax", f"{_printable(name)} is sent twice")
        seen.add(name.casefold())
        yield name, value


def read_extension(schema: Schema, value: Any, dialect: Dialect) -> dict[str, Any]:
    """Return the writable attributes of an extension."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid("invalidValue", f"{schema.urn}: expected an object")
    found: dict[str, Any] = {}
    for name, part in _once(value):
        _read_named(found, schema.by_name.get(name.casefold()), name, part, dialect)
    return found


def _read_named(found: dict[str, Any], attribute: Attribute | None, name: str, value: Any, dialect: Dialect) -> None:
    if attribute is None:
        dialect.ignore(name)
    elif attribute.mutability != "readOnly":
        said = read_value(attribute, value, dialect)
        _put(found, attribute.name, None if attribute.mutability == "writeOnly" else said)


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value not in (None, {}, []):
        found[name] = value


def read_value(attribute: Attribute, value: Any, dialect: Dialect) -> Any:
    """Return the value in its canonical form; None, {} or [] where it says that there is none.

    Raises:
        Rejected: 400 `invalidValue`.
    """
    if value is None:
        return None
    if not attribute.multi:
        return read_single(attribute, value, dialect)
    if not isinstance(value, list):
        dialect.tolerate(f"{attribute.name}: expected a list")
        value = [value]
    if len(value) > MAX_ELEMENTS:
        raise invalid("invalidValue", f"{attribute.name}: more than {MAX_ELEMENTS} values")
    elements = [read_single(attribute, element, dialect) for element in value if element is not None]
    elements = [element for element in elements if element not in (None, {}, "")]
    if sum(_is_primary(element) for element in elements) > 1:
        raise invalid("invalidValue", f"{attribute.name}: more than one primary value")
    return elements


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def read_single(attribute: Attribute, value: Any, dialect: Dialect) -> Any:
    """Return one value, or one element of a multi-valued attribute."""
    if isinstance(value, list):
        value = _unwrapped(attribute, value, dialect)
    if attribute.type == "complex":
        return _read_complex(attribute, value, dialect)
    if isinstance(value, dict) and "value" in value:
        dialect.tolerate(f"{attribute.name}: expected a single value")
        value = value["value"]
    if value is None:
        return None
    return _truth(attribute, value) if attribute.type == "boolean" else _text(attribute, value, dialect)


def _unwrapped(attribute: Attribute, value: list[Any], dialect: Dialect) -> Any:
    # The older dialect of Entra ID: {"path": "displayName", "value": [{"$ref": null, "value": "Jane"}]}.
    if len(value) != 1:
        raise invalid("invalidValue", f"{attribute.name}: expected a single value")
    dialect.tolerate(f"{attribute.name}: expected a single value")
    return value[0]


def _read_complex(attribute: Attribute, value: Any, dialect: Dialect) -> dict[str, Any]:
    if not isinstance(value, dict):
        if "value" not in attribute.parts or not isinstance(value, str):
            raise invalid("invalidValue", f"{attribute.name}: expected an object")
        dialect.tolerate(f"{attribute.name}: expected an object")
        value = {"value": value}
    found: dict[str, Any] = {}
    for name, part in _once(value):
        known = attribute.parts.get(name.casefold())
        _read_named(found, known, f"{attribute.name}.{name}" if known is None else name, part, dialect)
    return found


def _truth(attribute: Attribute, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.casefold() in ("true", "false"):
        return value.casefold() == "true"  # Entra ID writes booleans as texts
    raise invalid("invalidValue", f"{attribute.name}: expected true or false")


def _text(attribute: Attribute, value: Any, dialect: Dialect) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        dialect.tolerate(f"{attribute.name}: expected a text")
        value = str(value)
    if not isinstance(value, str):
        raise invalid("invalidValue", f"{attribute.name}: expected a text")
    check_text(attribute.name, value)
    if (
        dialect.strict
        and attribute.canonical
        and value.casefold() not in {one.casefold() for one in attribute.canonical}
    ):
        raise invalid("invalidValue", f"{attribute.name}: expected one of {', '.join(attribute.canonical)}")
    return value


def check_text(name: str, value: str) -> None:
    """Raise the 400 for a text that is too long, or that no database or log should have to hold."""
    most = MAX_EXTERNAL_ID if name == "externalId" else MAX_TEXT
    if len(value) > most:
        raise invalid("invalidValue", f"{name}: longer than {most} characters")
    if not is_keepable(value):
        raise invalid("invalidValue", f"{name}: has characters that cannot be kept")


def is_keepable(text: str) -> bool:
    """Return whether a database takes the text: no NUL, no half characters."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def read_user_name(text: Any) -> str:
    """Return a userName in the form in which it is kept: NFC, trimmed.

    Raises:
        Rejected: 400 `invalidValue`: none, longer than 320 characters, or with characters that cannot be shown.
    """
    name = unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else ""
    # Its compared form has a column of 320 characters, and may be longer than the name itself.
    if not name or max(len(name), len(normal_email(name))) > 320 or not name.isprintable():
        raise invalid("invalidValue", "userName: expected 1 to 320 printable characters")
    return name


def required(resource: ResourceType, document: dict[str, Any]) -> Rejected | None:
    """Return the refusal of a resource that lacks a required attribute, or None."""
    for attribute in resource.core.attributes:
        if attribute.required and not document.get(attribute.name):
            return invalid("invalidValue", f"{attribute.name} is required")
    return None
