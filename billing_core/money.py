"""Whole minor units of one currency, and the only places where money is rounded or split.

Amounts are `int` minor units (cents for USD, yen for JPY, fils for KWD); prices are exact decimals; everything between
is a `Fraction`. No binary float ever takes part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from billing_core.errors import AmountInvalid, ContractInvalid, PriceInvalid

# ISO 4217:2015 list one, active codes with another number of minor digits than two; funds and metals are left out.
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL "
    "THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
MINOR_DIGITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}

MAX_PRICE_MINOR = 10**10
"""Largest unit price in minor units: with a million seats and all taxes a document still fits 64 bits."""
MAX_PRICE_DECIMALS = 12


def minor_digits(currency: str) -> int:
    """The number of digits after the decimal point of an ISO 4217 code. Raises `ContractInvalid` for another one."""
    try:
        return MINOR_DIGITS[currency]
    except (KeyError, TypeError):
        raise ContractInvalid(f"currency: {currency!r} is not an active ISO 4217 code") from None


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` whole minor units of `currency`. Adds and subtracts only within one currency."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise AmountInvalid(f"{self.amount!r} is not a whole number of minor units")
        minor_digits(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise AmountInvalid(f"{self.currency} and {other.currency} do not add up")
        return other.amount

    @property
    def decimal(self) -> Decimal:
        """The amount in major units with exactly the currency's digits: 123456 USD is Decimal("1234.56")."""
        return exact_decimal(self.amount, minor_digits(self.currency))

    def to_json(self) -> dict[str, int | str]:
        """`{"amount": minor units, "currency": "USD"}`."""
        return {"amount": self.amount, "currency": self.currency}


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; a tie goes away from zero. The one rounding rule of this package."""
    above, below = value.numerator, value.denominator
    rounded = (2 * abs(above) + below) // (2 * below)
    return rounded if above >= 0 else -rounded


def parse_decimal(value: object, *, field: str) -> Decimal:
    """An exact, finite, non-negative decimal from a Decimal, an int or its text; a float or a bool is refused."""
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise PriceInvalid(f"{field}: {value!r} is not an exact decimal; give a Decimal or text")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise PriceInvalid(f"{field}: {value!r} is not a decimal") from None
    if not number.is_finite() or number.is_signed():
        raise PriceInvalid(f"{field}: {value!r} is not a non-negative number")
    if -int(number.as_tuple().exponent) > MAX_PRICE_DECIMALS or number.adjusted() > MAX_PRICE_DECIMALS:
        raise PriceInvalid(f"{field}: {value!r} has more than {MAX_PRICE_DECIMALS} digits on one side of the point")
    return number if int(number.as_tuple().exponent) <= 0 else Decimal(int(number))


def parse_unit_price(value: object, currency: str) -> Decimal:
    """A unit price in major units, possibly finer than the minor unit. Raises `PriceInvalid`."""
    price = parse_decimal(value, field="unit_price")
    if Fraction(price) * 10 ** minor_digits(currency) > MAX_PRICE_MINOR:
        raise PriceInvalid(f"unit_price: {price} is larger than this system can invoice")
    return price


def exact_decimal(units: int, digits: int) -> Decimal:
    """`units` of `10 ** -digits` as a decimal with exactly those digits, whatever the caller's decimal context."""
    return Decimal(f"{units:d}E-{digits}")


def plain(number: Decimal) -> str:
    """The decimal as text without an exponent, with the digits that it was given: "20.00", "0.0042"."""
    return format(number, "f")


def split(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Parts that sum to `total`, in proportion to `weights`: largest remainder, a tie to the earlier part.

    Weights are non-negative and not all zero. Each part differs from its exact share by less than one unit.
    """
    whole = sum(Fraction(weight) for weight in weights)
    shares = [Fraction(weight) * abs(total) / whole for weight in weights]
    parts = [int(share) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - shares[i], i))
    for index in by_remainder[: abs(total) - sum(parts)]:
        parts[index] += 1
    return parts if total >= 0 else [-part for part in parts]


def share_up_to(total: int, part: Fraction | int, whole: Fraction | int) -> int:
    """The cumulative share of `total` once `part` of `whole` is reached: exact at the end, never negative steps."""
    return round_half_up(Fraction(total) * Fraction(part) / Fraction(whole))
