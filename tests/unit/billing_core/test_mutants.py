"""No mutation of `proration.py` survives: every small change of its arithmetic is told apart by a few dozen cases."""

import ast
import inspect
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing_core import proration
from tests.unit.billing_core import oracle

SOURCE = inspect.getsource(proration)
OPERATORS: dict[type, tuple[Any, ...]] = {
    ast.Add: (ast.Sub(), ast.Mult()),
    ast.Sub: (ast.Add(), ast.Mult()),
    ast.Mult: (ast.Add(), ast.Div()),
    ast.Div: (ast.Mult(), ast.FloorDiv()),
    ast.Mod: (ast.Mult(), ast.FloorDiv()),
    ast.Pow: (ast.Mult(), ast.Add()),
}
COMPARISONS: dict[type, Any] = {ast.Eq: ast.NotEq()}


def mutants() -> Iterator[tuple[str, str]]:
    """Each changed source with a name: operators, comparisons, numbers, words, and conditions turned around."""
    count = sum(1 for _ in ast.walk(ast.parse(SOURCE)))
    for index in range(count):
        variant = 0
        while True:
            tree = ast.parse(SOURCE)
            node = list(ast.walk(tree))[index]
            if not _mutated(node, variant):
                break
            yield f"line {getattr(node, 'lineno', 0)}, {type(node).__name__} {variant}", ast.unparse(tree)
            variant += 1


def _mutated(node: ast.AST, variant: int) -> bool:
    """Whether the node has a change of that number; then it is made."""
    if isinstance(node, ast.BinOp):
        others = OPERATORS.get(type(node.op), ())
        if variant < len(others):
            node.op = others[variant]
            return True
    elif isinstance(node, ast.Compare) and variant == 0:
        node.ops = [COMPARISONS[type(node.ops[0])]]
        return True
    elif isinstance(node, ast.Constant) and isinstance(node.value, int) and variant < 2:
        node.value += (1, -1)[variant]
        return True
    elif isinstance(node, ast.Constant) and node.value in {"started_month", "seat_year"} and variant == 0:
        node.value = "another"
        return True
    elif isinstance(node, ast.IfExp) and variant == 0:
        node.body, node.orelse = node.orelse, node.body
        return True
    return False


ANCHORS = (date(2026, 1, 1), date(2024, 1, 31))
DAYS = (0, 29, 30, 59, 75, 100, 365, 400)
LINES = [
    (5, "20.00", Fraction(10), "seat_month", "USD", 2),
    (1000, "1000.00", Fraction(1), "seat_year", "USD", 2),
    (7, "6.125", Fraction(1, 31), "seat_month", "KWD", 3),
    (3, "1250.5", Fraction(1), "seat_month", "JPY", 0),
]


def right(rules: dict[str, Any]) -> bool:
    """Whether these rules say what the slow definition says, in every case."""
    for anchor in ANCHORS:
        for on in (anchor + timedelta(days=days) for days in DAYS):
            for policy in ("started_month", "month_plus_days"):
                if rules["months_left"](anchor, 12, policy, on) != oracle.months(anchor, 12, policy, on):
                    return False
            grid = oracle.boundaries(anchor, 30)
            if rules["next_price_change"](anchor, "started_month", on) != min(day for day in grid if day > on):
                return False
            if rules["next_price_change"](anchor, "month_plus_days", on) != on + timedelta(days=1):
                return False
    for seats, price, months, per, currency, digits in LINES:
        exact = seats * Fraction(price) * months * 10**digits / (12 if per == "seat_year" else 1)
        given = (seats, Decimal(price), months, per, currency)
        expected = oracle.amount(seats, Fraction(price), months, digits, per_year=per == "seat_year")
        if rules["line_exact"](*given) != exact or rules["line_amount"](*given) != expected:
            return False
    return True


def survives(source: str) -> bool:
    rules: dict[str, Any] = {}
    try:
        exec(compile(source, "mutant", "exec"), rules)
        return right(rules)
    except Exception:
        return False


def test_the_rules_themselves_are_right():
    assert right(vars(proration))


def test_no_mutant_survives():
    made = list(mutants())
    assert len(made) > 30
    assert [name for name, source in made if survives(source)] == []
