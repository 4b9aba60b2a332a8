"""`seats apply --buy-shortfall`: the seats that a desired state lacks, bought in packs under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.plan import Increase
from seatctl.rules.assignment import require_home
from seatctl.rules.desired_state import Changes, SubscriptionComparison, sentence
from seatctl.rules.plural import counted as seats_in_words
from seatctl.rules.purchases import amount_of, check_spend
from seatctl.services.operations.proposal import Proposal, submit_proposal
from seatctl.services.subscriptions.proposal import ChangeOptions
from seatctl.services.subscriptions.seats_and_plan import prepare_added_seats


@dataclass(frozen=True, slots=True)
class SeatPurchase:
    """Seats to buy for one subscription, priced by Stripe."""

    counted: SubscriptionComparison
    prepared: Proposal

    @property
    def sentence(self) -> str:
        """What is there, what is short, what it costs."""
        said = sentence(self.counted, self.prepared.due)
        policy = self.counted.subscription.policy
        if policy is not None and policy.increase is Increase.PRORATE_NEXT_INVOICE:
            return f"{said} now; they are charged with the next invoice, prorated"
        return said


@dataclass(frozen=True, slots=True)
class FinishedPurchase:
    """A purchase that was made, by its run; None where it had been made before."""

    purchase: SeatPurchase
    run: int | None
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What an undo of the state leaves as it is."""
        counted = self.purchase.counted
        return (
            f"run {self.run} bought {seats_in_words(counted.to_buy, 'seat')} of {counted.subscription.name}"
        )

    @property
    def record(self) -> dict[str, JsonValue]:
        """What the report says of it."""
        return {
            "subscription": self.purchase.counted.subscription.name,
            "seats": self.purchase.counted.to_buy,
            "due_now": self.purchase.prepared.due,
            "currency": self.purchase.prepared.currency,
            "run": self.run,
        }


def price(
    ledger: Ledger, billing: Billing, call: Call, changes: Changes, max_spend: str | None
) -> list[SeatPurchase]:
    """What has to be bought, checked and priced; nothing is written. `max_spend` covers all of it together.

    Raises `max_spend_exceeded`, `several_currencies`, and what `subs add-seats` raises of any of them.
    """
    for one in changes.short:
        require_home(one.subscription, ledger.id)
    purchases = [_purchase(ledger, billing, call, one) for one in changes.short]
    currencies = {one.prepared.currency for one in purchases}
    if max_spend is not None and len(currencies) > 1:
        raise refuse(
            Code.SEVERAL_CURRENCIES,
            f"seats would be bought in {' and '.join(sorted(currencies)).upper()}, one limit is for one",
            hint="apply the subscriptions one by one: --subscription with a file of each",
            data={"currencies": [*sorted(currencies)]},
        )
    for currency in currencies:
        check_spend(sum(one.prepared.due for one in purchases), currency, max_spend)
    return purchases


def require_amount(changes: Changes, max_spend: str | None) -> None:
    """Raise `bad_amount` where the limit is no amount, whether or not anything has to be bought."""
    for one in changes.short or changes.subscriptions[:1]:
        if max_spend is not None:
            amount_of(max_spend, one.subscription.currency)


def _purchase(ledger: Ledger, billing: Billing, call: Call, short: SubscriptionComparison) -> SeatPurchase:
    """What one subscription lacks, priced; those seats are kept for the file when they are bought."""
    prepared = prepare_added_seats(
        ledger, billing, call, short.subscription.name, short.to_buy, ChangeOptions()
    )
    request = prepared.request
    if request is not None and request.details:  # else it is under way already, as it was begun
        request = replace(request, details={**request.details, "reserved": short.short})
    return SeatPurchase(short, replace(prepared, request=request))


def buy(
    ledger: Ledger, billing: Billing, call: Call, purchases: Sequence[SeatPurchase]
) -> list[FinishedPurchase]:
    """Carry the purchases out, one operation each. A second run buys only what is still short.

    Raises what a purchase raises, and then says which were made before it.
    """
    made: list[FinishedPurchase] = []
    for one in purchases:
        try:
            done = submit_proposal(ledger, billing, call, one.prepared)
            made.append(FinishedPurchase(one, done.run, done.warnings))
        except SeatctlError as error:
            before = (told for earlier in made for told in (earlier.sentence, *earlier.warnings))
            error.message = "; ".join((error.message, *before))
            raise
    return made
