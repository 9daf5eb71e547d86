"""What an identity provider answered, for whoever looks for the fault in it: as it came, and as it was understood.

A raw answer is kept sealed for a day: of every test login, and of a refused login where the connection says so. Nothing
that opens anything is in it: no authorization code, no token, no signature of an ID token.
"""

import base64
import binascii
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sso_gate.errors import Unavailable
from sso_gate.protocols.oidc.callback import OidcProof
from sso_gate.protocols.oidc.strict_json import is_deep
from sso_gate.protocols.saml.response import VerifiedResponse
from sso_gate.storage.keyring import CannotUnseal
from sso_gate.storage.runtime import Runtime

KEPT_SECONDS = 24 * 3600
MAX_CHARACTERS = 32_000  # of a text that a page shows
REFUSALS_AN_HOUR = 100  # of one organization: a flood of them fills no store
MAX_CLAIMS = 60
MAX_VALUES = 20
_MASKED = 6
_SECRET = frozenset({"code", "state", "access_token", "id_token", "refresh_token"})


@dataclass(slots=True)
class Answer:
    """What came back: the form field of a SAML response, or the parameters of a redirect and the ID token behind it."""

    saml: str = ""
    parameters: Sequence[tuple[str, str]] = ()
    id_token: str = field(default="", repr=False)

    def hear(self, id_token: str) -> None:
        """Take note of the ID token that the provider gave, whatever it is worth."""
        self.id_token = id_token

    @property
    def text(self) -> str:
        """The answer as a person reads it, cut where it is longer than anybody reads."""
        told = _writable(_decoded(self.saml) if self.saml else self._redirect())
        return told if len(told) <= MAX_CHARACTERS else f"{told[:MAX_CHARACTERS]}\n…"

    def _redirect(self) -> str:
        sent = {name: _hidden(value) if name in _SECRET else value for name, value in self.parameters}
        parts = self.id_token.split(".")[:2]
        return json.dumps({"redirect": sent, "id_token": [_json(part) for part in parts]}, indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Said:
    """What a verified answer says: when it was made by the provider's clock, and every claim, its values masked."""

    issued: datetime | None
    claims: tuple[tuple[str, str], ...]


def said_by_saml(proof: VerifiedResponse) -> Said:
    """Return what the signed attributes say, the NameID among them."""
    named = {"NameID": [proof.name_id.value]} if proof.name_id else {}
    read = {name: ["".join(value.itertext()) for value in values] for name, values in proof.said.items()}
    return Said(proof.issued, _claims({**named, **read}))


def said_by_oidc(proof: OidcProof) -> Said:
    """Return what the claims of the ID token and of UserInfo say."""
    values = {name: value if isinstance(value, list) else [value] for name, value in proof.claims.items()}
    issued = proof.claims.get("iat")
    known = isinstance(issued, int | float) and not isinstance(issued, bool)
    return Said(datetime.fromtimestamp(issued, UTC) if known and issued else None, _claims(values))


def masked(value: str) -> str:
    """Return enough of a value to know it again by, and no more: its first character, and an address's domain."""
    local, at, domain = value.rpartition("@")
    hidden = local if at else value
    return hidden[:1] + "•" * min(len(hidden) - 1, _MASKED) + at + (domain if at else "")


async def keep_answer(runtime: Runtime, organization: str, name: str, answer: Answer) -> None:
    """Keep the answer for a day under this name: a test login's, or the reference of a refusal."""
    sealed = runtime.keyring.seal(answer.text)
    await runtime.redis.put(_key(organization, name), sealed, seconds=KEPT_SECONDS)


async def keep_refused(runtime: Runtime, organization: str, reference: str, answer: Answer) -> None:
    """Keep the answer of a refused login, unless there were too many of them within the hour."""
    counter = f"sso:{{{organization}}}:answers"
    with contextlib.suppress(Unavailable):  # the refusal stands without it
        if await runtime.redis.count(counter, seconds=3600) <= REFUSALS_AN_HOUR:
            await keep_answer(runtime, organization, reference, answer)


async def kept_answer(runtime: Runtime, organization: str, name: str) -> str:
    """Return the answer that was kept under this name, or nothing."""
    sealed = await runtime.redis.get(_key(organization, name)) if name else None
    try:
        return runtime.keyring.unseal(sealed) if sealed else ""
    except CannotUnseal:
        return ""


def _claims(values: Mapping[str, Sequence[Any]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_writable(name[:200]), ", ".join(masked(_text(one)) for one in said[:MAX_VALUES]))
        for name, said in list(values.items())[:MAX_CLAIMS]
    )


def _text(value: object) -> str:
    return _writable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _writable(text: str) -> str:
    """The text without what JSON can say and no encoding can: half of a pair of surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _hidden(value: str) -> str:
    return f"({len(value)})"


def _decoded(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return encoded


def _json(part: str) -> object:
    try:
        read = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return part[:200]
    return part[:200] if is_deep(read) else read


def _key(organization: str, name: str) -> str:
    return f"sso:{{{organization}}}:answer:{name}"
