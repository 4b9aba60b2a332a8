"""`seatctl demo`: the real commands on a throw-away profile, printed with their results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import typer

from seatctl.cli.framework.options import context
from seatctl.errors import Code, ExitCode, refuse
from seatctl.output.emit import note, write_text

app = typer.Typer()

PEOPLE = """Name,Work Email,Group
Ann Larsen,ann@example.com,design
Bob Okafor,bob@example.com,design
Chiara Rossi,chiara@example.com,research
"Dvořák, Emil",emil@example.com,research
"""

_BUY = "subs buy --plan pro --seats 5 --name design --owner ann@example.com --billing-email pay@example.com"


class DemoStep(NamedTuple):
    """A command, why it is shown, and the exit code that it must end with."""

    why: str
    command: str
    code: ExitCode = ExitCode.DONE


STEPS = (
    DemoStep(
        "A plan is a Stripe product with a price and a policy.", "plans add pro --price 12.00 --currency usd"
    ),
    DemoStep(
        "A declined card leaves nothing behind.",
        f"{_BUY} --payment-method pm_card_chargeDeclined --yes",
        ExitCode.STRIPE_REFUSED,
    ),
    DemoStep("Buying charges once, whatever happens.", f"{_BUY} --payment-method pm_card_visa --yes"),
    DemoStep("People come from a file.", "users import people.csv --map email='Work Email'"),
    DemoStep(
        "They are seated from the same file.",
        "seats assign design --from people.csv --map email='Work Email'",
    ),
    DemoStep("Who has no seat asks for one.", "users add zoe@example.com --name 'Zoe Zhang'"),
    DemoStep("", "requests create zoe@example.com --subscription design"),
    DemoStep("The owner approves.", "requests approve 1"),
    DemoStep("No sixth person sits in five seats: the next one waits.", "users add kim@example.com"),
    DemoStep("", "config auto-approve design on"),
    DemoStep("", "requests create kim@example.com --subscription design", ExitCode.WAITING),
    DemoStep("A seat that is given back goes to who waits.", "seats revoke design emil@example.com"),
    DemoStep("Any program can ask whether a person is entitled.", "check kim@example.com"),
    DemoStep("", "check emil@example.com", ExitCode.NO),
    DemoStep("", "seats list design"),
    DemoStep("", "invoices list"),
    DemoStep("Every change stands in an audit log that cannot be altered unseen.", "audit verify"),
)


@app.command()
def demo(typer_ctx: typer.Context) -> None:
    """Show seatctl at work on a throw-away profile: no account, no network, nothing kept.

    Examples:
      seatctl demo
    """
    import tempfile
    import time

    ctx = context(typer_ctx)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seatctl-demo-") as folder:
        environment = _environment(ctx.environment, folder)
        (Path(folder) / "people.csv").write_text(PEOPLE, encoding="utf-8")
        _run(DemoStep("", "init --no-input --actor ann@example.com"), environment, folder)
        for step in STEPS:
            _run(step, environment, folder)
    seconds = time.monotonic() - started
    note(f"{len(STEPS) + 1} commands in {seconds:.1f} s. To begin for real: seatctl init")


def _environment(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """The user's environment without anything that leads to a profile, a key or another format."""
    kept = {name: value for name, value in given.items() if not name.startswith(("SEATCTL_", "STRIPE_"))}
    return {**kept, "SEATCTL_CONFIG": folder, "SEATCTL_OUTPUT": "table"}


def _run(step: DemoStep, environment: Mapping[str, str], folder: str) -> None:
    from seatctl.cli.program import main

    if step.why:
        write_text(f"\n# {step.why}")
    write_text(f"$ seatctl {step.command}")
    words = [f"{folder}/{word}" if word == "people.csv" else word for word in shlex.split(step.command)]
    code = main(words, environment)
    if code != step.code:
        raise refuse(
            Code.DEMO_FAILED,
            f"'seatctl {step.command}' ended with exit code {code} instead of {int(step.code)}",
        )
    if code:
        write_text(f"[exit {code}: see seatctl help exit-codes]")
