"""The people a command names, as arguments or in a file: put where set-based SQL can judge them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.ledger import staging, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.staging import RowVerdict
from seatctl.ledger.transaction import Transaction
from seatctl.models.user import User, UserStatus
from seatctl.rules.people import FIELDS, incoming, typed


@dataclass(frozen=True, slots=True)
class People:
    """Who is meant: e-mails as typed, or a file (`-`: stdin) with the names of its columns."""

    emails: tuple[str, ...] = ()
    source: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    """Leave bad rows out and do the rest."""
    until: str | None = None
    """When the seats end, in the written form, where a row does not say it."""


def require_active_user(user: User) -> None:
    """Raise `user_not_active` for a suspended or removed user, with the way back."""
    if user.status is not UserStatus.ACTIVE:
        command = "reactivate" if user.status is UserStatus.SUSPENDED else "add"
        raise refuse(
            Code.USER_NOT_ACTIVE,
            f"{user.email} is {user.status}",
            hint=f"seatctl users {command} {user.email}",
            data={"emails": [user.email], "status": user.status.value},
        )


def stage(ledger: Ledger, people: People) -> int:
    """Put them into `incoming`, holding no lock meanwhile; how many rows. Raises UsageError, BadInput."""
    if bool(people.emails) == (people.source is not None):
        raise UsageError("name people by e-mail, or a file with --from, and not both")
    with ledger.staging() as journal:
        if people.source is None:
            return staging.load(journal, typed(people.emails, people.until))
        from seatctl.input.tables import open_table

        with open_table(people.source, FIELDS, mapping=people.mapping) as table:
            rows = incoming(table)
            if people.until is not None:
                rows = (row if row.until else row._replace(until=people.until) for row in rows)
            return staging.load(journal, rows)


def require_known(tx: Transaction, people: People, *, creatable: bool = False) -> None:
    """Judge whom the ledger does not know: an unknown argument is not found, an unknown row is bad.

    `creatable`: the command has --create-users.
    """
    others = (RowVerdict.BAD, RowVerdict.SUSPENDED, RowVerdict.REMOVED) if creatable else (RowVerdict.BAD,)
    if _stands_alone(tx, people, others):
        unknown = staging.emails(tx, RowVerdict.UNKNOWN)
        if len(unknown) == 1:
            users.require(tx, unknown[0])
        if unknown:
            raise users.UnknownUser(
                f"there are no users {', '.join(unknown)}",
                hint="add --create-users, or: seatctl users add EMAIL" if creatable else "seatctl users list",
                data={"emails": [*unknown]},
            )
    way = "; --create-users makes one" if creatable else ""
    staging.refuse_bad_rows(tx, RowVerdict.UNKNOWN, f"there is no user of this e-mail{way}")


def _stands_alone(tx: Transaction, people: People, others: Iterable[RowVerdict]) -> bool:
    """Whether people typed as arguments have one kind of fault, and none of `others`: a sentence says it all.

    Otherwise each is a bad row, so that all are named at once.
    """
    if people.source is not None or people.skip_bad:
        return False
    return not any(staging.count(tx, other) for other in others)


def require_good(tx: Transaction, people: People) -> int:
    """How many rows are bad; none may be, unless they are to be skipped. Raises `bad_rows` with all of them.

    What was typed as an argument stands in no line.
    """
    if people.source is not None or people.skip_bad:
        return staging.require_good(tx, people.skip_bad)
    rows: list[JsonValue] = [
        {"email": row["email"], "error": row["error"]}
        for row in staging.bad_rows(tx)
        if isinstance(row, dict)
    ]
    if rows:
        several = f"{len(rows):,} of {len(people.emails):,} people"
        who = people.emails[0] if len(people.emails) == 1 else several
        hint = "correct what is wrong" + (", or leave them out with --skip-bad" if who == several else "")
        raise refuse(
            Code.BAD_ROWS, f"{who} cannot be taken; nothing was changed", hint=hint, data={"rows": rows}
        )
    return 0


def require_active(tx: Transaction, people: People) -> None:
    """Judge suspended and removed people: as an argument they are refused, as a row they are bad.

    After `require_known`, which makes bad rows of unknown people if there are other faults.
    """
    for verdict, command in ((RowVerdict.SUSPENDED, "reactivate"), (RowVerdict.REMOVED, "add")):
        others = {RowVerdict.BAD, RowVerdict.SUSPENDED, RowVerdict.REMOVED} - {verdict}
        if _stands_alone(tx, people, others):
            emails = staging.emails(tx, verdict)
            if emails:
                raise refuse(
                    Code.USER_NOT_ACTIVE,
                    f"{', '.join(emails)} {'is' if len(emails) == 1 else 'are'} {verdict}",
                    hint=f"seatctl users {command} {emails[0]}",
                    data={"emails": [*emails], "status": verdict.value},
                )
        staging.refuse_bad_rows(
            tx, verdict, f"the user is {verdict}; to bring them back: seatctl users {command} EMAIL"
        )
