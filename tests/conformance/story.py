"""One story on an account: a ledger of its own, a test clock of its own, and what Stripe says of both.

Amounts in a story are its own arithmetic. Whatever a command says is compared with Stripe's objects, which
the story reads itself.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatctl.sandbox.clock import add_months
from tests.conformance.account import NAME
from tests.conftest import Seatctl

if TYPE_CHECKING:
    from tests.conformance.account import Account, Body
    from tests.conftest import Result

BUYER = "--owner ann@example.com --billing-email pay@example.com"
CARD = "--payment-method pm_card_visa"


def share(cents: int, left: int, whole: int) -> int:
    """Return what a part of a period costs, to the nearest cent. Halves are for other tests."""
    exact = Fraction(cents * left, whole)
    assert exact.denominator != 2
    return round(exact)


def month_of_thirty_days(now: datetime) -> int:
    """Return when the latest month of 30 days began: a third of it is ten days, to the second.

    A clock in the future would be ahead of products and prices, which have the account's time; and the test
    cards expire after a year.
    """
    month = now.year * 12 + now.month - 1
    while month % 12 + 1 not in (4, 6, 9, 11):
        month -= 1
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())


class Story(Seatctl):
    """Runs commands on the account, at the time of the story's clock."""

    def __init__(self, home: Path, account: Account, name: str, start: int) -> None:
        super().__init__(home)
        self.account = account
        self.start = self.now = start
        self.clock = account.new_clock(name, start)
        self.plans: dict[str, str] = {}
        self.is_recorded = True
        self._suffix = secrets.token_hex(3)
        self.done("init --mode test --actor ann@example.com --no-input")
        self.done(f"config set stripe.test_clock {self.clock}")
        if not account.is_stripe:
            self.done("config set sync.requests_per_second 10000")  # a sandbox need not be spared

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a command: those of tests, the key, and the relay as Stripe."""
        own = {"SEATCTL_STRIPE_KEY": self.account.key, "SEATCTL_STRIPE_API_BASE": self.account.relay.url}
        return super().environment({**own, **(env or {})})

    # Commands. `{basic}` in a command is the plan that the story calls so.

    def words(self, command: str) -> list[str]:
        """Return the words of a command."""
        return command.format_map(self.plans).split()

    def run_command(self, command: str) -> Result:
        """Run a command, and return its result as JSON."""
        return self(*self.words(command), "--yes", "-o", "json")

    def done(self, command: str) -> dict[str, Any]:
        """Return the first row of what a command reports that must succeed."""
        result = self.run_command(command)
        assert result.code == 0, (command, result.err)
        report = json.loads(result.out)
        rows = report.get("rows", [report]) if isinstance(report, dict) else report
        return rows[0] if rows else {}

    def refused(self, command: str, code: int) -> dict[str, Any]:
        """Return the error of a command that must fail with this exit code."""
        result = self.run_command(command)
        assert (result.code, result.out) == (code, ""), (command, result)
        return dict(result.error)

    def plan(self, name: str, price: str, options: str = "", currency: str = "usd") -> None:
        """Put a plan for sale; no other run has its slug."""
        self.plans[name] = f"{name}-{self._suffix}"
        self(
            *("plans", "add", self.plans[name], "--price", price, "--currency", currency),
            *("--name", f"{NAME} {self.plans[name]}", *options.split(), "-o", "json"),
        )

    def buy(
        self, plan: str, seats: int, name: str = "design", options: str = f"{BUYER} {CARD}"
    ) -> dict[str, Any]:
        """Buy a subscription by card."""
        return self.done(f"subs buy --plan {{{plan}}} --seats {seats} --name {name} {options}")

    def sub(self, name: str = "design") -> dict[str, Any]:
        """Return a subscription as the ledger has it."""
        return next(row for row in self.rows("subs", "list") if row["name"] == name)

    def entitled(self, email: str = "ann@example.com") -> tuple[int, str]:
        """Return what `check` says: its exit code and the reason."""
        answer = self("check", email, "-o", "json")
        return answer.code, answer.json["reason"]

    # Time.

    def at_month(self, months: int, seconds: int = 0) -> int:
        """Return the moment so many months after the start, and so many seconds."""
        return add_months(self.start, months) + seconds

    def until(self, moment: int) -> list[dict[str, Any]]:
        """Advance the clock, in steps that Stripe takes, and sync. Return what the sync changed."""
        while self.now < moment:
            self.now = min(moment, self._furthest())
            self.account.advance(self.clock, self.now)
        return self.synced()

    def _furthest(self) -> int:
        """Return how far the clock can be advanced at once."""
        months = [
            item["price"]["recurring"]["interval_count"]
            * {"month": 1, "year": 12}[item["price"]["recurring"]["interval"]]
            for subscription in self.stripe_subscriptions()
            if subscription["status"] not in ("canceled", "incomplete_expired")
            for item in subscription["items"]["data"]
        ]
        return add_months(self.now, 2 * min(months, default=12))

    def synced(self, code: int = 0) -> list[dict[str, Any]]:
        """Sync, and sync once more, which must change nothing. Return what the first one changed."""
        first = self("sync", "-o", "json")
        assert first.code == code, first
        again = self("sync", "-o", "json")
        assert again.code == code, again
        assert [row for row in again.rows if row["result"] != "waiting"] == [], again.out
        return list(first.rows)

    # What Stripe says.

    def customers(self) -> list[Body]:
        """Return the customers of the story."""
        return self.account.every("customers", test_clock=self.clock)

    def of_customers(self, path: str, **params: Any) -> list[Body]:
        """Return what belongs to the customers of the story, oldest first."""
        return [
            one
            for customer in reversed(self.customers())
            for one in reversed(self.account.every(path, customer=customer["id"], **params))
        ]

    def stripe_subscriptions(self) -> list[Body]:
        """Return the subscriptions of the story as Stripe has them, also those that have ended."""
        return self.account.every("subscriptions", test_clock=self.clock, status="all")

    def charges(self) -> list[int]:
        """Return what was charged and stayed charged, oldest first, in minor units."""
        return [one["amount"] for one in self.of_customers("charges") if one["paid"]]

    def refunds(self) -> list[int]:
        """Return what went back to cards, in minor units."""
        return [one["amount_refunded"] for one in self.of_customers("charges") if one["amount_refunded"]]

    def invoices(self, *statuses: str) -> list[Body]:
        """Return the invoices, or those of some statuses, oldest first."""
        return [one for one in self.of_customers("invoices") if not statuses or one["status"] in statuses]

    def everything(self) -> dict[str, Any]:
        """Return what can be charged or has been: to see that a refusal changed nothing of it."""
        return {
            "customers": [(one["id"], one["balance"]) for one in self.customers()],
            "subscriptions": self.stripe_subscriptions(),
            "invoices": self.invoices("draft", "open", "paid", "uncollectible"),
            "waiting": self.of_customers("invoiceitems", pending="true"),
            "charged": self.charges(),
        }  # fmt: skip

    def use_card(self, card: str) -> None:
        """Give every customer another card, as the portal would."""
        for customer in self.customers():
            method = self.account.post(f"payment_methods/{card}/attach", customer=customer["id"])["id"]
            default = {"default_payment_method": method}
            self.account.post(f"customers/{customer['id']}", invoice_settings=default)
            for subscription in self.account.every("subscriptions", customer=customer["id"]):
                self.account.post(f"subscriptions/{subscription['id']}", **default)

    # The end.

    def require_sound(self) -> None:
        """Check that nothing is left open, and that reading everything again changes nothing."""
        assert self.rows("runs", "list", "--state", "pending") == []
        assert self.rows("sync", "--full") == []
        assert self("audit", "verify").code == 0
        assert self("ledger", "check").code == 0

    def remove(self) -> None:
        """Remove what the story has made."""
        account = self.account
        account.wait_until(
            lambda: account.get(f"test_helpers/test_clocks/{self.clock}")["status"] != "advancing"
        )
        account.call("DELETE", f"test_helpers/test_clocks/{self.clock}")
        names = {f"{NAME} {slug}" for slug in self.plans.values()}
        for product in account.every("products", active="true"):
            if product["name"] in names:
                account.clean_product(product["id"])
