"""A hint is a command that would be accepted: what a refusal of the stories names is typed, and taken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatctl.rules import hints
from tests.cli.test_help import COMMANDS, ROOT, VALUE
from tests.sandbox.seed import send
from tests.support import change_stories as scenes
from tests.support.both_sides import objects, twin
from tests.support.hinted import FILLED, commands_in
from tests.support.office import until

SUBSCRIPTION = """
    subs add-seats {subscription} 3
    subs add-seats {subscription} 5 --coupon any
    subs add-seats {subscription} 5 --on-account
    subs add-seats {subscription} 5 --max-spend 0.01
    subs add-seats {subscription} 5000000
    subs set-seats {subscription} 2
    subs set-seats {subscription} 5
    subs set-seats {subscription} 7
    subs change-plan {subscription} team
    subs change-plan {subscription} year-plus
    subs change-plan {subscription} later --at-renewal
    subs renew {subscription}
    subs renew {subscription} --seats 3
    subs resume {subscription}
    subs cancel {subscription}
    subs cancel {subscription} --now
    subs cancel {subscription} --now --refund
    subs transfer {subscription} nobody@example.org
    subs billing {subscription} --payment-method pm_card_visa
    seats assign {subscription} e@example.org f@example.org
    seats revoke {subscription} nobody@example.org
    requests create a@example.org --subscription {subscription}
"""
PEOPLE = """
    version
    asign design a@example.org
    subs buy
    subs buy --plan pro --seats 0 --name lab --payment-method pm_card_visa
    subs buy --plan prow --seats 1 --name lab --payment-method pm_card_visa
    subs buy --plan pro --seats 1 --name design --payment-method pm_card_visa
    subs buy --plan pro --seats 1 --name lab --payment-method pm_card_chargeDeclined
    subs show nothing
    subs list -s design
    plans add pro --price 1 --currency usd
    plans add other --price 1.234 --currency usd
    plans add other --price 1 --currency usd --policy term --set addon_cutoff_days=30
    plans add other --price 1 --currency usd --set grace_dais=1
    plans edit pro
    plans edit pro --set pack_size=many
    plans show nothing
    users add
    users add nonsense
    users add a@example.org --name Other
    users show nobody@example.org
    users edit a@example.org
    users remove lee@example.com
    users import nothing.csv
    users list --status foo
    seats assign design
    seats assign design s@example.org
    seats assign nothing a@example.org
    seats claim --code seat-AAAAA-AAAAA-AAAAA-AAAAA
    seats list --as-of 2099-01-01
    seats list --all --as-of 2039-01-01
    seats move a@example.org design design
    seats apply nothing.csv
    requests approve
    requests approve 99
    requests approve abc
    requests list --status foo
    invoices pay nothing
    invoices list nothing
    invoices download
    runs show 99
    runs list --state foo
    runs resume 2
    runs undo 99
    roles grant a@example.org king
    roles revoke ann@example.com admin
    roles revoke a@example.org viewer
    config get nothing
    config get mail.host
    config set mode live
    config set nothing 1
    config use nothing
    notify test
    notify show 99
    notify send
    audit log --since never
    help nothing
    check nobody@example.org --subscription nothing
    ledger restore nothing.db
    ledger export -
    sandbox fail nothing
    sandbox authenticate
    sandbox authenticate nothing
    sandbox retries nothing
    batch nothing.txt
    -p nothing status
    -o jsn status
    --as nonsense status
"""
SCENES = {
    "flexible": "design",
    "contract": "acme",
    "in_window": "acme",
    "renewed": "acme",
    "on_account": "acme",
    "failed": "design",
    "unpaid": "design",
    "paused": "acme",
    "not_collecting": "design",
    "canceling": "design",
    "decreasing": "design",
    "foreign": "design",
}


def typed(seatctl, words):
    """What a command comes to, and the code of its error: nothing is changed by it."""
    result = seatctl(*words, "--dry-run", "--yes", "--no-input", "-o", "json")
    return result.code, result.error if result.code and result.err.startswith('{"error"') else {}


def each_hint_is_accepted(seatctl, commands: list[str]) -> int:
    """Type each command and, where it is refused, what the hint names; how many of those there were."""
    tried, wrong = 0, []
    for command in commands:
        _, refusal = typed(seatctl, command.split())
        for hinted in commands_in(refusal.get("hint") or ""):
            tried += 1
            told = f"{command}\n  {refusal['message']}\n  {refusal['hint']}\n  {' '.join(hinted.words)}"
            # A mistyped command is told which one it may be, whatever comes after it.
            help_only = ("--help",) if refusal["code"] == "unknown_command" else ()
            then, error = typed(seatctl, (*hinted.words, *help_only))
            if then in {1, 2} or (error.get("code") == refusal["code"] and not hinted.follows):
                wrong.append(f"{told}: {then}, {error.get('message')}")
    assert not wrong, "\n".join(wrong)
    return tried


@pytest.mark.parametrize("scene", SCENES)
def test_what_a_refused_change_names_is_not_refused_for_the_same_reason(sandbox, scene):
    getattr(scenes, scene)(sandbox)
    assert sandbox("sync").code == 0
    for person in "efgh":
        assert sandbox("users", "add", f"{person}@example.org").code == 0
    subscription = SCENES[scene]
    runs = [str(row["number"]) for row in sandbox.rows("runs", "list")]
    bills = [row["number"] or row["stripe_id"] for row in sandbox.rows("invoices", "list", subscription)]
    commands = [line.strip().format(subscription=subscription) for line in SUBSCRIPTION.strip().splitlines()]
    commands += [f"runs undo {number}" for number in runs]
    commands += [f"invoices {verb} {bill}" for bill in bills for verb in ("pay", "void", "send")]
    assert each_hint_is_accepted(sandbox, commands) > 5


def test_what_a_refusal_about_people_and_files_names_is_accepted(sandbox, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    scenes.flexible(sandbox)
    assert sandbox("users", "add", "s@example.org").code == 0
    assert sandbox("users", "suspend", "s@example.org").code == 0
    commands = [line.strip() for line in PEOPLE.strip().splitlines()]
    assert each_hint_is_accepted(sandbox, commands) > 40


def test_a_seat_that_the_policy_does_not_sell_now_is_not_advised(sandbox):
    """In the last days of a contract the renewal comes first."""
    scenes.in_window(sandbox)
    people = [f"p{n}@example.org" for n in range(21)]
    assert sandbox("users", "add", *people).code == 0
    refused = sandbox("seats", "assign", "acme", *people, "-o", "json")
    assert refused.error["hint"] == (
        "seatctl subs renew acme, then: seatctl subs add-seats acme 5, or --fill assigns the free seats"
    )
    for hinted in commands_in(refused.error["hint"]):
        assert sandbox(*hinted.words, "--yes").code == 0
    assert sandbox("seats", "assign", "acme", *people).code == 0


def test_too_many_people_are_not_told_to_buy_what_the_policy_does_not_sell_now(sandbox):
    """The dashboard has taken seats off: where none can be bought, only giving seats back helps."""
    scenes.contract(sandbox)
    people = [f"p{n}@example.org" for n in range(20)]
    assert sandbox("users", "add", *people).code == sandbox("seats", "assign", "acme", *people).code == 0
    (item,) = objects(sandbox, "subscription_item")
    with twin(sandbox) as stripe:
        send(stripe, f"subscription_items/{item['id']}", {"quantity": 15, "proration_behavior": "none"})
    for day, sold in (("2040-09-02", True), ("2041-05-22", False)):
        until(sandbox, f"{day}T00:00:00Z")
        assert sandbox("sync").code in {0, 7}
        told = [sandbox("status", "-o", "json").out, sandbox("reconcile", "--check", "-o", "json").out]
        assert ["add-seats acme 5" in text for text in told] == [sold, sold], told
        assert all("seats revoke acme" in text for text in told)


def test_a_command_is_quoted_and_found_again():
    name = "design & co, 'new'"
    first, second = hints.command("subs", "show", name), hints.command("users", "show", hints.Blank.EMAIL)
    for hint in (hints.either(first, second), hints.then(first, second), hints.to("to see it", first)):
        found = [hinted.words for hinted in commands_in(hint)]
        assert found[0] == ("subs", "show", name)
        assert found[1:] in ([], [("users", "show", "zed@example.com")])
    assert {blank.removesuffix("...") for blank in hints.Blank} <= {*FILLED}


# Every hint of the source ------------------------------------------------------------------------------


EVERYWHERE = ("--help", "--dry-run", "--yes", "-q", "-o", "-p")


def hints_of(path: Path) -> Iterator[str]:
    """The text of each `hint=…` and `….hint = …` of a module; what is filled in stands as VALUE."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            yield from written(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Name):
            target = node.targets[0]
            name = target.attr if isinstance(target, ast.Attribute) else target.id
            if name in {"hint", "CHECK", "again"} or name.startswith(("_ANOTHER", "_NO_TAX")):
                yield from written(node.value)


def written(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from written(node.body)
        yield from written(node.orelse)


def fault_of(words: tuple[str, ...]) -> str | None:
    """What the program would not take of a command's words, as far as its options and arguments tell."""
    names = [name for name in (words[0], " ".join(words[:2])) if name in COMMANDS]
    if not names:
        return None if VALUE in " ".join(words[:2]) or words[0].startswith("-") else "no such command"
    command = COMMANDS[names[0]]
    options = {name: param for param in command.params for name in param.opts if name.startswith("-")}
    arguments = [param.nargs for param in command.params if param.param_type_name == "argument"]
    rest, given = list(words[len(names[0].split()) :]), 0
    while rest:
        word = rest.pop(0)
        if word == "--":
            return None
        if word.startswith("-") and word != "-":
            if word not in {*options, *EVERYWHERE}:
                return f"no option {word}"
            if word in options and not getattr(options[word], "is_flag", False):
                rest[:1] = []
        elif word != VALUE:  # which may be several words, or options
            given += 1
    return "too many words" if -1 not in arguments and given > sum(arguments) else None


def test_every_hint_of_the_source_ends_with_its_command():
    """What comes after a command without a comma would be typed with it."""
    faults = {
        f"{path.name}: {' '.join(hinted.words)}: {fault}"
        for path in ROOT.rglob("*.py")
        for text in hints_of(path)
        for hinted in commands_in(text)
        if (fault := fault_of(hinted.words)) is not None
    }
    assert faults == set()
