"""Where things stand in an organization file, so that every error names the line."""

import re
from dataclasses import dataclass

from sso_gate.errors import SsoGateError

Location = tuple[int | str, ...]
"""What a line says, such as `("contract", "seats")` or `("members", 1, "email")`."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"-]+)\s*\]")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_.-]+))\s*=""")


class FileInvalid(SsoGateError):
    """The file cannot be applied; `problems` holds one line for each, with the place in the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Places:
    """A file's name and text, in which places are found for errors."""

    name: str
    text: str

    def problem(self, location: Location, message: str) -> str:
        """Return the error as people read it: `acme.toml:14: contract.timezone: …`."""
        place = "".join(f"{part}: " for part in [".".join(str(part) for part in location)] if part)
        return f"{self.name}:{line_of(self.text, location)}: {place}{message}"

    def wrong(self, location: Location, message: str) -> FileInvalid:
        """Return the error to raise."""
        return FileInvalid([self.problem(location, message)])


def line_of(text: str, location: Location) -> int:
    """Return the number of the line that says what `location` names, or else of its table, or else 1.

    Of a list of tables without a number, such as `("members",)`, it is the line of the first.
    """
    wanted, best = tuple(location), 1
    table: Location = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = _table(header[1] == "[[", header[2], counts)
            if wanted and table[: len(wanted)] == wanted:
                return number
            best = number if wanted[: len(table)] == table else best
        elif (key := _key(line)) and wanted[: len(table) + len(key)] == (*table, *key):
            return number
    return best


def _key(line: str) -> tuple[str, ...]:
    found = _KEY.match(line)
    if found is None:
        return ()
    double, single, bare = found.groups()
    return tuple(bare.split(".")) if bare else (double or single or "",)


def _table(is_array: bool, name: str, counts: dict[str, int]) -> Location:
    words = name.split(".")
    if is_array:
        counts[name] = counts.get(name, -1) + 1
    place: list[int | str] = []
    for at, word in enumerate(words):
        place.append(word)
        prefix = ".".join(words[: at + 1])
        if prefix in counts:
            place.append(counts[prefix])
    return tuple(place)
