"""A subject as a provider names it: what single logout must be able to repeat word for word."""

from dataclasses import dataclass

from sso_gate.protocols.saml.document import text_of
from sso_gate.protocols.saml.names import Element


@dataclass(frozen=True, slots=True)
class NameId:
    """A NameID, kept whole. Source: SAML core 2.2.3."""

    value: str
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return the fields by name, as JSON takes them."""
        return {
            "value": self.value,
            "format": self.format,
            "name_qualifier": self.name_qualifier,
            "sp_name_qualifier": self.sp_name_qualifier,
        }


def read(element: Element) -> NameId:
    """Return what a verified `saml:NameID` says; elements inside of it are a refusal."""
    return NameId(
        value=text_of(element),
        format=element.get("Format"),
        name_qualifier=element.get("NameQualifier"),
        sp_name_qualifier=element.get("SPNameQualifier"),
    )
