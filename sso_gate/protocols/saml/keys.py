"""The gate's own keys for SAML: what it signs with, what identity providers encrypt to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEY_BITS = 3072  # NIST SP 800-57: good beyond 2030, and these certificates live that long
VALIDITY = timedelta(days=3650)
_BACKDATED = timedelta(days=1)  # a provider whose clock is behind ours must not refuse a certificate made just now


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key (PKCS #8, PEM, unencrypted) and its self-signed certificate (PEM)."""

    private_key_pem: str = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class ServiceProviderKeys:
    """The key that signs now, and every key that providers know, that one first: they may encrypt to any of them."""

    signing: KeyPair
    decryption: tuple[KeyPair, ...]


def new_key_pair(common_name: str, now: datetime) -> KeyPair:
    """Return a fresh RSA key and its self-signed certificate, valid for ten years.

    Providers pin the certificate, not a chain (SAML metadata 2.4.1.1), so its names and dates mean little; dates are
    set far apart because some providers refuse expired ones.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())
