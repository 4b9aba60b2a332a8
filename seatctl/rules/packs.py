"""How many seats may be added to a subscription whose plan is sold in packs. Pure."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote

from seatctl.errors import Code, refuse
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules import hints
from seatctl.rules.purchases import check_quantity, most
from seatctl.rules.subscription_changes import Target


def check_added_seats(state: SubscriptionState, target: Target, seats: int) -> None:
    """Return if `seats` may be added now and to the next term.

    Whole packs are added to whole packs. A subscription that was made elsewhere may not hold a whole number
    of packs. Then any number may be added that makes the sum one; or, if only one of the two terms is odd,
    whole packs are added and that term stays odd. Raises `pack_size`, `too_few_seats`, `too_many_seats`.
    """
    name, policy, upcoming = quote(state.name), state.policy, state.upcoming
    now_odd = state.now.seats % policy.pack_size != 0
    next_odd = state.next.seats % upcoming.pack_size != 0
    any_number = now_odd and next_odd
    added = replace(policy, min_seats=1, pack_size=1 if any_number else policy.pack_size)
    _require_room(state, seats, added.pack_size)
    check_quantity(state.now.plan, added, seats, use=f"seatctl subs add-seats {name}")
    for side, rules, stays in ((target.now, policy, now_odd), (target.next, upcoming, next_odd)):
        whole = replace(rules, pack_size=1) if stays and not any_number else rules
        check_quantity(side.plan, whole, side.seats, use=f"seatctl subs set-seats {name}")


def _require_room(state: SubscriptionState, seats: int, pack: int) -> None:
    """Raise `too_many_seats` with how many can still be added, if there is room for fewer than `seats`."""
    sides = ((state.now, state.policy), (state.next, state.upcoming))
    room = min(most(rules) - side.seats for side, rules in sides)
    if seats <= room:
        return
    possible = max(0, room - room % pack)
    more = hints.command("subs", "add-seats", state.name, possible)
    plan, limit = state.next.plan, most(state.upcoming)
    raise refuse(
        Code.TOO_MANY_SEATS,
        f"plan {plan} allows {limit} seats at most; {possible} can be added",
        hint=more if possible else hints.command("subs", "show", state.name),
        data={"plan": plan, "seats": state.now.seats + seats, "possible": possible},
    )
