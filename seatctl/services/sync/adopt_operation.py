"""`ledger adopt`: makes this ledger the home of subscriptions that have another home ledger, or none.

Its id is written into each Stripe subscription's metadata, where the other ledger reads it: before its next
change of money, because it then asks Stripe, and before a change of seats after its next sync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatctl.billing.port import Billing, stripe_now
from seatctl.errors import ExitCode, JsonValue, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.lookups import find_all
from seatctl.ledger.mirror import mirrored_subscriptions, subscription_updates
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, change_report, counted, unchanged_report
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.metadata import LEDGER, NAME, is_on_item, metadata_of, with_described_item
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import OperationRun, SubscriptionPayload
from seatctl.services.operations.submit import OperationRequest, submit
from seatctl.services.subscriptions.snapshot import mirror_update, state_of
from seatctl.services.subscriptions.subscription_metadata_operation import not_reached, write_metadata
from seatctl.services.sync.apply import item_of
from seatctl.services.users.permissions import allow

COLUMNS = ("name", "plan", "seats", "home_ledger", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPayload(SubscriptionPayload):
    """The adoption of one Stripe subscription, with all its subscriptions."""

    kind = "adopt"
    name: str


def adoptable(reader: Reader, call: Call, ledger_id: str, handles: Sequence[str]) -> list[Subscription]:
    """The subscriptions that would be adopted: those named, else all running ones with another home.

    Raises RoleRequired, UnknownSubscription.
    """
    allow(reader, call.actor, Action.MANAGE_LEDGER)
    named = find_all(
        lambda handle: subscriptions.find(reader, handle, call.now), handles, "subs", "subscriptions"
    )
    running = (one for one in subscriptions.listing(reader, call.now) if not one.status.is_over)
    return [subscription for subscription in named or running if subscription.home_ledger != ledger_id]


def adopt(ledger: Ledger, billing: Billing, call: Call, handles: Sequence[str]) -> Report:
    """Adopt subscriptions, one operation for each Stripe subscription; a failure does not stop the others."""
    with ledger.reading() as reader:
        chosen = adoptable(reader, call, ledger.id, handles)
    if not chosen:
        return unchanged_report(call, "this ledger is already the home of all its subscriptions")
    if call.dry_run:
        rows = tuple(_row(subscription, "adopted") for subscription in chosen)
        return change_report(f"adopted {counted(len(chosen), 'subscription')}", rows, COLUMNS, dry_run=True)
    first: dict[str, Subscription] = {}
    for subscription in chosen:
        first.setdefault(subscription.stripe_subscription, subscription)
    done: list[Record] = []
    failed: list[Record] = []
    refused: StripeRefused | None = None
    run = None
    for stripe_id, subscription in first.items():
        payload = AdoptPayload(subscription=subscription.id, stripe_id=stripe_id, name=subscription.name)
        request = OperationRequest(payload.kind, {"adopt": ledger.id}, payload, subscription.id)
        try:
            report = submit(ledger, billing, call, request, lambda _: None)
        except StripeRefused as error:  # go on with the others
            refused = error
            failed.append({**_row(subscription, "failed"), "error": error.code, "message": error.message})
            continue
        run = report.run
        done += report.rows
    summary = f"adopted {counted(len(done), 'subscription')}"
    code = ExitCode.DONE
    if refused is not None and not done:
        raise refused
    if failed:
        code = ExitCode.PARTIAL
        summary += f"; {counted(len(failed), 'subscription')} could not be adopted: {failed[0]['message']}"
    return Report(run, False, summary, (*done, *failed), code, columns=COLUMNS)


def _run(running: OperationRun[AdoptPayload]) -> Apply:
    stripe_id = running.payload.stripe_id
    before = running.subscription()
    with running.ledger.reading() as reader:
        known = mirrored_subscriptions.of_stripe(reader, stripe_id)
        form = _missing_names(with_described_item(before, known), known)
    metadata = form.get("metadata")
    marked: dict[str, JsonValue] = {
        LEDGER: running.ledger.id,
        **(metadata if isinstance(metadata, dict) else {}),
    }
    write_metadata(running, "metadata", stripe_id, {**form, "metadata": marked})
    mirror = with_described_item(running.subscription(), known)
    at = stripe_now(running.billing, running.call)

    def apply(tx: Transaction) -> OperationResult:
        rows = []
        for subscription in mirrored_subscriptions.of_stripe(tx, stripe_id):
            item = item_of(subscription, mirror)
            if item is None:
                # Now this ledger decides about the seats of the people in it.
                after = mirrored_subscriptions.remove_item(tx, subscription, mirror)
            else:
                state = state_of(tx, subscription, mirror, item, at)
                update = mirror_update(tx, subscription, mirror, item, state)
                after = subscription_updates.apply(tx, subscription, update)
            was, becomes = {"home_ledger": subscription.home_ledger}, {"home_ledger": after.home_ledger}
            tx.record("subscription", subscription.id, was, becomes)
            rows.append(_row(after, "adopted"))
        return OperationResult(f"adopted {running.payload.name}", tuple(rows), COLUMNS)

    return apply


def _missing_names(mirror: StripeSubscription, known: Sequence[Subscription]) -> dict[str, JsonValue]:
    """The form that names each subscription that has no name in Stripe; on its item if several share one."""
    form: dict[str, JsonValue] = {}
    items: list[JsonValue] = []
    for subscription in known:
        item = item_of(subscription, mirror)
        if item is None or NAME in metadata_of(mirror, item):
            continue
        if is_on_item(mirror, item):
            items.append({"id": item.id, "metadata": {NAME: subscription.name}})
        else:
            form = {"metadata": {NAME: subscription.name}}
    return {**form, "items": items} if items else form


def _row(subscription: Subscription, result: str) -> dict[str, JsonValue]:
    return {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "seats": subscription.capacity,
        "home_ledger": subscription.home_ledger,
        "result": result,
    }


# Finished however old it is, because it charges nobody.
register(OperationHandler(AdoptPayload, _run, abandon=not_reached, action=Action.MANAGE_LEDGER))
