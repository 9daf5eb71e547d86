"""What is wrong with a value of an organization file, in plain words: pydantic speaks to programmers."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from sso_gate.apply.places import Location

_TEXT = 'expected text in quotes, such as "acme"'
_NUMBER = "expected a whole number"
_DECIMAL = 'expected a number, such as "20.00"'
_DATE = "expected a date without quotes, such as 2026-01-01"
_TABLE = "expected a table"
_LIST = 'expected a list, such as ["a", "b"]'
_FLAG = "expected true or false"
_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "string_type": _TEXT,
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "is longer than {max_length}",
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "decimal_type": _DECIMAL,
    "decimal_parsing": _DECIMAL,
    "finite_number": _DECIMAL,
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "model_type": _TABLE,
    "dict_type": _TABLE,
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
}


def in_plain_words(error: Mapping[str, Any]) -> str:
    """Return what one entry of `ValidationError.errors()` says, in words for whoever wrote the file."""
    template = _PLAIN.get(error["type"])
    if template:
        return template.format(**error.get("ctx", {}))
    return str(error["msg"]).removeprefix("Value error, ")


def wrong(*problems: tuple[Location, str]) -> ValidationError:
    """Return the error that a validator raises for places inside of what it checks, each with its words."""
    return ValidationError.from_exception_data(
        "organization file",
        [
            InitErrorDetails(type=PydanticCustomError("wrong", "{said}", {"said": said}), loc=location, input=None)
            for location, said in problems
        ],
    )
