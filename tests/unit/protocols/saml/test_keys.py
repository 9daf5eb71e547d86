"""Our own keys: what they are, and that a private one is never shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sso_gate.protocols.saml.keys import ServiceProviderKeys, new_key_pair
from tests.unit.protocols.saml.world import own_keys

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_new_key_pair_is_rsa_self_signed_and_lasts_ten_years():
    pair = new_key_pair("gate.example", NOW)
    key = serialization.load_pem_private_key(pair.private_key_pem.encode(), password=None)
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == "CN=gate.example"
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc >= NOW + timedelta(days=3650)
    certificate.verify_directly_issued_by(certificate)


def test_a_long_name_is_cut_to_what_a_certificate_holds():
    pair = new_key_pair("g" * 100, NOW)
    assert f"CN={'g' * 64}" in x509.load_pem_x509_certificate(pair.certificate_pem.encode()).subject.rfc4514_string()


def test_a_private_key_is_not_shown():
    pair = own_keys("own")
    shown = repr(ServiceProviderKeys(pair, (pair,))) + str(pair)
    assert "PRIVATE" not in shown
    assert pair.private_key_pem.splitlines()[1] not in shown
