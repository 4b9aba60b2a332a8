"""Roles: the matrix in literal values, and how commands apply it."""

import pytest

from seatctl.models.role import Action, Role
from seatctl.rules.permissions import MATRIX, actor_key, is_self, permits
from tests.support.subscriptions import add_subscription, ledger_place, query

MAY = {
    Role.ADMIN: set(Action),
    Role.OWNER: {
        Action.ADD_SEATS, Action.MANAGE_SUBSCRIPTION, Action.ASSIGN, Action.DECIDE_REQUESTS, Action.REQUEST,
        Action.CONFIGURE_APPROVAL,
    },
    Role.ASSIGNOR: {
        Action.BUY, Action.ADD_SEATS, Action.MANAGE_USERS, Action.ASSIGN, Action.DECIDE_REQUESTS,
        Action.REQUEST, Action.NOTIFY, Action.SYNC,
    },
    Role.VIEWER: set(),
}  # fmt: skip


@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_this_and_nothing_else(role):
    assert {action for action in Action if permits(action, [role])} == MAY[role]


def test_every_action_has_somebody_who_may():
    assert set(MATRIX) == set(Action)
    assert all(Role.ADMIN in roles for roles in MATRIX.values())


def test_an_actor_is_known_however_the_address_is_written():
    assert actor_key("Ann@Example.COM") == actor_key("ann@example.com")
    assert is_self("Ann@example.com", "ann@EXAMPLE.com")
    assert not is_self("os:ann", "os:ann")


@pytest.fixture
def staffed(seatctl, sandbox):
    """dot owns design, nobody owns sales; ann is the admin; others have global roles or roles of one."""
    ledger = ledger_place(sandbox)
    seatctl("users", "import", "-", stdin="email\nzoe@example.com\ndot@example.com\n")
    add_subscription(ledger, "design", owner_id=2)
    add_subscription(ledger, "sales")
    for actor, subscription, role in (
        ("vic@example.com", None, "viewer"),
        ("ash@example.com", None, "assignor"),
        ("ci:deploy", 2, "assignor"),
    ):
        query(
            ledger,
            "INSERT INTO roles (actor, subscription_id, role) VALUES (?, ?, ?)",
            actor,
            subscription,
            role,
        )
    return sandbox


@pytest.mark.parametrize(
    ("actor", "design", "sales"),
    [
        ("ann@example.com", 0, 0),
        ("Dot@Example.com", 0, 8),
        ("ash@example.com", 0, 0),
        ("ci:deploy", 8, 0),
        ("vic@example.com", 8, 8),
        ("zoe@example.com", 8, 8),
    ],
)
def test_a_role_counts_for_its_subscription(seatctl, staffed, actor, design, sales):
    for subscription, code in (("design", design), ("sales", sales)):
        assert seatctl("seats", "assign", subscription, "zoe@example.com", "--as", actor).code == code


def test_a_refusal_names_who_could_do_it(seatctl, staffed):
    refused = seatctl("seats", "assign", "design", "zoe@example.com", "--as", "vic@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")
    assert (
        refused.error["hint"]
        == "ask dot@example.com (owner), ann@example.com (admin), ash@example.com (assignor)"
    )
    assert refused.error["message"] == "vic@example.com may not assign and revoke seats of design"


def test_reading_is_open_to_all(seatctl, staffed):
    for command in (("seats", "list"), ("runs", "list"), ("audit", "verify"), ("requests", "list")):
        assert seatctl(*command, "--as", "vic@example.com").code == 0


def test_an_owner_seats_people_but_makes_no_users(seatctl, staffed):
    made = seatctl(
        "seats", "assign", "design", "new@example.com", "--create-users", "--as", "dot@example.com"
    )
    assert made.code == 8
    made = seatctl(
        "seats", "assign", "design", "new@example.com", "--create-users", "--as", "ash@example.com"
    )
    assert made.code == 0


@pytest.mark.parametrize("command", ["users list", "roles list", "check zoe@example.com", "status"])
def test_a_mistyped_actor_is_refused_by_reads_too(seatctl, staffed, command):
    refused = seatctl(*command.split(), "--as", "bogus")
    assert (refused.code, refused.out) == (2, "")
    assert "--as takes an e-mail address or ci:NAME, not 'bogus'" in refused.err


def test_who_is_suspended_may_nothing_and_is_asked_by_nobody(seatctl, staffed):
    seatctl("users", "add", "ash@example.com", "yan@example.com")
    assert seatctl("users", "suspend", "dot@example.com", "ash@example.com").code == 0
    for actor in ("dot@example.com", "ash@example.com"):
        refused = seatctl("seats", "assign", "design", "zoe@example.com", "--as", actor, "-o", "json")
        assert (refused.code, refused.error["hint"]) == (8, "ask ann@example.com (admin)")
        assert f"{actor}, who is suspended, may not" in refused.error["message"]
    assert seatctl("users", "reactivate", "dot@example.com").code == 0
    assert seatctl("seats", "assign", "design", "zoe@example.com", "--as", "dot@example.com").code == 0


def test_the_last_admin_who_may_act_is_neither_suspended_nor_revoked(seatctl, staffed):
    seatctl("users", "add", "ann@example.com", "bea@example.com")
    refused = seatctl("users", "suspend", "ann@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "last_admin")
    seatctl("roles", "grant", "bea@example.com", "admin")
    seatctl("users", "suspend", "bea@example.com")
    assert seatctl("users", "suspend", "ann@example.com").code == 4
    assert seatctl("roles", "revoke", "ann@example.com", "admin").code == 4
    back = seatctl("users", "reactivate", "bea@example.com", "-o", "json").json["run"]
    assert seatctl("users", "suspend", "ann@example.com").code == 0
    undone = seatctl("runs", "undo", back, "--as", "bea@example.com", "-o", "json")
    assert (undone.code, undone.error["code"]) == (4, "last_admin")
