"""The operation that changes seats or plan if Stripe prorates the change, or nothing is due now.

It makes up to two updates. The first sets what is paid for from now on, and Stripe prorates it. If the next
term differs, the second sets that without proration, and metadata says what is paid for until then. If the
command is killed between them, the next run finishes it; until then Stripe's item holds the right capacity.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price, read_subscription
from seatctl.billing.port import AuthenticationRequired, Billing, StripeJson, Write
from seatctl.errors import JsonValue, StripeRefused
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.plan import Increase
from seatctl.models.role import Action
from seatctl.rules.item_metadata import with_metadata
from seatctl.rules.metadata import OPERATION
from seatctl.rules.plan_changes import check_next_price
from seatctl.rules.policy_of_term import TermPolicies, cleared_policy
from seatctl.rules.purchases import check_spend, unused_discount_warning
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import waiting_metadata
from seatctl.rules.term_content import items_changed
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.cards import can_be_charged
from seatctl.services.charging.discounts import discount_forms, find_discounts
from seatctl.services.charging.own_invoice import send_if_draft
from seatctl.services.charging.pay_invoice import current_invoice, void_invoice
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.proposal import Proposal
from seatctl.services.operations.steps import Find, NothingLeftInStripe, OperationRun
from seatctl.services.subscriptions.classic_billing import require_true_credit
from seatctl.services.subscriptions.departures import NO_DEPARTURES, Departures, apply_departures
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.payload import DeparturesPayload, term_fields
from seatctl.services.subscriptions.previews import ChangePreviews, Proration
from seatctl.services.subscriptions.proposal import ChangeOptions, priced_proposal
from seatctl.services.subscriptions.snapshot import ItemGone, SubscriptionSnapshot, has_item


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePayload(DeparturesPayload):
    """A change of seats or plan that Stripe prorates, or that waits for the renewal."""

    kind = "change"
    is_billed: bool = field(default=False, metadata=stored_as("bill"))
    """Whether it changes what runs now."""
    proration_behavior: str
    proration_date: int
    latest_invoice: str | None = None
    """The subscription's latest invoice when the change was decided."""
    discounts: tuple[JsonValue, ...] = ()
    """The new discounts of the subscription, in Stripe's words; none if the change sets none."""
    on_account: bool = False
    agreed: dict[str, JsonValue] | None = None
    """The policies that a plan change agreed on, and until when the earlier one holds, as metadata."""

    @property
    def discount_form(self) -> dict[str, JsonValue]:
        """The new discounts as form fields."""
        return {"discounts": [*self.discounts]} if self.discounts else {}


def prepare_change(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    target: Target,
    options: ChangeOptions,
    requested: dict[str, JsonValue],
    what: str,
    leaving: Departures = NO_DEPARTURES,
    agreed: TermPolicies | None = None,
) -> Proposal:
    """Propose a change that Stripe prorates, or that waits for the renewal.

    `what` says it after "change"; `agreed` are the policies of a plan change.
    """
    state, is_billed = snapshot.state, target.now != snapshot.state.now
    at_once = state.policy.increase is not Increase.PRORATE_NEXT_INVOICE
    behavior = "always_invoice" if at_once else "create_prorations"
    # Stripe refuses a date outside the period, and the period may have ended before Stripe began the next.
    period_start, period_end = (
        int(edge.timestamp()) for edge in (snapshot.item.period_start, snapshot.item.period_end)
    )
    proration_date = min(max(int(snapshot.stripe_time.timestamp()), period_start), period_end)
    if is_billed:
        if target.next.price_id != target.now.price_id:
            check_next_price(state, read_price(billing.read(endpoints.price(target.next.price_id))))
        require_true_credit(billing, snapshot, "this would be prorated")
    discounts = discount_forms(
        find_discounts(billing, options.promo, options.coupon), snapshot.mirror.discounts
    )
    proration = Proration(behavior, proration_date) if is_billed else None
    previews = ChangePreviews(billing, snapshot, target, proration, discounts)
    costs = previews.due_now()
    due = costs.now
    check_spend(due, snapshot.currency, options.max_spend)
    if due and snapshot.mirror.collection_method != "send_invoice":
        can_be_charged(billing, snapshot.mirror, state.name)
    on_account = snapshot.mirror.collection_method == "send_invoice"
    payload = ChangePayload(
        **term_fields(snapshot, target),
        is_billed=is_billed,
        proration_behavior=behavior,
        proration_date=proration_date,
        latest_invoice=snapshot.mirror.latest_invoice,
        discounts=tuple(discounts),
        on_account=on_account,
        due_now=due,
        agreed=agreed.metadata if agreed is not None else cleared_policy(state.policy, state.upcoming),
        leaving=leaving.users,
        not_seated=leaving.not_seated,
        summary=f"changed {what}{leaving.remark}",
    )
    next_invoice = previews.next_total()
    warnings = tuple[str, ...]()
    if discounts:  # a proration does not show the discount by itself: compare with a preview without
        without = replace(previews, discounts=[])
        undiscounted, later = without.due_now(), without.next_total() or 0
        saved = max(
            undiscounted.now + undiscounted.carried_over - due - costs.carried_over,
            later - (next_invoice or 0),
        )
        warnings = unused_discount_warning(1, (saved,), due or later)
    proposal = priced_proposal(
        snapshot,
        requested,
        payload,
        options,
        f"Change {what}?",
        notes=leaving.notes,
        next_invoice=next_invoice,
        warnings=warnings,
        carried_over=costs.carried_over,
        on_account=on_account,
    )
    return replace(proposal, row={**proposal.row, **leaving.row_fields})


def _run(running: OperationRun[ChangePayload]) -> Apply:
    payload = running.payload
    invoice = _bill(running) if payload.is_billed else None
    if invoice is not None and payload.on_account:
        send_if_draft(running, invoice)
    if payload.now != payload.next or not payload.is_billed:
        _set_next(running)
    after = apply_departures(payload, at_once=payload.is_billed)
    return final_transaction(
        running, payload.subscription, [invoice], payload.summary, after, report_due=True
    )


def _bill(running: OperationRun[ChangePayload]) -> str | None:
    """Change what runs now; return the invoice with which Stripe charged it, if any.

    Stripe charges inside the call. With `error_if_incomplete`, a declined card leaves the quantity unchanged.
    """
    payload = running.payload
    form: dict[str, JsonValue] = {
        **items_changed(payload.item, payload.held, payload.now),
        "proration_behavior": payload.proration_behavior,
        "proration_date": payload.proration_date,
        "off_session": True,
    }
    metadata = {
        **(_nothing_waits(running) if payload.now == payload.next else {}),
        **(payload.agreed or {}),
    }
    charging = _with_metadata(
        running,
        {**form, **payload.discount_form, "payment_behavior": "error_if_incomplete"},
        running.marks,
        metadata,
    )
    try:
        # Only a refusal of this call itself ends the operation. After a lost answer, a refused key (which may
        # have lost its permission) does not tell what was charged: the operation must stay pending.
        answer = running.step_or_fail(
            "charge",
            endpoints.update_subscription(payload.stripe_id, charging),
            _changed(running),
            but=(AuthenticationRequired,),
        )
    except AuthenticationRequired as required:
        if payload.discounts:  # a pending update takes no discounts, and would charge more than was shown
            raise NothingLeftInStripe(required) from required
        waiting = {**form, "payment_behavior": "pending_if_incomplete"}
        # A pending update has no metadata; the quantity that it sets identifies it.
        pending = running.when(
            endpoints.subscription(payload.stripe_id),
            lambda raw: bool(raw.get("pending_update")) or _is_set(payload, raw),
        )
        answer = running.step_or_fail(
            "charge-to-authenticate", endpoints.update_subscription(payload.stripe_id, waiting), pending
        )
        invoice = _authenticated(running, answer)
        _mark(running, metadata)
        return invoice
    latest = read_subscription(answer).latest_invoice
    return latest if latest != payload.latest_invoice else None


def _changed(running: OperationRun[ChangePayload]) -> Find:
    return running.marked(endpoints.subscription(running.payload.stripe_id))


def _next_changed(running: OperationRun[ChangePayload]) -> Find:
    return running.marked(endpoints.subscription(running.payload.stripe_id), f"{running.reference}:next")


def _is_set(payload: ChangePayload, raw: StripeJson) -> bool:
    """Whether the item holds what the operation charged for. False if it was removed since."""
    items = [item for item in read_subscription(raw).items if item.id == payload.item]
    return any(item.quantity == payload.now.seats and item.price.id == payload.now.price_id for item in items)


def _authenticated(running: OperationRun[ChangePayload], answer: StripeJson) -> str | None:
    """Return the invoice once the bank has approved the payment.

    Raises WaitingForCardholder; after 23 hours the change is undone.
    """
    payload = running.payload
    raw = running.billing.read(endpoints.subscription(payload.stripe_id))
    invoice = read_subscription(answer).latest_invoice
    if _is_set(payload, raw):
        return invoice
    bill = current_invoice(running, invoice) if invoice else None
    if bill is not None and bill.status is InvoiceStatus.PAID and invoice != payload.latest_invoice:
        return invoice  # the bank approved it; somebody changed the item since
    if invoice != payload.latest_invoice:
        require_no_payment_processing(running.billing, [invoice])
    is_there = has_item(read_subscription(raw), payload.item)
    if raw.get("pending_update") and is_there:
        url = bill.hosted_url if bill is not None else None
        running.wait_for_cardholder("the bank wants the cardholder to authenticate", url)
    if invoice and raw.get("pending_update"):
        void_invoice(running, invoice)
    if not is_there:
        reason = "the subscription's item was removed in Stripe before the payment was authenticated"
        raise NothingLeftInStripe(ItemGone(f"{reason}; nothing was charged", hint="seatctl sync"))
    raise NothingLeftInStripe(
        StripeRefused("the payment was not authenticated in time; nothing was charged or changed")
    )


def _set_next(running: OperationRun[ChangePayload]) -> None:
    """Set what the next term begins with. Without proration, so that Stripe bills it at the renewal."""
    payload = running.payload
    items = items_changed(payload.item, payload.now if payload.is_billed else payload.held, payload.next)
    form: dict[str, JsonValue] = {
        **items,
        **({"proration_behavior": "none"} if items else {}),
        **({} if payload.is_billed else payload.discount_form),
    }
    marks = {**running.marks, OPERATION: f"{running.reference}:next"}
    metadata = {**payload.waiting_metadata(), **(payload.agreed or {})}
    write = endpoints.update_subscription(payload.stripe_id, _with_metadata(running, form, marks, metadata))
    if payload.is_billed:
        # The money has moved: a refusal here must stay pending.
        _unless_gone(running, "next", write, _next_changed(running))
    else:
        running.step_or_fail("next", write, _next_changed(running))


def _with_metadata(
    running: OperationRun[ChangePayload],
    form: dict[str, JsonValue],
    marks: dict[str, JsonValue],
    metadata: dict[str, JsonValue],
) -> dict[str, JsonValue]:
    """Return the form with the marks, and with `metadata` on the item or subscription that carries it."""
    return with_metadata(form, running.payload.metadata_item, marks, metadata)


def _mark(running: OperationRun[ChangePayload], metadata: dict[str, JsonValue]) -> None:
    """Set the metadata that a pending update could not take."""
    form = _with_metadata(running, {}, running.marks, metadata)
    write = endpoints.update_subscription(running.payload.stripe_id, form)
    _unless_gone(running, "mark", write, _changed(running))


def _unless_gone(running: OperationRun[ChangePayload], step: str, write: Write, find: Find) -> None:
    """Make a write that must succeed because money has moved, unless the item was removed in Stripe.

    A removed item can never be updated: left pending, the operation would fail at every sync.
    """
    try:
        running.step_must_succeed(step, write, find)
    except StripeRefused:
        if has_item(running.subscription(), running.payload.item):
            raise


def _nothing_waits(running: OperationRun[ChangePayload]) -> dict[str, JsonValue]:
    same, now = running.payload.now, running.call.now
    return waiting_metadata(same, same, running.payload.item, start=now, until=now)


def _undo(running: OperationRun[ChangePayload]) -> str | None:
    """Undo a change that still waits for its cardholder; return None if Stripe has carried it out."""
    payload = running.payload
    answered = running.answered("charge") or running.answered("next")
    if answered or _changed(running)() or _next_changed(running)():
        return None
    if not payload.is_billed:
        return "it had not reached Stripe, so nothing was changed"
    raw = running.billing.read(endpoints.subscription(payload.stripe_id))
    asked_to_wait = running.was_sent("charge-to-authenticate")
    if asked_to_wait and _is_set(payload, raw):
        return None
    invoice = read_subscription(raw).latest_invoice
    if asked_to_wait and invoice and invoice != payload.latest_invoice:
        require_no_payment_processing(running.billing, [invoice])
        if raw.get("pending_update"):
            void_invoice(running, invoice)
    return "the change is taken back; nothing was charged"


register(OperationHandler(ChangePayload, _run, _undo, action=Action.ADD_SEATS))
