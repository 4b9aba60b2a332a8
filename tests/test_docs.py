"""Every command in docs/ci.md, scripting.md and adopting.md runs here, in the order in which it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.both_sides import twin
from tests.test_foreign_objects import customer, product, subscribe

DOCS = Path(__file__).parent.parent / "docs"
PEOPLE = 3000


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def steps(block: str) -> list[str]:
    """The scripts behind `run: |` of a workflow."""
    found = re.findall(r"- run: \|\n((?:          .*\n)+)", block)
    return [re.sub(r"^ {10}", "", script, flags=re.MULTILINE) for script in found]


@pytest.fixture
def shell(sandbox, tmp_path):
    """Runs a script with `seatctl` and a `gh` that keeps the comment; what it printed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {
        "seatctl": f'exec {shlex.quote(sys.executable)} -m seatctl "$@"',
        "gh": 'cp "$5" posted.md',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()

    def run(script: str, code: int = 0, **env: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=work,
            env={**sandbox.environment(env), "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    run.work = work
    return run


def buy(sandbox, name: str, seats: int) -> None:
    words = f"subs buy --plan pro --seats {seats} --name {name} --owner ann@example.com --yes"
    pay = ("--billing-email", "pay@example.com", "--payment-method", "pm_card_visa")
    assert sandbox(*words.split(), *pay).code == 0


def test_scripting(sandbox, pro, shell):
    buy(sandbox, "design", PEOPLE)
    buy(sandbox, "design-eu", 5)
    assert sandbox("roles", "grant", "ci:hr-nightly", "assignor").code == 0
    header = "Work Email,Full Name,Department,Product,Last Day\n"
    staff = [f"p{n}@example.com,Person {n},group {n % 20},design,\n" for n in range(PEOPLE - 2)]
    known = "zoe@example.com,Zoe Zhang,design,design,\nbob@example.com,Bob Builder,design,design,2031-01-31\n"
    export = shell.work / "hr-export.csv"
    export.write_text(header + known + "".join(staff))
    (shell.work / "activity.csv").write_text("email,last_active\np5@example.com,2020-01-01\n")
    nightly, buying, idle, single = blocks("scripting.md", "sh")

    shell(nightly)
    assert len((shell.work / "done.csv").read_text().splitlines()) == PEOPLE + 1
    shell(nightly)  # nothing to do: it ends before the backup
    assert len(list(shell.work.glob("before-*.db"))) == 1
    export.write_text(header + known + "".join(staff[: PEOPLE // 2]))
    refused = shell(nightly, code=4)
    assert "--max-revoke allows 150" in refused.stderr
    export.write_text(header + known + "".join(staff[7:]))
    shell("rm before-*; " + nightly)
    assert len((shell.work / "done.csv").read_text().splitlines()) == 8

    new = "".join(f"n{n}@example.com,New {n},design,design,\n" for n in range(9))
    export.write_text(header + known + "".join(staff[7:]) + new)
    # Stripe rounds the credit and the charge each for itself, and a few seconds of the term are over.
    assert re.search(r"short 2 → 2 seats, (24\.00|23\.99) USD", shell(buying).stderr)
    shell(idle)
    sandbox("seats", "revoke", "design", "zoe@example.com", "bob@example.com")
    shell(single)
    assert sandbox("ledger", "check").code == 0
    assert sandbox("seats", "list", "design-eu", "-q").out == "bob@example.com\n"


def test_ci(sandbox, pro, shell):
    buy(sandbox, "design", 5)
    assert sandbox("roles", "grant", "ci:seats", "assignor").code == 0
    seats, config = blocks("ci.md", "toml")
    (shell.work / "seats.toml").write_text(seats)
    (shell.work / ".seatctl").mkdir()
    (shell.work / ".seatctl" / "config.toml").write_text(config.replace("live", "sandbox"))
    backups = {"BACKUPS": str(shell.work), "PULL_REQUEST": "7"}
    runner = {**backups, "SEATCTL_CONFIG": ".seatctl", "STRIPE_API_KEY": ""}
    (backup,) = blocks("ci.md", "sh")
    check, apply = (script for block in blocks("ci.md", "yaml") for script in steps(block))

    shell(backup, **backups)
    (shell.work / "ledger.db").chmod(0o400)
    shell(check, **runner)
    assert (shell.work / "posted.md").read_text().startswith("**Differences:** design: 3 to seat")
    assert sandbox("seats", "list").out.count("\n") == 1

    shell(apply, SEATCTL_ACTOR="ci:seats")
    assert len(sandbox.rows("seats", "list", "design")) == 3
    shell(apply, SEATCTL_ACTOR="ci:seats")
    (shell.work / "ledger.db").unlink()
    shell(backup, **backups)
    shell(check, **runner)
    assert (shell.work / "posted.md").read_text().startswith("**Differences:** nothing to do")
    (shell.work / "seats.toml").write_text('[subscriptions]\ndesign = ["nobody"]\n')
    assert "not an e-mail address" in shell(check, code=1, **runner).stderr


def test_every_command_of_these_pages_is_in_a_block_that_runs():
    for page in ("ci.md", "scripting.md"):
        text = (DOCS / page).read_text()
        ran = "\n".join([*blocks(page, "sh"), *(step for one in blocks(page, "yaml") for step in steps(one))])
        outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^    (seatctl .*)$", outside, re.MULTILINE):
            assert line in ran


def test_adopting(sandbox, tmp_path, monkeypatch):
    """Every step from the first sync on, typed in their order; what asks for a key or runs on is left out."""
    with twin(sandbox) as stripe:
        for name in ("Pro", "Enterprise"):
            subscribe(stripe, customer(stripe, "Acme" if name == "Pro" else "Globex"), product(stripe, name))
    monkeypatch.chdir(tmp_path)
    people = "Full Name,Work E-Mail\nZoe Zhang,zoe@example.com\nBob Builder,bob@example.com\n"
    for name in ("people.csv", "acme.csv"):
        Path(name).write_text(people)
    typed = [line for block in blocks("adopting.md", "") for line in block.splitlines()]
    steps = [
        line for line in typed if line.startswith("seatctl ") and "init" not in line and "--watch" not in line
    ]
    assert len(steps) == 10
    for line in steps:
        result = sandbox(*shlex.split(line)[1:], "--yes")
        assert result.code == 0, f"{line}: {result.err}"
    assert [row["email"] for row in sandbox.rows("seats", "list", "acme")] == [
        "zoe@example.com",
        "bob@example.com",
    ]
    followed = sandbox("subs", "show", "acme", "-o", "json").json
    assert (followed["policy"]["decrease"], followed["calendar"] != []) == ("at_renewal", True)
    assert sandbox.rows("notify", "list") == []
