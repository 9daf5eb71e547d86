"""Keys of a provider that may verify a signature, and the algorithms that exist for us: asymmetric ones alone."""

import base64
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

PublicKey = RSAKey | ECKey | OKPKey

MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT = 2**32
# Members of a public JWK that make the key; whatever else a provider publishes (a private part even) is left behind.
_PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_CURVES = {"ES256": ("P-256",), "ES384": ("P-384",), "ES512": ("P-521",), "EdDSA": ("Ed25519", "Ed448")}
_CURVES["Ed25519"] = ("Ed25519",)
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ASYMMETRIC = frozenset((*_RSA, *_CURVES))


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One usable public key of a JWKS, with its name and the only algorithm it may serve, where these are given."""

    kid: str | None
    algorithm: str | None
    key: PublicKey

    def fits(self, algorithm: str) -> bool:
        """Return whether the key's type, curve and declared algorithm allow this algorithm."""
        if self.algorithm not in (None, algorithm):
            return False
        if isinstance(self.key, RSAKey):
            return algorithm in _RSA
        return self.key.curve_name in _CURVES.get(algorithm, ())


class AsymmetricRegistry(JWSRegistry):
    """A JOSE registry in which `none` and HMAC do not exist, so that no header can ask for them."""

    algorithms = {  # noqa: RUF012 - the base class declares it as it is, ClassVar would contradict that
        name: copy.copy(found) for name, found in JWSRegistry.algorithms.items() if name in ASYMMETRIC
    }
    max_header_length = 4096
    max_payload_length = 64 * 1024
    max_signature_length = 2048


# joserfc warns of the name "EdDSA" (RFC 9864 prefers "Ed25519"), which is what providers use.
AsymmetricRegistry.algorithms["EdDSA"].security_warning = None


def import_keys(published: Iterable[object]) -> tuple[VerificationKey, ...]:
    """Return the keys of a JWKS that may verify signatures, at most `MAX_KEYS`; others are ignored (RFC 7517 5).

    Ignored are symmetric keys, keys for encryption, RSA keys under 2048 bits or of absurd size, and malformed ones.
    """
    usable = []
    for jwk in published:
        key = _import(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            usable.append(key)
        if len(usable) == MAX_KEYS:
            break
    return tuple(usable)


def choose_key(keys: Iterable[VerificationKey], *, kid: str | None, algorithm: str) -> VerificationKey | None:
    """Return the one key that a header means, or None: none fits, or more than one (OpenID Connect Core 10.1)."""
    fitting = [key for key in keys if key.fits(algorithm)]
    named = [key for key in fitting if key.kid == kid] if kid is not None else fitting
    candidates = named or [key for key in fitting if key.kid is None]
    return candidates[0] if len(candidates) == 1 else None


def _import(jwk: Mapping[str, Any]) -> VerificationKey | None:
    kid, algorithm, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None) or not isinstance(operations, list):
        return None
    if jwk.get("use", "sig") != "sig" or "verify" not in operations:
        return None
    try:
        key = _import_public(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return VerificationKey(kid, algorithm, key) if key else None


def _import_public(jwk: Mapping[str, Any]) -> PublicKey | None:
    members = cast(dict[str, str | list[str]], {name: jwk[name] for name in _PUBLIC_MEMBERS.get(str(jwk["kty"]), ())})
    if jwk["kty"] == "RSA":
        return RSAKey.import_key(members) if _sane_rsa(jwk["n"], jwk["e"]) else None
    if jwk["kty"] == "EC":
        return ECKey.import_key(members)
    return OKPKey.import_key(members) if jwk["kty"] == "OKP" else None


def _sane_rsa(modulus: str, exponent: str) -> bool:
    return MIN_RSA_BITS <= _number(modulus).bit_length() <= MAX_RSA_BITS and _number(exponent) <= MAX_RSA_EXPONENT


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")
