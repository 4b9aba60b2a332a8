"""A ledger with open operations of every kind, and the sandbox that they were begun in, as two packed files.

Each was begun by a command that was killed after its operation was committed, most of them between a write
to Stripe and the record of its answer. What one version has begun the next one has to finish, so the files
in `tests/fixtures/open_operations` were made by the version that the README there names. To make such files
with the version at hand: `python -m tests.support.open_operations FOLDER`.
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from seatctl.sandbox.api import control
from tests.conftest import Seatctl
from tests.sandbox.seed import send
from tests.support import ledgers
from tests.support.both_sides import objects, sandbox_path, twin
from tests.support.kill_at import run_jobs
from tests.support.killing import Killing
from tests.support.office import change_card, done, freeze, until
from tests.support.second_ledger import SecondLedger
from tests.support.subscriptions import ledger_place, query

NOW = "2041-05-22T00:00:00Z"
DECLINES = "pm_card_chargeCustomerFail"
BUY = (
    "subs buy --plan {} --seats {} --name {name} --owner {name}@example.com"
    " --billing-email pay-{name}@example.com --payment-method pm_card_visa"
)
MONTHLY = (
    *("increased", "decreased", "planned", "canceled", "refunded", "kept", "details", "card"),
    *("owned", "approving"),
)


@dataclass(frozen=True)
class Begun:
    """A command that is killed, and the kind of the operation that it has begun."""

    kind: str
    command: str
    at: str = "after POST"
    """Killed at the last point that begins so; `begun`: as soon as the operation is committed."""
    code: int = 0


OPERATIONS = {
    "increase": Begun("change", "subs add-seats increased 2", "begun"),
    "decrease": Begun("change", "subs set-seats decreased 2 --revoke newest"),
    "plan at the renewal": Begun("change", "subs change-plan planned team --at-renewal"),
    "seats at full price": Begun("addon", "subs add-seats added 5"),
    "seats on account": Begun("addon", "subs add-seats prorated 5 --on-account", "begun"),
    "renewal": Begun("renew", "subs renew renewed --seats 25 --plan year-plus", "before POST /v1/invoices"),
    "renewal on account": Begun("renew", "subs renew invoiced --on-account --due-in 30d", "begun"),
    "cancel": Begun("cancel", "subs cancel canceled"),
    "cancel with a refund": Begun("cancel", "subs cancel refunded --now --refund"),
    "resume": Begun("cancel", "subs resume kept", "begun"),
    "resume a paused one": Begun("resume", "subs resume paused"),
    "billing details": Begun(
        "billing", "subs billing details --email new@example.com --name Acme --tax-id eu_vat:DE1"
    ),
    "another card": Begun("billing", "subs billing card --payment-method pm_card_mastercard"),
    "transfer": Begun("subscription_metadata", "subs transfer owned lee@example.com"),
    "automatic approval": Begun("subscription_metadata", "config auto-approve approving on", "begun"),
    "adopt": Begun("adopt", "ledger adopt foreign"),
    "invoice paid": Begun("invoice_pay", "invoices pay {owing}", "begun"),
    "invoice sent": Begun("invoice_send", "invoices send {sent}"),
    "invoice made void": Begun("invoice_void", "invoices void {void}"),
    "buy": Begun("buy", BUY.format("pro", 3, name="bought")),
    "buy on account": Begun(
        "buy",
        "subs buy --plan year --seats 10 --name on-account --owner lee@example.com"
        " --billing-email pay-on-account@example.com --on-account",
    ),
    "buy on another's card": Begun(
        "buy", "subs buy --plan pro --seats 2 --name also --owner lee@example.com --bill-to owned", "begun"
    ),
    "page": Begun(
        "checkout",
        "subs buy --plan pro --seats 4 --name page --owner lee@example.com"
        " --billing-email pay-page@example.com --checkout",
        code=10,
    ),
    "page of a contract": Begun(
        "checkout",
        "subs buy --plan year --seats 5 --name contract --owner lee@example.com"
        " --billing-email pay-contract@example.com --checkout",
        "begun",
        code=10,
    ),
    "plan added": Begun("plan_add", "plans add eu --price 9 --currency eur"),
    "plan changed": Begun("plan_edit", "plans edit sold --price 14.00 --name Sold"),
}


FOLDERS = {"open_operations": OPERATIONS}
"""The operations of each folder in `tests/fixtures`. A folder is never made again: it is there because it is
old. A new kind of operation, or a payload that has changed, gets a folder beside it, and its line here."""


def make(directory: Path) -> None:
    """Write both databases, with every operation of the folder begun and left open."""
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Seatctl(Path(scratch) / "seatctl")
        _prepare(prepared)
        _forget_the_past(prepared)
        owed = {name: _open_invoice(prepared, name) for name in ("owing", "sent", "void")}
        killing = Killing(Path(scratch) / "copies", whole=True)
        killing.directory.mkdir()
        seatctl = killing.copy(prepared)  # this process has the prepared one open: no other may write it
        for name, begun in FOLDERS[directory.name].items():
            argv = (*begun.command.format(**owed).split(), "--yes")
            _, ended = killing.undisturbed(seatctl, argv)
            assert ended.code == begun.code, (name, ended.err)
            numbers = [n for n, point in enumerate(ended.points, 1) if point.startswith(begun.at)]
            point = ended.points.index("after a commit") + 1 if begun.at == "begun" else numbers[-1]
            (killed,) = run_jobs([(seatctl, argv, point)])
            assert killed.killed, (name, killed.err)
            assert kinds_left_open(seatctl)[-1] == begun.kind, name
        for name, path in _files(seatctl.home).items():
            (directory / f"{name}.db.gz").write_bytes(_packed(path, Path(scratch) / f"{name}.db"))


def load(directory: Path, home: Path) -> Seatctl:
    """A profile with what a folder of such files holds."""
    seatctl = Seatctl(home)
    assert seatctl("init", "--no-input", "--actor", "ann@example.com").code == 0
    for name, path in _files(home).items():
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        path.write_bytes(gzip.decompress((directory / f"{name}.db.gz").read_bytes()))
    if ledgers.on_server():
        _move(seatctl, _files(home)["ledger"])
    return seatctl


def _move(seatctl: Seatctl, file: Path) -> None:
    """Move the ledger from a file to an empty database of the server."""
    ledgers.put(seatctl.home, None)
    place = ledgers.place(seatctl.home)
    moved = seatctl("ledger", "copy", file, place, "--yes", env={"SEATCTL_LEDGER": str(file)})
    assert moved.code == 0, moved.err


def kinds_left_open(seatctl: Seatctl) -> list[str]:
    """The kinds of the operations that are unfinished, oldest first."""
    statement = "SELECT kind FROM operations WHERE state IN ('pending', 'waiting') ORDER BY id"
    return [kind for (kind,) in query(ledger_place(seatctl), statement)]


def complete_the_pages(seatctl: Seatctl) -> None:
    """The cardholder completes each page of Checkout."""
    with twin(seatctl) as stripe:
        for page in [one["id"] for one in stripe.store.walk("checkout.session") if one["status"] == "open"]:
            control.complete_checkout(stripe, page)


def _files(home: Path) -> dict[str, Path]:
    return {name: home / "default" / f"{name}.db" for name in ("ledger", "sandbox")}


def _prepare(seatctl: Seatctl) -> None:
    assert seatctl("init", "--no-input", "--actor", "ann@example.com").code == 0
    freeze(seatctl, "2040-05-01T00:00:00Z")
    for slug, price, *more in (
        ("pro", 12, "--policy flexible"),
        ("team", 24, "--policy flexible"),
        ("sold", 12, "--policy flexible"),
        ("year", 5, "--interval year --policy term"),
        ("year-plus", 7, "--interval year --policy term"),
        (
            *("year-prorated", 5, "--interval year --policy term"),
            "--set increase=prorate_now --set on_account=yes --set addon_cutoff_days=0",
        ),
    ):
        done(seatctl, f"plans add {slug} --price {price} --currency usd {' '.join(more)}")
    done(seatctl, BUY.format("year-prorated", 20, name="prorated"))
    until(seatctl, "2040-06-01T00:00:00Z")
    for name in ("renewed", "invoiced", "sent"):
        done(seatctl, BUY.format("year", 20, name=name))
    until(seatctl, "2040-12-01T00:00:00Z")
    done(seatctl, BUY.format("year", 20, name="added"))
    until(seatctl, "2041-04-20T00:00:00Z")
    done(seatctl, "subs renew prorated")
    for name in ("owing", "void"):
        done(seatctl, BUY.format("pro", 5, name=name))
        change_card(seatctl, f"pay-{name}@example.com", DECLINES)
    until(seatctl, "2041-05-01T00:00:00Z")
    for name in MONTHLY:
        done(seatctl, BUY.format("pro", 5, name=name))
    _pause(seatctl)
    other = SecondLedger(seatctl)
    assert other("sync").code == 0
    assert other(*BUY.format("pro", 5, name="foreign").split(), "--yes").code == 0
    until(seatctl, NOW)
    for person in "abcd":
        done(seatctl, f"users add {person}@example.org")
        done(seatctl, f"seats assign decreased {person}@example.org")
    done(seatctl, "subs billing paused --payment-method pm_card_visa")
    done(seatctl, "subs renew sent --on-account --due-in 30d")
    done(seatctl, "subs cancel kept")
    change_card(seatctl, "pay-owing@example.com", "pm_card_visa")
    assert seatctl("sync").code == 0


def _pause(seatctl: Seatctl) -> None:
    """`paused`, two seats, made elsewhere: its trial ends without a card."""
    price = next(one["id"] for one in objects(seatctl, "price") if one["lookup_key"] == "pro")
    with twin(seatctl) as stripe:
        customer = send(stripe, "customers", {"name": "paused", "email": "pay-paused@example.com"})["id"]
        trial = {
            "customer": customer,
            "items": [{"price": price, "quantity": 2}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
        send(stripe, "subscriptions", trial)
    assert seatctl("sync").code == 0
    done(seatctl, "ledger adopt paused")
    done(seatctl, "users add lee@example.com")
    done(seatctl, "subs transfer paused lee@example.com")


def _open_invoice(seatctl: Seatctl, name: str) -> str:
    (invoice,) = [
        one["stripe_id"] for one in seatctl.rows("invoices", "list", name) if one["status"] == "open"
    ]
    return invoice


def _forget_the_past(seatctl: Seatctl) -> None:
    """Kept small: answers and events that nobody will ask for again are left out."""
    query(sandbox_path(seatctl), "DELETE FROM answers")
    query(sandbox_path(seatctl), "DELETE FROM objects WHERE kind = 'event'")


def _packed(path: Path, scratch: Path) -> bytes:
    """The whole database as one small file."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(scratch),))
    return gzip.compress(scratch.read_bytes(), mtime=0)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
