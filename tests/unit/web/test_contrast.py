"""Contrast of the tokens in `gate.css`, light and dark. axe does not see borders, so this is the check of them.

Source: WCAG 2.2, 1.4.3 (text 4.5:1), 1.4.11 (parts of controls and focus 3:1), definition of relative luminance.
"""

import re
from pathlib import Path

import pytest

import sso_gate.web

SHEET = (Path(sso_gate.web.__file__).parent / "static" / "gate.css").read_text()
TOKENS = {name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", SHEET)}
GROUNDS = ("bg", "surface")
TEXTS = ("ink", "muted", "accent", "accent-deep", "ok", "warn", "danger")


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def worst(foreground: str, background: str) -> float:
    return min(ratio(TOKENS[foreground][scheme], TOKENS[background][scheme]) for scheme in (0, 1))


def test_the_formula_gives_the_ends_of_the_scale():
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_is_readable_on_page_and_card(text, ground):
    assert worst(text, ground) >= 4.5


@pytest.mark.parametrize(("text", "ground"), [(kind, f"{kind}-soft") for kind in ("accent", "ok", "warn", "danger")])
def test_a_badge_is_readable_on_its_own_ground(text, ground):
    assert worst(text, ground) >= 4.5


@pytest.mark.parametrize("ground", ["accent-soft", "ok-soft", "warn-soft", "danger-soft"])
@pytest.mark.parametrize("text", ["ink", "accent", "muted"])
def test_notes_are_readable(text, ground):
    assert worst(text, ground) >= 4.5


@pytest.mark.parametrize("button", ["accent", "accent-deep"])
def test_the_main_button_is_readable(button):
    assert worst("on-accent", button) >= 4.5


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("border", ["line", "ink", "accent", "danger"])
def test_borders_of_controls_and_the_focus_ring_are_seen(border, ground):
    assert worst(border, ground) >= 3


def test_every_colour_in_the_rules_is_a_token():
    rules = SHEET.split("@layer base {", 1)[1]
    colours = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rules))
    assert colours == {"#fff", "#1b2430"}, "only the paper of an invoice has colours of its own"


def test_every_token_that_is_used_exists():
    assert set(re.findall(r"var\(--([\w-]+)\)", SHEET)) <= {*TOKENS, "shadow", "round", "page"}
