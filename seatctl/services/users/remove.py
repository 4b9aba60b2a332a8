"""`users remove`: hand over owned subscriptions, revoke seats, cancel open requests, and erase on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.ledger import request_closures, requests, roles, seats, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger, Reader, Transaction
from seatctl.ledger.record import erasure
from seatctl.ledger.users import quoted
from seatctl.models.call import Call
from seatctl.models.report import Report, counted
from seatctl.models.role import Action
from seatctl.models.user import User, UserStatus
from seatctl.rules.emails import email_key
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
"""Makes a user the owner of the subscription with this name. The owner is in Stripe's metadata too, so this
is an operation before the removal: `transfer` in
services/subscriptions/subscription_metadata_operation.py."""


def remove_users(
    ledger: Ledger,
    call: Call,
    emails: Sequence[str],
    *,
    new_owner: str | None = None,
    hand_over: HandOver | None = None,
    erase: bool = False,
) -> Report:
    """Remove users: revoke their seats, cancel their open requests, keep their record as history.

    With `erase` the record is blanked too, also that of users who were removed before; it cannot be undone.
    With `new_owner` their subscriptions are handed over first. Raises UnknownUser, `user_removed`,
    RoleRequired, `owner_needs_successor` if a user still owns a subscription, `holds_roles` if a user still
    has a role, and what `hand_over` raises.
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
        revoked = sum(len(row["seats"]) for row in rows if isinstance(row["seats"], list))
        summary = (
            users_done("removed", removed) or f"{users_are([user.email for user in people])} already removed"
        )
        if revoked:
            summary += f" and revoked {counted(revoked, 'seat')}; what is billed does not change"
        summary += waitlist_note(tx, fill_waitlists(tx))
        return tx.report(summary, rows, ("email", "result", "seats", "requests"), unchanged=not removed)


def _remove_and_erase(tx: Transaction, people: Sequence[User]) -> Report:
    """Remove the users and blank their records. Nothing stored may name them, not even the summary."""
    rows, acted = [], 0
    for user in people:
        if erasure.is_erased(user):
            rows.append({**user_row(user, "unchanged"), "changes": 0, "commands": 0})
            continue
        _remove(tx, user)
        blanked = erasure.erase(tx, user)
        acted += blanked.acted
        rows.append({**user_row(user, "erased"), "changes": blanked.changes, "commands": blanked.commands})
    tx.freed_users.clear()  # an erasure cannot be undone, so the waitlist need not wait for an undo
    erased = sum(row["result"] == "erased" for row in rows)
    summary = f"erased {counted(erased, 'user')}" if erased else "already erased"
    if acted:
        summary += f"; {counted(acted, 'audit entry')} with their address as the actor kept"
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
        raise UsageError(f"{successor.email} cannot be both removed and the new owner")
    names = [name for _, name in owned]
    for name in names:
        hand_over(name, successor)
    return names


def _owned_by(reader: Reader, emails: Sequence[str]) -> list[tuple[User, str]]:
    """Return a pair of user and subscription name for each subscription that one of these users owns."""
    people = distinct(known_people(reader, emails))
    return [(user, name) for user in people for name in users.owned_subscriptions(reader, user)]


def _require_no_owner(tx: Transaction, emails: Sequence[str], apart_from: Collection[str]) -> None:
    owned = [(user, name) for user, name in _owned_by(tx, emails) if name not in apart_from]
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
    """Raise `holds_roles` if a user has a role. This also keeps the last admin from being removed."""
    for user in people:
        held = roles.granted(tx, user.email)
        if held:
            role, subscription = held[0]
            option = "" if subscription is None else f" --subscription {quoted(subscription)}"
            raise refuse(
                Code.HOLDS_ROLES,
                f"{user.email} is {role}{f' of {subscription}' if subscription else ''}",
                hint=f"first: seatctl roles revoke {quoted(user.email)} {role}{option}",
                data={"email": user.email, "roles": [each.value for each, _ in held]},
            )


def _remove(tx: Transaction, user: User) -> dict[str, JsonValue]:
    if user.status is UserStatus.REMOVED:
        return {**user_row(user, "unchanged"), "seats": [], "requests": []}
    held = [seat["subscription"] for seat in users.active_seats(tx, user, tx.call.now)]
    requested = [request["number"] for request in requests.open_of_user(tx, user.id, tx.call.now)]
    seats.revoke_all(tx, user.id)
    request_closures.cancel_all(tx, user.id, "the user was removed")
    users.change(tx, user, replace(user, status=UserStatus.REMOVED))
    return {**user_row(user, "removed"), "seats": held, "requests": requested}
