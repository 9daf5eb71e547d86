"""The attribute table as values: what a resource is made of, and which attribute a name means.

Names are compared without regard to letter case. Source: RFC 7643 2.1 (names), 2.2 (characteristics), 7 (definition).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

AttributeType = Literal["string", "boolean", "dateTime", "reference", "complex"]
Mutability = Literal["readWrite", "readOnly", "immutable", "writeOnly"]
Returned = Literal["always", "default", "request", "never"]


@dataclass(frozen=True)
class Attribute:
    """One attribute; `sub` are the parts of a complex one, `references` what a reference may point to."""

    name: str
    type: AttributeType = "string"
    multi: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = "readWrite"
    returned: Returned = "default"
    unique: bool = False
    canonical: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    sub: tuple["Attribute", ...] = ()
    description: str = ""

    @cached_property
    def parts(self) -> dict[str, "Attribute"]:
        """The sub-attributes by lower-case name."""
        return {part.name.casefold(): part for part in self.sub}


@dataclass(frozen=True)
class Schema:
    """One schema: its URN and attributes."""

    urn: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """The attributes by lower-case name."""
        return {attribute.name.casefold(): attribute for attribute in self.attributes}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is in a resource: `urn` is empty in the core schema; `attribute` is None for a whole extension."""

    urn: str
    attribute: Attribute | None
    sub: Attribute | None = None

    @property
    def leaf(self) -> Attribute:
        """The attribute whose value is compared: `value` where a complex one is named alone."""
        assert self.attribute is not None  # noqa: S101 - a whole extension is never compared
        return self.sub or self.attribute.parts.get("value") or self.attribute

    @property
    def name(self) -> str:
        """The path in its canonical form."""
        path = ".".join(part.name for part in (self.attribute, self.sub) if part)
        return f"{self.urn}:{path}".strip(":") if self.urn else path


# Attributes of every resource (RFC 7643 3.1).
_META = Attribute(
    "meta",
    "complex",
    mutability="readOnly",
    sub=(
        Attribute("resourceType", case_exact=True, mutability="readOnly"),
        Attribute("created", "dateTime", mutability="readOnly"),
        Attribute("lastModified", "dateTime", mutability="readOnly"),
        Attribute("location", "reference", case_exact=True, mutability="readOnly", references=("uri",)),
        Attribute("version", case_exact=True, mutability="readOnly"),
    ),
)
EVERYWHERE = (
    Attribute("id", case_exact=True, mutability="readOnly", returned="always", unique=True),
    Attribute("externalId", case_exact=True),
    Attribute("schemas", "reference", multi=True, case_exact=True, mutability="readOnly", returned="always"),
    _META,
)


@dataclass(frozen=True, eq=False)  # each is there once, and is a key of what is remembered of paths
class ResourceType:
    """Users or Groups: endpoint, core schema, extensions, and other names for an extension's attribute."""

    name: str
    endpoint: str
    core: Schema
    extensions: tuple[Schema, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    @cached_property
    def core_names(self) -> dict[str, Attribute]:
        """The attributes of the core schema and those of every resource, by lower-case name."""
        return {attribute.name.casefold(): attribute for attribute in (*EVERYWHERE, *self.core.attributes)}

    @cached_property
    def by_urn(self) -> dict[str, Schema]:
        """The extensions by lower-case URN."""
        return {schema.urn.casefold(): schema for schema in self.extensions}

    def every(self) -> Iterable[Place]:
        """Give the place of every attribute."""
        yield from (Place("", attribute) for attribute in self.core_names.values())
        yield from (Place(schema.urn, attribute) for schema in self.extensions for attribute in schema.attributes)

    def find(self, word: str, *, aliases: bool = True) -> Place | None:
        """Return the place that a path such as `name.givenName` or `urn:…:User:department` means, or None."""
        folded = word.casefold()
        if folded.startswith("urn:"):
            return self._find_qualified(folded)
        place = _inside("", self.core_names, folded)
        alias = dict(self.aliases).get(folded.partition(".")[0]) if aliases and place is None else None
        return _inside(alias, self.by_urn[alias.casefold()].by_name, folded) if alias else place

    def _find_qualified(self, folded: str) -> Place | None:
        core = self.core.urn.casefold()
        if folded.startswith((core + ":", core + ".")):
            return _inside("", self.core_names, folded[len(core) + 1 :])
        for urn, schema in self.by_urn.items():
            if folded == urn:
                return Place(schema.urn, None)
            if folded.startswith((urn + ":", urn + ".")):
                return _inside(schema.urn, schema.by_name, folded[len(urn) + 1 :])
        return None


def _inside(urn: str, names: dict[str, Attribute], path: str) -> Place | None:
    head, dot, tail = path.partition(".")
    attribute = names.get(head)
    if attribute is None or not dot:
        return Place(urn, attribute) if attribute else None
    sub = attribute.parts.get(tail)
    return Place(urn, attribute, sub) if sub else None
