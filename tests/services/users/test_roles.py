"""Roles: granted, revoked, and every command with every role as docs/roles.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatctl.cli import role_table
from seatctl.cli.role_table import (
    BY_CODE,
    CHANGES,
    OF_ITS_LINES,
    OF_THE_MACHINE,
    ONESELF,
    READS,
    may_use,
)
from seatctl.models.role import Role
from tests.cli.test_help import COMMANDS
from tests.conftest import Seatctl
from tests.support import ledgers

ANN = "ann@example.com"
PAGE = Path(__file__).parents[3] / "docs" / "roles.md"
ACTORS = {
    Role.ADMIN: ANN,
    Role.OWNER: "olga@example.com",
    Role.ASSIGNOR: "ash@example.com",
    Role.VIEWER: "vic@example.com",
    None: "nobody@example.com",
}

BUY = "--billing-email pay@example.com --payment-method"
CALLS = {
    "plans add": "plans add new --price 1.00 --currency usd",
    "plans edit": "plans edit pro --name Professional",
    "plans import": "plans import {plans}",
    "plans archive": "plans archive spare",
    "subs buy": f"subs buy --plan pro --seats 1 --name more {BUY} pm_card_visa",
    "subs add-seats": "subs add-seats design 1",
    "subs set-seats": "subs set-seats design 9",
    "subs renew": "subs renew design",
    "subs change-plan": "subs change-plan design spare",
    "subs cancel": "subs cancel design",
    "subs pause": "subs pause design",
    "subs resume": "subs resume design",
    "subs rename": "subs rename design drawing",
    "subs transfer": "subs transfer design zoe@example.com",
    "subs billing": "subs billing design --name Company",
    "users add": "users add new@example.com",
    "users edit": "users edit zoe@example.com --name Zoe",
    "users import": "users import {people}",
    "users suspend": "users suspend zoe@example.com",
    "users reactivate": "users reactivate zoe@example.com",
    "users remove": "users remove zoe@example.com",
    "seats assign": "seats assign design zoe@example.com",
    "seats revoke": "seats revoke design zoe@example.com",
    "seats apply": "seats apply {desired}",
    "seats move": "seats move design other olga@example.com",
    "seats swap": "seats swap design olga@example.com zoe@example.com",
    "seats reclaim": "seats reclaim design --suspended",
    "requests create": "requests create zoe@example.com --subscription design",
    "requests approve": "requests approve 1",
    "requests deny": "requests deny 1",
    "requests cancel": "requests cancel 1",
    "roles grant": "roles grant zoe@example.com viewer",
    "roles revoke": "roles revoke vic@example.com viewer",
    "notify send": "notify send",
    "notify test": "notify test zoe@example.com",
    "config auto-approve": "config auto-approve design on",
    "invoices pay": "invoices pay {invoice}",
    "invoices send": "invoices send {invoice}",
    "invoices void": "invoices void {invoice}",
    "ledger adopt": "ledger adopt",
    "ledger copy": "ledger copy {ledger} {home}/moved.db",
    "ledger new-id": "ledger new-id",
    "runs undo": "runs undo {waiting}",
    "sync": "sync",
}


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """Before each command: olga owns design, one request is open, one purchase waits for payment."""
    folder = tmp_path_factory.mktemp("office")
    seatctl = Seatctl(folder / "home")

    def run(command: str, code: int = 0):
        result = seatctl(*command.split(), "--yes", "-o", "json")
        assert result.code == code, (command, result.err)
        return result

    run(f"init --no-input --actor {ANN}")
    for plan in ("pro", "spare"):
        run(f"plans add {plan} --price 12.00 --currency usd")
    run(f"subs buy --plan pro --seats 5 --name design --owner olga@example.com {BUY} pm_card_visa")
    run(f"subs buy --plan pro --seats 1 --name other --owner olga@example.com {BUY} pm_card_visa")
    run("seats assign design olga@example.com")
    run("users add zoe@example.com yan@example.com")
    run("requests create yan@example.com --subscription design")
    waits = run(f"subs buy --plan pro --seats 1 --name waits {BUY} pm_card_authenticationRequired", 10)
    for role in (Role.ASSIGNOR, Role.VIEWER):
        run(f"roles grant {ACTORS[role]} {role}")
    files = {
        "plans": seatctl("plans", "export").out,
        "people": "email\nnew@example.com\n",
        "desired": "subscription,email\ndesign,zoe@example.com\n",
    }
    invoice = run("invoices list design").rows[0]["number"]
    words = {"waiting": str(waits.error["run"]), "invoice": invoice}
    for name, text in files.items():
        path = folder / (f"{name}.toml" if name == "plans" else f"{name}.csv")
        path.write_text(text)
        words[name] = str(path)
    return seatctl, words


@pytest.mark.parametrize("command", CHANGES)
def test_every_command_asks_for_the_role_that_the_table_says(office, tmp_path, command):
    made, words = office
    permitted = {}
    for role, actor in ACTORS.items():
        home = tmp_path / actor
        ledgers.copy(made.home, home)
        argv = CALLS[command].format(**words, home=home, ledger=ledgers.place(home)).split()
        result = Seatctl(home)(*argv, "--as", actor, "--yes", "-o", "json")
        assert result.code not in {1, 2, 9}, result.err  # refused later than by the roles
        assert result.code != 8 or result.error["code"] == "not_allowed", result.err
        permitted[role] = result.code != 8
    assert permitted == {role: may_use(command, set() if role is None else {role}) for role in ACTORS}


OF_WHAT = {
    "check": "olga@example.com",
    "help": "roles",
    "plans show": "pro",
    "subs show": "design",
    "users show": "zoe@example.com",
    "seats history": "olga@example.com",
    "requests show": "1",
    "runs show": "1",
    "runs failures": "1",
    "notify show": "1",
    "invoices show": "{invoice}",
    "invoices download": "{invoice} --to {folder}/invoice.pdf",
    "ledger backup": "{folder}/copy.db",
    "ledger export": "{folder}/export",
    "ledger grants": "viewer somebody",
    "config get": "actor",
}


@pytest.mark.parametrize("command", sorted(READS))
def test_every_read_is_open_to_who_holds_no_role(office, tmp_path, command):
    made, words = office
    ledgers.copy(made.home, tmp_path / "home")
    argv = f"{command} {OF_WHAT.get(command, '')}".format(**words, folder=tmp_path).split()
    result = Seatctl(tmp_path / "home")(*argv, "--as", ACTORS[None])
    # Run 1 is not a batch (9). The sandbox makes no PDF, a file has no database roles, a server makes its own
    # backups (4).
    answers = {
        "doctor": {0, 7},
        "reconcile": {0, 7},
        "runs failures": {9},
        "invoices download": {4},
        "ledger backup" if ledgers.on_server() else "ledger grants": {4},
    }
    assert result.code in answers.get(command, {0}), (argv, result.err)


@pytest.mark.parametrize("command", sorted(ONESELF))
def test_for_oneself_no_role_is_needed(office, tmp_path, command):
    made, words = office
    ledgers.copy(made.home, tmp_path / "home")
    who = "zoe@example.com" if command == "requests create" else "yan@example.com"
    result = Seatctl(tmp_path / "home")(*CALLS[command].format(**words).split(), "--as", who)
    assert result.code == 0, result.err


def test_every_command_is_in_the_table():
    known = [*CHANGES, *BY_CODE, *OF_ITS_LINES, *OF_THE_MACHINE, *READS]
    assert sorted(known) == sorted(COMMANDS)
    assert set(CALLS) == set(CHANGES)
    assert set(CHANGES) >= ONESELF


def test_the_page_is_made_of_the_same_matrix():
    assert PAGE.read_text(encoding="utf-8") == role_table.text(), "run: python -m seatctl.cli.role_table"


def test_the_page_says_yes_where_the_rule_does():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {}
    for row in rows:
        command, _, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told[command.strip("`")] = [cell == "yes" for cell in cells]
    assert told == {command: [may_use(command, {role}) for role in role_table.ROLES] for command in CHANGES}


# -- granting -----------------------------------------------------------------------------------


def test_a_role_is_granted_listed_and_taken_away(sandbox, team):
    granted = sandbox("roles", "grant", "Bob@Example.com", "assignor", "-s", team)
    assert granted.code == 0
    assert "undo: seatctl runs undo" in granted.err
    assert sandbox.rows("roles", "list") == [
        {"actor": ANN, "role": "owner", "subscription": team},
        {"actor": ANN, "role": "admin", "subscription": None},
        {"actor": "bob@example.com", "role": "assignor", "subscription": team},
    ]
    assert (
        sandbox("roles", "grant", "bob@example.com", "assignor", "-s", team, "-o", "json").json["run"] is None
    )
    assert sandbox("subs", "add-seats", team, "1", "--as", "bob@example.com", "--yes").code == 0
    assert sandbox("roles", "revoke", "bob@example.com", "assignor", "-s", team).code == 0
    assert sandbox("subs", "add-seats", team, "1", "--as", "bob@example.com", "--yes").code == 8
    missing = sandbox("roles", "revoke", "bob@example.com", "assignor", "-s", team, "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "unknown_grant")


def test_the_last_admin_stays(sandbox):
    refused = sandbox("roles", "revoke", ANN.upper(), "admin", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "last_admin")
    sandbox("roles", "grant", "ci:deploy", "admin")
    assert sandbox("roles", "revoke", ANN, "admin").code == 0
    assert sandbox("roles", "grant", "x@example.com", "admin").code == 8


def test_an_admin_of_one_subscription_is_not_the_last_admin_and_grants_nothing(sandbox, team):
    sandbox("roles", "grant", "bob@example.com", "admin", "-s", team)
    assert sandbox("roles", "revoke", ANN, "admin").code == 4
    assert sandbox("roles", "grant", "bob@example.com", "admin", "--as", "bob@example.com").code == 8
    assert (
        sandbox("roles", "grant", "x@example.com", "viewer", "-s", team, "--as", "bob@example.com").code == 8
    )


def test_an_owner_is_made_by_transfer_and_both_are_told(sandbox, team):
    refused = sandbox("roles", "grant", "bob@example.com", "owner", "-s", team, "-o", "json")
    assert (refused.code, refused.error["hint"]) == (2, "seatctl subs transfer design bob@example.com")
    sandbox("users", "add", "bob@example.com")
    assert sandbox("subs", "transfer", team, "bob@example.com", "--yes").code == 0
    told = [row for row in sandbox.rows("notify", "list") if row["template"] == "owner_changed"]
    assert {row["recipient"] for row in told} == {ANN, "bob@example.com"}
    shown = sandbox("notify", "show", told[0]["id"], "-o", "json").json["text"]
    owner = "bob@example.com is now the owner of design (pro, 5 seats); before, it was ann@example.com.\n"
    assert shown == owner
    assert sandbox.rows("roles", "list", team)[0] == {
        "actor": "bob@example.com",
        "role": "owner",
        "subscription": team,
    }


def test_nobody_owns_who_could_not_act(sandbox, team):
    sandbox("users", "add", "bob@example.com")
    sandbox("users", "suspend", "bob@example.com")
    refused = sandbox("subs", "transfer", team, "bob@example.com", "--yes", "-o", "json")
    assert (refused.code, refused.error["hint"]) == (4, "seatctl users reactivate bob@example.com")


@pytest.mark.parametrize("actor", ["bob", "bob@", "x y@example.com", "ci:", "-@example.com\n"])
def test_what_is_no_actor_gets_no_role(sandbox, actor):
    assert sandbox("roles", "grant", "viewer", "--", actor).code in {2, 3}
