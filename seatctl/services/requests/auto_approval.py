"""Automatic approval of a subscription: change its rules, try them on a person, apply them to a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from seatctl.billing.port import Billing
from seatctl.errors import SeatctlError, UsageError
from seatctl.ledger import seats, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.request_decisions import apply_rules
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call, format_time
from seatctl.models.report import Record, Report, unchanged_report
from seatctl.models.role import Action
from seatctl.models.subscription import AutoApproval
from seatctl.models.user import UserStatus
from seatctl.rules.approval import auto_approval_fields, checked_domains, checked_groups
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.metadata import auto_approval_text
from seatctl.rules.run_changes import ChangedFact, reversal
from seatctl.services.subscriptions.subscription_metadata_operation import change_setting
from seatctl.services.users.permissions import allow


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """Changes to the rules; None leaves a rule as it is. `until` is UTC."""

    enabled: bool | None = None
    domains: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    daily_limit: int | None = None
    until: datetime | None = None
    keep_free: int | None = None
    reset: bool = False
    """Reset every rule first; `enabled` is kept."""

    def applied(self, rules: AutoApproval) -> AutoApproval:
        """Return the rules after the change. Raises `bad_rule`."""
        before = AutoApproval(enabled=rules.enabled) if self.reset else rules
        return AutoApproval(
            enabled=before.enabled if self.enabled is None else self.enabled,
            domains=before.domains if self.domains is None else checked_domains(self.domains),
            groups=before.groups if self.groups is None else checked_groups(self.groups),
            daily_limit=before.daily_limit if self.daily_limit is None else self.daily_limit,
            until=before.until if self.until is None else self.until,
            keep_free=before.keep_free if self.keep_free is None else self.keep_free,
        )


def set_rules(ledger: Ledger, billing: Billing, call: Call, handle: str, options: RuleOptions) -> Report:
    """Change the rules in the ledger and in Stripe's metadata.

    Raises `bad_rule`, `too_long_for_stripe`, RoleRequired.
    """
    if options.until is not None and options.until <= call.now:
        raise UsageError(
            "--until is in the past", hint=f"use --until with a time after {call.now:%Y-%m-%d %H:%M} UTC"
        )
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
        allow(reader, call.actor, Action.CONFIGURE_APPROVAL, subscription)
    after = options.applied(subscription.auto_approval)
    if after == subscription.auto_approval:
        return unchanged_report(
            call, f"automatic approval of {subscription.name} is already {_state(after)} with these rules"
        )
    auto_approval_text(after)  # raises before an operation begins if Stripe cannot store the rules
    if after.enabled != subscription.auto_approval.enabled:
        summary = f"turned automatic approval of {subscription.name} {_state(after)}"
    else:
        summary = f"changed the rules of automatic approval of {subscription.name}, which is {_state(after)}"
    old, new = (auto_approval_fields(rules) for rules in (subscription.auto_approval, after))
    report = change_setting(ledger, billing, call, subscription, {"auto_approval": new}, summary)
    if report.run is None:
        return report
    changed = ChangedFact("subscription", subscription.name, {"auto_approval": old}, {"auto_approval": new})
    return replace(report, undo=reversal(None, None, [changed]))


def _state(rules: AutoApproval) -> str:
    return "on" if rules.enabled else "off"


def try_rules(
    reader: Reader, ledger_id: str, handle: str, email: str, options: RuleOptions, now: datetime
) -> Record:
    """Return how the rules, changed by `options`, would decide a request of this person, and by which rule.

    Nothing is written. Raises UnknownSubscription.
    """
    subscription = subscriptions.find(reader, handle, now)
    rules = options.applied(subscription.auto_approval)
    user = users.find(reader, email)
    record: Record = {"subscription": subscription.name, "email": email if user is None else user.email}
    if user is None or user.status is not UserStatus.ACTIVE:
        why = f"{email} is not a user" if user is None else f"{user.email} is {user.status}"
        return {**record, "outcome": "refused", "rule": "user", "why": why}
    try:
        require_home(subscription, ledger_id)
        require_usable(subscription)
    except SeatctlError as error:
        return {**record, "outcome": "refused", "rule": "subscription", "why": error.message}
    if seats.is_seated(reader, subscription.id, user.id, format_time(now)):
        return {**record, "outcome": "seated", "rule": "seat", "why": f"{user.email} already has a seat"}
    verdict = apply_rules(reader, user, replace(subscription, auto_approval=rules), now)
    return {**record, "outcome": verdict.outcome.value, "rule": verdict.rule, "why": verdict.why}
