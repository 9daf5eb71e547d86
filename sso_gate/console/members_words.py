"""What can stand against releasing, holding or passing on a seat, in words."""

from sso_gate.errors import Conflict, InvalidInput
from sso_gate.web.catalogues import translations
from sso_gate.web.language import Language

_ = str
_PRIMARY = _("The Primary Owner always holds a seat. Transfer primary ownership first.")
_CONFLICT = _("That is not possible now: the seat was released, or the other person has one or is deactivated.")
_ADDRESS = _("Enter an email address, such as ana@example.com")
_NONE_FREE = _("No seat is free to be held. Release one, or add seats.")
_TOLD = _("The Owners were told less than an hour ago, or nobody waits any more.")

_NONE_TO_INVITE = _("No seat is free to be kept for them. Release one, or ask an Owner to add seats.")
_DOMAIN = _("Enter an address in one of your organization's domains")
_NOT_INVITED = _("This person has a seat already, waits for one, or is deactivated.")


def invite_problem(error: Exception, none_free: bool, language: Language) -> dict[str, str]:
    """Return why nobody was invited, at the field for the address; `none_free`: because all seats are taken."""
    told = _NONE_TO_INVITE if none_free else _NOT_INVITED
    sentence = _DOMAIN if isinstance(error, InvalidInput) else told
    return {"field": "email", "text": translations(language.tag).gettext(sentence)}


def release_problem(error: Exception | str, language: Language) -> dict[str, str]:
    """Return the sentence for what was raised; it belongs to no field."""
    match error:
        case InvalidInput() if "primary owner" in error.message:
            sentence = _PRIMARY
        case InvalidInput():
            sentence = _ADDRESS
        case Conflict():
            sentence = _CONFLICT
        case "told":
            sentence = _TOLD
        case _:
            sentence = _NONE_FREE
    return {"field": "", "text": translations(language.tag).gettext(sentence)}
