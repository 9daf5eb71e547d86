"""Messages bent at random: bytes and trees of right messages, changed as an attacker, or an odd provider, would."""

from __future__ import annotations

import copy
import random
from typing import Any

from lxml import etree

from tests.support.saml_forge import DS, SAML, SAMLP, XENC

PIECES = [
    *(b"<a>", b"</a>", b"<a/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x ", b"?>", b"<!DOCTYPE a>"),
    *(b"&amp;", b"&#0;", b"&lt;", b"&x;", b"\x00", b"\xff", b"\xef\xbb\xbf", b"=", b'"', b"'", b"\r\n", b"#"),
    *(b" xmlns:x='u'", b" ID='_a'", b" xml:id='_a'", b"urn:oasis:names:tc:SAML:2.0:assertion", b"<saml:Assertion>"),
    *(b"<ds:Signature>", b"</samlp:Response>", "ü\u202e".encode()),
]
_NAMES = [
    *(f"{SAML}{name}" for name in ("Assertion", "EncryptedAssertion", "Issuer", "Subject", "NameID", "Conditions")),
    *(f"{SAML}{name}" for name in ("Advice", "Audience", "AttributeValue", "AuthnStatement", "SubjectConfirmation")),
    *(f"{SAMLP}{name}" for name in ("Response", "Extensions", "Status", "StatusDetail")),
    *(f"{DS}{name}" for name in ("Signature", "SignedInfo", "Reference", "Transforms", "KeyInfo", "Object")),
    *(f"{XENC}{name}" for name in ("EncryptedData", "EncryptedKey", "CipherReference")),
    *("Assertion", "{urn:x}Signature", "a"),
]
_VALUES = [
    *("", "_a", "_r", "#_a", "#_r", "#", "ana@acme.example", "owner@acme.example", "2.0", "1.1", " ", "\n", "a\x7f"),
    *("http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2000/09/xmldsig#enveloped-signature"),
    *("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
    *("9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "2026-03-01T12:00:00+25:00", "-1", "#default saml"),
    *("urn:oasis:names:tc:SAML:2.0:nameid-format:transient", "file:///etc/passwd", "é\u202e\u2028"),
]
_ATTRIBUTES = [
    *("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:x}ID", "URI", "Algorithm", "Version"),
    *("NotBefore", "NotOnOrAfter", "InResponseTo", "Recipient", "Destination", "Format", "Name", "PrefixList", "Type"),
]


def bend(data: bytes, changes: list[tuple[str, int, int, int]]) -> bytes:
    """Return the bytes after some changes: kind, place, length, piece."""
    for kind, first, second, piece in changes:
        at, length = first % (len(data) + 1), second % 400
        if kind == "insert":
            data = data[:at] + PIECES[piece % len(PIECES)] + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + length :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + length] * 2 + data[at + length :]
        elif kind == "move":
            data = data[:at] + data[at + length :] + data[at : at + length]
        else:
            data = data[:at] + bytes([second % 256]) + data[at + 1 :]
    return data


def bend_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to four changes."""
    kinds = ("insert", "delete", "repeat", "move", "flip")
    number = lambda: rng.randrange(1 << 20)  # noqa: E731 - three times the same
    return bend(data, [(rng.choice(kinds), number(), number(), number()) for _ in range(rng.randint(1, 4))])


def bend_tree(root: Any, donor: Any, rng: random.Random) -> Any:
    """Return a copy of the tree with one to four changes to its elements, some of them taken from another message."""
    root = copy.deepcopy(root)
    for _ in range(rng.randint(1, 4)):
        elements = list(root.iter("*"))
        _TREE_CHANGES[rng.randrange(len(_TREE_CHANGES))](rng.choice(elements), elements, list(donor.iter("*")), rng)
    return root


def _put(target: Any, piece: Any, rng: random.Random) -> None:
    if target is not piece and piece not in target.iterancestors():
        target.insert(rng.randint(0, len(target)), piece)


def _copied(target: Any, elements: list[Any], _: list[Any], rng: random.Random) -> None:
    _put(target, copy.deepcopy(rng.choice(elements)), rng)


def _moved(target: Any, elements: list[Any], _: list[Any], rng: random.Random) -> None:
    if (piece := rng.choice(elements)).getparent() is not None:
        _put(target, piece, rng)


def _given(target: Any, _: list[Any], donors: list[Any], rng: random.Random) -> None:
    _put(target, copy.deepcopy(rng.choice(donors)), rng)


def _swapped(target: Any, _: list[Any], donors: list[Any], rng: random.Random) -> None:
    same = [one for one in donors if one.tag == target.tag]
    if same and (parent := target.getparent()) is not None:
        parent.replace(target, copy.deepcopy(rng.choice(same)))


def _removed(target: Any, *_: Any) -> None:
    if (parent := target.getparent()) is not None:
        parent.remove(target)


def _renamed(target: Any, _: list[Any], __: list[Any], rng: random.Random) -> None:
    target.tag = rng.choice(_NAMES)


def _wrapped(target: Any, _: list[Any], __: list[Any], rng: random.Random) -> None:
    if (parent := target.getparent()) is not None:
        around = etree.Element(rng.choice(_NAMES))
        parent.replace(target, around)
        around.append(target)


def _said(target: Any, _: list[Any], __: list[Any], rng: random.Random) -> None:
    target.text = rng.choice(_VALUES).replace("\x7f", "")


def _tailed(target: Any, _: list[Any], __: list[Any], rng: random.Random) -> None:
    target.tail = rng.choice(_VALUES).replace("\x7f", "")


def _attributed(target: Any, elements: list[Any], __: list[Any], rng: random.Random) -> None:
    names = [*_ATTRIBUTES, *target.attrib]
    others = [value for one in elements for value in one.attrib.values()]
    target.set(rng.choice(names), rng.choice([*_VALUES, *others]).replace("\x7f", ""))


def _unattributed(target: Any, _: list[Any], __: list[Any], rng: random.Random) -> None:
    if target.attrib:
        del target.attrib[rng.choice(list(target.attrib))]


_TREE_CHANGES = (
    *(_copied, _moved, _given, _swapped, _removed, _renamed, _wrapped),
    *(_said, _tailed, _attributed, _attributed, _unattributed),
)
