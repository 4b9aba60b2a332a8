"""What others do than the program: the dashboard, the cardholder, the bank, the clock."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.simulator.actions import DAY, HOUR, Sight, Step
from tests.simulator.books import ENDED


def dashboard(see: Sight) -> Step:
    """Somebody clicks in Stripe's dashboard."""
    chance, stripe = see.chance, see.books.stripe
    live = [one for one in stripe["subscription"] if one["status"] not in ENDED]
    subscription = chance.choice(live) if live else None
    open_ones = [one for one in stripe["invoice"] if one["status"] == "open"]
    paid = [one for one in stripe["invoice"] if one["status"] == "paid" and one["amount_paid"]]
    charges = [one for one in see.books.charges.values() if one["amount_refunded"] < one["amount"]]
    choices: list[tuple[str, str, dict[str, object]]] = []
    if subscription:
        path = f"/v1/subscriptions/{subscription['id']}"
        item = (see.books.items.get(subscription["id"]) or [{}])[0]
        behavior = see.pick("none", "create_prorations", "always_invoice")
        if item:
            price = see.pick(*(one["id"] for one in stripe["price"] if one["active"] and one["recurring"]))
            change = {"items[0][id]": item["id"], "proration_behavior": behavior}
            choices += [
                ("POST", path, {**change, "items[0][quantity]": chance.randint(0, 9)}),
                ("POST", path, {**change, "items[0][price]": price}),
                ("POST", f"/v1/prices/{item['price']['id']}", {"active": "false"}),
                ("POST", "/v1/subscription_items", {"subscription": subscription["id"], "price": price}),
                ("DELETE", f"/v1/subscription_items/{item['id']}", {"proration_behavior": behavior}),
            ]
        card = _card_of(see, subscription["customer"])
        choices += [
            ("POST", path, {"cancel_at_period_end": see.pick("true", "false")}),
            ("POST", path, {"cancel_at": see.world.now + chance.randint(2, 20) * DAY}),
            ("POST", path, {"metadata[note]": "by hand"}),
            ("DELETE", path, {}),
            ("POST", path, {"discounts[0][coupon]": "TENTH"}),
            ("POST", path, {"trial_end": see.world.now + chance.randint(2, 20) * DAY}),
            ("POST", path, {"pause_collection[behavior]": see.pick("void", "keep_as_draft")}),
            ("POST", path, {"pause_collection": ""}),
            *([("POST", path, {"default_payment_method": card})] if card else []),
        ]
    if open_ones:
        invoice = f"/v1/invoices/{chance.choice(open_ones)['id']}"
        choices += [
            ("POST", f"{invoice}/void", {}),
            ("POST", f"{invoice}/pay", {"paid_out_of_band": "true"}),
            ("POST", f"{invoice}/pay", {}),
            ("POST", f"{invoice}/mark_uncollectible", {}),
        ]
    if charges:
        charge = chance.choice(charges)
        choices.append(("POST", "/v1/refunds", {"charge": charge["id"], "amount": chance.randint(1, 300)}))
    if paid:
        invoice = chance.choice(paid)["id"]
        choices.append(
            ("POST", "/v1/credit_notes", {"invoice": invoice, "amount": 100, "credit_amount": 100})
        )
    if stripe["customer"]:
        customer = chance.choice(stripe["customer"])["id"]
        choices += [
            ("DELETE", f"/v1/customers/{customer}", {}),
            ("POST", "/v1/invoiceitems", {"customer": customer, "amount": 250, "currency": "usd"}),
        ]
    if not choices:
        return Step(0, "clock", seconds=HOUR)
    method, path, form = chance.choice(choices)
    return Step(0, "dashboard", (method, path, urlencode(form)))


def _card_of(see: Sight, customer: str) -> str | None:
    cards = [one["id"] for one in see.books.stripe["payment_method"] if one["customer"] == customer]
    return see.chance.choice(cards) if cards else None


def elsewhere(see: Sight) -> Step:
    """A subscription is made in the dashboard, perhaps with a trial; the ledger may adopt it."""
    prices = [one["id"] for one in see.books.stripe["price"] if one["active"] and one["recurring"]]
    words = see.pick(*prices), str(see.chance.randint(1, 6)), see.pick("0", "14", "14"), see.pick(*see.cards)
    return Step(0, "elsewhere", words)


def retries(see: Sight) -> Step:
    """The account's setting for renewals that no retry collects."""
    return Step(0, "retries", (see.pick("cancel", "unpaid", "past_due"),))


def tamper(see: Sight) -> Step:
    """What Stripe may hold and no endpoint of the sandbox makes: the classic billing mode."""
    return schedule(see) if see.chance.random() < 0.67 else classic(see)


def schedule(see: Sight) -> Step:
    """A schedule is given to a subscription, with another number of seats in its next phase; or released."""
    live = [one for one in see.books.stripe["subscription"] if one["status"] not in ENDED]
    if not live:
        return Step(0, "clock", seconds=HOUR)
    one = see.chance.choice(live)
    if one["schedule"]:
        path = f"/v1/subscription_schedules/{one['schedule']}"
        return Step(0, "dashboard", ("POST", f"{path}/{see.pick('release', 'release', 'cancel')}", ""))
    end = see.pick("release", "release", "cancel")
    return Step(0, "schedule", (one["id"], str(see.chance.randint(1, 9)), end))


def classic(see: Sight) -> Step:
    """A subscription of before flexible billing."""
    live = [one["id"] for one in see.books.stripe["subscription"] if one["status"] not in ENDED]
    return Step(0, "tamper", (see.pick(*live), "classic")) if live else Step(0, "clock", seconds=HOUR)


def empty(see: Sight) -> Step:
    """The dashboard sets a subscription to no seats at all; those who sit in it stay in the ledger."""
    seated = [row for row in see.running if see.books.seated.get(row["id"]) and row["quantity"]]
    if not seated:
        return Step(0, "clock", seconds=HOUR)
    item = see.chance.choice(seated)["stripe_item"]
    form = {"quantity": 0, "proration_behavior": "none"}
    return Step(0, "dashboard", ("POST", f"/v1/subscription_items/{item}", urlencode(form)))


def lose(see: Sight) -> Step:
    """A customer is deleted, and all its subscriptions end."""
    customers = [one["id"] for one in see.books.stripe["customer"]]
    if not customers:
        return Step(0, "clock", seconds=HOUR)
    return Step(0, "dashboard", ("DELETE", f"/v1/customers/{see.pick(*customers)}", ""))


def unlocate(see: Sight) -> Step:
    """A customer's address is removed or replaced: a renewal is then billed without tax."""
    customers = [one["id"] for one in see.books.stripe["customer"]]
    if not customers:
        return Step(0, "clock", seconds=HOUR)
    form = see.pick("address=", "address=", urlencode({"address[country]": "US"}), "address[country]=DE")
    return Step(0, "dashboard", ("POST", f"/v1/customers/{see.pick(*customers)}", form))


def take_off(see: Sight) -> Step:
    """An item is removed from its Stripe subscription, which first gets another, as it cannot have none."""
    subscriptions = {one["stripe_item"]: one for one in see.running}
    names = {*subscriptions} & {item["id"] for items in see.books.items.values() for item in items}
    if not names:
        return Step(0, "clock", seconds=HOUR)
    busy = {str(one.payload.get("item")) for one in see.books.open_operations} & names
    item = see.pick(*sorted(busy or names))
    subscription = subscriptions[item]["stripe_subscription"]
    if len(see.books.items[subscription]) > 1:
        if not busy and see.chance.random() < 0.8:
            return Step(0, "clock", seconds=HOUR)  # its time comes with an operation that is unfinished
        form = {"proration_behavior": "none"}
        return Step(0, "dashboard", ("DELETE", f"/v1/subscription_items/{item}", urlencode(form)))
    held = {one["price"]["id"] for one in see.books.items[subscription]}
    prices = [one["id"] for one in see.books.stripe["price"] if one["active"] and one["recurring"]]
    price = see.pick(*(one for one in prices if one not in held))
    form = {"subscription": subscription, "price": price, "quantity": "2", "proration_behavior": "none"}
    return Step(0, "dashboard", ("POST", "/v1/subscription_items", urlencode(form)))


def refund(see: Sight) -> Step:
    """The dashboard gives a part of a payment back."""
    charges = [one for one in see.books.charges.values() if one["amount_refunded"] < one["amount"]]
    if not charges:
        return Step(0, "clock", seconds=HOUR)
    charge = charges[-1 - min(int(see.chance.expovariate(1)), len(charges) - 1)]
    amount = see.chance.randint(1, charge["amount"] - charge["amount_refunded"])
    form = {"charge": charge["id"], "amount": amount}
    return Step(0, "dashboard", ("POST", "/v1/refunds", urlencode(form)))


def card(see: Sight) -> Step:
    """The customer changes the card on the portal."""
    customers = see.books.stripe["customer"]
    if not customers:
        return Step(0, "clock", seconds=HOUR)
    return Step(0, "portal", (see.chance.choice(customers)["id"], see.pick(*see.cards)))


def cardholder(see: Sight) -> Step:
    """The bank's question about an open invoice is answered, or a Checkout page filled in."""
    pages = [one["id"] for one in see.books.stripe["checkout.session"] if one["status"] == "open"]
    if pages and see.chance.random() < 0.6:
        return Step(0, "page", (see.pick(*pages), see.pick(*see.cards)))
    open_ones = [one["id"] for one in see.books.stripe["invoice"] if one["status"] == "open"]
    if not open_ones:
        return Step(0, "clock", seconds=HOUR)
    return Step(0, "cardholder", (see.pick(*open_ones), see.pick("yes", "yes", "yes", "no")))


def clock(see: Sight) -> Step:
    chance = see.chance
    spans = [HOUR, 6 * HOUR, DAY, 3 * DAY, 8 * DAY, 31 * DAY]
    span = chance.choice(spans) + chance.randint(0, 90)
    if see.running and chance.random() < 0.25:
        ends = [one["current_period_end"] for item in see.books.items.values() for one in item]
        ahead = [end - see.world.now for end in ends if end > see.world.now]
        if ahead:  # just before, at, or just after the end of a period
            span = max(1, min(ahead) + chance.choice([-DAY, -5, 0, 1, 30, HOUR + 60]))
    return Step(0, "clock", seconds=span)
