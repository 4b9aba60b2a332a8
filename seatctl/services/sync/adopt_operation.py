"""`ledger adopt`: makes this ledger the home of subscriptions that have another home ledger, or none.

`--migrate` also changes their billing mode from classic to flexible, and that of its own subscriptions.

Its id is written into each Stripe subscription's metadata, where the other ledger reads it: before its next
change of money, because it then asks Stripe, and before a change of seats after its next sync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_subscription
from seatctl.billing.port import Billing, MissingInStripe, stripe_now
from seatctl.errors import ExitCode, JsonValue, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.lookups import find_all
from seatctl.ledger.mirror import mirrored_subscriptions, subscription_updates
from seatctl.ledger.transaction import Transaction
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
_MIGRATION_COLUMNS = ("name", "plan", "seats", "home_ledger", "billing_mode", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPayload(SubscriptionPayload):
    """The adoption of one Stripe subscription, with all its subscriptions."""

    kind = "adopt"
    name: str
    migrate: bool = False
    """Whether its billing mode changes from classic to flexible."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The subscriptions to adopt or to migrate."""

    ledger_id: str
    subscriptions: tuple[Subscription, ...]
    migrates: bool = False
    """Whether the billing mode was asked for."""
    classic: frozenset[str] = frozenset()
    """The Stripe subscriptions whose billing mode changes from classic to flexible."""

    @property
    def adopted(self) -> list[Subscription]:
        """Those with another home, or none."""
        return [one for one in self.subscriptions if one.home_ledger != self.ledger_id]

    @property
    def migrated(self) -> list[Subscription]:
        """Those whose billing mode changes."""
        return [one for one in self.subscriptions if one.stripe_subscription in self.classic]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the report."""
        return _MIGRATION_COLUMNS if self.migrates else COLUMNS

    def row(self, subscription: Subscription) -> Record:
        """Return the row of a subscription that will be adopted or migrated."""
        result = _result(
            adopts=subscription.home_ledger != self.ledger_id,
            migrates=subscription.stripe_subscription in self.classic,
        )
        return {
            **_row(subscription, result),
            **({"billing_mode": "flexible"} if self.migrates else {}),
        }


def adoption(
    ledger: Ledger, billing: Callable[[], Billing], call: Call, handles: Sequence[str], *, migrate: bool
) -> Adoption:
    """Return what would be adopted: those named, else all running ones with another home.

    With `migrate`, those in classic billing too, by the mirror: an interrupted migration is finished even if
    Stripe has carried it out. Stripe is asked about those that an earlier version has read.
    Raises RoleRequired, UnknownSubscription.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_LEDGER)
        named = find_all(
            lambda handle: subscriptions.find(reader, handle, call.now), handles, "subs", "subscriptions"
        )
        running = (one for one in subscriptions.listing(reader, call.now) if not one.status.is_over)
        chosen = [*(named or running)]
        modes = mirrored_subscriptions.billing_modes(reader) if migrate else {}
    running_ones = {one.stripe_subscription for one in chosen if not one.status.is_over}
    classic = frozenset(
        stripe_id
        for stripe_id, mode in modes.items()
        if stripe_id in running_ones
        and (mode == "classic" or (mode is None and _is_classic(billing(), stripe_id)))
    )
    concerned = [one for one in chosen if one.home_ledger != ledger.id or one.stripe_subscription in classic]
    return Adoption(ledger.id, tuple(concerned), migrate, classic)


def _is_classic(billing: Billing, stripe_id: str) -> bool:
    try:
        return not read_subscription(billing.read(endpoints.subscription(stripe_id))).flexible
    except MissingInStripe:
        return False  # the next sync ends it


def adopt(ledger: Ledger, billing: Billing, call: Call, chosen: Adoption) -> Report:
    """Adopt subscriptions, one operation for each Stripe subscription; a failure does not stop the others."""
    if not chosen.subscriptions:
        mode = ", in flexible billing mode" if chosen.migrates else ""
        return unchanged_report(call, f"this ledger is already the home of all its subscriptions{mode}")
    if call.dry_run:
        rows = tuple(chosen.row(subscription) for subscription in chosen.subscriptions)
        return change_report(_summary(rows), rows, chosen.columns, dry_run=True)
    first: dict[str, Subscription] = {}
    for subscription in chosen.subscriptions:
        first.setdefault(subscription.stripe_subscription, subscription)
    done: list[Record] = []
    failed: list[Record] = []
    refused: StripeRefused | None = None
    run = None
    for stripe_id, subscription in first.items():
        migrate = stripe_id in chosen.classic
        payload = AdoptPayload(
            subscription=subscription.id, stripe_id=stripe_id, name=subscription.name, migrate=migrate
        )
        requested: dict[str, JsonValue] = {"adopt": ledger.id, **({"migrate": True} if migrate else {})}
        request = OperationRequest(payload.kind, requested, payload, subscription.id)
        try:
            report = submit(ledger, billing, call, request, lambda _: None)
        except StripeRefused as error:  # go on with the others
            refused = error
            failed.append({**_row(subscription, "failed"), "error": error.code, "message": error.message})
            continue
        run = report.run
        done += report.rows
    summary = _summary(done)
    code = ExitCode.DONE
    if refused is not None and not done:
        raise refused
    if failed:
        code = ExitCode.PARTIAL
        summary += f"; {counted(len(failed), 'subscription')} could not be adopted: {failed[0]['message']}"
    return Report(run, False, summary, (*done, *failed), code, columns=chosen.columns)


def _result(*, adopts: bool, migrates: bool) -> str:
    return " and ".join((*(("adopted",) if adopts else ()), *(("migrated",) if migrates else ())))


def _summary(rows: Sequence[Record]) -> str:
    """Return how many of the subscriptions of these rows are adopted and migrated."""
    numbers = {word: sum(word in str(row["result"]) for row in rows) for word in ("adopted", "migrated")}
    return "; ".join(f"{word} {counted(count, 'subscription')}" for word, count in numbers.items() if count)


def _run(running: OperationRun[AdoptPayload]) -> Apply:
    stripe_id = running.payload.stripe_id
    before = running.subscription()
    if running.payload.migrate and not before.flexible:
        # First: if Stripe refuses it, the subscription stays as it was, and is not adopted either.
        flexible = running.when(
            endpoints.subscription(stripe_id), lambda raw: read_subscription(raw).flexible
        )
        running.step_or_fail("migrate", endpoints.migrate_subscription(stripe_id), flexible)
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
            was: dict[str, JsonValue] = {"home_ledger": subscription.home_ledger}
            becomes: dict[str, JsonValue] = {"home_ledger": after.home_ledger}
            adopts = was != becomes
            if running.payload.migrate:
                was["billing_mode"], becomes["billing_mode"] = "classic", "flexible"
            tx.record("subscription", subscription.id, was, becomes)
            mode = "flexible" if mirror.flexible else "classic"
            result = _result(adopts=adopts, migrates=running.payload.migrate)
            rows.append({**_row(after, result), "billing_mode": mode})
        done = _result(adopts=not running.payload.migrate, migrates=running.payload.migrate)
        return OperationResult(f"{done} {running.payload.name}", tuple(rows), _MIGRATION_COLUMNS)

    return apply


def _abandon(running: OperationRun[AdoptPayload]) -> str | None:
    """Undo an adoption that has not reached Stripe; return None if it has, a migration included."""
    if running.was_sent("migrate") and running.subscription().flexible:
        return None
    return not_reached(running)


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
register(OperationHandler(AdoptPayload, _run, abandon=_abandon, action=Action.MANAGE_LEDGER))
