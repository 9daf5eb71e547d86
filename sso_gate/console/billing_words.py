"""What can be wrong with a purchase, in words for the person who buys."""

from typing import Any

from sso_gate.billing.purchase import MAX_SEATS_PER_ORDER
from sso_gate.errors import InvalidInput
from sso_gate.web.catalogues import translations
from sso_gate.web.format import number
from sso_gate.web.language import Language

Problem = dict[str, str]
"""`field` names the control that it is about, or is empty; `text` is the sentence."""
_ = str
_SENTENCES = {
    "SELF_SERVICE_UNAVAILABLE": _("Seats of this contract are added by your seller. Please contact them."),
    "TERM_NOT_STARTED": _("The contract has not started yet. Seats can be added from its first day."),
    "TERM_ENDED": _("The contract's term has ended. Seats can be added again after it is renewed."),
    "RENEWAL_DUE": _("The contract is being renewed just now. Try again in a few minutes."),
    "CONTRACT_UNKNOWN": _("There is no contract yet to which seats could be added."),
}
_OTHERWISE = _("This could not be ordered. Nothing was charged.")


def price_problem(error: Exception, language: Language) -> Problem:
    """Return why there is no price, at the field where that can be changed."""
    said = translations(language.tag)
    sentence = _SENTENCES.get(_code(error))
    if sentence:
        return {"field": "", "text": said.gettext(sentence)}
    if isinstance(error, InvalidInput) and error.field == "on":
        return {"field": "on", "text": said.gettext(_("Enter a day, such as 2027-06-15"))}
    text = said.gettext(_("Enter a whole number from 1 to %(max)s")) % {"max": number(language, MAX_SEATS_PER_ORDER)}
    return {"field": "add", "text": text}


def order_problem(error: Exception, language: Language) -> Problem:
    """Return why nothing was ordered, at the PO number's field where it is about that."""
    said = translations(language.tag)
    code = _code(error)
    if code == "PO_NUMBER_REQUIRED":
        return {"field": "po_number", "text": said.gettext(_("Enter the PO number that your contract asks for"))}
    if code == "ORDER_INVALID":
        return {"field": "po_number", "text": said.gettext(_("Enter a PO number of at most 60 characters"))}
    return {"field": "", "text": said.gettext(_SENTENCES.get(code, _OTHERWISE))}


def _code(error: Any) -> str:
    return str(getattr(error, "code", ""))
