"""`seats apply --buy-shortfall`: the seats that a desired state lacks, bought in packs under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatctl.billing.port import Billing
from seatctl.errors import JsonValue, Refused
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.rules.assignment import require_home
from seatctl.rules.desired import Changes, Counted, sentence
from seatctl.rules.purchases import check_spend
from seatctl.services.prepared import Prepared, Wishes, carry_out
from seatctl.services.seat_changes import prepare_add


class SeveralCurrencies(Refused):
    """One limit cannot be in two currencies."""

    code = "several_currencies"


@dataclass(frozen=True, slots=True)
class Purchase:
    """Seats to buy for one subscription, priced by Stripe."""

    counted: Counted
    prepared: Prepared

    @property
    def sentence(self) -> str:
        """What is there, what is short, what it costs."""
        return sentence(self.counted, self.prepared.due_now)

    def record(self, run: int | None) -> dict[str, JsonValue]:
        """What the report says of it."""
        return {
            "subscription": self.counted.pool.name,
            "seats": self.counted.to_buy,
            "due_now": self.prepared.due_now,
            "currency": self.prepared.currency,
            "run": run,
        }


def price(
    ledger: Ledger, billing: Billing, call: Call, changes: Changes, max_spend: str | None
) -> list[Purchase]:
    """What has to be bought, checked and priced; nothing is written. `max_spend` covers all of it together.

    Raises MaxSpendExceeded, SeveralCurrencies, and what `subs add-seats` raises of any of them.
    """
    for one in changes.short:
        require_home(one.pool, ledger.id)
    purchases = [
        Purchase(one, prepare_add(ledger, billing, call, one.pool.name, one.to_buy, Wishes()))
        for one in changes.short
    ]
    currencies = {one.prepared.currency for one in purchases}
    if max_spend is not None and len(currencies) > 1:
        raise SeveralCurrencies(
            f"seats would be bought in {' and '.join(sorted(currencies)).upper()}, one limit is for one",
            hint="apply the subscriptions one by one: --subscription with a file of each",
            data={"currencies": [*sorted(currencies)]},
        )
    for currency in currencies:
        check_spend(sum(one.prepared.due_now for one in purchases), currency, max_spend)
    return purchases


def buy(ledger: Ledger, billing: Billing, call: Call, purchases: Sequence[Purchase]) -> list[Report]:
    """Carry the purchases out, one operation each. A second run buys only what is still short."""
    return [carry_out(ledger, billing, call, one.prepared) for one in purchases]
