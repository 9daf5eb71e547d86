"""The identity assertion for applications: a JWT of a minute, so that an application need not trust its network.

Source: RFC 7519, RFC 8037 (EdDSA), RFC 7517 (the published keys).
"""

import copy
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from sso_gate.sessions.session import Session
from sso_gate.storage.installation_keys import KeyMaterial, shared_keys
from sso_gate.storage.runtime import Runtime

LIFETIME_SECONDS = 60
ALGORITHM = "EdDSA"


class _EdDsa(JWSRegistry):
    """A JOSE registry with one algorithm."""

    algorithms = {ALGORITHM: copy.copy(JWSRegistry.algorithms[ALGORITHM])}  # noqa: RUF012 - as the base class has it


# joserfc warns of this name (RFC 9864 prefers "Ed25519"), which is the one that applications' libraries know.
_EdDsa.algorithms[ALGORITHM].security_warning = None


@dataclass(frozen=True, slots=True)
class AssertionKeys:
    """The installation's Ed25519 keys, newest first: the newest signs, all are published."""

    keys: tuple[OKPKey, ...]

    def sign(self, session: Session, *, issuer: str, audience: str, now: datetime) -> str:
        """Return who this is, for the application on the host `audience`, valid for a minute."""
        key, issued = self.keys[0], int(now.timestamp())
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": session.member,
            "email": session.email,
            "name": session.name,
            "org": session.slug,
            "role": session.role,
            "groups": list(session.groups),
            "iat": issued,
            "exp": issued + LIFETIME_SECONDS,
        }
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, key, registry=_EdDsa(algorithms=[ALGORITHM]))

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the JWK set with which applications verify."""
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in self.keys]}


async def load_assertion_keys(runtime: Runtime) -> AssertionKeys:
    """Return the installation's keys, making the first one when there is none."""
    found = await shared_keys(runtime.database, runtime.keyring, runtime.clock, "assertion", _new_key)
    return AssertionKeys(tuple(OKPKey.import_key(json.loads(key.private)) for key in found))


def _new_key() -> KeyMaterial:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    return KeyMaterial(json.dumps(key.as_dict(private=True)), key.kid or "")
