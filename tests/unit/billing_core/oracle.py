"""The rules of proration written a second time, day by day and slowly, from the words of `docs/billing.md` alone."""

from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from math import floor

ONE_DAY = timedelta(days=1)


@lru_cache(maxsize=4096)
def boundaries(anchor: date, count: int) -> list[date]:
    """`b[0]` to `b[count]`: each month's copy of the anchor's day, or that month's last day when it has no such day."""
    found, year, month = [], anchor.year, anchor.month
    for _ in range(count + 1):
        number = anchor.day
        while True:
            try:
                found.append(date(year, month, number))
                break
            except ValueError:
                number -= 1
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found


@lru_cache(maxsize=4096)
def months(anchor: date, term_months: int, proration: str, first: date) -> Fraction:
    """The months from `first` to the end of its term, by walking through every day."""
    terms = (first.year - anchor.year + 1) * 12 // term_months + 1
    grid = boundaries(anchor, terms * term_months)
    end = next(grid[i] for i in range(0, len(grid), term_months) if grid[i] > first)
    touched: dict[date, Fraction] = {}
    today = first
    while today < end:
        begins = max(found for found in grid if found <= today)
        ends = min(found for found in grid if found > today)
        touched[begins] = touched.get(begins, Fraction(0)) + Fraction(1, (ends - begins).days)
        today += ONE_DAY
    return Fraction(len(touched)) if proration == "started_month" else sum(touched.values(), Fraction(0))


def amount(seats: int, price: Fraction, many: Fraction, digits: int, *, per_year: bool) -> int:
    """Minor units, rounded once with halves up."""
    exact = seats * price * many * 10**digits / (12 if per_year else 1)
    rounded: int = floor(exact + Fraction(1, 2))
    return rounded
