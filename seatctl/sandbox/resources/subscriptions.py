"""Subscriptions: create and retrieve. Lists, updates, ends and items have files of their own."""

from __future__ import annotations

from seatctl.sandbox.billing import automatic_tax
from seatctl.sandbox.billing.cancellation import schedule
from seatctl.sandbox.billing.discounts import given, used_once
from seatctl.sandbox.billing.invoicing import created, save_invoice
from seatctl.sandbox.billing.items import build, check_new
from seatctl.sandbox.billing.settlement import collect, finalize, keep_method, method_for, no_method
from seatctl.sandbox.billing.subscription_changes import TOO_LATE
from seatctl.sandbox.billing.subscription_invoices import first_invoice
from seatctl.sandbox.billing.subscription_periods import next_end
from seatctl.sandbox.billing.subscription_states import ENDED, save
from seatctl.sandbox.clock import DAY, add_months
from seatctl.sandbox.errors import ApiError, invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, unset
from seatctl.sandbox.resources.payment_methods import own_method
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

_ACTION_REQUIRED = (
    "Payment for this subscription requires additional user action before it can be completed successfully. "
    "Payment can be completed using the PaymentIntent associated with `subscription.latest_invoice`, "
    "after the "
    "subscription is created with `payment_behavior` set to `allow_incomplete` or `default_incomplete`."
)


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscriptions: the first invoice is made, finalized and collected inside the call."""
    customer = session.find("customer", params["customer"], "customer", status=404)
    _check(session, params)
    automatic_tax.require_place(session, customer, params)
    prices = check_new(session, params["items"])
    _check_currency(session, customer, prices[0]["currency"])
    if str(params.get("currency", prices[0]["currency"])).lower() != prices[0]["currency"]:
        raise invalid("The sandbox bills a price in its own currency only.", "currency")
    days = prices[0]["recurring"]["trial_period_days"]
    if params.get("trial_from_plan") and days:
        params = {**params, "trial_period_days": days}
    subscription = blank(session, customer, params, prices[0]["currency"])
    _settings(session, customer, subscription, params)
    anchor = subscription["billing_cycle_anchor"]
    trial = subscription["status"] == "trialing"
    for wanted, price in zip(params["items"], prices, strict=True):
        end = anchor if trial or anchor > session.now else next_end(session.now, price, anchor)
        item = build(session, subscription, price, wanted, (session.now, end))
        session.save(item, parent=subscription["id"])
    schedule(session, subscription, params)
    subscription["discounts"] = given(
        session, unset(params.get("discounts")), customer["id"], subscription=subscription["id"]
    )
    _start(session, customer, subscription, params)
    return view(session, subscription)


def _check(session: Session, params: Obj) -> None:
    behaviour = params.get("payment_behavior")
    if behaviour == "pending_if_incomplete":
        message = (
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating "
            "a subscription."
        )
        raise invalid(message, "payment_behavior")
    check_collection(params, params.get("collection_method", "charge_automatically"))
    if params.get("trial_from_plan") and {"trial_end", "trial_period_days"} & set(params):
        raise invalid("You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.")
    if "trial_end" in params and "trial_period_days" in params:
        raise invalid(
            "You may only specify one of these parameters: trial_end, trial_period_days.", "trial_end"
        )
    for name in ("trial_end", "billing_cycle_anchor", "cancel_at"):
        check_future(session, params, name)
    check_trial(session, params)
    if not params["items"]:
        raise missing_param("items")


def _check_currency(session: Session, customer: Obj, currency: str) -> None:
    """A customer may be invoiced in several currencies, but its running subscriptions share one."""
    for other in session.store.walk("subscription", customer=customer["id"]):
        if other["status"] not in ENDED and other["currency"] != currency:
            message = (
                "You cannot combine currencies on a single customer. This customer has an active "
                "subscription, subscription schedule, discount, quote, or invoice item with currency "
                f"{other['currency']}"
            )
            raise invalid(message)


def check_collection(params: Obj, method: str) -> None:
    """`days_until_due` belongs to `send_invoice`, which cannot do without it."""
    if method != "send_invoice" and params.get("days_until_due") is not None:
        message = "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'."
        raise invalid(message)
    if params.get("collection_method") == "send_invoice" and params.get("days_until_due") is None:
        raise invalid("Missing required param: days_until_due.", "days_until_due", code="parameter_missing")


def check_future(session: Session, params: Obj, name: str) -> None:
    """A moment that must lie ahead."""
    value = params.get(name)
    if isinstance(value, int) and value <= session.now:
        message = (
            f"The parameter `{name}` expects a unix timestamp representing a date and time in the future. "
            f"You specified the value `{value}` which is in the past."
        )
        raise invalid(message, name)


def check_trial(session: Session, params: Obj) -> None:
    """A trial lasts two years at most."""
    if params.get("trial_period_days", 0) < 0:
        raise invalid("Invalid non-negative integer", "trial_period_days", code="parameter_invalid_integer")
    latest = add_months(session.now, 24)
    if isinstance(params.get("trial_end"), int) and params["trial_end"] > latest:
        raise invalid(TOO_LATE, "trial_end")
    if session.now + params.get("trial_period_days", 0) * DAY > latest:
        raise invalid(TOO_LATE, "trial_period_days")


def blank(session: Session, customer: Obj, params: Obj, currency: str) -> Obj:
    """A subscription with its defaults, its trial and its anchor."""
    trial_end = params.get("trial_end")
    if params.get("trial_period_days"):
        trial_end = session.now + params["trial_period_days"] * DAY
    trial = isinstance(trial_end, int)
    anchor = trial_end if trial else params.get("billing_cycle_anchor", session.now)
    ending = (params.get("trial_settings") or {}).get("end_behavior") or {}
    return {
        "id": new_id("sub"),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": automatic_tax.of_subscription(enabled=automatic_tax.is_asked(params)),
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": session.now,
        },
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": dict.fromkeys(("comment", "feedback", "feedback_option", "reason")),
        "collection_method": params.get("collection_method", "charge_automatically"),
        "created": session.now,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": params.get("days_until_due"),
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": unset(params.get("description")),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            **dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer")),
            "issuer": {"type": "self"},
        },
        "items": None,
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, params.get("metadata")),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "plan": None,
        "quantity": None,
        "schedule": None,
        "start_date": session.now,
        "status": "trialing" if trial else "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end if trial else None,
        "trial_settings": {
            "end_behavior": {
                "billing_cycle_anchor": "now",
                "missing_payment_method": ending.get("missing_payment_method", "create_invoice"),
            }
        },
        "trial_start": session.now if trial else None,
    }


def _settings(session: Session, customer: Obj, subscription: Obj, params: Obj) -> None:
    if params.get("default_payment_method"):
        method = own_method(session, customer, params["default_payment_method"], "default_payment_method")
        subscription["default_payment_method"] = method["id"]
    payment = params.get("payment_settings") or {}
    for name in ("payment_method_options", "payment_method_types", "save_default_payment_method"):
        if payment.get(name):
            subscription["payment_settings"][name] = payment[name]


def _start(session: Session, customer: Obj, subscription: Obj, params: Obj) -> None:
    save(session, subscription)
    invoice = first_invoice(session, customer, subscription, "subscription_create")
    for place, each in enumerate(unset(params.get("add_invoice_items")) or []):
        from seatctl.sandbox.resources.invoice_items import add_to

        add_to(session, invoice, customer, subscription, each, f"add_invoice_items[{place}]")
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = used_once(session, subscription["discounts"])
    created(session, invoice)
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and not session.preview:
        _charge_first(session, subscription, invoice, params.get("payment_behavior", "allow_incomplete"))
    if subscription["status"] == "trialing" and automatic and method_for(session, invoice) is None:
        from seatctl.sandbox.resources.setup_intents import pending

        subscription["pending_setup_intent"] = pending(session, subscription["customer"])["id"]
    save(session, subscription)
    session.emit("customer.subscription.created", view(session, subscription))


def _charge_first(session: Session, subscription: Obj, invoice: Obj, behaviour: str) -> None:
    method = method_for(session, invoice)
    if invoice["amount_due"] > 0 and method is None and behaviour != "default_incomplete":
        raise no_method()
    finalize(session, invoice)
    if invoice["status"] == "paid":
        return
    if behaviour == "default_incomplete" or method is None:
        subscription["status"] = "incomplete"
        return
    outcome = collect(session, invoice, method)
    if outcome.paid or outcome.processing:
        keep_method(subscription, method)
        return
    if behaviour == "error_if_incomplete":
        if outcome.decline is not None:
            raise outcome.decline.refusal()
        raise action_required()
    subscription["status"] = "incomplete"
    invoice["next_payment_attempt"] = None
    save_invoice(session, invoice)


def action_required() -> ApiError:
    """The 402 of a subscription that a bank wants authenticated; it has no doc_url."""
    code = "subscription_payment_intent_requires_action"
    return ApiError(402, _ACTION_REQUIRED, code=code, kind="card_error", doc_url=False)


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/subscriptions/ID."""
    return view(session, session.find("subscription", identifier, "id", status=404))
