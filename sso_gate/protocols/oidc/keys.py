"""Our own keys for `private_key_jwt`: a provider is given their public part, so no secret is shared with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from joserfc.jwk import ECKey, RSAKey

ClientAlgorithm = Literal["ES256", "RS256"]
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A private key with which the gate signs client assertions (RFC 7523). `private_pem` is PKCS 8 text."""

    kid: str
    private_pem: str = field(repr=False)
    algorithm: ClientAlgorithm = "ES256"


def new_client_key(algorithm: ClientAlgorithm = "ES256") -> ClientKey:
    """Return a new key whose name is its thumbprint (RFC 7638). Every provider knows RS256, most know ES256."""
    made = ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(RSA_BITS)
    return ClientKey(made.thumbprint(), made.as_pem(private=True).decode("ascii"), algorithm)


def signing_key(key: ClientKey) -> ECKey | RSAKey:
    """Return the key as authlib wants it."""
    return ECKey.import_key(key.private_pem) if key.algorithm == "ES256" else RSAKey.import_key(key.private_pem)


def public_jwks(keys: Iterable[ClientKey]) -> dict[str, list[dict[str, Any]]]:
    """Return the public parts as a JWKS (RFC 7517 5), for providers to fetch; during a roll-over it holds both keys."""
    return {
        "keys": [
            dict(signing_key(key).as_dict(private=False, kid=key.kid, use="sig", alg=key.algorithm)) for key in keys
        ]
    }
