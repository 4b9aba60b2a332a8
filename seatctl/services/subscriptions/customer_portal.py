"""`subs billing --portal`: a page of Stripe's customer portal.

There customers see invoices, and change their card, address and tax ids only. Stripe's default would let them
change quantities and cancel, against the policies. So seatctl makes a configuration of its own, and finds it
again by its metadata.
"""

from __future__ import annotations

import secrets

from seatctl.billing import endpoints
from seatctl.billing.objects import read_subscription, read_url
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Record
from seatctl.models.role import Action
from seatctl.rules.assignment import require_home
from seatctl.rules.metadata import LEDGER
from seatctl.services.charging.payer import require_customer
from seatctl.services.users.permissions import allow

FEATURES: dict[str, JsonValue] = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": False},
    "subscription_update": {"enabled": False},
}


def open_portal(ledger: Ledger, billing: Billing, call: Call, handle: str) -> Record:
    """Return the address of the page for the customer of a subscription. It is valid for a few minutes."""
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
        allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, subscription)
    require_home(subscription, ledger.id)
    record: Record = {"name": subscription.name, "url": None}
    if call.dry_run:
        return record
    mirror = read_subscription(billing.read(endpoints.subscription(subscription.stripe_subscription)))
    require_customer(billing, subscription, mirror.customer_id)
    form: dict[str, JsonValue] = {
        "customer": mirror.customer_id,
        "configuration": _configuration(ledger, billing),
    }
    # Every page is new; the key only makes a retry after a lost answer safe.
    session = billing.write(
        endpoints.create_portal(form), f"seatctl:{ledger.id}:portal:{secrets.token_hex(8)}"
    )
    return {**record, "url": read_url(session)}


def _configuration(ledger: Ledger, billing: Billing) -> str:
    """Return the id of seatctl's configuration: made once, and corrected if somebody changed it."""
    listed = billing.every(endpoints.portal_configurations())
    configuration = next(
        (configuration for configuration in listed if _metadata(configuration).get(LEDGER) == ledger.id), None
    )
    if configuration is None:
        form: dict[str, JsonValue] = {"features": FEATURES, "metadata": {LEDGER: ledger.id}}
        # The key prevents two commands at the same time from making two.
        configuration = billing.write(
            endpoints.create_portal_configuration(form), f"seatctl:{ledger.id}:portal-configuration"
        )
    elif changed := _changed_features(configuration):
        configuration = billing.write(
            endpoints.update_portal_configuration(str(configuration["id"]), {"features": changed}),
            f"seatctl:{ledger.id}:portal-features:{secrets.token_hex(8)}",
        )
    return str(configuration["id"])


def _metadata(configuration: StripeJson) -> dict[str, JsonValue]:
    metadata = configuration.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _changed_features(configuration: StripeJson) -> dict[str, JsonValue]:
    """Return the features that somebody changed, with their intended values."""
    features = configuration.get("features")
    current = features if isinstance(features, dict) else {}
    return {
        name: feature
        for name, feature in FEATURES.items()
        if _permits(current.get(name)) != _permits(feature)
    }


def _permits(feature: JsonValue) -> tuple[bool, frozenset[str]]:
    """Return whether a feature is enabled, and what the customer may change by it."""
    if not isinstance(feature, dict):
        return False, frozenset()
    updates = feature.get("allowed_updates")
    return feature.get("enabled") is True, frozenset(map(str, updates if isinstance(updates, list) else ()))
