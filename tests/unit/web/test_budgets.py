"""What pages may weigh and must not contain: the budgets of docs/pages.md."""

import gzip
import re
from pathlib import Path

import pytest

import sso_gate
from sso_gate.web import charts
from sso_gate.web.static import static_files

PACKAGE = Path(sso_gate.__file__).parent
TEMPLATES = sorted(file for file in PACKAGE.glob("*/templates/**/*.html") if "demo" not in file.parts)


def compressed(suffix: str) -> int:
    return sum(len(gzip.compress(file.body, 9)) for name, file in static_files().items() if name.endswith(suffix))


def test_style_and_scripts_keep_their_budgets():
    assert compressed(".css") <= 10 * 1024
    assert compressed(".js") <= 6 * 1024


def test_the_scripts_stay_under_two_hundred_lines():
    assert sum(file.body.count(b"\n") for name, file in static_files().items() if name.endswith(".js")) < 200


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_a_template_has_nothing_inline_and_says_what_it_needs(template):
    text = template.read_text()
    assert text.startswith("{#"), "the first thing in a template is the list of what it needs"
    assert not re.search(r"\sstyle\s*=|\son\w+\s*=|<style|javascript:|http-equiv|\|\s*safe", text)
    assert not re.search(r"""(src|href)="(https?:)?//""", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_a_seat_bar_shows_everybody_and_never_more_than_the_whole():
    assert charts.seat_bar(100, 96, 4) == charts.SeatBar(charts.Piece(0, 960), charts.Piece(960, 40), over=False)
    tiny = charts.seat_bar(10_000, 1, 1)
    assert (tiny.used.width, tiny.reserved.width) == (4, 4)
    over = charts.seat_bar(10, 12, 3)
    assert over.over
    assert over.used.width + over.reserved.width == charts.BAR_WIDTH
    assert charts.seat_bar(0, 0, 0).used.width == 0


def test_a_line_fills_its_width_and_continues_where_it_ends():
    drawn = charts.line_chart([0, 5, 10], 10, ahead=[12.0], width=300, height=112)
    assert drawn.points.split() == ["0.0,112.0", "100.0,73.5", "200.0,35.1"]
    assert drawn.forecast.split()[0] == drawn.points.split()[-1]
    assert drawn.forecast.split()[-1].startswith("300.0,")
    assert charts.line_chart([], 0).points == ""
