"""Geometry of the two charts, in the units of their own view boxes; the macros of `web/charts.html` draw it.

Pictures are made on the server as SVG with attributes alone (no `style`), and each is accompanied by its numbers as
text or table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BAR_WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """One fill of a bar: where it begins, how wide it is."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class SeatBar:
    """Three fills over `BAR_WIDTH`; the free rest is the bar's ground. `over` says that more is used than was
    bought.
    """

    used: Piece
    reserved: Piece
    over: bool


def seat_bar(purchased: int, in_use: int, reserved: int) -> SeatBar:
    """Return the fills of a seat bar. Whoever holds a seat is visible: a fill that is not zero is at least 4 wide."""
    whole = max(purchased, in_use + reserved, 1)
    used = _width(in_use, whole)
    kept = min(_width(reserved, whole), BAR_WIDTH - used)
    return SeatBar(Piece(0, used), Piece(used, kept), over=in_use + reserved > purchased)


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line through `points` ("x,y x,y …"), its ceiling's height, and the labels of both axes."""

    points: str
    forecast: str
    ceiling_y: float
    top: int
    width: int
    height: int


def line_chart(
    values: Sequence[int], ceiling: int, *, ahead: Sequence[float] = (), width: int = 720, height: int = 180
) -> LineChart:
    """Return the line of `values` in equal steps, then dashed through `ahead`; `ceiling` is drawn across (the seats
    bought).
    """
    top = max([ceiling, *values, *(int(value) + 1 for value in ahead), 1])
    steps = max(len(values) + len(ahead) - 1, 1)

    def point(index: int, value: float) -> str:
        return f"{index * width / steps:.1f},{height - value * (height - 12) / top:.1f}"

    joined = [float(values[-1]), *ahead] if values and ahead else []
    return LineChart(
        points=" ".join(point(index, value) for index, value in enumerate(values)),
        forecast=" ".join(point(len(values) - 1 + index, value) for index, value in enumerate(joined)),
        ceiling_y=round(height - ceiling * (height - 12) / top, 1),
        top=top,
        width=width,
        height=height,
    )


def _width(part: int, whole: int) -> int:
    return max(4, round(part * BAR_WIDTH / whole)) if part > 0 else 0
