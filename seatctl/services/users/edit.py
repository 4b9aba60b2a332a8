"""`users add`, `show`, `edit`, `suspend` and `reactivate`; the others are in remove.py and import_file.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import requests, roles, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger, Reader, Transaction
from seatctl.ledger.lookups import find_all
from seatctl.ledger.users import quoted
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, counted, record_of
from seatctl.models.role import Action, Role
from seatctl.models.user import User, UserStatus
from seatctl.rules.emails import email_key
from seatctl.rules.names import same_group
from seatctl.rules.people import checked_email, checked_emails, checked_text
from seatctl.services.users.permissions import allow
from seatctl.services.users.roles import no_admin_left

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
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        rows = [_add(tx, email, name, group) for email in addresses]
        added = [str(row["email"]) for row in rows if row["result"] != "already_there"]
        summary = users_done("added", added) or _exist_already(addresses)
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


def _exist_already(emails: Sequence[str]) -> str:
    return f"{users_are(emails)} {'a user' if len(set(emails)) == 1 else 'users'} already"


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
    return _set_status(ledger, call, emails, UserStatus.SUSPENDED, "suspended", "reactivate")


def reactivate_users(ledger: Ledger, call: Call, emails: Sequence[str]) -> Report:
    """Make suspended users active again. Raises UnknownUser, `user_removed`, RoleRequired."""
    return _set_status(ledger, call, emails, UserStatus.ACTIVE, "reactivated", "suspend")


def _set_status(
    ledger: Ledger, call: Call, emails: Sequence[str], status: UserStatus, done: str, back: str
) -> Report:
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
