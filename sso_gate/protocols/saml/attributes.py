"""What an assertion's attributes say about a person: email, name, groups, subject, under any provider's names for them.

The defaults cover Okta, Entra ID, Google Workspace, Keycloak, ADFS and everything that uses the LDAP or eduPerson
names.
"""

from collections.abc import Iterable, Mapping, Sequence

from sso_gate.connections.connection import AttributeMap
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml.document import text_of
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.protocols.saml.names import EMAIL_ADDRESS, SAML, TRANSIENT, UNSPECIFIED, Element

MAX_SUBJECT_CHARACTERS = 256  # SAML core 8.3.7
MAX_EMAIL_CHARACTERS = 254  # RFC 5321 4.5.3.1.3
MAX_NAME_CHARACTERS = 200
MAX_GROUP_CHARACTERS = 256
_VALUE = f"{SAML}AttributeValue"
_XMLSOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"

EMAILS = (
    "email",
    "mail",
    "emailAddress",
    "emailaddress",
    "Email",
    f"{_XMLSOAP}emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:1.2.840.113549.1.9.1",
)
NAMES = (
    "displayName",
    "displayname",
    "name",
    "cn",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "urn:oid:2.5.4.3",
)
GIVEN_NAMES = ("givenName", "firstName", "first_name", f"{_XMLSOAP}givenname", "urn:oid:2.5.4.42")
FAMILY_NAMES = ("sn", "surname", "lastName", "last_name", f"{_XMLSOAP}surname", "urn:oid:2.5.4.4")
GROUPS = (
    "groups",
    "memberOf",
    f"{_MICROSOFT}groups",
    f"{_MICROSOFT}role",
    "http://schemas.xmlsoap.org/claims/Group",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
    "Role",
)

# What says that more than one factor was shown: REFEDS MFA Profile 1.2, SAML authentication contexts 3.4 (the contexts
# with two factors of their own), and Entra ID's claim of how somebody authenticated.
_MULTI_FACTOR = "http://schemas.microsoft.com/claims/multipleauthn"
_METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"
_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_MULTI_FACTOR_CONTEXTS = frozenset(
    {
        "https://refeds.org/profile/mfa",
        _MULTI_FACTOR,
        f"{_CLASSES}MobileTwoFactorContract",
        f"{_CLASSES}MobileTwoFactorUnregistered",
    }
)

Attributes = Mapping[str, Sequence[Element]]


def by_name(statements: Iterable[Element]) -> Attributes:
    """Return the AttributeValue elements of signed AttributeStatements by attribute name, unread."""
    found: dict[str, list[Element]] = {}
    for statement in statements:
        for attribute in statement:
            found.setdefault(attribute.get("Name") or "", []).extend(attribute.iterchildren(_VALUE))
    return found


def subject(name_id: NameId | None, attributes: Attributes, names: AttributeMap, *, name_id_format: str) -> str:
    """Return the provider's own stable name for the person: the configured attribute, else the NameID, whole or not
    at all.

    `name_id_format` is the one that our requests ask for, or empty. Whoever writes a request of their own could ask for
    another and be named by something that they may choose, so a NameID that says another is none.

    Raises:
        Refused: `subject_invalid`: none, several, transient, of another format, too long, surrounded by space, or not
        printable.
    """
    if names.subject:
        values = attributes.get(names.subject, ())
        if len(values) != 1 or len(values[0]):
            raise Refused(Reason.SUBJECT_INVALID, f"expected one text in attribute {names.subject}, got {len(values)}")
        text = values[0].text or ""
    elif name_id is None:
        raise Refused(Reason.SUBJECT_INVALID, "no NameID, and no attribute is configured as subject")
    elif name_id.format == TRANSIENT:
        raise Refused(Reason.SUBJECT_INVALID, "a transient NameID names nobody twice: configure a subject attribute")
    elif name_id_format and name_id.format not in (name_id_format, UNSPECIFIED, None):
        raise Refused(
            Reason.SUBJECT_INVALID, f"asked for a NameID of format {name_id_format}, got {name_id.format}"[:300]
        )
    else:
        text = name_id.value
    if not text or text != text.strip() or not text.isprintable() or len(text) > MAX_SUBJECT_CHARACTERS:
        raise Refused(Reason.SUBJECT_INVALID, f"empty, not printable, padded or long subject ({len(text)} characters)")
    return text


def email(name_id: NameId | None, attributes: Attributes, names: AttributeMap) -> str | None:
    """Return the person's address: the configured attribute alone, else a NameID that is one, else the usual
    attributes.
    """
    if names.email:
        return _address(_first(attributes, (names.email,)))
    if name_id is not None and name_id.format == EMAIL_ADDRESS:
        return _address(name_id.value)
    found = _address(_first(attributes, EMAILS))
    if found is None and name_id is not None and name_id.format in (None, UNSPECIFIED):
        return _address(name_id.value)
    return found


def keeps_its_letters(address: str) -> bool:
    """Return whether no letter beyond ASCII becomes an ASCII one when case is folded, as U+212A becomes k and ß ss: the
    address would be taken for somebody else's.
    """
    return all(letter.isascii() or not letter.casefold().isascii() for letter in address)


def name(attributes: Attributes, names: AttributeMap) -> str | None:
    """Return the name to show for the person, on one line; none where the provider says none."""
    if names.name:
        return _line(_first(attributes, (names.name,)))
    both = (_first(attributes, GIVEN_NAMES), _first(attributes, FAMILY_NAMES))
    return _line(_first(attributes, NAMES)) or _line(" ".join(part for part in both if part))


def groups(attributes: Attributes, names: AttributeMap) -> tuple[str, ...]:
    """Return the groups, each once, in the provider's order; what is no plain text of sensible length is left out."""
    wanted = (names.groups,) if names.groups else GROUPS
    values = next((attributes[known] for known in wanted if known in attributes), ())
    # As they are: " owners" is another group than "owners", which may be mapped to a role.
    texts = (text_of(value) for value in values)
    return tuple(dict.fromkeys(text for text in texts if 0 < len(text) <= MAX_GROUP_CHARACTERS and text.isprintable()))


def _first(attributes: Attributes, wanted: Iterable[str]) -> str | None:
    for known in wanted:
        for value in attributes.get(known, ()):
            text = text_of(value).strip()
            if text:
                return text
    return None


def _address(text: str | None) -> str | None:
    if text is None or len(text) > MAX_EMAIL_CHARACTERS or not text.isprintable() or " " in text:
        return None
    local, at, domain = text.partition("@")
    return text if at and local and domain and "@" not in domain else None


def _line(text: str | None) -> str | None:
    """Return the text with everything unprintable as a space: a name is shown and logged, never compared."""
    printable = "".join(character if character.isprintable() else " " for character in text or "")
    return " ".join(printable.split())[:MAX_NAME_CHARACTERS] or None


def multi_factor(context: str, found: Attributes) -> bool | None:
    """Return True where the provider says that the person showed more than one factor; None where it does not say."""
    methods = {text_of(value).strip() for value in found.get(_METHODS, ())}
    return True if context in _MULTI_FACTOR_CONTEXTS or _MULTI_FACTOR in methods else None
