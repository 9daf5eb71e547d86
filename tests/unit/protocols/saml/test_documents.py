"""The preflight: what is refused of any bytes before a signature is looked at, quickly and in little memory."""

from __future__ import annotations

import base64
import time
import tracemalloc
import zlib

import pytest
from lxml import etree

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import document
from tests.support.saml_forge import DS, SAML, assertion_of, encode, reparsed, sign
from tests.unit.protocols.saml.world import big_message

MALFORMED, STRUCTURE, LARGE = Reason.MESSAGE_MALFORMED, Reason.STRUCTURE_REFUSED, Reason.MESSAGE_TOO_LARGE


ATTRIBUTES = " ".join(f"c{number}=''" for number in range(2000))


def text_of(world, **changes) -> str:
    data: bytes = etree.tostring(world.message(**changes).tree())
    return data.decode()


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "=",
        "a",
        "****",
        "PGEvPg",
        "PGEvPg==x",
        "PGEvPg== ",
        "PGE\tvPg==",
        "PGEvPg==PGEvPg==",
        "-_-_",
        "<a/>",
        "ä",
        "\ud800",
    ],
)
def test_what_is_not_strict_base64_of_xml_is_malformed(world, encoded):
    assert world.reason(encoded) is MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"text",
        b"<a",
        b"<a></b>",
        b"<a/>text",
        b"<a b='1' b='2'/>",
        b"<x:a/>",
        b"<a>&undefined;</a>",
        b"<a>&#0;</a>",
        b"<a>&#x1;</a>",
        b"<a>\x01</a>",
        b"<a>\xff</a>",
        b"<a>\xed\xa0\x80</a>",
        b"<a>\xc0\xbc/a></a>",
        b"<a>\x00</a>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>".encode("utf-16"),
        "<a/>".encode("utf-16-le"),
        "<a/>".encode("utf-32"),
        b"\x4c\xa7\x94\x93",
    ],
)
def test_what_is_not_well_formed_utf_8_is_malformed(world, data):
    assert world.reason(encode(data)) is MALFORMED


@pytest.mark.parametrize(
    "declaration",
    [
        "<?xml version='1.0' encoding='UTF-16'?>",
        "<?xml version='1.0' encoding='utf-7'?>",
        "<?xml version='1.0' encoding='ISO-8859-1'?>",
        "<?xml version='1.1'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
        " <?xml version='1.0'?>",
        "<?xml-stylesheet href='file:///etc/passwd'?>",
        "<?php echo 1 ?>",
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE a PUBLIC 'x' 'http://127.0.0.1:9/x.dtd'>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://127.0.0.1:9/'> %b;]>",
        "<!DOCTYPE a [<!ATTLIST samlp:Response ID CDATA #FIXED '_other'>]>",
        "<!-- a comment -->",
    ],
)
def test_anything_before_the_root_but_a_plain_declaration_is_refused(world, declaration):
    assert world.reason(encode(declaration + text_of(world))) is STRUCTURE


def test_billions_of_laughs_are_refused_at_once(world):
    entities = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12))
    flood = f"<!DOCTYPE a [<!ENTITY l0 'lol'>{entities}]><a>&l11;</a>"
    start = time.process_time()
    assert world.reason(encode(flood)) is STRUCTURE
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    "splitter", ["<!-- -->", "<!---->", "<?x y?>", "<![CDATA[]]>", "<![CDATA[x]]>", "<!-- <a> -->"]
)
@pytest.mark.parametrize("place", ["NameID", "AttributeValue", "Audience", "Issuer", "DigestValue"])
def test_a_text_that_is_split_is_refused_and_never_shortened(world, splitter, place):
    # CVE-2017-11427 and its relatives: ana@acme.example<!-- -->.evil.example
    text = text_of(world)
    opening = text.index(">", text.index(f":{place}")) + 4
    assert world.reason(encode(text[:opening] + splitter + text[opening:])) is STRUCTURE


def test_a_comment_after_the_root_is_refused(world):
    assert world.reason(encode(text_of(world) + "<!-- x -->")) is STRUCTURE


@pytest.mark.parametrize("name", ["Issuer", "NameID", "Audience", "AuthnContextClassRef", "DigestValue"])
def test_an_element_inside_of_a_text_that_is_read_is_refused(world, name):
    tree = world.message(signed="none").unsigned_tree()
    element = next(assertion_of(tree).iter(f"{SAML}{name}"), None)
    if element is None:
        tree = reparsed(world.message().tree())
        element = next(tree.iter(f"{DS}{name}"))
        etree.SubElement(element, "{urn:x}a").tail = ".evil.example"
        assert world.refuses(tree) is Reason.SIGNATURE_PROFILE
        return
    etree.SubElement(element, "{urn:x}a").tail = ".evil.example"
    sign(assertion_of(tree), world.idp)
    assert world.refuses(tree) is STRUCTURE


def test_limits_of_size(world):
    # Both ends of each limit: the largest that passes is refused for another reason than its size.
    fits = b"<a>" + b"x" * (document.MAX_BYTES - 7) + b"</a>"
    assert world.reason(encode(fits)) is STRUCTURE
    assert world.reason(encode(fits.replace(b"</a>", b"x</a>"))) is LARGE
    assert world.reason("A" * 10_000_000) is LARGE


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("<a>" + "<b/>" * (document.MAX_ELEMENTS - 1) + "</a>", STRUCTURE),
        ("<a>" + "<b></b>" * document.MAX_ELEMENTS + "</a>", LARGE),
        ("<a>" * document.MAX_DEPTH + "</a>" * document.MAX_DEPTH, STRUCTURE),
        ("<a>" * (document.MAX_DEPTH + 1) + "</a>" * (document.MAX_DEPTH + 1), LARGE),
        ("<a>" * 3000 + "</a>" * 3000, MALFORMED),
        ("<a>" + f"<b {ATTRIBUTES}/>" * 4 + "</a>", STRUCTURE),
        ("<a>" + f"<b {ATTRIBUTES}/>" * 5 + "</a>", LARGE),
        ("<a " + " ".join(f'xmlns:n{n}="u"' for n in range(4000)) + "/>", STRUCTURE),
        ("<a " + " ".join(f'xmlns:n{n}="u"' for n in range(4097)) + "/>", LARGE),
    ],
    ids=["elements", "too many elements", "depth", "too deep", "far too deep", "attributes", "too many attributes",
         "namespaces", "too many namespaces"],
)  # fmt: skip
def test_limits_of_the_tree(world, markup, reason):
    assert world.reason(encode(markup)) is reason


def test_ids_of_any_spelling_and_namespace_are_counted(world):
    for pair in (
        "ID='a'/><b Id='a'",
        "ID='a'/><b id='a'",
        "AssertionID='a'/><b ID='a'",
        "ID='a'/><b x:Id='a'",
        "x:ID='a'/><b xml:id='a'",
    ):
        assert world.reason(encode(f"<r xmlns:x='urn:x'><c {pair}/></r>")) is STRUCTURE
        with pytest.raises(Refused, match="same ID twice"):
            document.parse(f"<r xmlns:x='urn:x'><c {pair}/></r>".encode())
    assert document.parse(b"<r><c ID='a'/><b OTHERID='a'/><d ID='b'/></r>") is not None


def test_every_flood_is_refused_within_the_bounds_of_time_and_memory(world):
    floods = world.floods(document.MAX_BYTES)
    for name, flood in floods.items():
        tracemalloc.start()
        start = time.process_time()
        world.reason(flood)
        spent = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert spent < 1, name
        assert peak < 32 * 1024 * 1024, name


def test_a_deflate_bomb_stops_at_the_limit():
    bomb = zlib.compress(b"\0" * 60_000_000)[2:-4]
    tracemalloc.start()
    with pytest.raises(Refused) as refused:
        document.inflate(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.reason is LARGE
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize("data", [b"", b"\xff\xff", zlib.compress(b"<a/>"), zlib.compress(b"<a/>")[2:-6], b"x" * 100])
def test_what_is_not_one_whole_deflate_stream_is_malformed(data):
    with pytest.raises(Refused) as refused:
        document.inflate(data)
    assert refused.value.reason is MALFORMED


def test_deflated_data_followed_by_more_is_malformed():
    whole = zlib.compress(b"<a/>")[2:-4]
    assert document.inflate(whole) == b"<a/>"
    with pytest.raises(Refused) as refused:
        document.inflate(whole + b"more")
    assert refused.value.reason is MALFORMED


def test_no_file_is_opened_by_a_message_that_names_one(world, tmp_path, monkeypatch):
    target = tmp_path / "target.xml"
    target.write_text("<a/>")
    uri = target.as_uri()
    before = target.stat().st_atime_ns
    for message in (
        f"<!DOCTYPE a SYSTEM '{uri}'>{text_of(world)}",
        text_of(world).replace(' URI="#', f' URI="{uri}#'),
        text_of(
            world, extensions_xml=f"<i:include xmlns:i='http://www.w3.org/2001/XInclude' href='{uri}'/>", signed="none"
        ),
        text_of(world, signed="none").replace("<samlp:Response", f"<samlp:Response xml:base='{uri}'"),
    ):
        world.reason(encode(message))
    assert target.stat().st_atime_ns == before


def test_a_big_message_is_no_attack(world):
    assert len(world.verify(big_message(world).encoded()).identity.groups) == 20
    assert base64.b64decode(encode("<a/>")) == b"<a/>"
