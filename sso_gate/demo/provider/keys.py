"""The provider's signing keys: made in memory at every start and never written down.

So a database that the demonstration left behind trusts keys that nobody holds any more.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

LIFETIME = timedelta(days=30)
TOKEN_ALGORITHM = "ES256"  # noqa: S105 - an algorithm, not a secret


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """An RSA key with its certificate for SAML, an elliptic one for tokens."""

    saml_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    token_key: ECKey = field(repr=False)

    def saml_key_pem(self) -> bytes:
        """Return the SAML key as xmlsec loads it."""
        return self.saml_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_jwks(self) -> dict[str, Any]:
        """Return the token key's public half as a JWKS (RFC 7517 5)."""
        public = self.token_key.as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": TOKEN_ALGORITHM}]}


def make_keys(now: datetime) -> SigningKeys:
    """Return new keys; the certificate holds for `LIFETIME` from a day before `now`."""
    saml_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token_key = ECKey.import_key(ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ))  # fmt: skip
    token_key.ensure_kid()
    return SigningKeys(saml_key, _self_signed(saml_key, now), token_key)


def _self_signed(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "demonstration identity provider")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, SHA256())
    )
