"""The faults that were mended, put back one at a time: the simulator has to find each of them.

Each one patches the mended function as it was before, or so that it does what it did before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from seatctl import errors
from seatctl.errors import Code, Refusal, SeatctlError

PutBack = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Sabotage:
    """A fault of the round's issue: the point that tells of it, what it was, and how it comes back."""

    point: int
    theme: str
    """The histories in which it is looked for; none: all of them."""
    fault: str
    put_back: PutBack
    calm: bool
    """Looked for without any disturbance: what is wrong all the same."""
    server: bool = False
    """Whether only a ledger on a server can have it: see `server_sabotage.py`."""


ALL: dict[str, Sabotage] = {}


def fault(
    name: str, point: int, theme: str, what: str, *, calm: bool | None = None, server: bool = False
) -> Callable[[PutBack], PutBack]:
    """Register a way to put a fault back. Those of points 1 and 2 need disturbances, others seldom do."""

    def register(put_back: PutBack) -> PutBack:
        ALL[name] = Sabotage(point, theme, what, put_back, point > 2 if calm is None else calm, server)
        return put_back

    return register


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """The program with this fault in it again."""
    with ExitStack() as stack:
        ALL[name].put_back(stack)
        yield


def everywhere(stack: ExitStack, owner: Any, name: str, new: Any) -> Any:
    """Replace a function in its module and wherever it was imported by name; what it was."""
    old = getattr(owner, name)

    def holders(what: Any) -> list[Any]:
        modules = [one for key, one in [*sys.modules.items()] if key.startswith("seatctl")]
        return [one for one in modules if vars(one).get(name) is what]

    for module in holders(old):
        setattr(module, name, new)

    def restore() -> None:
        for module in holders(new):
            setattr(module, name, old)

    stack.callback(restore)
    return old


def within(stack: ExitStack, owner: Any, name: str, new: Any) -> None:
    """Replace an attribute of a class or a module in this one place."""
    stack.enter_context(mock.patch.object(owner, name, new))


# Point 3: the first page is not the list --------------------------------------------------------------


@fault(
    "first page",
    3,
    "crowded",
    "only the first ten lines of an invoice are read, and nothing compares what is left",
)
def _first_page(stack: ExitStack) -> None:
    from seatctl.billing import stripe
    from seatctl.services.subscriptions import refunds

    within(stack, stripe, "complete", lambda *_: None)
    within(stack, refunds, "_require_full_refund", lambda *_: None)


@fault(
    "refund falls short", 3, "crowded", "less is given back than Stripe says is unused, and it is canceled"
)
def _refund_falls_short(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import refunds

    within(stack, refunds, "_require_full_refund", lambda *_: None)


# Point 4: what is shown is what is charged ------------------------------------------------------------


@fault("next invoice", 4, "crowded", "the next invoice is reckoned from the first page of its lines")
def _next_invoice(stack: ExitStack) -> None:
    from seatctl.billing.objects import read_preview
    from seatctl.billing.port import InvalidRequest, MissingInStripe
    from seatctl.services.subscriptions import previews as ours

    def prorated(preview: Any) -> int:
        return sum(line.amount for line in preview.lines if line.proration)

    def next_total(self: Any) -> int | None:
        if self.snapshot.state.ends:
            return None
        try:
            following = read_preview(self.preview(self.target.next))
            if self.proration is None or self.proration.behavior != ours._LATER:
                return following.total
            waiting = read_preview(self.preview(self.target.now, self.proration))
        except (MissingInStripe, InvalidRequest):
            return None
        return following.total + prorated(waiting) - prorated(following)

    within(stack, ours.ChangePreviews, "next_total", next_total)


@fault("trial due now", 4, "trial", "a seat added in a trial is shown as charged now, and nothing is")
def _trial_due_now(stack: ExitStack) -> None:
    from seatctl.billing import previews
    from seatctl.services.subscriptions import previews as change_previews  # noqa: F401 - it holds the function too

    everywhere(stack, previews, "previews_next_term", lambda *_: False)


@fault(
    "end within the period", 4, "dashboard", "a `cancel_at` within the period is shown as the period's end"
)
def _end_within(stack: ExitStack) -> None:
    from seatctl.rules import subscription_state as rules

    old = rules.read_state

    def read_state(*arguments: Any, **named: Any) -> Any:
        found = old(*arguments, **named)
        return found if found.ends_at is None else replace(found, ends_at=found.period_end)

    from seatctl.services.subscriptions import snapshot  # noqa: F401 - it holds the function too

    everywhere(stack, rules, "read_state", read_state)


@fault("discount for nothing", 4, "", "a discount that takes nothing off is not told")
def _discount_for_nothing(stack: ExitStack) -> None:
    from seatctl.rules import purchases
    from seatctl.services.purchases import order  # noqa: F401 - they hold it too

    everywhere(stack, purchases, "unused_discount_warning", lambda *_: ())


@fault("refund of a debt", 4, "small", "a proration that became a debt on the balance is given back")
def _refund_of_a_debt(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import refunds

    within(stack, refunds, "debt_created", lambda *_: 0)


# Point 5: never send what is not being changed --------------------------------------------------------


@fault("unchanged price", 5, "dashboard", "an update repeats the price that the item has, archived or not")
def _unchanged_price(stack: ExitStack) -> None:
    from seatctl.rules import subscription_state
    from seatctl.services.subscriptions import previews as change_previews  # noqa: F401 - it holds the function too

    def item_update(item: Any, _held: Any, wanted: Any) -> dict[str, Any]:
        return {"id": item, "price": wanted.price_id, "quantity": wanted.seats}

    everywhere(stack, subscription_state, "item_update", item_update)


@fault("our own clock", 5, "clocks", "`proration_date` follows the machine's clock")
def _our_own_clock(stack: ExitStack) -> None:
    from seatctl.billing import port

    everywhere(stack, port, "stripe_now", lambda _billing, call: call.now)


@fault("card of a page", 5, "pages", "`--bill-to` after Checkout finds no card")
def _card_of_a_page(stack: ExitStack) -> None:
    from seatctl.services.purchases import order

    within(stack, order, "_card_of", lambda *_: None)


# Points 6 to 8 ----------------------------------------------------------------------------------------


@fault("void is open", 7, "unpaid", "a void invoice asks for what it once asked for")
def _void_is_open(stack: ExitStack) -> None:
    from seatctl.ledger import invoices

    within(stack, invoices, "_SELECT", invoices._SELECT.replace(invoices.REMAINING, "i.amount_remaining"))


@fault("notes before payment", 7, "unpaid", "credit notes before the payment are not read")
def _notes_before_payment(stack: ExitStack) -> None:
    from seatctl.services.invoices import views

    within(stack, views, "_credited", lambda invoice: invoice.details.get("credited") or 0)


@fault("refunds of the dashboard", 7, "dashboard", "refunds made in the dashboard are not listed")
def _refunds_of_the_dashboard(stack: ExitStack) -> None:
    from seatctl.models.invoice import Invoice

    within(stack, Invoice, "refunded", 0)


@fault("no seats paid", 8, "empty", "who sits in a subscription of quantity 0 is entitled")
def _no_seats_paid(stack: ExitStack) -> None:
    from seatctl.ledger import entitlements

    old = entitlements._holding

    def holding(row: Any) -> Any:
        return old(row)._replace(capacity=1)

    within(stack, entitlements, "_holding", holding)


@fault(
    "item gone",
    8,
    "taken",
    "an item taken off in Stripe is a bug, or keeps an operation open for ever",
    calm=False,
)
def _item_gone(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import finish, own_invoice_operation, snapshot  # noqa: F401 - they hold it

    everywhere(stack, snapshot, "has_item", lambda *_: True)


@fault("on session", 8, "", "a card is charged as if the cardholder attended")
def _on_session(stack: ExitStack) -> None:
    from seatctl.billing.port import Write
    from seatctl.billing.stripe import StripeBilling

    old = StripeBilling.write

    def write(self: Any, call: Write, key: str) -> Any:
        form = {name: value for name, value in call.form.items() if name != "off_session"}
        return old(self, Write(call.method, call.path, form), key)

    within(stack, StripeBilling, "write", write)


@fault("page's card", 8, "pages", "the card that pays a purchase on the bank's page is not kept")
def _pages_card(stack: ExitStack) -> None:
    from seatctl.billing.port import Write
    from seatctl.billing.stripe import StripeBilling

    old = StripeBilling.write

    def write(self: Any, call: Write, key: str) -> Any:
        settings = call.form.get("payment_settings")
        if isinstance(settings, dict):
            settings = {name: it for name, it in settings.items() if name != "save_default_payment_method"}
            call = Write(call.method, call.path, {**call.form, "payment_settings": settings})
        return old(self, call, key)

    within(stack, StripeBilling, "write", write)


@fault("silent status", 6, "unpaid", "`status` is silent about what is unpaid")
def _silent_status(stack: ExitStack) -> None:
    from seatctl.cli import status
    from seatctl.rules import payment_states

    assert status
    everywhere(stack, payment_states, "troubles_of", lambda *_, **__: ())


@fault("draft left", 6, "unpaid", "nobody is told of the draft of an unpaid subscription")
def _draft_left(stack: ExitStack) -> None:
    from seatctl.ledger import collection, subscriptions  # noqa: F401 - it holds the function too

    old = collection.read_owed

    def read_owed(text: str | None) -> Any:
        return tuple(one for one in old(text) if not one.draft)

    everywhere(stack, collection, "read_owed", read_owed)


@fault("due date", 7, "late", "the due date and how late an invoice is are not in lists")
def _due_date(stack: ExitStack) -> None:
    from seatctl.models.invoice import Invoice

    within(stack, Invoice, "days_late", lambda *_: None)


@fault("refunds by hand", 7, "given back", "what the dashboard gave back is given back once more")
def _refunds_by_hand(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import refunds

    within(stack, refunds, "_refunded_by_hand", lambda *_: 0)


@fault("disputes", 8, "disputed", "disputes are not shown")
def _disputes(stack: ExitStack) -> None:
    from seatctl.models.invoice import Invoice

    within(stack, Invoice, "disputed", 0)


@fault("promised seats", 8, "late", "canceling while past due promises seats for the unpaid period")
def _promised_seats(stack: ExitStack) -> None:
    from seatctl.rules import open_invoices

    within(stack, open_invoices, "holds_until", lambda end, *_: end)


@fault("reconcile agrees", 8, "unreadable", "`reconcile` agrees with what it could not read", calm=False)
def _reconcile_agrees(stack: ExitStack) -> None:
    from seatctl.services.sync import reconcile

    def cannot_be_read(_reason: str) -> dict[str, Any]:
        return {"drift": None, "reason": None, "repair": None}

    within(stack, reconcile, "_cannot_be_read", cannot_be_read)


@fault("followed hint", 8, "deleted", "the hint for a deleted customer was already followed")
def _followed_hint(stack: ExitStack) -> None:
    refuse = errors.refuse

    def misleading(kind: Refusal, message: str, **named: Any) -> SeatctlError:
        hint = {"hint": "seatctl sync"} if kind is Code.CUSTOMER_DELETED else {}
        return refuse(kind, message, **{**named, **hint})

    everywhere(stack, errors, "refuse", misleading)


# Points 1 and 2: an answer that proves nothing, and a way out -----------------------------------------


@fault("any object", 1, "storm", "a 2xx is taken for the answer, whatever object it is")
def _any_object(stack: ExitStack) -> None:
    from seatctl.billing import stripe

    within(stack, stripe, "problem", lambda *_: None)
    within(stack, stripe, "require_readable", lambda *_: None)


@fault("error of a proxy", 1, "proxy", "an error that is not Stripe's shape is Stripe's refusal")
def _error_of_a_proxy(stack: ExitStack) -> None:
    from seatctl.billing import stripe

    def is_error(answer: Any) -> bool:
        return isinstance(answer, dict) and isinstance(answer.get("error"), dict)

    within(stack, stripe, "_is_error_of_stripe", is_error)


@fault("login page", 1, "storm", "a web page with a 4xx is Stripe's refusal")
def _login_page(stack: ExitStack) -> None:
    from seatctl.billing import stripe

    old = stripe._parsed

    def parsed(body: Any, status: int) -> Any:
        return old(body, status) if 200 <= status < 300 else (body, status)

    within(stack, stripe, "_parsed", parsed)


@fault(
    "open after 429", 2, "limits", "a 429 to all repetitions leaves an operation open though nothing was done"
)
def _open_after_429(stack: ExitStack) -> None:
    from seatctl.billing.port import RateLimited
    from seatctl.services.operations import submit
    from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun

    old = OperationRun.step_or_fail

    def step_or_fail(self: Any, *what: Any, **named: Any) -> Any:
        try:
            return old(self, *what, **named)
        except NothingLeftInStripe as nothing:
            if isinstance(nothing.error, RateLimited):
                raise nothing.error from nothing
            raise

    within(stack, OperationRun, "step_or_fail", step_or_fail)
    within(stack, submit, "_is_given_up", lambda *_: False)


@fault("no way out", 2, "given up", "`runs undo` stops at what Stripe refuses")
def _no_way_out(stack: ExitStack) -> None:
    from seatctl.services.runs import abandon

    def give_up(_running: Any, why: Exception) -> str:
        raise why

    within(stack, abandon, "_give_up", give_up)


@fault("no end after a refusal", 2, "dashboard", "a refusal before money has moved leaves an operation open")
def _no_end_after_a_refusal(stack: ExitStack) -> None:
    from seatctl.services.operations.steps import OperationRun

    def step_or_fail(self: Any, name: str, write: Any, find: Any, *_more: Any, **_named: Any) -> Any:
        return self.step(name, write, find)

    within(stack, OperationRun, "step_or_fail", step_or_fail)


# Point 9: guards --------------------------------------------------------------------------------------


@fault("any way to pay", 9, "pages", "pages and purchases of cards-only plans take bank debits")
def _any_way_to_pay(stack: ExitStack) -> None:
    from seatctl.billing.port import Write
    from seatctl.billing.stripe import StripeBilling
    from seatctl.rules.payment_methods import Accepted

    old = StripeBilling.write

    def write(self: Any, call: Write, key: str) -> Any:
        ways = ("payment_method_types", "allowed_payment_method_types")
        form = {name: value for name, value in call.form.items() if name not in ways}
        return old(self, Write(call.method, call.path, form), key)

    within(stack, StripeBilling, "write", write)
    within(stack, Accepted, "check", lambda *_: None)
    within(stack, Accepted, "listed", property(lambda _: []))


@fault("payment under way", 9, "debit", "an invoice is made void while its payment is under way")
def _payment_under_way(stack: ExitStack) -> None:
    from seatctl.services.charging import pay_invoice

    everywhere(stack, pay_invoice, "processing_payment", lambda *_: None)


@fault("schedule", 9, "dashboard", "a subscription that a schedule manages is changed")
def _schedule(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import snapshot

    everywhere(stack, snapshot, "require_unscheduled", lambda *_: None)


@fault("collection paused", 11, "paused", "seats are bought while the collection is paused")
def _collection_paused(stack: ExitStack) -> None:
    from seatctl.rules import subscription_changes

    everywhere(stack, subscription_changes, "require_collecting", lambda *_: None)


@fault("classic mode", 9, "classic", "classic billing prorates by what the item holds after a decrease")
def _classic_mode(stack: ExitStack) -> None:
    from seatctl.services.subscriptions import previews

    everywhere(stack, previews, "require_true_credit", lambda *_, **__: None)


@fault("interval waits", 9, "interval", "another interval is set for the renewal, and begins at once unpaid")
def _interval_waits(stack: ExitStack) -> None:
    from seatctl.rules import subscription_changes
    from seatctl.services.subscriptions import previews

    within(stack, subscription_changes, "check_interval_change", lambda *_: None)
    within(stack, previews.ChangePreviews, "renews_at", lambda self: self.snapshot.state.period_end)


@fault("mode of the account", 9, "", "a purchase takes whatever billing mode the account has")
def _mode_of_the_account(stack: ExitStack) -> None:
    from seatctl.billing import endpoints

    within(stack, endpoints, "FLEXIBLE_BILLING", {})


@fault("tax unknown", 9, "tax", "with tax on, a purchase is tried whose tax Stripe cannot tell")
def _tax_unknown(stack: ExitStack) -> None:
    from seatctl.rules import tax
    from seatctl.services.purchases import order  # noqa: F401 - they hold it too
    from seatctl.services.subscriptions import snapshot  # noqa: F401 - and they

    everywhere(stack, tax, "check_tax", lambda *_: None)
