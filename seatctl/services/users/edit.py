"""`users add`, `import`, `show`, `edit`, `suspend`, `reactivate` and `remove`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from seatctl.errors import Code, ExitCode, JsonValue, UsageError, refuse
from seatctl.ledger import locks, request_closures, requests, roles, seats, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.incoming import staging, user_import
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger, Reader, Scope, Transaction
from seatctl.ledger.lookups import find_all
from seatctl.ledger.record import erasure
from seatctl.ledger.users import quoted
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, counted, record_of
from seatctl.models.role import Action, Role
from seatctl.models.user import User, UserStatus
from seatctl.rules.emails import email_key
from seatctl.rules.names import same_group
from seatctl.rules.people import PersonRow, checked_email, checked_emails, checked_text
from seatctl.services.users.permissions import allow, no_admin_left

COLUMNS = ("email", "result")


@dataclass(frozen=True, slots=True)
class UserEdit:
    """The values that `users edit` sets. None leaves a value as it is; an empty text clears name or group."""

    email: str | None = None
    name: str | None = None
    group: str | None = None
    exempt: bool | None = None
    """Whether `seats reclaim` skips the user's seats."""

    def applied(self, user: User) -> User:
        """Return the user with the new values. Raises `bad_email`, `bad_text`."""
        return replace(
            user,
            email=user.email if self.email is None else checked_email(self.email),
            name=user.name if self.name is None else checked_text(self.name, "name"),
            group=user.group if self.group is None else checked_text(self.group, "group"),
            exempt=user.exempt if self.exempt is None else self.exempt,
        )


def add_users(
    ledger: Ledger, call: Call, emails: Sequence[str], *, name: str | None = None, group: str | None = None
) -> Report:
    """Add users. A removed user comes back as the same record; a user who exists already is not an error.

    Raises `bad_email`, `bad_text`, RoleRequired, and `user_exists` if a user has another name or group.
    """
    addresses = checked_emails(emails)
    name, group = checked_text(name, "name"), checked_text(group, "group")
    with ledger.change(call, Scope.SHARED) as tx:
        locks.lock_users(tx)
        allow(tx, call.actor, Action.MANAGE_USERS)
        rows = [_add(tx, email, name, group) for email in addresses]
        added = [str(row["email"]) for row in rows if row["result"] != "already_there"]
        summary = users_done("added", added)
        if not added:
            summary = f"{users_are(addresses)} {'a user' if len(set(addresses)) == 1 else 'users'} already"
        return tx.report(summary, rows, COLUMNS, unchanged=not added)


def _add(tx: Transaction, email: str, name: str | None, group: str | None) -> dict[str, JsonValue]:
    known = users.find(tx, email)
    if known is None or known.status is UserStatus.REMOVED:
        user = users.add(tx, email, name=name, group=group)
        return user_row(user, "added" if known is None else "brought_back")
    if (name or known.name) != known.name or (group and not same_group(group, known.group)):
        difference = f"named {known.name!r}" if name and name != known.name else f"in group {known.group!r}"
        raise refuse(
            Code.USER_EXISTS,
            f"{known.email} is a user already, {difference}",
            hint=f"seatctl users edit {quoted(known.email)} {_options(name, group)}",
            data={"email": known.email, "name": known.name, "group": known.group},
        )
    return user_row(known, "already_there")


def edit_user(ledger: Ledger, call: Call, email: str, edit: UserEdit) -> Report:
    """Change a user's e-mail, name, group or exemption.

    The user's roles move to a new e-mail; for that the actor needs the role to grant them. Raises
    UnknownUser, `email_taken`, `user_removed`, `bad_email`, `bad_text`, RoleRequired.
    """
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        before = require_present(users.require(tx, email))
        edited = edit.applied(before)
        held = _moving_roles(tx, before, edited)
        after = users.change(tx, before, edited)
        summary = f"changed {after.email}" if after != before else f"{after.email} already has these values"
        summary += f"; still {' and '.join(held)}" if held else ""
        row = {
            **user_row(after, "changed" if after != before else "unchanged"),
            **record_of(after, "name group exempt"),
        }
        return tx.report(summary, [row], COLUMNS, unchanged=after == before)


def _moving_roles(tx: Transaction, before: User, after: User) -> list[str]:
    """Return the roles that move to the new e-mail. Raises RoleRequired unless the actor may grant roles.

    The same holds if the new e-mail has roles already: otherwise an actor could give them to any user.
    """
    if email_key(after.email) == email_key(before.email):
        return []
    held = roles.granted(tx, before.email)
    if held or roles.granted(tx, after.email):
        allow(tx, tx.call.actor, Action.GRANT_ROLES)
    return [
        role.value if subscription is None else f"{role} of {subscription}" for role, subscription in held
    ]


def suspend_users(ledger: Ledger, call: Call, emails: Sequence[str]) -> Report:
    """Suspend users: they keep their seats, but are not entitled and cannot use their roles.

    Raises UnknownUser, `user_removed`, RoleRequired, `last_admin`.
    """
    return _set_status(ledger, call, emails, UserStatus.SUSPENDED, "suspended")


def reactivate_users(ledger: Ledger, call: Call, emails: Sequence[str]) -> Report:
    """Make suspended users active again. Raises UnknownUser, `user_removed`, RoleRequired."""
    return _set_status(ledger, call, emails, UserStatus.ACTIVE, "reactivated")


def _set_status(ledger: Ledger, call: Call, emails: Sequence[str], status: UserStatus, done: str) -> Report:
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        people = require_all_present(known_people(tx, emails))
        changed = [user for user in distinct(people) if user.status is not status]
        for user in changed:
            users.change(tx, user, replace(user, status=status))
        summary = users_done(done, [user.email for user in changed]) or (
            f"{users_are([user.email for user in people])} already {status}"
        )
        if changed and status is not UserStatus.ACTIVE and not roles.holders(tx, (Role.ADMIN,)):
            raise no_admin_left(changed[0].email)
        if status is UserStatus.ACTIVE:
            summary += waitlist_note(tx, fill_waitlists(tx))  # the waitlist skips suspended users
        rows = [user_row(user, done if user in changed else "unchanged") for user in people]
        return tx.report(summary, rows, COLUMNS, unchanged=not changed)


def describe(reader: Reader, email: str, now: datetime) -> Record:
    """Return a user with seats, open requests and owned subscriptions at `now` (UTC). Raises UnknownUser."""
    user = users.require(reader, email)
    seats = users.active_seats(reader, user, now)
    open_requests = requests.open_of_user(reader, user.id, now)
    return {
        **record_of(user, "email name group status last_active exempt created_at"),
        "subscriptions": [seat["subscription"] for seat in seats],
        "owns": [*users.owned_subscriptions(reader, user)],
        "open_requests": [request["number"] for request in open_requests],
        "seats": [*seats],
        "requests": [*open_requests],
    }


def require_present(user: User) -> User:
    """Return the user. Raises `user_removed`."""
    if user.status is UserStatus.REMOVED:
        raise refuse(
            Code.USER_REMOVED,
            f"{user.email} was removed",
            hint=f"to add the user again: seatctl users add {quoted(user.email)}",
            data={"email": user.email},
        )
    return user


def known_people(reader: Reader, emails: Sequence[str]) -> list[User]:
    """Return the users of these e-mails, whatever their status. Raises UnknownUser, naming all unknown."""
    return find_all(partial(users.require, reader), emails, "users", "emails")


def require_all_present(people: list[User]) -> list[User]:
    """Return the users. Raises `user_removed`, naming all that are removed."""
    removed = [user.email for user in distinct(people) if user.status is UserStatus.REMOVED]
    if len(removed) > 1:
        raise refuse(
            Code.USER_REMOVED,
            f"{', '.join(removed)} were removed",
            hint=f"to add them again: seatctl users add {' '.join(map(quoted, removed))}",
            data={"emails": [*removed]},
        )
    return [require_present(user) for user in people]


def distinct(people: Sequence[User]) -> list[User]:
    """Return each user once, in the order of the command line."""
    return list({user.id: user for user in people}.values())


def user_row(user: User, result: str) -> dict[str, JsonValue]:
    """Return the row of a report."""
    return {"email": user.email, "result": result, "error": None}


def users_done(verb: str, emails: Sequence[str]) -> str:
    """Return `added ann@example.com`, `added 3 users`, or an empty text if there are none."""
    if not emails:
        return ""
    return f"{verb} {emails[0] if len(emails) == 1 else counted(len(emails), 'user')}"


def users_are(emails: Sequence[str]) -> str:
    """Return `ann@example.com is`, `all 3 of them are`."""
    unique = list(dict.fromkeys(emails))
    return f"{unique[0]} is" if len(unique) == 1 else f"all {len(unique):,} of them are"


def _options(name: str | None, group: str | None) -> str:
    from shlex import quote

    options = (("--name", name), ("--group", group))
    return " ".join(f"{option} {quote(value)}" for option, value in options if value is not None)


def import_users(ledger: Ledger, call: Call, rows: Iterable[PersonRow], *, skip_bad: bool = False) -> Report:
    """Add the users of a file, and update name, group and last activity of users who exist already.

    The status never changes. Unchanged rows write nothing. Raises RoleRequired, and `bad_rows` with every bad
    row unless `skip_bad`.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_USERS)
    with ledger.staging() as journal:
        staged = staging.load(journal, rows)
    with ledger.change(call, Scope.SHARED) as tx:
        locks.lock_users(tx)
        allow(tx, call.actor, Action.MANAGE_USERS)
        staging.set_verdicts(tx, staged)
        user_import.mark_undone(tx)
        tally = staging.tally(tx, tx.now)
        bad = staging.require_good(tx, skip_bad) if tally.verdict(RowVerdict.BAD) else 0
        imported = user_import.apply(tx)
        removed = tally.verdict(RowVerdict.REMOVED)
        return tx.report(
            _import_summary(imported, removed, bad),
            staging.report_rows(tx, staged, user_import.RESULTS),
            ("line", "email", "result", "error"),
            unchanged=not (imported.added or imported.updated),
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            data={"added": imported.added, "updated": imported.updated, "removed": removed, "bad": bad},
        )


def _import_summary(imported: user_import.Imported, removed: int, bad: int) -> str:
    """Return `added 97, updated 2 users; 1 removed user not changed: …; skipped 3 bad rows`."""
    counts = ((imported.added, "added"), (imported.updated, "updated"))
    done = ", ".join(f"{verb} {number:,}" for number, verb in counts if number)
    parts = [
        f"{done} user{'' if imported.added + imported.updated == 1 else 's'}" if done else "nothing to do"
    ]
    if removed:
        parts.append(
            f"{counted(removed, 'removed user')} not changed: only seatctl users add adds them again"
        )
    if bad:
        parts.append(f"skipped {counted(bad, 'bad row')}")
    return "; ".join(parts)


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
