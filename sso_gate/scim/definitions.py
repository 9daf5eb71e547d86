"""Users and Groups, attribute by attribute. Source: RFC 7643 4.1 (User), 4.2 (Group), 4.3 (enterprise extension).

`x509Certificates` is left out on purpose: the gate has no use for keys. `password` is here because clients refuse to
work without it; the gate keeps no secret of a person and throws it away.
"""

from sso_gate.scim.schema import Attribute, ResourceType, Schema

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SEAT_URN = "urn:sso-gate:scim:schemas:extension:seat:2.0:User"


def _plural(name: str, description: str, *types: str, reference: bool = False) -> Attribute:
    value = Attribute("value", "reference", references=("external",)) if reference else Attribute("value")
    parts = (value, Attribute("display"), Attribute("type", canonical=types), Attribute("primary", "boolean"))
    return Attribute(name, "complex", multi=True, sub=parts, description=description)


def _read_only(name: str, description: str = "", **more: str) -> Attribute:
    return Attribute(name, mutability="readOnly", description=description, **more)  # type: ignore[arg-type]  # words of the table


_NAME = Attribute(
    "name",
    "complex",
    sub=tuple(
        Attribute(part)
        for part in ("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix")
    ),
    description="The parts of the person's name.",
)
_ADDRESSES = Attribute(
    "addresses",
    "complex",
    multi=True,
    sub=(
        *(Attribute(part) for part in ("formatted", "streetAddress", "locality", "region", "postalCode", "country")),
        Attribute("type", canonical=("work", "home", "other")),
        Attribute("primary", "boolean"),
    ),
    description="Postal addresses.",
)
_GROUPS = Attribute(
    "groups",
    "complex",
    multi=True,
    mutability="readOnly",
    sub=(
        _read_only("value"),
        Attribute("$ref", "reference", mutability="readOnly", references=("Group",)),
        _read_only("display"),
        Attribute("type", mutability="readOnly", canonical=("direct",)),
    ),
    description="The groups to which the person belongs; changed at the group.",
)
USER = Schema(
    USER_URN,
    "User",
    "A member of the organization.",
    (
        Attribute(
            "userName",
            required=True,
            unique=True,
            description="What the person signs in with: their email address where sign-on is to find them by it.",
        ),
        _NAME,
        Attribute("displayName", description="The name that pages show."),
        Attribute("nickName"),
        Attribute("profileUrl", "reference", references=("external",)),
        Attribute("title"),
        Attribute("userType"),
        Attribute("preferredLanguage"),
        Attribute("locale"),
        Attribute("timezone"),
        Attribute("active", "boolean", description="Whether the person is to have a seat; true when not said."),
        Attribute(
            "password",
            mutability="writeOnly",
            returned="never",
            description="Accepted and thrown away: people sign in at their identity provider.",
        ),
        _plural("emails", "Addresses of mail.", "work", "home", "other"),
        _plural("phoneNumbers", "Telephone numbers.", "work", "home", "mobile", "fax", "pager", "other"),
        _plural("ims", "Addresses of messengers.", "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
        _plural("photos", "Pictures, by address.", "photo", "thumbnail", reference=True),
        _ADDRESSES,
        _GROUPS,
        _plural("entitlements", "What the person is entitled to; kept, and without effect here."),
        _plural("roles", "Roles elsewhere; kept, and without effect here: groups give roles."),
    ),
)
ENTERPRISE = Schema(
    ENTERPRISE_URN,
    "EnterpriseUser",
    "What a company says of an employee.",
    (
        *(Attribute(word) for word in ("employeeNumber", "costCenter", "organization", "division", "department")),
        Attribute(
            "manager",
            "complex",
            sub=(
                Attribute("value"),
                Attribute("$ref", "reference", references=("User",)),
                _read_only("displayName"),
            ),
        ),
    ),
)
SEAT = Schema(
    SEAT_URN,
    "Seat",
    "Where the person stands with the gate.",
    (
        Attribute("seat", mutability="readOnly", canonical=("held", "waiting", "none")),
        Attribute(
            "signIn",
            mutability="readOnly",
            returned="request",
            canonical=("bound", "by_email", "by_subject_alone", "blocked"),
            description="How single sign-on will find this person: already bound, by userName as a verified email "
            "(or by externalId as the subject), by externalId as the subject alone, or not at all.",
        ),
    ),
)
GROUP = Schema(
    GROUP_URN,
    "Group",
    "People who belong together; a group takes no seat.",
    (
        Attribute("displayName", required=True, unique=True),
        Attribute(
            "members",
            "complex",
            multi=True,
            sub=(
                Attribute("value", case_exact=True, mutability="immutable"),
                Attribute("$ref", "reference", mutability="immutable", references=("User",)),
                Attribute("type", mutability="immutable", canonical=("User",)),
                _read_only("display", "The name of the user."),
            ),
        ),
    ),
)
USERS = ResourceType("User", "Users", USER, (ENTERPRISE, SEAT), aliases=(("manager", ENTERPRISE_URN),))
GROUPS = ResourceType("Group", "Groups", GROUP)
