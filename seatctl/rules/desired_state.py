"""A desired state of seats: its rows, the result of comparing it with the ledger, and the wording. Pure.

The comparison itself is set-based SQL (ledger/desired/compare.py) over the rows that `desired` yields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.money import format_money
from seatctl.models.report import counted
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import (
    NoSeatsLeft,
    RevocationCount,
    RevocationLimit,
    check_revocations,
    require_home,
    require_usable,
    shortage,
)
from seatctl.rules.people import checked_row, storable

FIELDS = ("email", "subscription", "name", "group", "until")
"""The columns of a file, in the order in which their values are read."""

NEVER = "never"
"""In the column `until`: the seat does not end. An empty cell leaves the end as it is."""

_MOST_SENTENCES = 3


class DesiredRow(NamedTuple):
    """A row ready for staging; None for missing texts. `until` is a stored time or `never`."""

    line: int
    email: str
    email_key: str | None
    name: str | None
    group: str | None
    until: str | None
    subscription: str
    problem: str | None


def desired(
    rows: Iterable[tuple[int, tuple[str, ...], str | None]], default: str | None = None
) -> Iterator[DesiredRow]:
    """Yield rows with the columns FIELDS, checked; `default` is the subscription of rows that name none."""
    for line, values, problem in rows:
        if problem is not None:
            email = storable(values[0]) if values else ""
            yield DesiredRow(line, email, None, None, None, None, "", problem)
            continue
        email, subscription, name, group, until = values
        never = until.casefold() == NEVER
        person = checked_row(line, (email, name, group, "", "" if never else until))
        named, wrong = subscription.replace("\0", "\ufffd") or default or "", person.problem
        if not named:
            missing = "the subscription is missing; --subscription names one for all rows"
            wrong = f"{wrong}; {missing}" if wrong else missing
        end = NEVER if never else person.until
        key = None if wrong else person.email_key
        # `_make` bypasses the named tuple's constructor, which costs as much as the checks.
        yield DesiredRow._make((line, person.email, key, person.name, person.group, end, named, wrong))


class UnnamedSubscription(NamedTuple):
    """A running subscription with assigned seats that a file used with --prune does not mention."""

    name: str
    seated: int
    applied: bool
    """Whether an earlier file was applied to it."""


def require_named(unnamed: Sequence[UnnamedSubscription], named: Sequence[str]) -> None:
    """Raise `not_in_file` if the file lacks a subscription that an earlier file had. `named` are its own.

    If the last person of a subscription leaves, an export has no row for it; ignoring the subscription would
    keep the person's seat.
    """
    from shlex import quote

    missing = [subscription for subscription in unnamed if subscription.applied]
    if not missing:
        return
    listed = ", ".join(f"{subscription.name} ({subscription.seated:,} seated)" for subscription in missing)
    options = " ".join(
        f"-s {quote(name)}" for name in [*named, *(subscription.name for subscription in missing)]
    )
    raise refuse(
        Code.NOT_IN_FILE,
        f"the file lacks {listed}, which an earlier file had; nothing was written",
        hint=f"if all of their seats should be revoked: {options}; otherwise name only the others with -s",
        data={"subscriptions": [compared.name for compared in missing]},
    )


@dataclass(frozen=True, slots=True)
class SubscriptionComparison:
    """The result of the comparison for one subscription. All numbers count people or seats."""

    subscription: Subscription
    rows: int
    seated: int
    """Rows whose person already has the seat."""
    new: int
    """Rows whose person needs a seat."""
    ends: int
    """Rows whose seat ends at another time than it should."""
    leaving: int
    """Seats to revoke, by the file or by --prune."""

    @property
    def room(self) -> int:
        """Free seats after the revocations; negative if the subscription is over-assigned."""
        return self.subscription.capacity - self.subscription.assigned + self.leaving

    @property
    def short(self) -> int:
        """Seats that are missing for the new people."""
        return max(0, self.new - self.room) if self.new else 0

    @property
    def to_buy(self) -> int:
        """The smallest number of seats to buy, in packs, that covers the shortage."""
        return self.subscription.in_packs(self.short)


@dataclass(frozen=True, slots=True)
class Changes:
    """The result of the comparison over all subscriptions of the file."""

    subscriptions: tuple[SubscriptionComparison, ...]
    users_to_add: int
    users_to_update: int
    bad: int
    """Rows left out under --skip-bad."""
    unnamed: tuple[UnnamedSubscription, ...] = ()
    """Subscriptions that --prune leaves alone."""

    @property
    def differs(self) -> bool:
        """Whether there is anything to change."""
        people = self.users_to_add or self.users_to_update
        return bool(
            people
            or any(
                subscription.new or subscription.ends or subscription.leaving
                for subscription in self.subscriptions
            )
        )

    @property
    def short(self) -> tuple[SubscriptionComparison, ...]:
        """The subscriptions that do not have enough seats."""
        return tuple(subscription for subscription in self.subscriptions if subscription.short)


def check(changes: Changes, most: RevocationLimit, ledger_id: str) -> None:
    """Raise `max_revoke_exceeded`, `subscription_not_active` or ForeignLedger if the changes are forbidden.

    A shortage is refused by `refuse_shortage`.
    """
    for compared in changes.subscriptions:
        require_home(compared.subscription, ledger_id)
        if compared.new:
            require_usable(compared.subscription)
    check_revocations(
        most,
        [
            RevocationCount(compared.subscription.name, compared.subscription.assigned, compared.leaving)
            for compared in changes.subscriptions
            if compared.leaving
        ],
        "--check",
    )


def refuse_shortage(changes: Changes, without: Sequence[dict[str, JsonValue]]) -> NoSeatsLeft:
    """Return the refusal for a shortage of seats; `without` are the rows that would not get one."""
    short = changes.short
    first = short[0]
    hint = "--buy-shortfall buys the missing seats, --fill assigns the free ones"
    if len(short) == 1:
        refusal = shortage(first.subscription, first.subscription.free + first.short, without)
        named = refusal.message.partition(";")[2]
        message = sentence(first) + (f";{named}" if named else "")
        return NoSeatsLeft(message, hint=hint, data=refusal.data)
    sentences = "; ".join(sentence(compared) for compared in short[:_MOST_SENTENCES])
    rest = f"; and {len(short) - _MOST_SENTENCES} more" if len(short) > _MOST_SENTENCES else ""
    missing = sum(compared.short for compared in short)
    return NoSeatsLeft(f"{sentences}{rest}", hint=hint, data={"missing": missing, "rows": [*without]})


def sentence(compared: SubscriptionComparison, cost: int | None = None) -> str:
    """`design: 37 rows: 9 seated, 28 new, 21 free, short 7 → 2 packs = 10 seats, 50.00 USD`.

    `cost` is what Stripe would charge now for the missing seats, in minor units.
    """
    subscription = compared.subscription
    parts = [f"{compared.seated:,} seated"]
    parts += [f"{compared.new:,} new"] if compared.new else []
    parts += [f"{compared.ends:,} with another end"] if compared.ends else []
    parts += [f"{compared.leaving:,} to revoke"] if compared.leaving else []
    parts += [f"{max(0, compared.room):,} free{' afterwards' if compared.leaving else ''}"]
    if compared.short:
        parts += [f"short {compared.short:,} → {_bought(compared)}"]
    if cost is not None:
        parts += [format_money(cost, subscription.currency)]
    return f"{subscription.name}: {counted(compared.rows, 'row')}: {', '.join(parts)}"


def _bought(compared: SubscriptionComparison) -> str:
    pack, seats = compared.subscription.pack_size, counted(compared.to_buy, "seat")
    return seats if pack == 1 else f"{counted(compared.to_buy // pack, 'pack')} = {seats}"


def has_effect(changes: Changes, *, fill: bool) -> bool:
    """Whether applying the changes writes anything; with `fill` as far as seats are free."""
    return bool(_done(changes, fill=fill))


def summary(changes: Changes, *, fill: bool) -> str:
    """One sentence: what was changed in all subscriptions, or that there was nothing to do."""
    short = sum(compared.short for compared in changes.subscriptions)
    sentence = _done(changes, fill=fill) or "nothing to do"
    if short:
        sentence += f"; {short:,} without a seat" if fill else f"; {counted(short, 'seat')} missing"
    if any(compared.leaving for compared in changes.subscriptions):
        sentence += "; what is billed does not change"
    if changes.bad:
        sentence += f"; skipped {counted(changes.bad, 'bad row')}"
    return sentence


def _done(changes: Changes, *, fill: bool) -> str:
    """`seated 3, revoked 2 in design, added 4 users`; empty if nothing differs."""
    short = sum(compared.short for compared in changes.subscriptions) if fill else 0
    seated = sum(compared.new for compared in changes.subscriptions) - short
    revoked = sum(compared.leaving for compared in changes.subscriptions)
    ends = sum(compared.ends for compared in changes.subscriptions)
    parts = [f"seated {seated:,}"] if seated else []
    parts += [f"revoked {revoked:,}"] if revoked else []
    parts += [f"changed the end of {counted(ends, 'seat')}"] if ends else []
    if parts:
        names = [compared.subscription.name for compared in changes.subscriptions]
        parts[-1] += f" in {names[0] if len(names) == 1 else f'{len(names)} subscriptions'}"
    parts += [f"added {counted(changes.users_to_add, 'user')}"] if changes.users_to_add else []
    parts += [f"updated {counted(changes.users_to_update, 'user')}"] if changes.users_to_update else []
    return ", ".join(parts)


def as_record(compared: SubscriptionComparison, cost: int | None = None) -> dict[str, JsonValue]:
    """Return one subscription as the JSON report has it; `cost` in minor units of its currency."""
    return {
        "subscription": compared.subscription.name,
        "rows": compared.rows,
        "seated": compared.seated,
        "new": compared.new,
        "ends": compared.ends,
        "revoked": compared.leaving,
        "free": max(0, compared.room),
        "short": compared.short,
        "to_buy": compared.to_buy,
        "due_now": cost,
        "currency": compared.subscription.currency,
    }
