"""Bytes of a stranger become one small XML tree, or a refusal, before anything expensive is done with them.

Everything that makes two XML readers disagree, or one of them work hard, is refused here: document types, entities,
comments, processing instructions, CDATA sections, other encodings than UTF-8, and trees beyond the limits below. The
limits follow from the largest message that we take: 192 KiB hold some 2,000 group names, which are as many elements.
"""

import binascii
import re
import threading
import zlib
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from lxml import etree

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml.names import Element

MAX_BYTES = 192 * 1024
MAX_ENCODED_CHARACTERS = MAX_BYTES // 3 * 4
MAX_ELEMENTS = 4096
MAX_ATTRIBUTES = 8192
MAX_NAMESPACE_DECLARATIONS = 4096
MAX_DEPTH = 32
MAX_METADATA_BYTES = 2 * 1024 * 1024

_DECLARATION = re.compile(
    rb"""\A<\?xml\s+version\s*=\s*(["'])1\.0\1(?:\s+encoding\s*=\s*(["'])utf-8\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\3)?\s*\?>""",
    re.IGNORECASE,
)
_BOM = b"\xef\xbb\xbf"
_ID_NAMES = frozenset({"ID", "Id", "id", "iD", "AssertionID", "RequestID", "ResponseID"})
_ids = etree.XPath(" | ".join(f"//@{name}" for name in sorted(_ID_NAMES)), smart_strings=False)
_element_count = etree.XPath("count(//*)")
_attribute_count = etree.XPath("count(//@*)")
_too_deep = etree.XPath("boolean(/" + "/*" * (MAX_DEPTH + 1) + ")")
_parsers = threading.local()


def from_base64(encoded: str) -> bytes:
    """Return what strict base64 holds; line breaks may stand in it. Source: SAML bindings 3.5.4, RFC 2045 6.8."""
    if len(encoded) > MAX_ENCODED_CHARACTERS + MAX_ENCODED_CHARACTERS // 32:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"{len(encoded)} characters of base64")
    try:
        unbroken = encoded.replace("\r", "").replace("\n", "") if "\n" in encoded else encoded
        data = binascii.a2b_base64(unbroken, strict_mode=True)
    except ValueError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"not strict base64: {error}") from error
    return _within_size(data)


def inflate(compressed: bytes) -> bytes:
    """Return the raw DEFLATE content, refused as soon as it grows beyond the limit. Source: SAML bindings 3.4.4.1."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(compressed, MAX_BYTES + 1)
    except zlib.error as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"not DEFLATE: {error}") from error
    _within_size(data)
    if not inflater.eof or inflater.unused_data:
        raise Refused(Reason.MESSAGE_MALFORMED, "DEFLATE data cut short or followed by more")
    return data


def parse(data: bytes) -> Element:
    """Return the root of a document within every limit.

    Raises:
        Refused: `message_too_large`, `message_malformed` or `structure_refused`.
    """
    plain = _plain_xml(_within_size(data))
    return _limited(_tree(plain), plain)


def parse_fragment(data: bytes, namespaces: Mapping[str | None, str]) -> Element:
    """Return the only element that `data` holds, read where `namespaces` (prefix to name) are in force.

    A decrypted element may use prefixes that are declared around it (XML Encryption 4.4). It is read inside of an
    element of ours that declares them; what tries to close that one early is not well-formed.
    """
    declarations = "".join(
        f" xmlns{':' + prefix if prefix else ''}={quoteattr(name)}" for prefix, name in namespaces.items()
    )
    wrapped = f"<fragment{declarations}>".encode() + _plain_xml(_within_size(data)) + b"</fragment>"
    root = _limited(_tree(wrapped), wrapped)
    if len(root) != 1 or (root.text or "").strip() or (root[0].tail or "").strip():
        raise Refused(Reason.STRUCTURE_REFUSED, "the decrypted content is not one element")
    return root[0]


def parse_metadata(data: bytes) -> Element:
    """Return the root of a metadata document: larger than a message, and with comments, which are left out.

    An operator or a pinned address gave it, so it may be large; a document type is refused all the same.
    """
    if len(data) > MAX_METADATA_BYTES:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"more than {MAX_METADATA_BYTES} bytes of metadata")
    if b"\0" in data or b"<!DOCTYPE" in data:
        raise Refused(Reason.STRUCTURE_REFUSED, "a document type, or not UTF-8")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"not well-formed XML: {error.msg}") from error


def parse_signed(data: bytes) -> Element:
    """Return the root of canonical bytes whose signature has been verified; they came from a tree within the limits."""
    return _tree(data)


def text_of(element: Element) -> str:
    """Return the whole text of an element that holds text alone; anything else in it is a refusal, never a shorter
    text.
    """
    if len(element):
        raise Refused(Reason.STRUCTURE_REFUSED, f"elements inside {etree.QName(element).localname}")
    return element.text or ""


def _within_size(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"more than {MAX_BYTES} bytes")
    return data


def _plain_xml(data: bytes) -> bytes:
    """Return the bytes without declaration, refused where they are not plain UTF-8 XML; costs a few scans and no
    parser.

    In well-formed XML a `<` that is followed by `!` or `?` opens a document type, comment, CDATA section or processing
    instruction, and nothing else (XML 1.0, 2.4), so looking for them needs no parser.
    """
    data = data.removeprefix(_BOM)
    if declaration := _DECLARATION.match(data):
        data = data[declaration.end() :]
    if b"\0" in data:
        raise Refused(Reason.MESSAGE_MALFORMED, "NUL in the message")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, "not UTF-8") from error
    for mark, opening in ((b"!", b"<!"), (b"?", b"<?")):
        if mark in data and opening in data:  # looking for one byte first is ten times cheaper
            raise Refused(Reason.STRUCTURE_REFUSED, "document type, comment, CDATA section or processing instruction")
    if data.count(b"<") > 2 * MAX_ELEMENTS or data.count(b"xmlns") > MAX_NAMESPACE_DECLARATIONS:
        raise Refused(Reason.MESSAGE_TOO_LARGE, "too many elements or namespace declarations")
    return data


def _tree(data: bytes) -> Element:
    parser = getattr(_parsers, "parser", None)
    if parser is None:
        # collect_ids=False: no attribute, xml:id among them, is an ID until we say so of one element.
        parser = _parsers.parser = etree.XMLParser(
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            collect_ids=False,
        )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"not well-formed XML: {error.msg}") from error


def _limited(root: Element, data: bytes) -> Element:
    if _too_deep(root):
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"elements nested deeper than {MAX_DEPTH}")
    if _element_count(root) > MAX_ELEMENTS or _attribute_count(root) > MAX_ATTRIBUTES:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"more than {MAX_ELEMENTS} elements or {MAX_ATTRIBUTES} attributes")
    ids = _ids(root) if b":id" not in data.lower() else _ids_in_any_namespace(root)
    if len(ids) != len(set(ids)):
        raise Refused(Reason.STRUCTURE_REFUSED, "the same ID twice")
    return root


def _ids_in_any_namespace(root: Element) -> list[str]:
    """Return the ID-like values of prefixed attributes too: four times as dear, and hardly ever needed."""
    attributes = (pair for element in root.iter() for pair in element.items())
    return [value for name, value in attributes if name.rpartition("}")[2] in _ID_NAMES]


def child(parent: Element, tag: str) -> Element | None:
    """Return the first child of that name, or none; for elements that the grammar allows once."""
    return next(parent.iterchildren(tag), None)
