"""Removing users: what they own is handed over, their seats given back, their open requests canceled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.ledger import request_closures, roles, seats, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger, Reader, Transaction
from seatctl.ledger.record import erasure
from seatctl.ledger.users import quoted
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.user import User, UserStatus
from seatctl.rules.emails import email_key
from seatctl.rules.plural import counted
from seatctl.services.users.edit import (
    distinct,
    known_people,
    require_present,
    user_row,
    users_are,
    users_done,
)
from seatctl.services.users.permissions import allow

HandOver = Callable[[str, User], object]
"""Makes a user the owner of a subscription, by its name. The owner stands in Stripe's metadata, so this
is an operation of its own, done before the removal (services/subscriptions/settings.py: hand_over)."""


def remove_users(
    ledger: Ledger,
    call: Call,
    emails: Sequence[str],
    *,
    new_owner: str | None = None,
    hand_over: HandOver | None = None,
    erase: bool = False,
) -> Report:
    """Remove users: seats given back, open requests canceled, the record kept as history.

    With `erase` that is blanked too, also of users who were removed before; it cannot be undone. With
    `new_owner` what they own is handed over first. Raises UnknownUser, `user_removed`, RoleRequired, and
    `owner_needs_successor` for who still owns a subscription, `holds_roles` for who still has a role; with
    `hand_over` whatever that raises.
    """
    handed: list[str] = []
    if new_owner is not None and hand_over is not None:
        handed = _hand_over_first(ledger, call, emails, new_owner, hand_over)
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        _require_no_owner(tx, emails, apart_from=handed if call.dry_run else ())
        people = distinct(known_people(tx, emails))
        _require_no_role(tx, people)
        if erase:
            return _remove_and_erase(tx, people)
        rows = [_remove(tx, user) for user in people]
        removed = [str(row["email"]) for row in rows if row["result"] == "removed"]
        given_back = sum(len(row["seats"]) for row in rows if isinstance(row["seats"], list))
        summary = (
            users_done("removed", removed) or f"{users_are([user.email for user in people])} removed already"
        )
        if given_back:
            what = "seat" if given_back == 1 else "seats"
            summary += f"; {given_back} {what} given back, what is billed stays the same"
        summary += waitlist_note(tx, fill_waitlists(tx))
        return tx.report(summary, rows, ("email", "result", "seats", "requests"), unchanged=not removed)


def _remove_and_erase(tx: Transaction, people: Sequence[User]) -> Report:
    """Nothing that is kept of it, the summary of its run included, names them again."""
    rows, acted = [], 0
    for user in people:
        if erasure.is_erased(user):
            rows.append({**user_row(user, "unchanged"), "changes": 0, "commands": 0})
            continue
        _remove(tx, user)
        done = erasure.erase(tx, user)
        acted += done.acted
        rows.append({**user_row(user, "erased"), "changes": done.changes, "commands": done.commands})
    tx.freed_people.clear()  # nobody who was erased comes back: the waitlist has nothing to wait for
    erased = sum(row["result"] == "erased" for row in rows)
    summary = f"erased {erased} user{'' if erased == 1 else 's'}" if erased else "erased already"
    if acted:
        summary += f"; {counted(acted, 'audit entry')} with their address as the actor stay"
    summary += waitlist_note(tx, fill_waitlists(tx))
    columns = ("email", "result", "changes", "commands")
    return tx.report(summary, rows, columns, unchanged=not erased, undoable=False)


def _hand_over_first(
    ledger: Ledger, call: Call, emails: Sequence[str], new_owner: str, hand_over: HandOver
) -> list[str]:
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_USERS)
        successor = require_present(users.require(reader, new_owner))
        owned = _owned_by(reader, emails)
    if any(email_key(email) == email_key(successor.email) for email in emails):
        raise UsageError(f"{successor.email} cannot be removed and be the new owner")
    names = [name for _, name in owned]
    for name in names:
        hand_over(name, successor)
    return names


def _owned_by(reader: Reader, emails: Sequence[str]) -> list[tuple[User, str]]:
    """Who of these owns what: a user and the name of a subscription."""
    people = distinct(known_people(reader, emails))
    return [(user, name) for user in people for name in users.owned_subscriptions(reader, user)]


def _require_no_owner(tx: Transaction, emails: Sequence[str], apart_from: Collection[str]) -> None:
    owned = [pair for pair in _owned_by(tx, emails) if pair[1] not in apart_from]
    if owned:
        user = owned[0][0]
        names = [name for owner, name in owned if owner == user]
        raise refuse(
            Code.OWNER_NEEDS_SUCCESSOR,
            f"{user.email} owns {', '.join(names)}",
            hint=f"seatctl users remove {quoted(user.email)} --new-owner EMAIL",
            data={"email": user.email, "subscriptions": [*names]},
        )


def _require_no_role(tx: Transaction, people: Sequence[User]) -> None:
    """Who has left must not be able to act here; and this way the last admin cannot be removed either."""
    for user in people:
        held = roles.granted(tx, user.email)
        if held:
            role, subscription = held[0]
            where = "" if subscription is None else f" --subscription {quoted(subscription)}"
            raise refuse(
                Code.HOLDS_ROLES,
                f"{user.email} is {role}{f' of {subscription}' if subscription else ''}",
                hint=f"first seatctl roles revoke {quoted(user.email)} {role}{where}",
                data={"email": user.email, "roles": [one.value for one, _ in held]},
            )


def _remove(tx: Transaction, user: User) -> dict[str, JsonValue]:
    if user.status is UserStatus.REMOVED:
        return {**user_row(user, "unchanged"), "seats": [], "requests": []}
    held = [seat["subscription"] for seat in users.active_seats(tx, user, tx.call.now)]
    asked = [request["number"] for request in users.open_requests(tx, user, tx.call.now)]
    seats.revoke_all(tx, user.id)
    request_closures.cancel_all(tx, user.id, "the user was removed")
    users.change(tx, user, replace(user, status=UserStatus.REMOVED))
    return {**user_row(user, "removed"), "seats": held, "requests": asked}
