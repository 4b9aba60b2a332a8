"""`subs add-seats`, `set-seats` and `change-plan`, if Stripe prorates the change, or nothing is due now.

The operation makes up to two updates. The first sets what is paid for from now on, and Stripe prorates it. If
the next term differs, the second sets that without proration, and metadata says what is paid for until then.
If it is killed between them, the next run finishes it; until then Stripe's item holds the right capacity.
Seats at full price are added by `own_invoice_operation.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_price, read_subscription
from seatctl.billing.port import AuthenticationRequired, StripeJson
from seatctl.errors import JsonValue, StripeRefused
from seatctl.ledger import plans
from seatctl.ledger.departures import ending_between
from seatctl.models.call import format_time, parse_time
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.plan import Increase, Plan
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.subscription import SubscriptionState, TermContent
from seatctl.rules import subscription_changes
from seatctl.rules.metadata import OPERATION, VOID_UNTIL, metadata_of
from seatctl.rules.payment_methods import takes_days
from seatctl.rules.purchases import check_quantity, check_spend, unused_discount_warning
from seatctl.rules.subscription_changes import Target, check_added_seats
from seatctl.rules.subscription_state import TermPolicies, cleared_policy, items_changed, waiting_metadata
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.pay_invoice import (
    PAYABLE,
    current_invoice,
    payment_failed,
    payment_problem,
    require_no_payment_processing,
    send_if_draft,
    void_if_payable,
)
from seatctl.services.charging.payer import can_be_charged, charged_method, discount_forms, find_discounts
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import Find, NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import Proposal
from seatctl.services.plans.prices import check_seat_price, require_seat_price, sold_in
from seatctl.services.plans.spec import sellable
from seatctl.services.subscriptions.finish import apply_departures, final_transaction
from seatctl.services.subscriptions.previews import (
    ChangePreviews,
    Proration,
    require_paid_credit,
    require_true_credit,
)
from seatctl.services.subscriptions.proposal import (
    NO_DEPARTURES,
    Departures,
    NextRenewal,
    content_row,
    priced_proposal,
    repeated_proposal,
    unchanged_proposal,
)
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    ItemGone,
    SubscriptionSnapshot,
    TermPayload,
    has_item,
    read_running,
    require_unshared,
    term_fields,
)

_ASK = "charge-to-authenticate"
"""The step that repeats the charge so that the bank can ask the cardholder."""

_UPDATE = "subscription_update"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePayload(TermPayload):
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
    before: TermContent | None = None
    """What is paid for until a bank has paid the change, which takes days. None: the change holds at once."""
    policy_before: dict[str, JsonValue] | None = None
    """The policies that hold until then, as metadata."""
    restored: dict[str, JsonValue] | None = None
    """What the metadata said before, for a payment that fails."""

    def until_paid(self, content: TermContent) -> dict[str, JsonValue]:
        """The metadata that keeps `before` while the item holds `content` and its payment is processed."""
        assert self.before is not None
        start, end = parse_time(self.term_start), parse_time(self.term_end)
        waits = waiting_metadata(self.before, content, self.item, start=start, until=end)
        return {**(self.agreed or {}), **(self.policy_before or {}), **waits}

    @property
    def discount_form(self) -> dict[str, JsonValue]:
        """The new discounts as form fields."""
        return {"discounts": [*self.discounts]} if self.discounts else {}

    @property
    def former_discounts(self) -> dict[str, JsonValue]:
        """The discounts before the change, as form fields."""
        former: list[JsonValue] = [
            each for each in self.discounts if isinstance(each, dict) and "discount" in each
        ]
        return {"discounts": former or ""} if self.discounts else {}


def prepare_added_seats(change: ChangeRequest, seats: int) -> Proposal:
    """Check and price `seats` more.

    Raises `addon_window_closed`, `pack_size`, `discount_not_allowed`, `card_required`, …
    """
    change = change.asking({"add_seats": seats, **change.repeated_options}, Action.ADD_SEATS)
    return repeated_proposal(change) or _increase(read_running(change), seats)


def _increase(snapshot: SubscriptionSnapshot, seats: int) -> Proposal:
    state, change = snapshot.state, snapshot.change
    subscription_changes.require_collecting(state, snapshot.stripe_time)
    subscription_changes.check_discount(
        state, snapshot.stripe_time, given=bool(change.promo or change.coupon)
    )
    check_seat_price(state.now.plan, snapshot.item.price)
    by_own_invoice = subscription_changes.bills_by_own_invoice(state)
    if by_own_invoice and change.on_account:
        subscription_changes.check_addon_on_account(state, snapshot.stripe_time)
    target = subscription_changes.increase(state, seats, snapshot.stripe_time)
    check_added_seats(state, target, seats)
    what = f"{state.name} from {state.now.seats} to {target.now.seats} seats"
    if by_own_invoice:
        from seatctl.services.subscriptions.own_invoice_operation import prepare_addon

        return prepare_addon(snapshot, target, seats, what)
    subscription_changes.check_added_on_account(
        state, wanted=change.on_account, invoiced=snapshot.mirror.collection_method == "send_invoice"
    )
    return prepare_change(snapshot, target, what)


def prepare_seat_total(change: ChangeRequest, seats: int, leaving: Departures = NO_DEPARTURES) -> Proposal:
    """Check and price a total of `seats`; `leaving` are the users who lose their seats.

    Raises what an increase or a decrease raises, and `below_assigned`.
    """
    change = change.asking({"set_seats": seats, "leaving": [*leaving.requested]}, Action.ADD_SEATS)
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_running(change)
    state = snapshot.state
    if seats == state.now.seats == state.next.seats:
        return _unchanged(snapshot)
    if seats > state.now.seats:
        return _increase(snapshot, seats - state.now.seats)
    target = subscription_changes.decrease(state, seats, snapshot.stripe_time)
    if target == Target(state.now, state.next) and not leaving.users:
        return _unchanged(snapshot)
    command = f"seatctl subs set-seats {quote(state.name)}"
    check_quantity(state.next.plan, state.upcoming, seats, use=command)
    leaving_users = {*leaving.users}
    if target.now == state.now:
        with change.ledger.reading() as reader:  # some seats end before the renewal anyway
            end = format_time(state.term_end)
            leaving_users |= {
                *ending_between(reader, snapshot.subscription.id, format_time(change.call.now), end)
            }
    subscription_changes.check_room(state, seats, len(leaving_users))
    what = f"{state.name} from {state.now.seats} to {seats} seats {_when(state, target)}"
    return prepare_change(snapshot, target, what, leaving)


def prepare_plan_change(change: ChangeRequest, slug: str, *, at_renewal: bool) -> Proposal:
    """Check and price another plan. Raises `plan_locked`, `interval_change`, `pack_size`, …"""
    change = change.asking({"change_plan": slug, "at_renewal": at_renewal, **change.repeated_options})
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_running(change)
    state = snapshot.state
    subscription_changes.check_discount(
        state, snapshot.stripe_time, given=bool(change.promo or change.coupon)
    )
    with change.ledger.reading() as reader:
        plan = sold_in(reader, sellable(plans.find(reader, slug)), snapshot.currency)
    if plan.slug == state.next.plan and (at_renewal or plan.slug == state.now.plan):
        return _unchanged(snapshot)
    require_seat_price(snapshot.billing, plan)
    subscription_changes.check_plan_waits(state, plan.slug)
    # Taking a pending change back must keep the running price, not move to today's list price.
    price = state.now.price_id if plan.slug == state.now.plan else plan.price_id
    target = subscription_changes.change_plan(
        state, price, plan.slug, snapshot.stripe_time, at_renewal=at_renewal
    )
    if target.now != state.now:
        subscription_changes.require_collecting(state, snapshot.stripe_time)
    recurring = snapshot.item.price
    subscription_changes.check_currency(state, plan, recurring.currency)
    is_interval_other = (plan.interval, plan.interval_count) != (recurring.interval, recurring.interval_count)
    if is_interval_other:
        subscription_changes.check_interval_change(state, target, plan)
        require_unshared(snapshot, "another billing interval")
    subscription_changes.check_plan_change(state, plan)
    assert plan.policy is not None
    command = f"first: seatctl subs set-seats {quote(state.name)}"
    for seats in {target.next.seats, target.now.seats if target.now != state.now else target.next.seats}:
        check_quantity(plan.slug, plan.policy, seats, use=command)
    what = f"{state.name} from plan {state.now.plan} to {plan.slug} {_when(state, target)}"
    # What is paid for keeps the policy it was paid under; the new plan's policy begins with the new plan.
    is_current = plan.slug == state.now.plan
    agreed = TermPolicies(
        state.policy if is_current or target.now == state.now else plan.policy,
        state.policy if is_current else plan.policy,
    )
    return prepare_change(
        snapshot, target, what, agreed=agreed, other_interval=plan if is_interval_other else None
    )


def _when(state: SubscriptionState, target: Target) -> str:
    return "now" if target.now != state.now else f"as of {state.term_end:%Y-%m-%d}"


def _unchanged(snapshot: SubscriptionSnapshot) -> Proposal:
    """Propose nothing: the subscription already has these seats and this plan."""
    seats, plan = snapshot.state.next.seats, snapshot.state.next.plan
    summary = f"{snapshot.name} already has {counted(seats, 'seat')} of {plan}"
    return unchanged_proposal(snapshot, ChangePayload.kind, summary, content_row(snapshot))


def prepare_change(
    snapshot: SubscriptionSnapshot,
    target: Target,
    what: str,
    leaving: Departures = NO_DEPARTURES,
    agreed: TermPolicies | None = None,
    other_interval: Plan | None = None,
) -> Proposal:
    """Propose a change that Stripe prorates, or that waits for the renewal.

    `what` says it after "change"; `agreed` are the policies of a plan change. `other_interval` is its plan if
    it has another interval: that is billed at once, or a year would be used before it is paid.
    """
    state, billing, change = snapshot.state, snapshot.billing, snapshot.change
    is_billed = target.now != state.now
    at_once = state.policy.increase is not Increase.PRORATE_NEXT_INVOICE or other_interval is not None
    behavior = "always_invoice" if at_once else "create_prorations"
    # Stripe refuses a date outside the period, and the period may have ended before Stripe began the next.
    period_start, period_end = (
        int(edge.timestamp()) for edge in (snapshot.item.period_start, snapshot.item.period_end)
    )
    proration_date = min(max(int(snapshot.stripe_time.timestamp()), period_start), period_end)
    if is_billed:
        if target.next.price_id != target.now.price_id:
            subscription_changes.check_next_price(
                state, read_price(billing.read(endpoints.price(target.next.price_id)))
            )
        require_true_credit(snapshot, "this would be prorated")
        require_paid_credit(snapshot)
    discounts = discount_forms(
        find_discounts(billing, change.promo, change.coupon), snapshot.mirror.discounts
    )
    proration = Proration(behavior, proration_date) if is_billed else None
    previews = ChangePreviews(snapshot, target, proration, discounts)
    costs = previews.due_now()
    due = costs.now
    renewal = (
        None if other_interval is None else NextRenewal(other_interval, previews.renews_at(), costs.credit)
    )
    check_spend(due, snapshot.currency, change.max_spend)
    on_account = snapshot.mirror.collection_method == "send_invoice"
    method = None
    if due and not on_account:
        can_be_charged(billing, snapshot.mirror, state.name, snapshot.accepted)
        method, _ = charged_method(billing, snapshot.mirror)
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
        summary=f"changed {what}",
        warnings=warnings,
    )
    if is_billed and method is not None and takes_days(method.type):
        payload = _on_payment(snapshot, payload, agreed)
    return priced_proposal(
        snapshot,
        payload,
        f"Change {what}?",
        leaving,
        priced=costs.priced,
        next_invoice=next_invoice,
        carried_over=costs.carried_over,
        on_account=on_account,
        renewal=renewal,
    )


def _on_payment(
    snapshot: SubscriptionSnapshot, payload: ChangePayload, agreed: TermPolicies | None
) -> ChangePayload:
    """Return a change that holds once a bank has paid it, unless the policy gives the seats on trust."""
    state = snapshot.state
    if state.policy.seats_while_processing:
        return payload
    policies = None if agreed is None else TermPolicies(state.policy, agreed.now).metadata
    payload = replace(payload, before=state.now, policy_before=policies)
    known = metadata_of(snapshot.mirror, snapshot.item)
    restored: dict[str, JsonValue] = {name: known.get(name, "") for name in payload.until_paid(payload.now)}
    return replace(payload, restored=restored)


def _run(running: OperationRun[ChangePayload]) -> Apply:
    payload = running.payload
    invoice = _bill(running) if payload.is_billed else None
    if invoice is not None and payload.before is not None:
        _require_paid(running, invoice)
    if invoice is not None and payload.on_account:
        _unless_gone(running, lambda: send_if_draft(running, invoice))
    if payload.now != payload.next or not payload.is_billed or payload.before is not None:
        _set_next(running)
    after = apply_departures(payload, at_once=payload.is_billed)
    return final_transaction(running, payload.subscription, [invoice], after, report_due=True)


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
    metadata = payload.agreed or {}
    if payload.before is not None:
        metadata = payload.until_paid(payload.now)
    elif payload.now == payload.next:  # nothing waits for the renewal
        now = running.call.now
        same = waiting_metadata(payload.now, payload.next, payload.item, start=now, until=now)
        metadata = {**same, **metadata}
    charging = {**form, **payload.discount_form, "payment_behavior": "error_if_incomplete"}
    try:
        # Only a refusal of this call itself ends the operation. After a lost answer, a refused key (which may
        # have lost its permission) does not tell what was charged: the operation must stay pending.
        answer = running.step_or_fail(
            "charge",
            payload.update(charging, running.marks, metadata),
            running.changed(),
            but=(AuthenticationRequired,),
        )
    except AuthenticationRequired as required:
        if payload.discounts:  # a pending update takes no discounts, and would charge more than was shown
            raise NothingLeftInStripe(required) from required
        waiting = {**form, "payment_behavior": "pending_if_incomplete"}
        running.step_or_fail(
            _ASK, endpoints.update_subscription(payload.stripe_id, waiting), lambda: _asked(running)
        )
        invoice = _authenticated(running)
        # A pending update takes no metadata.
        mark = payload.update({}, running.marks, metadata)
        _unless_gone(running, lambda: running.step_must_succeed("mark", mark, running.changed()))
        return invoice
    latest = read_subscription(answer).latest_invoice
    return latest if latest != payload.latest_invoice else None


def _require_paid(running: OperationRun[ChangePayload], invoice: str) -> None:
    """Return once the change is paid; a change that is not is taken back. Raises PaymentProcessing.

    Stripe changes the item as soon as a bank processes the payment. The metadata keeps the new seats from
    being used until `_set_next` says that they are paid for. What the next term begins with is set at once,
    because that term may begin first.
    """
    bill, payload = current_invoice(running, invoice), running.payload
    if bill.status is InvoiceStatus.PAID or running.was_sent("next"):
        return
    if payload.now != payload.next and bill.status is InvoiceStatus.OPEN:
        _set(running, "held", payload.now, payload.next, payload.until_paid(payload.next))
    require_no_payment_processing(running.billing, [invoice])
    problem = payment_problem(running.billing, invoice) if bill.status in PAYABLE else None
    if bill.status is InvoiceStatus.OPEN and problem is None:
        running.wait_for_cardholder("Stripe still waits for the money", bill.hosted_url)
    void_if_payable(running, invoice)
    if current_invoice(running, invoice).status is InvoiceStatus.PAID:
        return
    _take_back(running)
    raise NothingLeftInStripe(payment_failed(problem))


def _take_back(running: OperationRun[ChangePayload]) -> None:
    """Set what the item held before, without proration: the invoice that prorated the change is void.

    Once the next term has begun, Stripe has billed it with the new seats, so they stay.
    """
    payload, mirror = running.payload, running.subscription()
    items = [item for item in mirror.items if item.id == payload.item]
    is_next_term = any(format_time(item.period_end) > payload.term_end for item in items)
    held = payload.next if running.was_sent("held") else payload.now
    untouched = any((item.price.id, item.quantity) == (held.price_id, held.seats) for item in items)
    if untouched and not is_next_term and payload.held is not None:
        # In the same update, or a kill between two would leave a change that nothing warns of.
        metadata = {**(payload.restored or {}), VOID_UNTIL: payload.term_end}
        _set(running, "back", held, payload.held, metadata, payload.former_discounts)


def _set(
    running: OperationRun[ChangePayload],
    step: str,
    content: TermContent,
    wanted: TermContent,
    metadata: dict[str, JsonValue],
    more: dict[str, JsonValue] | None = None,
) -> None:
    """Let the item hold `wanted` instead of `content`, without proration, while its payment is processed."""
    mark = f"{running.reference}:{step}"
    form = {
        **items_changed(running.payload.item, content, wanted),
        **(more or {}),
        "proration_behavior": "none",
    }
    write = running.payload.update(form, {**running.marks, OPERATION: mark}, metadata)
    _unless_gone(running, lambda: running.step_must_succeed(step, write, running.changed(mark)))


def _next_changed(running: OperationRun[ChangePayload]) -> Find:
    return running.changed(f"{running.reference}:next")


def _asked(running: OperationRun[ChangePayload]) -> StripeJson | None:
    """Return the subscription if the bank was asked, with the invoice of that update as its latest one."""
    payload = running.payload
    raw = running.billing.read(endpoints.subscription(payload.stripe_id))
    invoice = _invoice_since(running)
    if invoice is not None:
        return {**raw, "latest_invoice": invoice}
    return raw if raw.get("pending_update") or _is_set(payload, raw) else None


def _invoice_since(running: OperationRun[ChangePayload]) -> str | None:
    """Return the invoice of the update that asked the bank, from Stripe's list; None if there is none.

    A pending update takes no metadata: the moment from which it prorates identifies it.
    """
    payload = running.payload
    for raw in running.billing.every(endpoints.invoices_of(payload.stripe_id)):  # newest first
        if raw.get("id") == payload.latest_invoice:
            return None
        invoice = read_invoice(raw)
        starts = {int(line.period_start.timestamp()) for line in invoice.lines if line.proration}
        if invoice.billing_reason == _UPDATE and payload.proration_date in starts:
            return invoice.id
    return None


def _invoice_of_update(running: OperationRun[ChangePayload]) -> str | None:
    """Return the invoice of the update that asked the bank, None if there is none.

    The subscription's latest invoice may be another one by now, which must not be voided.
    """
    answer = running.answered(_ASK)
    if answer is None:
        return _invoice_since(running)
    latest = read_subscription(answer).latest_invoice
    return None if latest == running.payload.latest_invoice else latest


def _is_set(payload: ChangePayload, raw: StripeJson) -> bool:
    """Whether the item holds what the operation charged for. False if it was removed since.

    While an update waits, it is not what set the item: somebody set the same in the dashboard.
    """
    if raw.get("pending_update"):
        return False
    items = [item for item in read_subscription(raw).items if item.id == payload.item]
    return any(item.quantity == payload.now.seats and item.price.id == payload.now.price_id for item in items)


def _authenticated(running: OperationRun[ChangePayload]) -> str | None:
    """Return the invoice once the bank has approved the payment.

    Raises WaitingForCardholder; after 23 hours the change is undone.
    """
    payload = running.payload
    raw = running.billing.read(endpoints.subscription(payload.stripe_id))
    invoice = _invoice_of_update(running)
    if _is_set(payload, raw):
        return invoice
    is_there = has_item(read_subscription(raw), payload.item)
    if invoice is not None:
        bill = current_invoice(running, invoice)
        if bill.status is InvoiceStatus.PAID:
            return invoice  # the bank approved it; somebody changed the item since
        require_no_payment_processing(running.billing, [invoice])
        if raw.get("pending_update") and is_there:
            running.wait_for_cardholder("the bank wants the cardholder to authenticate", bill.hosted_url)
        if not _void_unless_paid(running, invoice):
            return invoice
    if not is_there:
        reason = "the subscription's item was removed in Stripe before the payment was authenticated"
        raise NothingLeftInStripe(ItemGone(f"{reason}; nothing was charged", hint="seatctl sync"))
    raise NothingLeftInStripe(
        StripeRefused("the payment was not authenticated in time; nothing was charged or changed")
    )


def _void_unless_paid(running: OperationRun[ChangePayload], invoice: str) -> bool:
    """Void the invoice of an update that does not wait any more; return False if it was paid and stays.

    Stripe voids it if the update expires, but not if the subscription ends before.
    """
    require_no_payment_processing(running.billing, [invoice])
    void_if_payable(running, invoice)
    return current_invoice(running, invoice).status is not InvoiceStatus.PAID


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
    write = payload.update(form, marks, metadata)
    if payload.is_billed:
        # The money has moved: a refusal here must stay pending.
        _unless_gone(running, lambda: running.step_must_succeed("next", write, _next_changed(running)))
    else:
        running.step_or_fail("next", write, _next_changed(running))


def _unless_gone(running: OperationRun[ChangePayload], write: Callable[[], object]) -> None:
    """Make a write that must succeed because money has moved, unless the subscription or its item is gone.

    What is gone can never be updated: left pending, the operation would fail at every sync.
    """
    try:
        write()
    except StripeRefused:
        mirror = running.subscription()
        if not mirror.status.is_over and has_item(mirror, running.payload.item):
            raise


def _undo(running: OperationRun[ChangePayload]) -> str | None:
    """Undo a change that still waits for its cardholder; return None if Stripe has carried it out."""
    payload = running.payload
    if payload.before is not None and not running.was_sent("next"):
        charged = running.answered("charge")
        invoice = None if charged is None else read_subscription(charged).latest_invoice
        require_no_payment_processing(running.billing, [invoice])
    answered = running.answered("charge") or running.answered("next")
    if answered or running.changed()() or _next_changed(running)():
        return None
    if not payload.is_billed:
        return "it had not reached Stripe, so nothing was changed"
    if running.was_sent(_ASK):
        if _is_set(payload, running.billing.read(endpoints.subscription(payload.stripe_id))):
            return None
        invoice = _invoice_of_update(running)
        if invoice is not None and not _void_unless_paid(running, invoice):
            return None
    return "the change is taken back; nothing was charged"


register(OperationHandler(ChangePayload, _run, _undo, action=Action.ADD_SEATS))
