"""What must hold after each step, looked at from outside: exit codes, seats, reads, refusals, the two sides.

What must hold of money is in `money.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from tests.simulator.actions import Step, is_read
from tests.simulator.books import ENDED, FACTS, Books, LedgerFile, Obj, differences
from tests.simulator.world import Result

if TYPE_CHECKING:
    from tests.simulator.server import ServerLedger

CODES = frozenset({0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 74, 75})
REFUSALS = frozenset({2, 3, 4, 5, 7, 8, 9})
"""Codes after which nothing was changed, neither here nor in Stripe."""


class Violation(Exception):
    """`name` is the invariant, the same for every history that breaks it."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name, self.detail = name, detail


def check_exit(step: Step, result: Result, before: Books | None = None, *, waits: bool = False) -> None:
    """No bug, no traceback, and a code that means something.

    A repetition of a purchase that Stripe had not accepted may end that one, and say what stopped it.
    `waits`: somebody else is at work, or was killed so lately that it seems so.
    """
    told = result.out + result.err
    if "Traceback (most recent" in told or "this is a bug" in told:
        raise Violation("a bug was told", told[-600:])
    if result.code is None:
        return
    if result.code not in CODES:
        raise Violation(f"exit {result.code}", told[-600:])
    if result.code == 2 and step.words[0] != "batch":
        # Every command is made by the grammar, so that usage can only be wrong where a choice is refused.
        told_usage = result.error.get("code") or ""
        if told_usage == "usage" and "required" in str(result.error.get("message")):
            raise Violation("a question nobody can answer", told[-600:])
    if result.code == 74 and not any("disk full" in hit for hit in result.hit):
        raise Violation("exit 74 with a sound ledger", told[-600:])
    earlier = set() if before is None else {operation.run for operation in before.open_operations}
    told_of_earlier = result.error.get("run") in earlier
    if (
        result.code == 75
        and not waits
        and not result.hit
        and not told_of_earlier
        and result.error.get("code") not in PENDING
        and REFUSED_BY_A_LIMIT not in result.out
    ):
        raise Violation("exit 75 with nothing in the way", told[-600:])


REFUSED_BY_A_LIMIT = '"error": "rate_limited"'
"""A sync tells of an operation that Stripe did not accept in a row."""
PENDING = frozenset({"operation_pending", "batch_under_way", "rate_limited"})
"""What is in the way without a fault: `limits.check_limits` says whether Stripe's limits really are."""


NOT_UNDERSTOOD = (
    "inactive",
    "proration date",
    "proration_date",
    "unknown parameter",
    "Missing required",
    "location isn't",
)
"""Stripe's words for what the program should not have sent."""


def _plan_waits(step: Step, before: Books) -> bool:
    """Whether another plan than the running one begins at the renewal."""
    ours = next((one for one in before.subscriptions if one["name"] in step.words), None)
    shape = ours and next(
        (one for one in before.stripe["subscription"] if one["id"] == ours["stripe_subscription"]), None
    )
    return bool(shape and shape["metadata"].get("seatctl_next_plan"))


def check_sent(step: Step, result: Result, before: Books) -> None:
    """Stripe understands what a command sends (point: nothing is sent that is not being changed)."""
    if result.hit or result.code != 5 or result.error.get("code") != "stripe_invalid_request":
        return
    if result.error.get("run") in {operation.run for operation in before.open_operations}:
        return  # a repetition sends what the first command decided, perhaps a month ago
    # There an inactive price is what was asked for; where a plan change waits, seats added now have to name
    # the running price for a moment (docs/decisions.md).
    buys = step.words[1] in {"buy", "change-plan", "renew"} or _plan_waits(step, before)
    words = [word for word in NOT_UNDERSTOOD if word in str(result.error.get("message"))]
    if words and not (buys and words == ["inactive"]) and step.words[0] != "batch":
        raise Violation("Stripe refused what need not be sent", str(result.error))


def check_moment(result: Result, before: Books) -> None:
    """What is prorated counts from Stripe's time, whatever the machine's clock says."""
    if before.open_operations:
        return
    edges = {
        item[edge]
        for items in before.items.values()
        for item in items
        for edge in ("current_period_start", "current_period_end")
    }
    for method, path, form in result.calls:
        sent = [word.partition("=")[2] for word in form.split("&") if word.startswith("proration_date=")]
        if method == "POST" and sent and abs(int(sent[0]) - before.now) > 60 and int(sent[0]) not in edges:
            raise Violation("prorated by the machine's clock", f"{path}: {int(sent[0]) - before.now:+} s")


def check_forms(result: Result) -> None:
    """A card that is charged with no cardholder there is charged off session; what pays a page is kept."""
    for method, path, form in result.calls:
        words = form.split("&")
        if method != "POST" or not path.startswith("/v1/subscriptions"):
            continue
        if "payment_behavior=error_if_incomplete" in words and "off_session=true" not in words:
            raise Violation("charged as if the cardholder attended", f"{method} {path}: {form[:300]}")
        kept = "payment_settings[save_default_payment_method]=on_subscription"
        if "payment_behavior=default_incomplete" in words and kept not in words:
            raise Violation("the card that pays the page is not kept", f"{method} {path}: {form[:300]}")


def check_ways(step: Step, result: Result) -> None:
    """A plan that takes cards only says so to Stripe, and nothing else buys it."""
    for method, path, form in result.calls:
        words = form.split("&")
        offered = {
            "/v1/subscriptions": "payment_settings[payment_method_types][0]=card",
            "/v1/checkout/sessions": "allowed_payment_method_types[0]=card",
        }.get(path)
        metadata = ("metadata[seatctl_policy", "subscription_data[metadata][seatctl_policy")
        cards_only = any(word in {f"{one}_payment_methods]=card" for one in metadata} for word in words)
        if method == "POST" and offered and cards_only and offered not in words:
            raise Violation("a page may take what is not a card", f"{method} {path}: {form[:300]}")
    paid = step.words[step.words.index("--payment-method") + 1] if "--payment-method" in step.words else ""
    already = "already" in result.out  # an invoice that is paid is not paid once more, whatever is named
    bought = step.words[step.words.index("--plan") + 1] if step.words[:2] == ("subs", "buy") else ""
    done = result.code in {0, 10} and not is_read(step) and not already
    if paid.startswith("pm_usBankAccount") and done and bought == "team":
        raise Violation("bought with what is not a card", (result.out + result.err)[-300:])


def check_way_out(step: Step, result: Result) -> None:
    """A run that can neither be finished nor is left in Stripe can be given up."""
    if step.words[:2] == ("runs", "undo") and result.code == 5 and not result.hit:
        raise Violation("a run without a way out", str(result.error))


def check_entitled(step: Step, result: Result, before: Books) -> None:
    """Who sits in a subscription of no seats is not entitled by it."""
    if step.words[0] != "check" or "-s" not in step.words or result.code != 0:
        return
    name = step.words[step.words.index("-s") + 1]
    for ours in before.subscriptions:
        if ours["name"] == name and ours["quantity"] == ours["capacity"] == 0:
            raise Violation("entitled by no seats", result.out[-400:])


def check_promise(step: Step, result: Result, before: Books) -> None:
    """Canceling promises no seats beyond the grace of what is unpaid."""
    until = result.row.get("seats_until")
    if result.code != 0 or step.words[:2] != ("subs", "cancel") or not isinstance(until, str):
        return
    ours = next((one for one in before.subscriptions if one["name"] == step.words[2]), None)
    one = ours and next(
        (s for s in before.stripe["subscription"] if s["id"] == ours["stripe_subscription"]), None
    )
    if not ours or not one or one["status"] != "past_due" or not ours["policy"] or "--now" in step.words:
        return
    since = [
        invoice["due_date"] or invoice["status_transitions"]["finalized_at"]
        for invoice in before.stripe["invoice"]
        if invoice["status"] == "open"
        and invoice["amount_remaining"]
        and ((invoice.get("parent") or {}).get("subscription_details") or {}).get("subscription") == one["id"]
    ]
    grace = json.loads(ours["policy"]).get("grace_days", 0) * 86400
    if since and until > _written(min(since) + grace):
        raise Violation("seats promised for what is not paid", f"{until}: {result.row}")


def check_hint(step: Step, result: Result, *, synced: bool) -> None:
    """No hint names a sync that was just done, and nothing has happened in Stripe since."""
    if synced and not result.hit and result.code in {4, 5} and result.error.get("hint") == "seatctl sync":
        raise Violation("a hint that was already followed", str(result.error))


def check_payer(step: Step, result: Result, before: Books) -> None:
    """`--bill-to` charges the card that the named subscription has, wherever it sits."""
    if result.hit or result.code != 5 or "--bill-to" not in step.words or "--on-account" in step.words:
        return
    if result.error.get("code") != "stripe_resource_missing":
        return
    name = step.words[step.words.index("--bill-to") + 1]
    ours = next((ours for ours in before.subscriptions if ours["name"] == name), None)
    for one in before.stripe["subscription"]:
        if ours and one["id"] == ours["stripe_subscription"] and one["default_payment_method"]:
            raise Violation("the card of --bill-to is not found", f"{name}: {result.error.get('message')}")


def check_coupon(step: Step, result: Result, shown: Result | None) -> None:
    """A discount that takes nothing off what is to be paid, now or at the renewal, is told."""
    row = {} if shown is None else shown.row
    if (row.get("due_now") or row.get("next_invoice") or 0) <= 0:
        return  # a credit: nothing is to be paid
    if "EURO" in step.words and result.code == 0 and step.words[0] == "subs" and "already" not in result.out:
        told = (result.out + result.err).lower()
        if "gives no discount" not in told and "nothing" not in told:
            raise Violation("a discount that gives nothing is not told", told[-400:])


def check_under_way(before: Books, after: Books) -> None:
    """An invoice that a bank has been told to pay is not made void, nor its subscription ended."""
    waiting = before.processing
    became = {one["id"]: one["status"] for one in after.stripe["subscription"]}
    for one in before.stripe["invoice"]:
        if one["id"] not in waiting or one["status"] not in {"open", "uncollectible"}:
            continue
        if after.invoices.get(one["id"], {}).get("status") == "void":
            raise Violation("made void while its payment was under way", one["id"])
        details = (one.get("parent") or {}).get("subscription_details") or {}
        if became.get(details.get("subscription")) in ENDED:
            was = next(s for s in before.stripe["subscription"] if s["id"] == details["subscription"])
            if was["status"] not in ENDED:
                raise Violation("ended while its payment was under way", details["subscription"])
    check_charged_again(after)
    check_on_payment(after)


def check_charged_again(after: Books) -> None:
    """No invoice has two charges that were paid or are under way, unless one of them was given back."""
    held: dict[str, int] = {}
    intents = {one["id"]: one.get("_invoice") for one in after.stripe["payment_intent"]}
    for charge in after.stripe["charge"]:
        invoice = intents.get(charge["payment_intent"])
        if invoice and (charge["paid"] or charge["status"] == "pending") and not charge["refunded"]:
            held[invoice] = held.get(invoice, 0) + 1
    twice = [invoice for invoice, times in held.items() if times > 1]
    if twice:
        raise Violation("charged again while a payment was under way", twice[0])


def check_on_payment(after: Books) -> None:
    """Seats that a bank is still paying for are not there yet, unless the policy gives them on trust."""
    first, paid = set[str](), set[str]()
    for one in after.stripe["invoice"]:
        name = ((one.get("parent") or {}).get("subscription_details") or {}).get("subscription")
        kind = (one["billing_reason"], one["collection_method"])
        if one["id"] in after.processing and kind == ("subscription_create", "charge_automatically"):
            first.add(name)
        if one["amount_paid"]:  # a later period, by another payment method
            paid.add(name)
    marks = {one["id"]: one["metadata"].get("seatctl_operation") for one in after.stripe["subscription"]}
    for ours in after.subscriptions:
        policy = json.loads(ours["policy"]) if ours["policy"] else {}
        made_by = after.operations.get(marks.get(ours["stripe_subscription"]) or "")
        if ours["stripe_subscription"] not in first - paid or policy.get("seats_while_processing"):
            continue
        if made_by is not None and made_by.kind in {"buy", "checkout"}:
            raise Violation("seats that a bank has not paid for", ours["name"])


def check_page(words: tuple[str, ...], answer: str, session: Obj | None = None) -> None:
    """A page of a plan that takes cards only takes nothing else."""
    types = [] if session is None else session["payment_method_types"]
    if words[1].startswith("pm_usBankAccount") and answer == "complete" and types == ["card"]:
        raise Violation("a page has taken what is not a card", words[0])


def _writes(method: str, path: str) -> bool:
    return method != "GET" and not path.endswith("/create_preview")


def check_rate_limit(result: Result, before: Books, after: Books, moved: bool) -> None:
    """A 429 to a call and all its repetitions: nothing was carried out, so nothing stays open."""
    if not result.hit or not all(hit.startswith("429") for hit in result.hit) or moved:
        return
    refused = {hit.removeprefix("429: ") for hit in result.hit}
    if any(f"{method} {path}" not in refused for method, path, _ in result.calls if _writes(method, path)):
        return  # one was answered, if only by a bank that asks for the cardholder: the end has to be read
    begun = [one for one in after.open_operations if one.ref not in before.operations]
    if result.code == 75 and begun:
        raise Violation("nothing was carried out, and the operation stays open", str(begun[0]))


def check_looked(step: Step, result: Result) -> None:
    """`reconcile` does not say that all agree if it could not read Stripe."""
    lasting = any(fault.times > 4 for fault in step.faults)
    hit = [one for one in result.hit if one.startswith("damaged")]
    if step.words[0] == "reconcile" and lasting and hit and result.code == 0 and "agree" in result.out:
        raise Violation("reconcile agrees with what it could not read", f"{hit[0]}; {result.out[-300:]}")


def check_guards(step: Step, result: Result, before: Books, after: Books) -> None:
    """One that a schedule manages is left alone; one in classic mode is not prorated after a decrease."""
    if before.open_operations:
        return
    shapes = {one["id"]: one for one in after.stripe["subscription"]}
    for one in before.stripe["subscription"]:
        became = shapes.get(one["id"], one)
        paid = one["status"] in UNPAID and became["status"] == "active"  # what is owed may be paid
        changed = [
            *(["status"] if one["status"] != became["status"] and not paid else []),
            *(name for name in ("cancel_at", "trial_end") if one[name] != became[name]),
            *(["items"] if _items(before, one["id"]) != _items(after, one["id"]) else []),
        ]
        if one.get("schedule") and changed:
            raise Violation("a subscription on a schedule was changed", f"{one['id']}: {changed}")
        waits = one["metadata"].get("seatctl_paid_until", "") > _written(before.now)
        # A batch may also have bought another subscription.
        moved = _money_of(before, one["customer"]) != _money_of(after, one["customer"])
        # What waits is said of one item; another item of the same subscription is credited rightly.
        items = [item["id"] for item in before.items.get(one["id"], [])]
        alone = len(items) == 1 and one["metadata"].get("seatctl_paid_item", items[0]) == items[0]
        # Where the dashboard has put back what is paid for, the item holds what was billed.
        paid = (one["metadata"].get("seatctl_paid_seats"), one["metadata"].get("seatctl_paid_price"))
        waits = waits and [(str(quantity), price) for quantity, price in _items(before, one["id"])] != [paid]
        if one["billing_mode"]["type"] == "classic" and waits and changed and moved and alone:
            raise Violation("prorated in classic mode after a decrease", f"{one['id']}: {changed}")


def check_collecting(step: Step, before: Books, after: Books) -> None:
    """No seats are bought while nothing is collected for them."""
    if before.open_operations or step.words[0] == "sync":
        return
    paused = {
        one["id"]
        for one in before.stripe["subscription"]
        if (pause := one["pause_collection"]) and not (pause["resumes_at"] or before.now + 1) <= before.now
    }
    held = {row["id"]: row for row in before.subscriptions}
    for row in after.subscriptions:
        was = held.get(row["id"])
        if was is None or row["stripe_subscription"] not in paused:
            continue
        if was["stripe_item"] == row["stripe_item"] and row["capacity"] > was["capacity"]:
            said = f"{row['name']}: {was['capacity']} seats became {row['capacity']}"
            if _quantity(after, row) > _quantity(before, row):
                raise Violation("bought while collection is paused", said)


def _quantity(books: Books, row: Obj) -> int:
    items = books.items.get(row["stripe_subscription"], [])
    return sum(item["quantity"] or 0 for item in items if item["id"] == row["stripe_item"])


def check_trials(before: Books, after: Books) -> None:
    """What a command begins with a trial has charged nothing for its term, and without a card it says so."""
    known = {one["id"] for one in before.stripe["subscription"]}
    cards = {one["id"]: one for one in after.stripe["customer"]}
    for one in after.stripe["subscription"]:
        bought = one["metadata"].get("seatctl_policy_trial_days", "0") != "0"
        if one["id"] in known or one["status"] != "trialing" or not bought:
            continue
        first = after.invoices[one["latest_invoice"]]
        billed = [line for line in first["lines"]["data"] if line["parent"]["subscription_item_details"]]
        if any(line["amount"] for line in billed):
            raise Violation("a trial that is charged", f"{one['id']}: {first['total']}")
        customer = cards.get(one["customer"], {})
        default = (customer.get("invoice_settings") or {}).get("default_payment_method")
        has_card = one["default_payment_method"] or default or one["collection_method"] == "send_invoice"
        ending = one["trial_settings"]["end_behavior"]["missing_payment_method"]
        if not has_card and ending == "create_invoice":
            raise Violation("a trial without a card that nobody can collect", one["id"])


def _money_of(books: Books, customer: str) -> tuple[int, int]:
    """What a customer was charged, and what was given back of it."""
    charges = [one for one in books.charges.values() if one["customer"] == customer]
    return sum(one["amount"] for one in charges), sum(one["amount_refunded"] for one in charges)


def _items(books: Books, subscription: str) -> list[tuple]:
    return [(item["quantity"], item["price"]["id"]) for item in books.items.get(subscription, [])]


def check_seats(before: Books, after: Books) -> None:
    """Nobody is seated beyond the capacity; a lowered one throws nobody out."""
    was = {ours["id"]: ours for ours in before.subscriptions}
    for ours in after.subscriptions:
        assigned = after.seated.get(ours["id"], 0)
        if assigned != ours["assigned"]:
            raise Violation("the counter of seats", f"{ours['name']}: {ours['assigned']}, {assigned} sit")
        more = assigned > before.seated.get(ours["id"], 0)
        if assigned > ours["capacity"] and more and ours["capacity"] >= was.get(ours["id"], ours)["capacity"]:
            raise Violation("a seat too many", f"{ours['name']}: {assigned} of {ours['capacity']}")
    twice = after.ledger.rows(
        "SELECT subscription_id, user_id FROM seats WHERE revoked_at IS NULL"
        " GROUP BY 1, 2 HAVING count(*) > 1"
    )
    if twice:
        raise Violation("two seats of one user", str([tuple(row) for row in twice]))


def check_untouched(step: Step, result: Result, was: dict[str, object], became: dict[str, object]) -> None:
    """A read or a dry run has written nothing, to neither side."""
    for difference in differences(was, became):
        raise Violation("a read or a dry run wrote", f"{difference[:900]} (exit {result.code})")


def check_refusal(step: Step, result: Result, before: Books, after: Books, facts: tuple[dict, dict]) -> None:
    """A refused command has changed no fact and no money, if nothing was under way."""
    if result.code not in REFUSALS or before.open_operations or after.open_operations:
        return
    if step.words[0] in {"sync", "reconcile"}:  # they say what they found, and repair it
        return
    drafts = {one["id"] for one in before.stripe["invoice"] if one["status"] == "draft"}
    if step.words[:2] == ("invoices", "pay") and step.words[2] in drafts:
        return  # a draft is finalized before it can be paid, and is open if its card is declined
    for difference in differences(before.money(), after.money()):
        raise Violation(
            "a refusal changed money", f"exit {result.code} {result.error.get('code')}; {difference}"
        )
    if "--buy-shortfall" in step.words or "--new-owner" in step.words:
        return  # a first part that succeeds stays: the seats are bought, the subscription is handed over
    for difference in differences(*facts):
        raise Violation(
            "a refusal changed facts", f"exit {result.code} {result.error.get('code')}; {difference}"
        )


def check_ended(step: Step, result: Result, before: Books, after: Books) -> None:
    """After a refusal, before which no money has moved, nothing stays open."""
    if result.code not in {4, 5} or result.hit or before.open_operations or step.words[0] != "subs":
        return
    if after.open_operations and before.money() == after.money():
        raise Violation(
            "a refusal leaves an operation open", f"{after.open_operations[0]}; {result.err[-300:]}"
        )


def check_nothing_changed(
    step: Step, result: Result, before: Books, after: Books, facts: tuple[dict, dict]
) -> None:
    """Where it is said that nothing was changed, nothing was."""
    if "nothing was changed" not in str(result.error.get("message")):
        return
    for difference in differences({**before.money(), **facts[0]}, {**after.money(), **facts[1]}):
        raise Violation("something was changed", f"{result.error}; {difference}")


def check_run(result: Result, after: Books) -> None:
    """A run of which a report tells is in the ledger."""
    try:
        told = json.loads(result.out)
    except ValueError:
        return
    run = told.get("run") if isinstance(told, dict) else None
    if isinstance(run, int) and not after.ledger.rows("SELECT 1 FROM runs WHERE number = ?", run):
        raise Violation("a run that the ledger does not have", f"run {run}: {result.out[:300]}")


def check_lease(result: Result) -> None:
    """Nobody writes to Stripe whose place another process may have taken."""
    for wrong in result.wrong:
        raise Violation("a write to Stripe without the lease", wrong)


def check_leases(result: Result, before: Set[str], after: Set[str]) -> None:
    """A process that ends, and to which nothing has happened, leaves no lease behind."""
    if result.code is not None and not result.hit and after - before:
        raise Violation("a lease that nobody holds", str(sorted(after - before)))


def check_open(step: Step, result: Result, before: Books, after: Books) -> None:
    """75 and 10 leave an operation open, or nothing at all (what was open before may have ended)."""
    if result.code not in {75, 10} or before.open_operations or after.open_operations:
        return
    if step.words[0] in {"sync", "batch", "requests"} or "--buy-shortfall" in step.words:
        return  # several things at once; a request that waits for a seat is exit 10
    if result.error.get("code") == "ledger_unreachable":
        return  # the connection was lost during the last commit, or after it
    for difference in differences(before.money(), after.money()):
        raise Violation("nothing stays open of what moved money", f"exit {result.code}; {difference}")


def check_audit(ledger: LedgerFile | ServerLedger) -> None:
    """The chain, recomputed here: each entry covers its change rows and the entry before it."""
    changes: dict[int, list] = {}
    for row in ledger.rows("SELECT * FROM changes ORDER BY entry, n"):
        changes.setdefault(row["entry"], []).append(row)
    previous = "0" * 64
    for place, entry in enumerate(ledger.rows("SELECT * FROM audit ORDER BY place"), 1):
        if entry["prev_hash"] != previous or entry["place"] != place:
            raise Violation("the chain of the audit", f"entry {entry['seq']}")
        covered = ("seq", "run", "at", "actor", "os_user", "command_hash", "digest", "prev_hash", "origin")
        whole = [entry[name] for name in covered if name != "origin" or entry[name] is not None]
        previous = sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()
        if previous != entry["hash"]:
            raise Violation("the hash of an audit entry", f"entry {entry['seq']}")
        for row in changes.get(entry["seq"], []):
            if row["erased_at"] is None and _change_hash(row) != row["hash"]:
                raise Violation("the hash of a change", f"entry {entry['seq']} row {row['n']}")


def check_record(ledger: LedgerFile | ServerLedger) -> None:
    """What a change row says was, an earlier one said became: no change was made on old facts.

    A customer is a mirror of Stripe's, and so is what the next term has: a sync changes them without an
    entry.
    """
    known: dict[tuple[str, int], dict[str, object]] = {}
    for row in ledger.rows("SELECT * FROM changes WHERE entity <> 'customer' ORDER BY entry, n"):
        if row["erased_at"] is not None:
            known.pop((row["entity"], row["entity_id"]), None)
            continue
        was, became = (json.loads(row[name]) if row[name] else {} for name in ("before", "after"))
        facts = known.setdefault((row["entity"], row["entity_id"]), {})
        if was.get("stripe_subscription") != became.get("stripe_subscription"):
            facts.pop("stripe_item", None)  # a contract is renewed as another Stripe subscription
        for name, value in was.items():
            if name in facts and facts[name] != value and name not in {"next_seats", "next_plan"}:
                what = f"entry {row['entry']}: {row['entity']} {row['entity_id']} {name}"
                raise Violation("a change of what was not so", f"{what}: {value!r}, before {facts[name]!r}")
        facts.update(became)


def _change_hash(row) -> str:
    was, became = ("" if row[name] is None else f"+{row[name]}" for name in ("before", "after"))
    text = f"{row['entity']}\n{row['entity_id']}\n{was}\n{became}\n{row['salt']}"
    return sha256(text.encode()).hexdigest()


def facts_of(ledger: LedgerFile | ServerLedger) -> dict[str, object]:
    return dict(ledger.dump(FACTS))


def check_in_step(books: Books) -> None:
    """After a rest the ledger says what Stripe says: seats paid for, names, states, invoices."""
    now = _written(books.now)
    subscriptions: dict[str, Obj] = {ours["stripe_item"]: ours for ours in books.subscriptions}
    live = [one for one in books.stripe["subscription"] if one["status"] not in ENDED]
    for one in live:
        for item in books.items.get(one["id"], []):
            ours = subscriptions.get(item["id"])
            if ours is None:
                raise Violation("a subscription that the ledger does not know", one["id"])
            known = [other for other in books.subscriptions if other["stripe_subscription"] == one["id"]]
            for name, is_, should in _facts(ours, one, item, now, several=len(known) > 1):
                if name == "name" and str(is_).startswith(f"{should}-"):
                    continue  # that name was taken
                if is_ != should:
                    raise Violation(
                        "the ledger differs from Stripe", f"{ours['name']} {name}: {is_}, Stripe {should}"
                    )
    running = {one["id"] for one in live}
    for ours in books.subscriptions:
        if ours["status"] not in ENDED and ours["stripe_subscription"] not in running:
            raise Violation("a subscription that Stripe does not have", ours["name"])
    _check_names(live)
    known = {
        row["stripe_id"]: (row["status"], row["total"], row["amount_paid"])
        for row in books.ledger.rows("SELECT stripe_id, status, total, amount_paid FROM invoices")
    }
    for one in books.stripe["invoice"]:
        wanted = (one["status"], one["total"], one["amount_paid"])
        if one["status"] in {"open", "paid"} and known.get(one["id"]) != wanted:
            raise Violation(
                "an invoice that the ledger has otherwise", f"{one['id']}: {known.get(one['id'])}, {wanted}"
            )


def _facts(
    ours: Obj, one: Obj, item: Obj, now: str, *, several: bool
) -> Iterator[tuple[str, object, object]]:
    """`several`: the Stripe subscription has or had other items, and its own metadata may be about them."""
    quantity, own = item["quantity"], item["metadata"]
    on_item = any(key.startswith("seatctl_") for key in own)
    metadata = own if on_item else one["metadata"]
    ahead = metadata.get("seatctl_paid_until", "") > now
    waits = ahead and metadata.get("seatctl_next_quantity") == str(quantity)
    waits_for = metadata.get("seatctl_paid_item")
    yield "quantity", ours["quantity"], quantity
    # A term that is renewed names no item: it is not known whether it was renewed for another one.
    if on_item or waits_for or not (several and ahead):
        waits = waits and waits_for in {None, item["id"]}
        yield "capacity", ours["capacity"], int(metadata["seatctl_paid_seats"]) if waits else quantity
    yield "status", ours["status"], one["status"]
    if on_item or not several:
        yield "name", ours["name"], metadata.get("seatctl_name", ours["name"])
    copied = json.loads(ours["metadata"])
    yield "schedule", copied.get("[schedule]"), one["schedule"]
    yield "trial", copied.get("[trial]"), _end_of_trial(one)
    yield "end", ours["cancel_at"], None if one["cancel_at"] is None else _written(one["cancel_at"])


def _end_of_trial(one: Obj) -> str | None:
    """What the end of a trial does if the customer has no payment method either."""
    if one["status"] != "trialing":
        return None
    if one["collection_method"] == "send_invoice":
        return "invoice"
    ending = one["trial_settings"]["end_behavior"]["missing_payment_method"]
    return "charge" if one["default_payment_method"] else str(ending)


def _check_names(live: list[Obj]) -> None:
    # Adopted ones of several items have the names on the items.
    names = [(one["metadata"].get("seatctl_ledger"), one["metadata"].get("seatctl_name")) for one in live]
    for ledger, name in names:
        if ledger and name and names.count((ledger, name)) > 1:
            raise Violation("bought twice", f"two running subscriptions are called {name}")


UNPAID = frozenset({"past_due", "unpaid"})


def check_status(attention: list[str], books: Books) -> None:
    """`status` names each running subscription that is unpaid, as long as it is (rule: attention)."""
    for ours in books.subscriptions:
        one = next((s for s in books.stripe["subscription"] if s["id"] == ours["stripe_subscription"]), None)
        if one is None or one["status"] in ENDED:
            continue
        said = [line for line in attention if ours["name"] in line.replace(":", " ").split()]
        if one["status"] in UNPAID and not said:
            raise Violation("status is silent about what is unpaid", f"{ours['name']} is {one['status']}")
        drafts = [
            invoice["id"]
            for invoice in books.stripe["invoice"]
            if invoice["status"] == "draft"
            and not invoice["auto_advance"]
            and invoice["amount_due"] > 0
            and ((invoice.get("parent") or {}).get("subscription_details") or {}).get("subscription")
            == one["id"]
        ]
        named = any(draft in line for draft in drafts for line in said)
        if one["status"] == "unpaid" and drafts and not named:
            raise Violation("a draft that nobody is told to pay", f"{ours['name']}: {drafts}; {said}")
    disputes = [one for one in books.stripe["dispute"] if one["status"].endswith("needs_response")]
    if disputes and not any("disputed" in line for line in attention):
        raise Violation("status is silent about a dispute", str(disputes[0]["id"]))


def check_invoices(rows: list[Obj], books: Books) -> None:
    """A list of invoices asks for what Stripe asks for: nothing of what is void or written off."""
    for row in rows:
        one = books.invoices.get(row["stripe_id"])
        if one is None or row["status"] != one["status"]:
            continue
        if one["status"] == "draft":
            continue  # what it will ask for is reckoned when it is read
        owed = one["amount_remaining"] if one["status"] == "open" else 0
        noted = one["pre_payment_credit_notes_amount"] + one["post_payment_credit_notes_amount"]
        given = sum(
            charge["amount_refunded"]
            for charge in books.charges.values()
            if (invoice := books.invoice_of(charge)) is not None and invoice["id"] == one["id"]
        )
        for name, wanted in (("credited", noted), ("refunded", given)):
            if (row[name] or 0) != wanted:
                raise Violation("an invoice says otherwise than Stripe", f"{name} {wanted}: {row}")
        disputed = sum(
            dispute["amount"]
            for dispute in books.stripe["dispute"]
            if (charge := books.charges.get(dispute["charge"])) is not None
            and (invoice := books.invoice_of(charge)) is not None
            and invoice["id"] == one["id"]
        )
        due = None if one["due_date"] is None else _written(one["due_date"])
        begun = one["due_date"] or one["status_transitions"]["finalized_at"]
        late = (books.now - begun) // 86400 if owed and begun and books.now > begun else None
        if one["id"] in books.processing:
            late = None  # a bank is paying it
            if "processing" not in str(row["note"]):
                raise Violation("a payment that takes days is not shown", str(row))
        for name, wanted_ in (("disputed", disputed or None), ("due_date", due), ("days_late", late)):
            if row[name] != wanted_:
                raise Violation("an invoice says otherwise than Stripe", f"{name} {wanted_}: {row}")
        if row["amount_remaining"] != owed:
            raise Violation(
                "an invoice asks otherwise than Stripe", f"{row['stripe_id']}: {row}, Stripe {owed}"
            )


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
