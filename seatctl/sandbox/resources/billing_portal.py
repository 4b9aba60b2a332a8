"""The customer portal: configurations, and sessions. Of a session there is only its address."""

from __future__ import annotations

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, new_id, nulls, sent, set_fields, token, unset
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/billing_portal/configurations."""
    configuration: Obj = session.new(
        "billing_portal.configuration",
        new_id("bpc"),
        null="application default_return_url name",
        active=True,
        business_profile=nulls("headline privacy_policy_url terms_of_service_url"),
        features=_features({}),
        is_default=False,
        login_page={"enabled": False, "url": None},
        metadata={},
        updated=session.now,
    )
    _apply(configuration, params)
    return session.save_and_emit(configuration, "billing_portal.configuration.created")


def _features(requested: Obj) -> Obj:
    features: Obj = {
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
    quantity = {"enabled": False, "maximum": None, "minimum": 1}
    for product in (requested.get("subscription_update") or {}).get("products") or []:
        product["adjustable_quantity"] = {**quantity, **(product.get("adjustable_quantity") or {})}
    for name, settings in requested.items():
        for key, value in settings.items():
            default = features[name].get(key)
            if isinstance(default, list):
                features[name][key] = unset(value) or []
            else:
                features[name][key] = {**default, **value} if isinstance(default, dict) else unset(value)
    return features


def _apply(configuration: Obj, params: Obj) -> None:
    if params.get("business_profile"):
        profile = {**configuration["business_profile"], **params["business_profile"]}
        configuration["business_profile"] = profile
    if params.get("features"):
        configuration["features"] = _features({**configuration["features"], **params["features"]})
    set_fields(configuration, params, "active", "default_return_url", "name")
    update_metadata(configuration, params)


def update(session: Session, params: Obj, configuration: Obj) -> Obj:
    """POST /v1/billing_portal/configurations/ID."""
    before = session.view(session.find(configuration["object"], configuration["id"], None))
    _apply(configuration, params)
    configuration["updated"] = session.now
    session.save(configuration)
    session.emit("billing_portal.configuration.updated", session.view(configuration), before)
    return session.view(configuration)


def create_session(session: Session, params: Obj) -> Obj:
    """POST /v1/billing_portal/sessions. A configuration must be named: the account has no default one."""
    session.find("customer", params["customer"], "customer")
    configuration = params.get("configuration")
    if not configuration:
        message = (
            "No configuration provided and your test mode default configuration has not been created. "
            "Provide a configuration or create your default by saving your customer portal settings in test "
            "mode at https://dashboard.stripe.com/test/settings/billing/portal."
        )
        raise invalid(message)
    session.find("billing_portal.configuration", configuration, "configuration")
    portal_session: Obj = session.new(
        "billing_portal.session",
        new_id("bps"),
        null="customer_account flow on_behalf_of",
        configuration=configuration,
        customer=params["customer"],
        **sent(params, "locale return_url"),
        url=f"https://sandbox.invalid/p/session/test_{token(40)}",
    )
    return session.save_and_emit(portal_session, "billing_portal.session.created")
