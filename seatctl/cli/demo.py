"""`seatctl demo`: the real commands in a temporary profile, printed with their results."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands
from seatctl.errors import Code, ExitCode, refuse
from seatctl.output.emit import note, write_text

app = Commands()

PEOPLE = """Name,Work Email,Group
Ann Larsen,ann@example.com,design
Bob Okafor,bob@example.com,design
Chiara Rossi,chiara@example.com,research
"Dvořák, Emil",emil@example.com,research
"""

_BUY = "subs buy --plan pro --seats 5 --name design --owner ann@example.com --billing-email pay@example.com"


class DemoStep(NamedTuple):
    """A command, why it is shown, and its expected exit code."""

    why: str
    command: str
    code: ExitCode = ExitCode.DONE


STEPS = (
    DemoStep(
        "A plan is a Stripe product with a price and a policy.", "plans add pro --price 12.00 --currency usd"
    ),
    DemoStep(
        "If the card is declined, nothing is left behind.",
        f"{_BUY} --payment-method pm_card_chargeDeclined --yes",
        ExitCode.STRIPE_REFUSED,
    ),
    DemoStep("A purchase is charged once, whatever happens.", f"{_BUY} --payment-method pm_card_visa --yes"),
    DemoStep("People are imported from a file.", "users import people.csv --map email='Work Email'"),
    DemoStep(
        "The same file assigns their seats.",
        "seats assign design --from people.csv --map email='Work Email'",
    ),
    DemoStep("A user without a seat requests one.", "users add zoe@example.com --name 'Zoe Zhang'"),
    DemoStep("", "requests create zoe@example.com --subscription design"),
    DemoStep("The owner approves.", "requests approve 1"),
    DemoStep("Five seats are full: the next person joins the waitlist.", "users add kim@example.com"),
    DemoStep("", "config auto-approve design on"),
    DemoStep("", "requests create kim@example.com --subscription design", ExitCode.WAITING),
    DemoStep(
        "A revoked seat goes to the next person on the waitlist.", "seats revoke design emil@example.com"
    ),
    DemoStep("Any program can ask whether a person is entitled.", "check kim@example.com"),
    DemoStep("", "check emil@example.com", ExitCode.NO),
    DemoStep("", "seats list design"),
    DemoStep("", "invoices list"),
    DemoStep("Every change is in an audit log that reveals any alteration.", "audit verify"),
)


@app.command()
def demo(ctx: Context) -> None:
    """Show seatctl at work in a temporary profile: no account, no network, nothing is left behind.

    Examples:
      seatctl demo
    """
    import tempfile

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seatctl-demo-") as folder:
        environment = _environment(ctx.environment, folder)
        (Path(folder) / "people.csv").write_text(PEOPLE, encoding="utf-8")
        _run(DemoStep("", "init --no-input --actor ann@example.com"), environment, folder)
        for step in STEPS:
            _run(step, environment, folder)
    seconds = time.monotonic() - started
    note(f"{len(STEPS) + 1} commands in {seconds:.1f} s. To set up your own profile: seatctl init")


def _environment(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the environment without variables that name a profile, a key or another format."""
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
