"""What an IT admin does about a check that failed, in words: English source sentences, by reason."""

from types import MappingProxyType

from sso_gate.errors import Reason

_ = str
_ADDRESSES = _("Compare our addresses with what is entered at the identity provider, to the letter.")
_CLOCK = _("Set the clocks of both sides right: three minutes either way are allowed.")
_KEYS = _(
    "The identity provider has signed with a key that we do not have: bring its current metadata or certificate here."
)
_SIGNING = _("Let the identity provider sign with SHA-256 or better, and encrypt with AES-GCM or not at all.")
_AGAIN = _("Start the login again, in the browser in which it ends. Bookmarks of login pages do not work.")
_EMAIL = _("Let the identity provider send a verified email address in a domain of your organization.")
_FORM = _("Look at the raw answer: it is not of the form that the protocol asks for. A test login shows it.")
_LONG = _("Let the identity provider issue answers that hold for 24 hours at most.")
FIXES = MappingProxyType(
    {
        Reason.CONNECTION_DISABLED: _("Switch the connection on once a test login has passed."),
        Reason.CONNECTION_MISMATCH: _("The answer came to the address of another connection. Compare our addresses."),
        Reason.MESSAGE_MALFORMED: _FORM,
        Reason.MESSAGE_TOO_LARGE: _FORM,
        Reason.STRUCTURE_REFUSED: _FORM,
        Reason.PROVIDER_UNREACHABLE: _("Check the addresses of the identity provider, and that the gate can reach it."),
        Reason.PROVIDER_REFUSED: _(
            "Assign the application to the person at the identity provider, and look at its log."
        ),
        Reason.STATUS_REFUSED: _("Assign the application to the person at the identity provider, and look at its log."),
        Reason.DISCOVERY_REFUSED: _(
            "Check the issuer to the letter: its discovery document has to name the very same."
        ),
        Reason.RATE_LIMITED: _("Too many logins came from one address. Wait a minute."),
        Reason.SIGNATURE_MISSING: _SIGNING,
        Reason.SIGNATURE_PROFILE: _SIGNING,
        Reason.ALGORITHM_REFUSED: _SIGNING,
        Reason.ENCRYPTION_REFUSED: _SIGNING,
        Reason.TOKEN_REFUSED: _("Check client ID, client secret and the signing algorithm at the identity provider."),
        Reason.SIGNATURE_INVALID: _KEYS,
        Reason.KEY_UNKNOWN: _KEYS,
        Reason.ISSUER_MISMATCH: _("Enter the entity ID or issuer exactly as the identity provider names itself."),
        Reason.AUDIENCE_MISMATCH: _ADDRESSES,
        Reason.RECIPIENT_MISMATCH: _ADDRESSES,
        Reason.DESTINATION_MISMATCH: _ADDRESSES,
        Reason.REQUEST_UNKNOWN: _AGAIN,
        Reason.REQUEST_MISMATCH: _AGAIN,
        Reason.STATE_MISMATCH: _AGAIN,
        Reason.NONCE_MISMATCH: _AGAIN,
        Reason.REPLAYED: _AGAIN,
        Reason.UNSOLICITED_REFUSED: _(
            "The login began at the identity provider. Allow that for this connection, or start it here."
        ),
        Reason.RESPONSE_EXPIRED: _CLOCK,
        Reason.RESPONSE_FROM_FUTURE: _CLOCK,
        Reason.VALIDITY_TOO_LONG: _LONG,
        Reason.SUBJECT_INVALID: _("Send a name that never changes as NameID or subject; a transient one is refused."),
        Reason.SUBJECT_CONFLICT: _("Somebody else has this email address here already. Look for it among the members."),
        Reason.EMAIL_MISSING: _EMAIL,
        Reason.EMAIL_UNVERIFIED: _EMAIL,
        Reason.DOMAIN_NOT_ALLOWED: _EMAIL,
        Reason.NOT_ASSIGNED: _(
            "Let the directory provision the person, invite them, or let people in at their first login."
        ),
        Reason.ORGANIZATION_DISABLED: _("Ask whoever runs sso-gate: access for the organization is turned off."),
        Reason.SEAT_RELEASED: _("The person can log in again, and takes a seat then if one is free."),
        Reason.CONTRACT_ENDED: _("Look at the contract under Billing Settings."),
        Reason.MEMBER_DEACTIVATED: _("The person was turned off: by the directory, or by an administrator."),
        Reason.SEAT_UNAVAILABLE: _("Add seats under Billing Settings, or release one that is not used."),
    }
)
