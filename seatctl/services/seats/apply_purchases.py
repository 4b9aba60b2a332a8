"""`seats apply --buy-shortfall`: buy the seats that are missing, in packs and under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.plan import Increase
from seatctl.models.report import counted
from seatctl.rules.assignment import require_home
from seatctl.rules.desired_state import Changes, SubscriptionComparison, sentence
from seatctl.rules.purchases import amount_of, check_spend
from seatctl.services.operations.submit import Proposal, submit_proposal
from seatctl.services.subscriptions.change_operation import prepare_added_seats
from seatctl.services.subscriptions.snapshot import ChangeRequest, TermPayload


@dataclass(frozen=True, slots=True)
class SeatPurchase:
    """Seats to buy for one subscription, priced by Stripe."""

    compared: SubscriptionComparison
    proposal: Proposal

    @property
    def sentence(self) -> str:
        """The people of the file, the missing seats and their price."""
        text = sentence(self.compared, self.proposal.due)
        policy = self.compared.subscription.policy
        if policy is not None and policy.increase is Increase.PRORATE_NEXT_INVOICE:
            return f"{text} now; the seats are charged with the next invoice, prorated"
        return text


@dataclass(frozen=True, slots=True)
class FinishedPurchase:
    """A purchase that was made, with its run; None if an earlier run had made it."""

    purchase: SeatPurchase
    run: int | None
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """`run 12 bought 10 seats of design`. Undoing the apply does not undo the purchase."""
        compared = self.purchase.compared
        return f"run {self.run} bought {counted(compared.to_buy, 'seat')} of {compared.subscription.name}"

    @property
    def record(self) -> dict[str, JsonValue]:
        """Return the purchase as JSON, for the report."""
        return {
            "subscription": self.purchase.compared.subscription.name,
            "seats": self.purchase.compared.to_buy,
            "due_now": self.purchase.proposal.due,
            "currency": self.purchase.proposal.currency,
            "run": self.run,
        }


def price(
    ledger: Ledger, billing: Billing, call: Call, changes: Changes, max_spend: str | None
) -> list[SeatPurchase]:
    """Check and price the purchases that the changes need; write nothing. `max_spend` limits their sum.

    Raises `max_spend_exceeded`, `several_currencies`, and whatever `subs add-seats` raises.
    """
    for compared in changes.short:
        require_home(compared.subscription, ledger.id)
    purchases = [_price_one(ledger, billing, call, compared) for compared in changes.short]
    currencies = {purchase.proposal.currency for purchase in purchases}
    if max_spend is not None and len(currencies) > 1:
        raise refuse(
            Code.SEVERAL_CURRENCIES,
            f"the missing seats cost {' and '.join(sorted(currencies)).upper()};"
            " --max-spend limits one currency only",
            hint="apply the subscriptions one by one: --subscription with a file of each",
            data={"currencies": [*sorted(currencies)]},
        )
    for currency in currencies:
        check_spend(sum(purchase.proposal.due for purchase in purchases), currency, max_spend)
    return purchases


def require_amount(changes: Changes, max_spend: str | None) -> None:
    """Raise `bad_amount` if the limit is not an amount, whether or not seats have to be bought."""
    for compared in changes.short or changes.subscriptions[:1]:
        if max_spend is not None:
            amount_of(max_spend, compared.subscription.currency)


def _price_one(
    ledger: Ledger, billing: Billing, call: Call, compared: SubscriptionComparison
) -> SeatPurchase:
    """Price the missing seats of one subscription; once bought, they are reserved for the file's people."""
    change = ChangeRequest(ledger, billing, call, compared.subscription.name)
    proposal = prepare_added_seats(change, compared.to_buy)
    request = proposal.request
    # A purchase that has begun already has no payload here: it keeps what it reserved then.
    if request is not None and isinstance(request.payload, TermPayload):
        request = replace(request, payload=replace(request.payload, reserved=compared.short))
    return SeatPurchase(compared, replace(proposal, request=request))


def buy(
    ledger: Ledger, billing: Billing, call: Call, purchases: Sequence[SeatPurchase]
) -> list[FinishedPurchase]:
    """Make the purchases, one operation each. If one fails, a repetition buys only what is still missing.

    Raises what a purchase raises, and names in its message the purchases that were made before.
    """
    finished: list[FinishedPurchase] = []
    for purchase in purchases:
        try:
            report = submit_proposal(ledger, billing, call, purchase.proposal)
            finished.append(FinishedPurchase(purchase, report.run, report.warnings))
        except SeatctlError as error:
            made = (text for earlier in finished for text in (earlier.sentence, *earlier.warnings))
            error.message = "; ".join((error.message, *made))
            raise
    return finished
