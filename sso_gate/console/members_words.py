"""What can stand against releasing, holding or passing on a seat, in words."""

from sso_gate.errors import Conflict, InvalidInput
from sso_gate.web.catalogues import translations
from sso_gate.web.language import Language

_ = str
_PRIMARY = _("The Primary Owner always holds a seat. Transfer primary ownership first.")
_CONFLICT = _("That is not possible now: the seat was released, or the other person has one or is deactivated.")
_ADDRESS = _("Enter an email address, such as ana@example.com")
_NONE_FREE = _("No seat is free to be held. Release one, or add seats.")


def release_problem(error: Exception | str, language: Language) -> dict[str, str]:
    """Return the sentence for what was raised; it belongs to no field."""
    match error:
        case InvalidInput() if "primary owner" in error.message:
            sentence = _PRIMARY
        case InvalidInput():
            sentence = _ADDRESS
        case Conflict():
            sentence = _CONFLICT
        case _:
            sentence = _NONE_FREE
    return {"field": "", "text": translations(language.tag).gettext(sentence)}
