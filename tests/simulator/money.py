"""What must hold of money, looked at from outside: nothing twice, nothing unexplained, as it was shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from seatctl.sandbox.money import least_charge
from tests.simulator.actions import Step
from tests.simulator.books import Books, Obj, Operation, reference
from tests.simulator.invariants import Violation
from tests.simulator.world import Result, World

STANDING = frozenset({"open", "paid"})
"""What is marked uncollectible in the dashboard is asked of nobody any more."""


@dataclass
class Accounts:
    """Where each invoice and each charge of a history came from."""

    invoices: dict[str, str] = field(default_factory=dict)
    """By id: the operation that made it, or the kind of step in which it appeared."""
    charges: dict[str, str] = field(default_factory=dict)
    """By id: the kind of step in which it was made."""
    shown: dict[str, int] = field(default_factory=dict)
    """What was shown of an operation before it began."""
    still_owed: dict[str, int] = field(default_factory=dict)
    """By subscription that was ended with a refund: what was said to stay owed, less what was paid since."""

    def look(self, kind: str, before: Books, after: Books, shown: int | None = None) -> None:
        """Note what has appeared in a step."""
        if kind not in {"command", "page"}:  # what two did at the same time, nobody has shown
            # What somebody else did meanwhile may change what is charged. A page has its amount already.
            for ref in [ref for ref in self.shown if after.operations[ref].kind != "checkout"]:
                del self.shown[ref]
        at_work = {one.ref for one in before.open_operations}
        begun = [ref for ref in after.operations if ref not in before.operations]
        at_work.update(begun)
        if shown is not None and len(begun) == 1:
            self.shown[begun[0]] = shown
        for one in after.stripe["invoice"]:
            if one["id"] not in self.invoices:
                ref = reference(one)
                # Where no metadata says so (a cancellation): the one that was begun, or the only one.
                likely = begun if len(begun) == 1 else [*at_work]
                by = ref if ref in at_work else likely[0] if len(likely) == 1 else kind
                # A page that is filled in is what the waiting operation asked for.
                if kind == "meeting" and ref not in at_work:
                    by = kind
                self.invoices[one["id"]] = str(by) if kind in {"command", "page", "meeting"} else kind
        for name in after.charges:
            self.charges.setdefault(name, kind)

    def billed(self, operation: Operation, books: Books) -> tuple[int, int]:
        """What an operation has put on invoices that stand, and what of it is paid."""
        mine = [
            books.invoices[name]
            for name, by in self.invoices.items()
            if by == operation.ref and name in books.invoices
        ]
        standing = [one for one in mine if one["status"] in STANDING or _advances(one)]
        # Whose customer was deleted in the dashboard is asked of nobody; the sandbox leaves it open.
        there = {one["id"] for one in books.stripe["customer"]}
        standing = [one for one in standing if one["customer"] in there or one["amount_paid"]]
        return sum(one["amount_due"] for one in standing), sum(one["amount_paid"] for one in standing)

    def added_by_others(self, operation: Operation, books: Books) -> int:
        """What the dashboard has put on an operation's invoices while its page waited to be paid."""
        ours = (name for name, by in self.invoices.items() if by == operation.ref)
        mine = (books.invoices[name] for name in ours if name in books.invoices)
        lines = (line for invoice in mine for line in invoice["lines"]["data"])
        return sum(_gross(line) for line in lines if line["parent"]["subscription_item_details"] is None)


def _gross(line: Obj) -> int:
    """What a line adds to the total: its amount, and the tax on top of it."""
    added = (tax["amount"] for tax in line["taxes"] if tax["tax_behavior"] == "exclusive")
    return int(line["amount"]) + sum(added)


def _advances(invoice: Obj) -> bool:
    """A draft that Stripe finalizes by itself within the hour is billed, too, if it is not too small."""
    is_billed = invoice["amount_due"] >= least_charge(invoice["currency"])
    return invoice["status"] == "draft" and bool(invoice["auto_advance"]) and is_billed


def check_charges(before: Books, after: Books, kind: str, accounts: Accounts) -> None:
    """Each charge pays an invoice, no invoice is paid twice, and none is charged for no reason."""
    by_invoice: dict[str, int] = {}
    for charge in after.charges.values():
        invoice = after.invoice_of(charge)
        if invoice is not None:
            by_invoice[invoice["id"]] = by_invoice.get(invoice["id"], 0) + charge["amount"]
    for name, paid in by_invoice.items():
        if paid > after.invoices[name]["amount_due"]:
            raise Violation(
                "an invoice paid twice", f"{name}: {paid} of {after.invoices[name]['amount_due']}"
            )
    if kind == "clock":
        _check_ended(before, after, accounts)
    if kind not in {"command", "meeting"}:
        return
    for name, charge in after.charges.items():
        if name in before.charges:
            continue
        invoice = after.invoice_of(charge)
        if invoice is None:
            raise Violation("a charge for no invoice", f"{name}: {charge['amount']}")
        if invoice["id"] not in before.invoices and accounts.invoices[invoice["id"]] == "command":
            raise Violation("a charge of no operation", f"{name}: {charge['amount']} on {invoice['id']}")


def _check_ended(before: Books, after: Books, accounts: Accounts) -> None:
    """Nobody is charged any more for what was ended with a refund, but for what was said to stay owed."""
    for name, charge in after.charges.items():
        if name in before.charges or (invoice := after.invoice_of(charge)) is None:
            continue
        subscription = subscription_of(invoice)
        if subscription in accounts.still_owed:
            accounts.still_owed[subscription] -= charge["amount"]
            if accounts.still_owed[subscription] < 0:
                raise Violation(
                    "charged after the end", f"{charge['amount']} on {invoice['id']} of {subscription}"
                )


def check_ends(before: Books, after: Books, accounts: Accounts) -> None:
    """An operation that is done has billed what was shown; one that failed, nothing."""
    for ref, operation in after.operations.items():
        was = before.operations.get(ref)
        if operation.is_open or (was is not None and not was.is_open):
            continue
        billed, paid = accounts.billed(operation, after)
        if operation.state == "failed":
            given = _given_back(operation, after, accounts)
            # What the customer owed before is paid with the invoice, and is not given back.
            if paid - given > _owed_before(operation, after, accounts) or billed - paid > 0:
                raise Violation(
                    "a failed operation has billed",
                    f"{operation.kind} of run {operation.run}: {billed}, {paid} paid, {given} given back;"
                    f" {operation.outcome}",
                )
            continue
        shown = accounts.shown.get(ref)
        if operation.kind == "checkout":
            billed -= accounts.added_by_others(operation, after)
        if shown is not None and billed != max(0, shown) and not _settles_more(operation):
            raise Violation(
                "charged otherwise than shown",
                f"{operation.kind} of run {operation.run}: shown {shown}, billed {billed}, {paid} paid",
            )


def _settles_more(operation: Operation) -> bool:
    """A new card pays what is owed already: no invoice of its own."""
    return operation.kind in {"billing", "invoice_pay", "invoice_void", "invoice_send"}


def _owed_before(operation: Operation, books: Books, accounts: Accounts) -> int:
    """What the balances of customers have put on an operation's paid invoices."""
    ours = (name for name, by in accounts.invoices.items() if by == operation.ref)
    paid = (one for name in ours if (one := books.invoices.get(name)) and one["status"] == "paid")
    return sum(max(0, one["starting_balance"]) for one in paid)


def _given_back(operation: Operation, books: Books, accounts: Accounts) -> int:
    """What of an operation's invoices went back to cards, or was credited by a note."""
    ours = [name for name, by in accounts.invoices.items() if by == operation.ref]
    mine = [name for name in ours if name in books.invoices]  # without drafts that were deleted
    refunded = dict.fromkeys(mine, 0)
    for charge in books.charges.values():
        invoice = books.invoice_of(charge)
        if invoice is not None and invoice["id"] in refunded:
            refunded[invoice["id"]] += charge["amount_refunded"]
    credited = {name: books.invoices[name]["post_payment_credit_notes_amount"] for name in mine}
    return sum(max(refunded[name], credited[name]) for name in mine)


def check_tax(before: Books, after: Books, accounts: Accounts) -> None:
    """No operation bills without the tax that Stripe adds, be it that its address is missing."""
    for name, by in accounts.invoices.items():
        if name in before.invoices or by not in after.operations or name not in after.invoices:
            continue
        invoice = after.invoices[name]
        taxed, status = invoice["automatic_tax"], invoice["status"]
        is_unknown = taxed["disabled_reason"] or (taxed["enabled"] and taxed["status"] != "complete")
        if status in STANDING and is_unknown and invoice["total"] > 0:
            raise Violation("bought without the tax", f"{name} of {by}: {taxed}")


def check_told_tax(row: Obj) -> None:
    """Net and tax of what is shown make its total, and that, with the balance, what is due."""
    net, tax, total = (row.get(name) for name in ("net", "tax", "total"))
    if all(isinstance(amount, int) for amount in (net, tax, total)) and net + tax != total:
        raise Violation("net and tax are not the total", str(row))


def check_request_ids(after: Books, accounts: Accounts) -> None:
    """A request id charges once, however often it is repeated."""
    paid: dict[str, list[int]] = {}
    for operation in after.operations.values():
        if operation.request_id:
            billed, _ = accounts.billed(operation, after)
            if billed:
                paid.setdefault(operation.request_id, []).append(operation.run)
    for request, runs in paid.items():
        if len(runs) > 1:
            raise Violation("a request id charged twice", f"{request}: runs {runs}")


def moved(before: Books, after: Books) -> int:
    """What a step has charged, and what it has put on invoices that are to be paid later."""
    charged = sum(one["amount"] for name, one in after.charges.items() if name not in before.charges)
    owed = sum(
        one["amount_remaining"]
        for one in after.stripe["invoice"]
        if one["id"] not in before.invoices and (one["status"] == "open" or _advances(one))
    )
    return charged + owed


def check_shown(step: Step, result: Result, shown: Result | None, before: Books, after: Books) -> None:
    """What a dry run said a moment ago is what the run has charged; and never more than --max-spend."""
    if "--max-spend" in step.words and step.words[0] != "batch":
        limit = round(float(step.words[step.words.index("--max-spend") + 1]) * 100)
        charged = after.charged - before.charged
        if charged > limit and not before.open_operations:
            raise Violation("charged more than --max-spend", f"{charged} of {limit}")
    if shown is None or result.code != 0 or before.open_operations or result.hit:
        return
    if shown.code != 0:
        raise Violation("the dry run was refused, the run was not", f"exit {shown.code}: {shown.err[-400:]}")
    row = shown.row
    amount = row.get("due_now", row.get("billed_now"))
    if isinstance(amount, int) and step.words[1] != "billing" and moved(before, after) != max(0, amount):
        raise Violation(
            "charged otherwise than shown", f"shown {amount}, charged {moved(before, after)}: {row}"
        )
    if "given_back" in row and "--now" in step.words:
        _check_given_back(row, before, after)


def check_next_invoice(
    world: World, result: Result, shown: Result | None, before: Books, books: Books
) -> None:
    """What was said of the next invoice is what Stripe says of it once the change is made."""
    if shown is None or shown.code != 0 or result.code != 0 or before.open_operations or result.hit:
        return
    told, name = shown.row.get("next_invoice"), shown.row.get("name")
    ours = next((one for one in books.subscriptions if one["name"] == name), None)
    if ours is not None and "ends_at" in shown.row and shown.row["ends_at"] != ours["cancel_at"]:
        raise Violation(
            "the end otherwise than shown", f"{name}: {shown.row['ends_at']}, {ours['cancel_at']}"
        )
    if not isinstance(told, int) or ours is None:
        return
    status, preview = world.stripe(
        "POST", "/v1/invoices/create_preview", f"subscription={ours['stripe_subscription']}"
    )
    if status == 200 and preview["total"] != told:
        raise Violation("the next invoice otherwise than shown", f"{name}: shown {told}, {preview['total']}")


def subscription_of(invoice: Obj) -> str | None:
    """The subscription that an invoice bills, be it Stripe's or our own."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("subscription") or invoice["metadata"].get("seatctl_subscription")


def _check_given_back(row: Obj, before: Books, after: Books) -> None:
    back = after.refunded - before.refunded
    if back != row["given_back"]:
        raise Violation("given back otherwise than shown", f"shown {row['given_back']}, given back {back}")


@dataclass(frozen=True)
class Unused:
    """What Stripe itself says of a cancellation that is about to come."""

    credit: int
    """What is unused, less what waits to be billed."""
    lines: int
    paid: int
    """What the card and the balance paid on this subscription's own invoices and was not given back."""
    owed: int
    debt: int
    """What of the running period was never paid, but has become a debt on the balance."""
    drafted: int
    """What a renewal has put on a draft, which is not charged yet."""
    by_hand: int
    """What the dashboard has given back of it, outside of credit notes."""
    own: bool
    """Whether there are invoices of our own, of which Stripe's preview knows nothing."""


def unused(world: World, books: Books, name: str) -> Unused | None:
    """Ask Stripe what canceling now would give back; None if there is nothing to ask about."""
    ours = next((one for one in books.subscriptions if one["name"] == name), None)
    one = ours and next(
        (s for s in books.stripe["subscription"] if s["id"] == ours["stripe_subscription"]), None
    )
    if not one or one["status"] not in {"active", "past_due"}:
        return None
    form = (
        f"subscription={one['id']}&subscription_details[cancel_now]=true"
        "&subscription_details[proration_behavior]=create_prorations"
    )
    status, preview = world.stripe("POST", "/v1/invoices/create_preview", form)
    if status != 200:
        return None
    own = [s for s in books.stripe["invoice"] if s["metadata"].get("seatctl_subscription") == one["id"]]
    mine = [
        s
        for s in books.stripe["invoice"]
        if ((s.get("parent") or {}).get("subscription_details") or {}).get("subscription") == one["id"]
    ]
    paid = sum(_left(s) for s in mine if s["status"] == "paid")
    owed = sum(s["amount_remaining"] for s in mine if s["status"] == "open")
    drafted = sum(s["amount_due"] for s in mine if s["status"] == "draft")
    running = [
        s
        for s in mine
        if s["status"] == "paid" and any(line["period"]["end"] > books.now for line in _lines(world, s))
    ]
    debts = sum(max(0, (s["ending_balance"] or 0) - max(0, s["starting_balance"])) for s in running)
    balance = next((c["balance"] for c in books.stripe["customer"] if c["id"] == one["customer"]), 0)
    debt = min(debts, max(0, balance))
    lines = preview["lines"].get("total_count") or len(preview["lines"]["data"])
    by_hand = _refunded_by_hand(books, {s["id"]: _left(s) for s in running})
    lines *= 2 if preview["total_taxes"] else 1  # the tax of each line is rounded too
    return Unused(-preview["total"], lines, paid, owed, debt, drafted, by_hand, bool(own))


def _left(invoice: Obj) -> int:
    """What credit notes have not taken off an invoice."""
    noted = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    return max(0, invoice["total"] - noted)


def _refunded_by_hand(books: Books, left: dict[str, int]) -> int:
    """What refunds that no credit note tells of have given back of these invoices.

    The dashboard may refund a charge whose invoice it has credited, too: more than it was paid. That is not
    to be made good by other invoices, so of each invoice no more counts than credit notes have `left`.
    """
    noted = {one["refund"] for note in books.stripe["credit_note"] for one in note["refunds"]}
    refunded = dict.fromkeys(left, 0)
    for one in books.stripe["refund"]:
        charge = books.charges.get(one["charge"])
        invoice = None if charge is None else books.invoice_of(charge)
        if invoice is not None and invoice["id"] in left and one["id"] not in noted:
            refunded[invoice["id"]] += 0 if one["status"] == "failed" else one["amount"]
    return sum(min(amount, left[name]) for name, amount in refunded.items())


def note_end(step: Step, result: Result, after: Books, accounts: Accounts) -> None:
    """What was said to stay owed of a subscription that was ended with a refund."""
    if result.code != 0 or step.words[:2] != ("subs", "cancel") or "--refund" not in step.words:
        return
    subscription, owed = result.row.get("stripe_subscription"), result.row.get("owed")
    if subscription and result.row.get("result") == "done":
        still = sum(
            one["amount_remaining"]
            for one in after.stripe["invoice"]
            if one["status"] == "open" and subscription_of(one) == subscription
        )
        accounts.still_owed[subscription] = owed if isinstance(owed, int) else still


def _lines(world: World, invoice: Obj) -> list[Obj]:
    _, found = world.stripe("GET", f"/v1/invoices/{invoice['id']}/lines", "limit=100")
    return found["data"]


def check_refund(result: Result, said: Unused | None, before: Books, after: Books) -> None:
    """Never more than was paid, nor less than Stripe's preview says is unused by more than rounding."""
    if result.error.get("code") == "not_refundable" and not before.stripe["dispute"]:
        # What was paid outside of Stripe cannot be given back there, and is refused before anything ends.
        paid = (one for one in before.stripe["payment_intent"] if one["status"] == "succeeded")
        charged = {one.get("_invoice") for one in paid}
        named = [one["id"] for one in before.stripe["invoice"] if one["number"] == result.error["invoice"]]
        if charged & set(named):
            raise Violation("a refund is tried that Stripe does not give", str(result.error))
    if said is None or result.code != 0 or before.open_operations or result.hit or said.own:
        return
    notes = {one["id"] for one in before.stripe["credit_note"]}
    given = sum(one["amount"] for one in after.stripe["credit_note"] if one["id"] not in notes)
    if given > said.paid - said.by_hand + said.owed:
        raise Violation("more given back than paid", f"{given} of {said.paid} paid and {said.owed} owed")
    back = after.refunded - before.refunded
    if back > max(0, said.credit - said.debt) + said.lines:
        what = f"{back}, Stripe says {said.credit}, of which {said.debt} was never paid"
        raise Violation("more given back than paid", what)
    wanted = min(said.credit - said.drafted, said.paid + said.owed) - said.by_hand
    if given < wanted - said.lines:
        raise Violation(
            "less given back than is unused", f"{given}, Stripe says {said.credit}, paid {said.paid}"
        )
    if given > max(0, said.credit) + said.lines:
        raise Violation("more given back than is unused", f"{given}, Stripe says {said.credit}")
