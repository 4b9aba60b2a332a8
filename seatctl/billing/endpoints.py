"""The calls to Stripe that seatctl makes, as values: one function per endpoint. Nothing is sent here."""

from __future__ import annotations

from urllib.parse import quote

from seatctl.billing.port import Form, Read, Write

FLEXIBLE_BILLING: Form = {"billing_mode": {"type": "flexible"}}
"""Asks for the billing mode that credits what was billed. The default of an account may be another one."""


def path_of(collection: str, identifier: str) -> str:
    """Return the path of one object; the id is quoted, so that a typed one cannot reach another endpoint."""
    return f"/v1/{collection}/{quote(identifier, safe='')}"


# Catalogue ------------------------------------------------------------------------------------------


def account() -> Read:
    """The account behind the key; restricted keys often may not read it."""
    return Read("/v1/account", {})


def create_product(form: Form) -> Write:
    """Create a product; each plan is one."""
    return Write("post", "/v1/products", form)


def update_product(product: str, form: Form) -> Write:
    """Change name, activity or metadata of a product."""
    return Write("post", path_of("products", product), form)


def delete_product(product: str) -> Write:
    """Delete a product that has no price yet."""
    return Write("delete", path_of("products", product), {})


def product(product: str) -> Read:
    """One product."""
    return Read(path_of("products", product), {})


def products(*, created_since: int) -> Read:
    """Products created at or after `created_since` (unix seconds)."""
    return Read("/v1/products", {"created": {"gte": created_since}})


def create_price(form: Form) -> Write:
    """Create a price; the amount of a price never changes, so a new amount is a new price."""
    return Write("post", "/v1/prices", form)


def price(price: str) -> Read:
    """One price."""
    return Read(path_of("prices", price), {})


def prices_by_lookup_key(lookup_key: str) -> Read:
    """The current holder of a lookup key, active or not."""
    return Read("/v1/prices", {"lookup_keys": [lookup_key]})


# Customers ------------------------------------------------------------------------------------------


def create_customer(form: Form) -> Write:
    """Create a customer; with a payment method in the form, the card may be declined here."""
    return Write("post", "/v1/customers", form)


def update_customer(customer: str, form: Form) -> Write:
    """Change address, default payment method or metadata of a customer."""
    return Write("post", path_of("customers", customer), form)


def delete_customer(customer: str) -> Write:
    """Delete a customer permanently."""
    return Write("delete", path_of("customers", customer), {})


def customer(customer: str) -> Read:
    """One customer; a deleted one has only `deleted: true`."""
    return Read(path_of("customers", customer), {})


def customer_with_card(customer: str) -> Read:
    """One customer, with the payment method that is charged by default."""
    return Read(path_of("customers", customer), {"expand": ["invoice_settings.default_payment_method"]})


def customers(*, created_since: int) -> Read:
    """Customers created at or after `created_since` (unix seconds)."""
    return Read("/v1/customers", {"created": {"gte": created_since}})


def create_payment_method(form: Form) -> Write:
    """Create a payment method from a token."""
    return Write("post", "/v1/payment_methods", form)


def attach_payment_method(payment_method: str, customer: str) -> Write:
    """Save a payment method for a customer; a card may be declined here."""
    return Write("post", f"{path_of('payment_methods', payment_method)}/attach", {"customer": customer})


def payment_methods(customer: str) -> Read:
    """The saved payment methods of a customer."""
    return Read("/v1/payment_methods", {"customer": customer})


# Subscriptions and invoices -------------------------------------------------------------------------


def create_subscription(form: Form) -> Write:
    """Create a subscription; its first invoice is charged inside the call."""
    return Write("post", "/v1/subscriptions", form)


def update_subscription(subscription: str, form: Form) -> Write:
    """Change items, metadata or cancellation of a subscription."""
    return Write("post", path_of("subscriptions", subscription), form)


def migrate_subscription(subscription: str) -> Write:
    """Change the billing mode from classic to flexible. Stripe does not take it back."""
    return Write("post", f"{path_of('subscriptions', subscription)}/migrate", {**FLEXIBLE_BILLING})


def cancel_subscription(subscription: str, *, invoice_now: bool = False) -> Write:
    """Cancel at once, without proration; `invoice_now` bills pending invoice items."""
    form: Form = {"invoice_now": True} if invoice_now else {}
    return Write("delete", path_of("subscriptions", subscription), form)


def subscription(subscription: str) -> Read:
    """One subscription."""
    return Read(path_of("subscriptions", subscription), {})


def subscription_schedule(schedule: str) -> Read:
    """One subscription schedule."""
    return Read(path_of("subscription_schedules", schedule), {})


def subscriptions_of(customer: str) -> Read:
    """Subscriptions of a customer, of every status."""
    return Read("/v1/subscriptions", {"customer": customer, "status": "all"})


def preview_invoice(form: Form) -> Read:
    """What Stripe would invoice: a POST that changes nothing, so it is allowed under --dry-run."""
    return Read("/v1/invoices/create_preview", form, "post")


def invoice(invoice: str) -> Read:
    """One invoice, with its payments."""
    return Read(path_of("invoices", invoice), {"expand": ["payments"]})


def payment_intent(intent: str) -> Read:
    """One attempt to collect a payment, with its last charge."""
    return Read(path_of("payment_intents", intent), {"expand": ["latest_charge"]})


def invoices_of(subscription: str) -> Read:
    """Invoices of a subscription."""
    return Read("/v1/invoices", {"subscription": subscription})


def create_invoice(form: Form) -> Write:
    """Create a draft invoice of our own."""
    return Write("post", "/v1/invoices", form)


def delete_draft(invoice: str) -> Write:
    """Delete a draft with its items."""
    return Write("delete", path_of("invoices", invoice), {})


def create_invoice_item(form: Form) -> Write:
    """Add a line to a draft invoice; without `invoice` in the form it would wait for the next one."""
    return Write("post", "/v1/invoiceitems", form)


def pending_invoice_items(customer: str) -> Read:
    """Lines that wait for the customer's next invoice."""
    return Read("/v1/invoiceitems", {"customer": customer, "pending": True})


def delete_invoice_item(item: str) -> Write:
    """Delete a line that waits."""
    return Write("delete", path_of("invoiceitems", item), {})


def resume_subscription(subscription: str) -> Write:
    """Resume a paused subscription: a new period begins, and its invoice is charged."""
    return Write("post", f"{path_of('subscriptions', subscription)}/resume", {})


def finalize_invoice(invoice: str) -> Write:
    """Give a draft its number; Stripe does not charge it by itself afterwards."""
    return Write("post", f"{path_of('invoices', invoice)}/finalize", {"auto_advance": False})


def pay_invoice(invoice: str, form: Form) -> Write:
    """Charge an open invoice now; a card may be declined here."""
    return Write("post", f"{path_of('invoices', invoice)}/pay", form)


def send_invoice(invoice: str) -> Write:
    """Finalize an invoice if it is a draft, and mail it to the customer."""
    return Write("post", f"{path_of('invoices', invoice)}/send", {})


def void_invoice(invoice: str) -> Write:
    """Void an open invoice."""
    return Write("post", f"{path_of('invoices', invoice)}/void", {})


def credit_note(form: Form) -> Write:
    """Refund part of a paid invoice."""
    return Write("post", "/v1/credit_notes", form)


def preview_credit_note(form: Form) -> Read:
    """What a credit note would refund; changes nothing."""
    return Read("/v1/credit_notes/preview", form)


def credit_notes_of(invoice: str) -> Read:
    """The credit notes of an invoice."""
    return Read("/v1/credit_notes", {"invoice": invoice})


def invoices_of_customer(customer: str) -> Read:
    """Invoices of a customer."""
    return Read("/v1/invoices", {"customer": customer})


def invoices_with_payments(customer: str) -> Read:
    """Invoices of a customer, each with its payments."""
    return Read("/v1/invoices", {"customer": customer, "expand": ["data.payments"]})


def refunds_of_payment(payment_intent: str) -> Read:
    """The refunds of a payment, whoever made them."""
    return Read("/v1/refunds", {"payment_intent": payment_intent})


def disputes_of_payment(payment_intent: str) -> Read:
    """The disputes of a payment, in which the cardholder's bank questions it or has taken it back."""
    return Read("/v1/disputes", {"payment_intent": payment_intent})


def promotion_codes(code: str) -> Read:
    """The active promotion code with this text."""
    return Read("/v1/promotion_codes", {"code": code, "active": True})


def coupon(coupon: str) -> Read:
    """One coupon."""
    return Read(path_of("coupons", coupon), {})


# Billing details ------------------------------------------------------------------------------------


def payment_method(payment_method: str) -> Read:
    """One payment method."""
    return Read(path_of("payment_methods", payment_method), {})


def detach_payment_method(payment_method: str) -> Write:
    """Remove a payment method from its customer."""
    return Write("post", f"{path_of('payment_methods', payment_method)}/detach", {})


def create_tax_id(customer: str, form: Form) -> Write:
    """Add a tax id to a customer; it is printed on the invoices."""
    return Write("post", f"{path_of('customers', customer)}/tax_ids", form)


def tax_ids(customer: str) -> Read:
    """The tax ids of a customer."""
    return Read(f"{path_of('customers', customer)}/tax_ids", {})


def delete_tax_id(customer: str, tax_id: str) -> Write:
    """Remove a tax id from its customer."""
    return Write("delete", f"{path_of('customers', customer)}/tax_ids/{quote(tax_id, safe='')}", {})


# Pages that Stripe hosts: Checkout and the customer portal -----------------------------------------


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


def portal_configurations() -> Read:
    """The active configurations of the portal."""
    return Read("/v1/billing_portal/configurations", {"active": True})
