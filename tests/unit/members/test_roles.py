"""Who may do what: the table in the module's own words is the function."""

import itertools
import re

import pytest

from sso_gate.members import roles
from sso_gate.members.roles import Area, Grant, Permission, Role, permission
from sso_gate.members.store import higher

COLUMNS = {
    "user": (Role.USER, set()),
    "admin": (Role.ADMIN, set()),
    "owner, primary owner": (Role.OWNER, set()),
    "+ billing_viewer": (Role.USER, {Grant.BILLING_VIEWER}),
    "+ auditor": (Role.USER, {Grant.AUDITOR}),
}
ROWS = {
    "Billing, invoices": Area.BILLING,
    "Members": Area.MEMBERS,
    "Identity and access": Area.ACCESS,
    "Audit log": Area.AUDIT,
    "Notifications": Area.NOTIFICATIONS,
    "Developer": Area.DEVELOPER,
}
WORDS = {"–": Permission.NONE, "view": Permission.VIEW, "manage": Permission.MANAGE}


def table():
    lines = [line for line in (roles.__doc__ or "").splitlines() if line.startswith("|")]
    heads, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for name, *cells in rows:
        yield from ((name, head, word) for head, word in zip(heads[1:], cells, strict=True))


@pytest.mark.parametrize(("row", "column", "word"), list(table()))
def test_the_documented_table_is_what_is_decided(row, column, word):
    role, grants = COLUMNS[column]
    assert permission(role, grants, ROWS[row]) is WORDS[word]


def test_the_table_is_whole():
    assert {row for row, _, _ in table()} == set(ROWS)
    assert {column for _, column, _ in table()} == set(COLUMNS)


@pytest.mark.parametrize("area", list(Area))
def test_a_primary_owner_may_what_owners_may(area):
    assert permission(Role.PRIMARY_OWNER, set(), area) is permission(Role.OWNER, set(), area)


@pytest.mark.parametrize(("role", "area"), list(itertools.product(Role, Area)))
def test_a_grant_never_takes_anything_away_and_never_lets_anybody_change_something(role, area):
    ranks = [Permission.NONE, Permission.VIEW, Permission.MANAGE]
    alone = permission(role, set(), area)
    with_all = permission(role, set(Grant), area)
    assert ranks.index(with_all) >= ranks.index(alone)
    assert with_all is alone or with_all is Permission.VIEW


def test_the_higher_role_is_the_one_that_may_do_more():
    order = [Role.USER, Role.ADMIN, Role.OWNER, Role.PRIMARY_OWNER]
    for first, second in itertools.product(order, order):
        assert higher(first, second) is order[max(order.index(first), order.index(second))]


def test_every_area_is_the_segment_of_its_path():
    assert all(re.fullmatch(r"[a-z]+", area) for area in Area)
