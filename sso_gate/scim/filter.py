"""A filter or a PATCH path as a tree, bound to the attribute table while it is read.

Small limits first: what is too long, too deep or has too many terms is refused before any row is looked at.
`emails[type eq "work"].value eq "x"` is not in the grammar; Entra ID sends it, and it means
`emails[type eq "work" and value eq "x"]`. Source: RFC 7644 3.4.2.2 (filter, errata 4690 and 7322), 3.5.2 (path).
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache

from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.schema import Attribute, Place, ResourceType

MAX_CHARACTERS = 2048
MAX_DEPTH = 32
MAX_TERMS = 64
Literal = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; `op` is one of eq ne co sw ew gt ge lt le."""

    place: Place
    op: str
    value: Literal


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value."""

    place: Place


@dataclass(frozen=True, slots=True)
class Not:
    """The inner filter does not match."""

    inner: "Filter"


@dataclass(frozen=True, slots=True)
class Both:
    """All terms match (`and`)."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One term matches (`or`)."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a multi-valued attribute matches the inner filter, whose places are parts of that element."""

    place: Place
    inner: "Filter"


Filter = Compare | Present | Not | Both | Either | Element


@dataclass(frozen=True, slots=True)
class Target:
    """What a PATCH path names: a place, with `only` those elements of it, and then perhaps one part of each."""

    place: Place
    only: Filter | None = None
    part: Attribute | None = None


def count_terms(found: Filter) -> int:
    """Return how many comparisons the filter is made of."""
    match found:
        case Both(several) | Either(several):
            return sum(map(count_terms, several))
        case Not(inner) | Element(_, inner):
            return count_terms(inner)
        case _:
            return 1


_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])"""
    r"""|(?P<word>[A-Za-z$][\w$:.\-]*)|(?P<mark>[()\[\].])|(?P<end>$))"""
)
_OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
_WORDS: dict[str, Literal] = {"true": True, "false": False, "null": None}
_TEXT = frozenset({"co", "sw", "ew"})


def parse_filter(text: str, resource: ResourceType, *, aliases: bool = True) -> Filter:
    """Return the filter's tree.

    Raises:
        Rejected: 400 `invalidFilter`: not in the grammar, no such attribute, a value that cannot be compared.
    """
    reader = _Reader(text, resource, "invalidFilter", aliases=aliases)
    found = reader.either()
    reader.expect_end()
    return found


@lru_cache(maxsize=1024)  # clients name the same few paths all day, and what a path means never changes
def parse_path(text: str, resource: ResourceType) -> Target | None:
    """Return what a PATCH path names, or None where it is well formed and the attribute is not there.

    Raises:
        Rejected: 400 `invalidPath`: not in the grammar. 400 `invalidFilter`: what stands between the brackets is wrong.
    """
    reader = _Reader(text, resource, "invalidPath", aliases=True)
    kind, word = reader.take()
    if kind != "word":
        raise reader.wrong("expected an attribute")
    place = resource.find(word)
    if reader.peek() == ("end", ""):
        return Target(place) if place else None
    if place is None:
        return None
    if place.attribute is None or place.sub or not (place.attribute.multi and place.attribute.sub):
        raise reader.wrong(f"{word} has no elements to choose from")
    only = reader.element(place)
    part = reader.part(place.attribute)
    reader.expect_end()
    return Target(place, only, part)


class _Reader:
    """The text as tokens, and a recursive descent over them whose depth is bounded."""

    def __init__(self, text: str, resource: ResourceType, scim_type: str, *, aliases: bool) -> None:
        self.resource, self.scim_type, self.aliases = resource, scim_type, aliases
        self.within: Place | None = None
        self.depth = self.terms = self.at = 0
        if len(text) > MAX_CHARACTERS:
            raise self.wrong(f"longer than {MAX_CHARACTERS} characters")
        self.tokens = self._tokens(text)

    def wrong(self, why: str) -> Rejected:
        return invalid(self.scim_type, f"{'filter' if self.scim_type == 'invalidFilter' else 'path'}: {why}")

    def _tokens(self, text: str) -> list[tuple[str, str]]:
        found, at = [], 0
        while True:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self.wrong(f"cannot be read at character {at + 1}")
            found.append((match.lastgroup, match[match.lastgroup]))
            if match.lastgroup == "end":
                return found
            at = match.end()

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _is_next(self, kind: str, *words: str) -> bool:
        found, text = self.peek()
        return found == kind and text.casefold() in words

    def expect(self, mark: str) -> None:
        if self.take() != ("mark", mark):
            raise self.wrong(f"expected {mark}")

    def expect_end(self) -> None:
        if self.peek()[0] != "end":
            raise self.wrong(f"did not expect {self.peek()[1]}")

    def either(self) -> Filter:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.wrong(f"deeper than {MAX_DEPTH} levels")
        terms = [self._both()]
        while self._is_next("word", "or"):
            self.take()
            terms.append(self._both())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def _both(self) -> Filter:
        terms = [self._term()]
        while self._is_next("word", "and"):
            self.take()
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else Both(tuple(terms))

    def _term(self) -> Filter:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self.wrong(f"more than {MAX_TERMS} terms")
        if self._is_next("mark", "("):
            return self._group()
        if self._is_next("word", "not") and self.tokens[self.at + 1] == ("mark", "("):
            self.take()
            return Not(self._group())
        return self._attribute()

    def _group(self) -> Filter:
        self.expect("(")
        inner = self.either()
        self.expect(")")
        return inner

    def _attribute(self) -> Filter:
        kind, word = self.take()
        place = self._find(word) if kind == "word" else None
        if place is None or place.attribute is None:
            raise self.wrong(f"{word or 'the end'} is no attribute")
        if self.peek() == ("mark", "["):
            return self._chosen(word, place)
        return self._operation(place)

    def _chosen(self, word: str, place: Place) -> Filter:
        if self.within or place.sub or not (place.attribute and place.attribute.multi and place.attribute.sub):
            raise self.wrong(f"{word} has no elements to choose from")
        inner = self.element(place)
        part = self.part(place.attribute)
        if part is None:
            return Element(place, inner)
        return Element(place, Both((inner, self._operation(Place("", part)))))

    def element(self, place: Place) -> Filter:
        self.expect("[")
        self.within = place
        inner = self.either()
        self.within = None
        self.expect("]")
        return inner

    def part(self, attribute: Attribute) -> Attribute | None:
        if self.peek() != ("mark", "."):
            return None
        self.take()
        kind, word = self.take()
        part = attribute.parts.get(word.casefold()) if kind == "word" else None
        if part is None:
            raise self.wrong(f"{attribute.name} has no {word}")
        return part

    def _find(self, word: str) -> Place | None:
        if self.within is None:
            return self.resource.find(word, aliases=self.aliases)
        assert self.within.attribute is not None  # noqa: S101 - elements are chosen of an attribute
        part = self.within.attribute.parts.get(word.casefold())
        return Place("", part) if part else None

    def _operation(self, place: Place) -> Filter:
        kind, word = self.take()
        op = word.casefold()
        if kind == "word" and op == "pr":
            return Present(place)
        if kind != "word" or op not in _OPERATORS:
            raise self.wrong(f"{word or 'the end'} is no operator")
        return Compare(place, op, self._comparable(place, op, self._literal()))

    def _literal(self) -> Literal:
        kind, word = self.take()
        if kind == "text":
            return self._text(word)
        if kind == "number":
            return float(word)
        if kind == "word" and word.casefold() in _WORDS:
            return _WORDS[word.casefold()]
        raise self.wrong(f"{word or 'the end'} is no value")

    def _text(self, word: str) -> str:
        try:
            text = str(json.loads(word))
        except ValueError as error:
            raise self.wrong("a text cannot be read") from error
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise self.wrong("a text has characters that are never kept")
        return text

    def _comparable(self, place: Place, op: str, value: Literal) -> Literal:
        leaf = place.leaf
        if leaf.type == "complex":
            raise self.wrong(f"{place.name} has no single value to compare")
        if value is None:
            if op in ("eq", "ne"):
                return None
            raise self.wrong(f"null can be compared with eq and ne alone, not {op}")
        if leaf.type == "boolean":
            if op not in ("eq", "ne"):
                raise self.wrong(f"{place.name} can be compared with eq and ne alone")
            return self._truth(place, value)
        if not isinstance(value, str):
            raise self.wrong(f"{place.name} is compared with a text")
        if leaf.type == "dateTime" and op in _TEXT:
            raise self.wrong(f"{place.name} is an instant, not a text")
        return value

    def _truth(self, place: Place, value: Literal) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.casefold() in ("true", "false"):
            return value.casefold() == "true"  # Entra ID writes booleans as texts
        raise self.wrong(f"{place.name} is true or false")
