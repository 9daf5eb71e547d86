"""How many months a seat is billed for, and what that costs.

The published example is the first test: 100 seats from 1 January, 5 more on 1 March: 5 seats x 10 months at 20.00 =
exactly 1,000.00. Months are exact fractions and the amount is rounded once, so that a thousand seats at 1,000.00 a year
for one month cost 83,333.33 and not a thousand times 83.33.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing_core.money import minor_digits, round_half_up
from billing_core.periods import boundary, month_index


def months_left(anchor: date, term_months: int, proration: str, day: date) -> Fraction:
    """The months billed for a seat that begins on `day`, to the end of the term that holds `day`.

    `started_month`: whole contract months, the started one included. `month_plus_days`: the contract months after the
    started one, and the days left of the started one (the day itself billed) as a part of that month's own length.
    Both give the same on every boundary; both give `term_months` on the first day of a term.
    """
    k = month_index(anchor, day)
    whole = term_months - k % term_months
    if proration == "started_month":
        return Fraction(whole)
    begins, ends = boundary(anchor, k), boundary(anchor, k + 1)
    return whole - 1 + Fraction((ends - day).days, (ends - begins).days)


def line_exact(seats: int, unit_price: Decimal, months: Fraction, price_per: str, currency: str) -> Fraction:
    """`seats x price x months` in minor units before rounding; of a price per seat and year a month is a twelfth."""
    price, per_price = unit_price.as_integer_ratio()
    per_month = 12 if price_per == "seat_year" else 1
    minor = seats * price * 10 ** minor_digits(currency) * months.numerator
    return Fraction(minor, per_price * per_month * months.denominator)


def line_amount(seats: int, unit_price: Decimal, months: Fraction, price_per: str, currency: str) -> int:
    """The amount of a line in minor units: `line_exact` rounded half up, once."""
    return round_half_up(line_exact(seats, unit_price, months, price_per, currency))


def next_price_change(anchor: date, proration: str, day: date) -> date:
    """The first date after `day` on which a seat costs something else: the next boundary, or the next day."""
    if proration == "started_month":
        return boundary(anchor, month_index(anchor, day) + 1)
    return date.fromordinal(day.toordinal() + 1)
