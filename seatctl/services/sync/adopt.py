"""`ledger adopt`: make this ledger the home of subscriptions that another one keeps, or none (rule 9).

Its id is written into each subscription's metadata in Stripe, where the other ledger will find it: at
once when it asks Stripe before a change of money, after its next sync before a change of seats.
"""

from __future__ import annotations

from collections.abc import Sequence

from seatctl.billing import endpoints
from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import read_subscription
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import ExitCode, JsonValue, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.lookups import find_all
from seatctl.ledger.mirror import mirrored_subscriptions as mirrored_pools
from seatctl.ledger.mirror import subscription_updates
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.item_metadata import as_known, is_on_item, said_of
from seatctl.rules.metadata import LEDGER, NAME
from seatctl.rules.plural import counted
from seatctl.services.operations.kinds import Apply, OperationHandler, OperationResult
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import OperationRequest, submit
from seatctl.services.subscriptions.settings_operation import not_reached, write_metadata
from seatctl.services.subscriptions.snapshot import mirror_update, state_of
from seatctl.services.sync.apply_subscription import ENDED, item_of
from seatctl.services.users.permissions import allow

COLUMNS = ("name", "plan", "seats", "home_ledger", "result")


def adoptable(reader: Reader, call: Call, ledger_id: str, handles: Sequence[str]) -> list[Subscription]:
    """The pools that would be adopted: those named, else all that run and have another home.

    Raises RoleRequired, UnknownSubscription.
    """
    allow(reader, call.actor, Action.MANAGE_LEDGER)
    named = find_all(
        lambda handle: subscriptions.find(reader, handle, call.now), handles, "subs", "subscriptions"
    )
    pools = named or [
        pool for pool in subscriptions.listing(reader, call.now) if pool.status.value not in ENDED
    ]
    return [pool for pool in pools if pool.home_ledger != ledger_id]


def adopt(ledger: Ledger, billing: Billing, call: Call, handles: Sequence[str]) -> Report:
    """Adopt them, one operation for each subscription of Stripe's; what was done before a failure stays."""
    with ledger.reading() as reader:
        pools = adoptable(reader, call, ledger.id, handles)
    if not pools:
        return Report(None, call.dry_run, "this ledger is the home of all its subscriptions already")
    if call.dry_run:
        rows = tuple(_row(pool, "would be adopted") for pool in pools)
        return Report(None, True, f"would adopt {counted(len(pools), 'subscription')}", rows, columns=COLUMNS)
    first: dict[str, Subscription] = {}
    for pool in pools:
        first.setdefault(pool.stripe_subscription, pool)
    done: list[Record] = []
    failed: list[Record] = []
    refused: StripeRefused | None = None
    run = None
    for pool in first.values():
        try:
            report = submit(ledger, billing, call, _request(pool, ledger.id), lambda _: None)
        except StripeRefused as error:  # the others are adopted all the same
            refused = error
            failed.append({**_row(pool, "failed"), "error": error.code, "message": error.message})
            continue
        run = report.run
        done += report.rows
    told = f"adopted {counted(len(done), 'subscription')}"
    code = ExitCode.DONE
    if refused is not None and not done:
        raise refused
    if failed:
        code = ExitCode.PARTIAL
        told += f"; {counted(len(failed), 'subscription')} could not be: {failed[0]['message']}"
    return Report(run, False, told, (*done, *failed), code, columns=COLUMNS)


def _request(pool: Subscription, ledger_id: str) -> OperationRequest:
    details: dict[str, JsonValue] = {
        "subscription": pool.id,
        "stripe_id": pool.stripe_subscription,
        "name": pool.name,
    }
    return OperationRequest("adopt", {"adopt": ledger_id}, details, subscription_id=pool.id)


def _run(running: OperationRun) -> Apply:
    stripe_id = str(running.payload["stripe_id"])
    try:
        before = read_subscription(running.billing.read(endpoints.subscription(stripe_id)))
    except MissingInStripe as gone:
        # Left pending, it would keep every later sync from being a success.
        gone.hint = "to end what Stripe no longer has: seatctl reconcile --fix"
        raise NothingLeftInStripe(gone) from gone
    with running.ledger.reading() as reader:
        pools = mirrored_pools.of_stripe(reader, stripe_id)
        form = _named(as_known(before, pools), pools)
    said = form.get("metadata")
    marked: dict[str, JsonValue] = {LEDGER: running.ledger.id, **(said if isinstance(said, dict) else {})}
    write_metadata(running, "metadata", stripe_id, {**form, "metadata": marked})
    found = as_known(read_subscription(running.billing.read(endpoints.subscription(stripe_id))), pools)
    at = stripe_now(running.billing, running.call)

    def apply(tx: Transaction) -> OperationResult:
        rows = []
        for pool in mirrored_pools.of_stripe(tx, stripe_id):
            item = item_of(pool, found)
            if item is None:
                # The people who have seats in it are this ledger's to seat now.
                after = mirrored_pools.remove_item(tx, pool, found)
            else:
                stands = state_of(tx, pool, found, item, at)
                after = subscription_updates.apply(tx, pool, mirror_update(tx, pool, found, item, stands))
            was, became = {"home_ledger": pool.home_ledger}, {"home_ledger": after.home_ledger}
            tx.record("subscription", pool.id, was, became)
            rows.append(_row(after, "adopted"))
        return OperationResult(f"adopted {running.payload['name']}", tuple(rows), COLUMNS)

    return apply


def _named(found: StripeSubscription, pools: Sequence[Subscription]) -> dict[str, JsonValue]:
    """What gives each pool its name in Stripe, where it has none there: on the item where they share one."""
    form: dict[str, JsonValue] = {}
    items: list[JsonValue] = []
    for pool in pools:
        item = item_of(pool, found)
        if item is None or NAME in said_of(found, item):
            continue
        if is_on_item(found, item):
            items.append({"id": item.id, "metadata": {NAME: pool.name}})
        else:
            form = {"metadata": {NAME: pool.name}}
    return {**form, "items": items} if items else form


def _row(pool: Subscription, result: str) -> dict[str, JsonValue]:
    return {
        "name": pool.name,
        "plan": pool.plan_slug,
        "seats": pool.capacity,
        "home_ledger": pool.home_ledger,
        "result": result,
    }


HANDLER = OperationHandler(_run, abandon=not_reached)
"""Finished however old it is: it charges nobody."""
