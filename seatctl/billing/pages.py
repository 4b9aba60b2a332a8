"""The calls for pages that Stripe hosts: Checkout and the customer portal. Nothing is sent here."""

from __future__ import annotations

from seatctl.billing.endpoints import path_of
from seatctl.billing.port import Form, Read, Write


def create_checkout(form: Form) -> Write:
    """Create a page on which a customer pays or saves a card."""
    return Write("post", "/v1/checkout/sessions", form)


def checkout(session: str) -> Read:
    """One Checkout session."""
    return Read(path_of("checkout/sessions", session), {})


def checkouts_of(customer: str) -> Read:
    """The Checkout sessions of a customer."""
    return Read("/v1/checkout/sessions", {"customer": customer})


def expire_checkout(session: str) -> Write:
    """Close a page that nobody has completed."""
    return Write("post", f"{path_of('checkout/sessions', session)}/expire", {})


def setup_intent(intent: str) -> Read:
    """The result of a page that only collects a card."""
    return Read(path_of("setup_intents", intent), {})


def create_portal(form: Form) -> Write:
    """Create an address at which a customer changes billing details."""
    return Write("post", "/v1/billing_portal/sessions", form)


def create_portal_configuration(form: Form) -> Write:
    """Create a configuration: what a customer may do in the portal."""
    return Write("post", "/v1/billing_portal/configurations", form)


def update_portal_configuration(configuration: str, form: Form) -> Write:
    """Change what a customer may do in the portal."""
    return Write("post", path_of("billing_portal/configurations", configuration), form)


def portal_configuration(configuration: str) -> Read:
    """One configuration of the portal."""
    return Read(path_of("billing_portal/configurations", configuration), {})


def portal_configurations() -> Read:
    """The active configurations of the portal."""
    return Read("/v1/billing_portal/configurations", {"active": True})
