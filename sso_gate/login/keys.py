"""The keys with which the gate speaks to identity providers: the same for every gate of an installation."""

import json
from dataclasses import dataclass

from sso_gate.protocols.oidc.keys import ClientKey, new_client_key
from sso_gate.protocols.saml.keys import KeyPair, ServiceProviderKeys, new_key_pair
from sso_gate.storage.installation_keys import KeyMaterial, shared_keys
from sso_gate.storage.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LoginKeys:
    """SAML service provider keys (newest signs, all decrypt) and the OIDC client's for `private_key_jwt` (newest signs,
    all are published).
    """

    saml: ServiceProviderKeys
    oidc_published: tuple[ClientKey, ...]

    @property
    def oidc(self) -> ClientKey:
        """The key that signs."""
        return self.oidc_published[0]


async def load_login_keys(runtime: Runtime) -> LoginKeys:
    """Return the installation's keys, making those that are missing."""
    place = (runtime.database, runtime.keyring, runtime.clock)
    pairs = [
        KeyPair(key.private, key.public) for key in await shared_keys(*place, "saml_sp", lambda: _new_pair(runtime))
    ]
    clients = [_client_key(key) for key in await shared_keys(*place, "oidc_client", _new_client_key)]
    return LoginKeys(ServiceProviderKeys(signing=pairs[0], decryption=tuple(pairs)), tuple(clients))


def _client_key(kept: KeyMaterial) -> ClientKey:
    public = json.loads(kept.public)
    return ClientKey(kid=public["kid"], private_pem=kept.private, algorithm=public["algorithm"])


def _new_pair(runtime: Runtime) -> KeyMaterial:
    pair = new_key_pair("sso-gate", runtime.clock.now())
    return KeyMaterial(pair.private_key_pem, pair.certificate_pem)


def _new_client_key() -> KeyMaterial:
    key = new_client_key()
    return KeyMaterial(key.private_pem, json.dumps({"kid": key.kid, "algorithm": key.algorithm}))
