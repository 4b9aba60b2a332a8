"""Subscriptions: create, list, cancel, resume. Updates are in subscription_updates.py."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import automatic_tax
from seatctl.sandbox.billing.cancellation import credit_after, end_now, expire, schedule_end
from seatctl.sandbox.billing.catalog import build_item, prices_of_new_items
from seatctl.sandbox.billing.collection import collect, method_for, no_method, save_as_default
from seatctl.sandbox.billing.discounts import remaining_discounts, set_discounts
from seatctl.sandbox.billing.invoice_states import finalize_invoice
from seatctl.sandbox.billing.invoicing import add_pending_items, final_invoice, first_invoice, save_draft
from seatctl.sandbox.billing.payments import PaymentOutcome, new_setup_intent
from seatctl.sandbox.billing.periods import next_end, save_pending
from seatctl.sandbox.billing.schedules import managed
from seatctl.sandbox.billing.subscription_changes import TOO_LATE, restart
from seatctl.sandbox.billing.subscription_states import Snapshot, hold
from seatctl.sandbox.clock import DAY, add_months
from seatctl.sandbox.due import ENDED, period_end, period_start
from seatctl.sandbox.errors import (
    ApiError,
    check_not_negative,
    invalid,
    missing_param,
    mutually_exclusive,
    no_such,
)
from seatctl.sandbox.lists import check_ids, in_range, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import CLOVER, Obj, new_id, nulls, unset
from seatctl.sandbox.resources.customers import check_email
from seatctl.sandbox.resources.invoice_items import items_to_add
from seatctl.sandbox.resources.payment_methods import set_default_method
from seatctl.sandbox.session import Session
from seatctl.sandbox.test_clocks import require_room_for_subscription

_ACTION_REQUIRED = (
    "Payment for this subscription requires additional user action before it can be completed successfully. "
    "Payment can be completed using the PaymentIntent associated with `subscription.latest_invoice`, after "
    "the subscription is created with `payment_behavior` set to `allow_incomplete` or `default_incomplete`."
)


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscriptions. The first invoice is made, finalized and collected within the call."""
    customer = session.find("customer", params["customer"], "customer", status=404)
    _check(session, params)
    check_email(session, customer["id"], params)
    require_room_for_subscription(session, customer)
    automatic_tax.require_location(session, customer, params)
    mode = _billing_mode(session, params)
    currency = params["currency"].lower() if params.get("currency") else None
    is_classic = mode["type"] == "classic"
    prices = prices_of_new_items(session, params["items"], currency, one_interval=is_classic)
    if automatic_tax.is_enabled(params):
        automatic_tax.require_behavior(session, prices)
    _check_currency(session, customer, prices[0]["currency"])
    days = prices[0]["recurring"]["trial_period_days"]
    if params.get("trial_from_plan") and days:
        params = {**params, "trial_period_days": days}
    subscription = _new_subscription(session, customer, params, prices[0]["currency"])
    _apply(session, subscription, params)
    anchor = subscription["billing_cycle_anchor"]
    trial = subscription["status"] == "trialing"
    for entry, price in zip(params["items"], prices, strict=True):
        end = anchor if trial or anchor > session.now else next_end(session.now, price, anchor)
        item = build_item(session, subscription, price, entry, (session.now, end))
        session.save(item)
    schedule_end(session, subscription, params)
    set_discounts(session, subscription, params, customer["id"], subscription=subscription["id"])
    _start(session, subscription, params)
    return session.view(subscription)


def _check(session: Session, params: Obj) -> None:
    behavior = params.get("payment_behavior")
    if behavior == "pending_if_incomplete":
        message = (
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating "
            "a subscription."
        )
        raise invalid(message, "payment_behavior")
    check_collection(params, params.get("collection_method", "charge_automatically"))
    if params.get("trial_from_plan") and {"trial_end", "trial_period_days"} & set(params):
        raise invalid("You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.")
    if "trial_end" in params and "trial_period_days" in params:
        raise mutually_exclusive("trial_end", "trial_period_days")
    for name in ("trial_end", "billing_cycle_anchor", "cancel_at"):
        check_future(session, params, name)
    check_trial(session, params)
    if not params["items"]:
        raise missing_param("items")


def _check_currency(session: Session, customer: Obj, currency: str) -> None:
    """Refuse a currency other than that of the customer's running subscriptions."""
    for other in session.store.walk("subscription", customer=customer["id"]):
        if other["status"] not in ENDED and other["currency"] != currency:
            message = (
                "You cannot combine currencies on a single customer. This customer has an active "
                "subscription, subscription schedule, discount, quote, or invoice item with currency "
                f"{other['currency']}"
            )
            raise invalid(message)


def check_collection(params: Obj, method: str) -> None:
    """Refuse `days_until_due` unless the collection method is `send_invoice`, which requires it."""
    if method != "send_invoice" and params.get("days_until_due") is not None:
        message = "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'."
        raise invalid(message)
    if params.get("collection_method") == "send_invoice" and params.get("days_until_due") is None:
        raise invalid("Missing required param: days_until_due.", "days_until_due", code="parameter_missing")


def check_future(session: Session, params: Obj, name: str) -> None:
    """Refuse a moment that is not in the future."""
    value = params.get(name)
    if isinstance(value, int) and value <= session.now:
        message = (
            f"The parameter `{name}` expects a unix timestamp representing a date and time in the future. "
            f"You specified the value `{value}` which is in the past."
        )
        raise invalid(message, name)


def check_trial(session: Session, params: Obj) -> None:
    """Refuse a trial of more than two years."""
    check_not_negative(params.get("trial_period_days", 0), "trial_period_days")
    latest = add_months(session.now, 24)
    if isinstance(params.get("trial_end"), int) and params["trial_end"] > latest:
        raise invalid(TOO_LATE, "trial_end")
    if session.now + params.get("trial_period_days", 0) * DAY > latest:
        raise invalid(TOO_LATE, "trial_period_days")


def _new_subscription(session: Session, customer: Obj, params: Obj, currency: str) -> Obj:
    """Return a subscription with its defaults, its trial and its anchor; not yet written."""
    trial_end = params.get("trial_end")
    if params.get("trial_period_days"):
        trial_end = session.now + params["trial_period_days"] * DAY
    trial = isinstance(trial_end, int)
    anchor = trial_end if trial else params.get("billing_cycle_anchor", session.now)
    end_behavior = (params.get("trial_settings") or {}).get("end_behavior") or {}
    return session.new(
        "subscription",
        new_id("sub"),
        null=(
            "application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at "
            "canceled_at customer_account default_payment_method default_source ended_at items "
            "latest_invoice managed_payments next_pending_invoice_item_invoice on_behalf_of "
            "pause_collection pending_invoice_item_interval pending_setup_intent pending_update plan "
            "quantity schedule test_clock transfer_data"
        ),
        empty="billing_schedules default_tax_rates discounts",
        automatic_tax=automatic_tax.of_subscription(enabled=automatic_tax.is_enabled(params)),
        billing_cycle_anchor=anchor,
        billing_mode=_billing_mode(session, params),
        cancel_at_period_end=False,
        cancellation_details=nulls("comment feedback feedback_option reason"),
        collection_method=params.get("collection_method", "charge_automatically"),
        currency=currency,
        customer=customer["id"],
        days_until_due=params.get("days_until_due"),
        description=unset(params.get("description")),
        invoice_settings={
            **nulls("account_tax_ids custom_fields description footer"),
            "issuer": {"type": "self"},
        },
        metadata=merge_metadata({}, params.get("metadata")),
        payment_settings={
            **nulls("payment_method_options payment_method_types"),
            "save_default_payment_method": "off",
        },
        start_date=session.now,
        status="trialing" if trial else "active",
        trial_end=trial_end if trial else None,
        trial_settings={
            "end_behavior": {
                "billing_cycle_anchor": "now",
                "missing_payment_method": end_behavior.get("missing_payment_method", "create_invoice"),
            }
        },
        trial_start=session.now if trial else None,
    )


def _billing_mode(session: Session, params: Obj) -> Obj:
    """Return the billing mode that a request asks for; without one, the API version decides."""
    usual = "classic" if session.version < CLOVER else "flexible"
    if (params.get("billing_mode") or {}).get("type", usual) == "classic":
        return {"flexible": None, "type": "classic", "updated_at": None}
    return {
        "flexible": {"proration_discounts": "included"},
        "type": "flexible",
        "updated_at": session.now,
    }


def migrate(session: Session, params: Obj, subscription: Obj) -> Obj:
    """POST /v1/subscriptions/ID/migrate: from classic to flexible billing; amounts that wait stay."""
    _check_running(subscription)
    if subscription["billing_mode"]["type"] == "flexible":
        raise invalid("The subscription has the flexible billing mode already.", "billing_mode[type]")
    subscription["billing_mode"] = _billing_mode(session, params)
    return session.save_changed(subscription, "customer.subscription.updated")


def _apply(session: Session, subscription: Obj, params: Obj) -> None:
    set_default_method(session, subscription, params, subscription["customer"])
    settings = params.get("payment_settings") or {}
    for name in ("payment_method_options", "payment_method_types", "save_default_payment_method"):
        if settings.get(name):
            subscription["payment_settings"][name] = settings[name]


def _start(session: Session, subscription: Obj, params: Obj) -> None:
    session.save(subscription)
    invoice = first_invoice(session, subscription, "subscription_create")
    for item in items_to_add(session, subscription, params, invoice):
        add_pending_items(session, invoice, [item])
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = remaining_discounts(session, subscription["discounts"])
    save_draft(session, invoice)
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and not session.preview:
        _charge_first(session, subscription, invoice, params.get("payment_behavior", "allow_incomplete"))
    if subscription["status"] == "trialing" and automatic and method_for(session, invoice) is None:
        subscription["pending_setup_intent"] = new_setup_intent(session, subscription["customer"])["id"]
    session.save_and_emit(subscription, "customer.subscription.created")


def _charge_first(session: Session, subscription: Obj, invoice: Obj, behavior: str) -> None:
    method = method_for(session, invoice)
    if invoice["amount_due"] > 0 and method is None and behavior != "default_incomplete":
        raise no_method()
    finalize_invoice(session, invoice)
    if invoice["status"] == "paid":
        return
    invoice["auto_advance"] = True
    session.save(invoice)
    if behavior == "default_incomplete" or method is None:
        subscription["status"] = "incomplete"
        return
    outcome = collect(session, invoice, method)
    if outcome.paid or outcome.processing:
        save_as_default(subscription, method)
        return
    if behavior == "error_if_incomplete":
        raise payment_refusal(outcome)
    subscription["status"] = "incomplete"
    invoice["next_payment_attempt"] = None
    session.save(invoice)


def payment_refusal(outcome: PaymentOutcome) -> ApiError:
    """Return the refusal of a payment that was declined or needs authentication; this has no `doc_url`."""
    if outcome.decline is not None:
        return outcome.decline.refusal()
    code = "subscription_payment_intent_requires_action"
    return ApiError(402, _ACTION_REQUIRED, code=code, kind="card_error", doc_url=False)


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/subscriptions. Canceled subscriptions are listed only if the request asks for them."""
    check_ids(session, params, "customer")
    for name in ("price", "plan"):
        if name in params:
            session.find("price", params[name], name)
    status = params.get("status")

    def is_match(subscription: Any) -> bool:
        return (
            _has_status(subscription, status)
            and _has_price(session, subscription, params)
            and _is_in_period(session, subscription, params)
        )

    filters = ["collection_method"]
    return page_of(session, "subscription", params, "/v1/subscriptions", filters=filters, is_match=is_match)


def _has_status(subscription: Obj, status: str | None) -> bool:
    if status is None:
        return bool(subscription["status"] != "canceled")
    if status == "ended":
        return subscription["status"] in ENDED
    return status in ("all", subscription["status"])


def _has_price(session: Session, subscription: Obj, params: Obj) -> bool:
    price = params.get("price") or params.get("plan")
    items = session.items_of(subscription["id"]) if price else []
    return price is None or any(item["price"]["id"] == price for item in items)


def _is_in_period(session: Session, subscription: Obj, params: Obj) -> bool:
    if not {"current_period_start", "current_period_end"} & set(params):
        return True
    items = session.items_of(subscription["id"])
    return in_range(period_start(items), params.get("current_period_start")) and in_range(
        period_end(items), params.get("current_period_end")
    )


def _check_running(subscription: Obj) -> None:
    if subscription["status"] in ENDED:
        raise no_such("subscription", subscription["id"], "id", status=404)


def cancel(session: Session, params: Obj, subscription: Obj) -> Obj:
    """DELETE /v1/subscriptions/ID. `prorate` leaves a credit; `invoice_now` puts it on a final draft."""
    _check_running(subscription)
    if subscription["schedule"]:
        raise managed(subscription)
    if subscription["status"] == "incomplete":
        # Nothing was bought: the subscription expires and its invoice is void.
        expire(session, subscription)
        return session.view(session.find("subscription", subscription["id"], None))
    for name, value in (params.get("cancellation_details") or {}).items():
        subscription["cancellation_details"] = {**subscription["cancellation_details"], name: unset(value)}
    end_now(session, subscription, "cancellation_requested")
    if params.get("prorate"):
        credits = credit_after(session, subscription, session.now)
        for credit in credits if not params.get("invoice_now") else ():
            # A credit that a canceled subscription leaves belongs to no subscription (recording 01).
            credit["parent"] = None
            credit.pop("proration_details")
        save_pending(session, credits)
    if params.get("invoice_now"):
        final_invoice(session, subscription)
    return session.save_and_emit(subscription, "customer.subscription.deleted")


def resume(session: Session, params: Obj, subscription: Obj) -> Obj:
    """POST /v1/subscriptions/ID/resume. The subscription stays paused until the new invoice is paid."""
    _check_running(subscription)
    if subscription["status"] != "paused":
        raise invalid("The subscription cannot be resumed because it is not paused.")
    anchor = params.get("billing_cycle_anchor", "now")
    if (anchor["type"] if isinstance(anchor, dict) else anchor) != "now":
        raise invalid("The sandbox resumes with a new period only.", "billing_cycle_anchor")
    before = Snapshot(session, subscription)
    subscription["status"] = "active"
    restart(session, subscription)
    session.save(subscription)
    invoice = first_invoice(session, subscription, "subscription_update")
    invoice["auto_advance"] = False
    subscription["latest_invoice"] = invoice["id"]
    save_draft(session, invoice)
    session.save(subscription)
    if session.preview:
        return session.view(subscription)
    finalize_invoice(session, invoice)
    method = method_for(session, invoice)
    if invoice["status"] == "open" and method is not None:
        collect(session, invoice, method)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        hold(session, subscription, invoice, before, shown=False)
    after = session.find("subscription", subscription["id"], None)
    if after["status"] == "active":
        session.emit("customer.subscription.resumed", session.view(after))
    session.emit_change(after, "customer.subscription.updated", before.shown)
    return session.view(after)
