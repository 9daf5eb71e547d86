"""Certificates as things to show and to warn about: fingerprints, dates, PEM in and out."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


@dataclass(frozen=True, slots=True)
class CertificateExpiry:
    """When a pinned certificate ends. An expired one still verifies; its provider is about to change it."""

    fingerprint: str
    subject: str
    not_after: datetime
    days_left: int

    @property
    def expired(self) -> bool:
        """Whether the end has come."""
        return self.days_left < 0


def certificates_expiry(certificates: Iterable[str], *, now: datetime) -> tuple[CertificateExpiry, ...]:
    """Return when each certificate (PEM) ends, the earliest first; whole days, rounded down, negative once it is over.

    Raises:
        ValueError: a certificate that cannot be read.
    """
    found = []
    for pem in certificates:
        loaded = _load(pem)
        left = (loaded.not_valid_after_utc - now).days
        name = loaded.subject.rfc4514_string()
        found.append(CertificateExpiry(fingerprint(pem), name, loaded.not_valid_after_utc, left))
    return tuple(sorted(found, key=lambda one: one.not_after))


def last_end(certificates: Iterable[str]) -> datetime | None:
    """Return when the last of these certificates (PEM) ends, None where there are none; `ValueError` as above."""
    return max((_load(pem).not_valid_after_utc for pem in certificates), default=None)


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of the certificate as people compare it, such as AB:CD:EF."""
    return _load(pem).fingerprint(hashes.SHA256()).hex(":").upper()


def from_body(body: str) -> str:
    """Return the PEM of a certificate given as base64 of its DER, as an X509Certificate element has it.

    Raises:
        ValueError: no base64, or no certificate.
    """
    try:
        der = binascii.a2b_base64("".join(body.split()), strict_mode=True)
    except ValueError as error:
        raise ValueError("not base64") from error
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode()


def body(pem: str) -> str:
    """Return the base64 of the certificate's DER on one line, as an X509Certificate element has it."""
    return base64.b64encode(_load(pem).public_bytes(serialization.Encoding.DER)).decode()


def _load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
