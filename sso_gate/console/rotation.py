"""S9: a provider that signs with a new certificate. Whether the key that signed an answer is one that the provider
publishes now is tried, not guessed.
"""

import asyncio
import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from sso_gate.apply.metadata_refresh import published_change
from sso_gate.connections.certificates import CertificateExpiry, certificates_expiry
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import InvalidInput, Reason, Refused
from sso_gate.login.flow import LoginFlow
from sso_gate.protocols.saml import response
from sso_gate.protocols.saml.metadata import MetadataChange

KEY_REASONS = frozenset({Reason.KEY_UNKNOWN, Reason.SIGNATURE_INVALID})


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new certificate that has signed the answer, and what to approve; `seen` names exactly what was shown."""

    certificate: CertificateExpiry
    seen: str


async def rotated(flow: LoginFlow, known: Connection, answer: str, *, answered: datetime) -> Rotated | None:
    """Return the certificate that signed this answer (its XML) if the provider's metadata has it now, its keys are all
    that has changed there, and we do not have it; None for everything else, also where nothing can be read there.
    """
    settings = known.settings
    if not isinstance(settings, SamlSettings) or not settings.metadata_url or not answer:
        return None
    try:
        change = await published_change(flow.runtime, settings)
    except (Refused, InvalidInput):
        return None
    if replace(change.settings, certificates=settings.certificates) != settings:
        return None
    new = [one for one in change.settings.certificates if one not in settings.certificates]
    signed = await asyncio.to_thread(_signer, flow, known, settings, new, answer, answered)
    if signed is None:
        return None
    return Rotated(certificates_expiry([signed], now=flow.runtime.clock.now())[0], seen_of(change))


def seen_of(change: MetadataChange) -> str:
    """Return what names exactly these changes, for a form that approves what was shown and nothing else."""
    return hashlib.sha256("\n".join(change.changes).encode()).hexdigest()


def _signer(
    flow: LoginFlow, known: Connection, settings: SamlSettings, new: list[str], answer: str, answered: datetime
) -> str | None:
    """Return the certificate with which alone the answer passes the check of its signature, at the time it came."""
    message = base64.b64encode(answer.encode()).decode()
    for one in new:
        alone = replace(known, settings=replace(settings, certificates=(one,)))
        try:
            response.verify(
                message, connection=alone, endpoints=flow.endpoints(known), keys=flow.keys.saml, now=answered
            )
        except Refused as refusal:
            if refusal.reason in KEY_REASONS:
                continue
        return one
    return None
