"""The customer portal: configurations, and sessions that are only an address."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.lists import matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, token, unset
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/billing_portal/configurations."""
    made: Obj = {
        "id": new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": session.now,
        "default_return_url": None,
        "features": _features({}),
        "is_default": False,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": session.now,
    }
    _apply(made, params)
    session.save(made)
    session.emit("billing_portal.configuration.created", view(session, made))
    return view(session, made)


def _features(sent: Obj) -> Obj:
    known: Obj = {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": False},
        "payment_method_update": {"enabled": False, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
            "enabled": False,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_pause": {
            "duration": {"interval_options": [], "type": "indefinite"},
            "enabled": False,
        },
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": [],
            "enabled": False,
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }
    for name, value in sent.items():
        for key, each in value.items():
            have = known[name].get(key)
            if isinstance(have, list):
                known[name][key] = unset(each) or []
            else:
                known[name][key] = {**have, **each} if isinstance(have, dict) else unset(each)
    return known


def _apply(made: Obj, params: Obj) -> None:
    if params.get("business_profile"):
        made["business_profile"] = {**made["business_profile"], **params["business_profile"]}
    if params.get("features"):
        made["features"] = _features({**made["features"], **params["features"]})
    for name in ("active", "default_return_url", "name"):
        if name in params:
            made[name] = unset(params[name])
    if "metadata" in params:
        made["metadata"] = merge_metadata(made["metadata"], params["metadata"])


def _find(session: Session, identifier: str, param: str = "configuration", status: int = 404) -> Obj:
    return session.find("billing_portal.configuration", identifier, param, status=status)


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/billing_portal/configurations/ID."""
    made = _find(session, identifier)
    before = view(session, _find(session, identifier))
    _apply(made, params)
    made["updated"] = session.now
    session.save(made)
    session.emit("billing_portal.configuration.updated", view(session, made), before)
    return view(session, made)


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/billing_portal/configurations."""

    def keep(made: Any) -> bool:
        return matches(made, params, "active", "is_default")

    url = "/v1/billing_portal/configurations"
    return page_of(session, "billing_portal.configuration", params, url, keep=keep)


def create_session(session: Session, params: Obj) -> Obj:
    """POST /v1/billing_portal/sessions; without a configuration of one's own there is no default."""
    session.find("customer", params["customer"], "customer")
    wanted = params.get("configuration")
    if not wanted:
        message = (
            "You can't create a portal session in test mode until you save your customer portal "
            "settings in test "
            "mode at https://dashboard.stripe.com/test/settings/billing/portal."
        )
        raise invalid(message)
    _find(session, wanted, "configuration", 400)
    made: Obj = {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "configuration": wanted,
        "created": session.now,
        "customer": params["customer"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url"),
        "url": f"https://sandbox.invalid/p/session/test_{token(40)}",
    }
    session.save(made)
    session.emit("billing_portal.session.created", view(session, made))
    return view(session, made)
