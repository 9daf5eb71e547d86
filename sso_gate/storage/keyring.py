"""Seals what must not lie in SQL or Redis in the clear, under SSO_GATE_SECRET_KEYS: the newest seals, all of
them open.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sso_gate.errors import SsoGateError

_NO_KEY = "SSO_GATE_SECRET_KEYS: none of the keys opens what was sealed here before; older ones go behind the newest"


class CannotUnseal(SsoGateError):
    """The sealed text was made under a key that is not configured, or was changed."""


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sso-gate " + purpose).derive(secret.encode())


class Keyring:
    """The secret keys of this installation, newest first. Source of the sealing: the Fernet specification."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("at least one secret key is needed")
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key, b"seal"))) for key in secrets])
        self._mac_keys = tuple(_derive(key, b"mac") for key in secrets)

    def seal(self, text: str) -> str:
        """Return the text encrypted and authenticated, as ASCII."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Return the text that `seal` was given.

        Raises:
            CannotUnseal: none of the keys opens it.
        """
        try:
            return self._fernet.decrypt(sealed.encode("ascii")).decode()
        except (InvalidToken, UnicodeEncodeError) as error:
            raise CannotUnseal(_NO_KEY) from error

    def keyed_hash(self, text: str) -> str:
        """Return 64 hex digits that stand for the text and cannot be guessed back without the newest key."""
        return hmac.new(self._mac_keys[0], text.encode(), hashlib.sha256).hexdigest()
