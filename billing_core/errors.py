"""What a caller may do wrong, each with a stable machine code. A code never changes its meaning."""

from typing import ClassVar


class BillingError(Exception):
    """A request that the rules refuse. `code` is for machines, the message for the caller's log, not for a visitor."""

    code: ClassVar[str] = "BILLING_ERROR"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class ContractInvalid(BillingError):
    """Terms that contradict themselves or name what does not exist; the message names the field."""

    code = "CONTRACT_INVALID"


class PriceInvalid(ContractInvalid):
    """A price or rate that is not an exact, finite, non-negative decimal of a size that can be invoiced."""

    code = "PRICE_INVALID"


class QuantityInvalid(BillingError):
    """Not a whole number of seats, or more than one order or one allocation can have."""

    code = "QUANTITY_INVALID"


class InstantInvalid(BillingError):
    """An instant without an offset: its local date would depend on the machine."""

    code = "INSTANT_INVALID"


class TermNotStarted(BillingError):
    """Before the first day of the first term, in the contract's zone."""

    code = "TERM_NOT_STARTED"


class TermEnded(BillingError):
    """After the last term of a contract that does not renew by itself."""

    code = "TERM_ENDED"


class SelfServiceUnavailable(BillingError):
    """The contract is of a kind whose owners do not buy seats by themselves."""

    code = "SELF_SERVICE_UNAVAILABLE"


class RenewalDue(BillingError):
    """The contract's term is over and it renews by itself: call `renew` first, or hand in `in_use_at`."""

    code = "RENEWAL_DUE"


class ContractUnknown(BillingError):
    """The customer has no contract."""

    code = "CONTRACT_UNKNOWN"


class ContractChangeRefused(BillingError):
    """A change that an existing contract cannot take. `field` names it, `why` says it in a sentence."""

    code = "CONTRACT_CHANGE_REFUSED"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class QuoteUnknown(BillingError):
    """The customer has no quote of that id."""

    code = "QUOTE_UNKNOWN"


class OrderInvalid(BillingError):
    """An idempotency key, PO number or orderer that is missing, too long or not printable."""

    code = "ORDER_INVALID"


class PoNumberRequired(OrderInvalid):
    """The contract's orders name a PO number, and this one does not."""

    code = "PO_NUMBER_REQUIRED"


class InvoiceUnknown(BillingError):
    """The customer has no document of that number."""

    code = "INVOICE_UNKNOWN"


class AmountInvalid(BillingError):
    """More than is left to credit or to pay, or not a positive whole number of minor units."""

    code = "AMOUNT_INVALID"


class PaymentConflict(BillingError):
    """The payment's reference was recorded before with another invoice, amount or date."""

    code = "PAYMENT_CONFLICT"


class EInvoiceUnavailable(BillingError):
    """EN 16931 cannot carry this document, and nothing is rounded to make it fit."""

    code = "EINVOICE_UNAVAILABLE"
