"""Reading a posted form quickly gives what reading it slowly does, whatever was posted."""

from contextlib import suppress
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.login.message_form import form_pairs

ODD = [
    "%",
    "%4",
    "%41",
    "%zz",
    "%0a",
    "%C3%A9",
    "%c3",
    "=",
    "==",
    "&",
    "+",
    "\r\n",
    "\n",
    " ",
    "é",
    "a",
    "_",
    "%3D",
    "%00",
]


def slowly(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")


@given(st.lists(st.sampled_from(ODD), max_size=12).map("".join) | st.text(max_size=30))
def test_quick_and_slow_readers_agree(text):
    body, told = text.encode(), []
    for read in (form_pairs, slowly):
        found: object = ValueError
        with suppress(ValueError):
            found = read(body)
        told.append(found)
    assert told[0] == told[1]


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=40), min_size=1, max_size=10))
def test_what_a_browser_sends_is_read_as_it_was_meant(fields):
    assert dict(form_pairs(urlencode(fields).encode())) == fields


def test_more_fields_than_a_message_has_are_refused():
    with pytest.raises(ValueError, match="fields"):
        form_pairs(b"&".join(b"%d=1" % number for number in range(11)))
