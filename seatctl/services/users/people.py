"""The people a command names, as arguments or in a file: load them into `incoming` and check them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seatctl.errors import Code, JsonValue, SeatctlError, UsageError, refuse
from seatctl.ledger import users
from seatctl.ledger.incoming import staging
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.user import User, UserStatus
from seatctl.rules.people import FIELDS, checked_rows, typed


@dataclass(frozen=True, slots=True)
class People:
    """E-mails as typed, or a file (`-`: stdin) with the names of its columns."""

    emails: tuple[str, ...] = ()
    source: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    """Skip bad rows and process the others."""
    until: str | None = None
    """When the seats end if the row does not say it, in the written form."""

    @property
    def typed(self) -> bool:
        """Whether each e-mail is an argument, so that a refusal can name it instead of listing bad rows."""
        return self.source is None and not self.skip_bad


def require_active_user(user: User) -> None:
    """Raise `user_not_active` if the user is suspended or removed; the hint makes the user active again."""
    if user.status is not UserStatus.ACTIVE:
        command = "reactivate" if user.status is UserStatus.SUSPENDED else "add"
        raise _not_active([user.email], user.status.value, command)


def _not_active(emails: list[str], status: str, command: str) -> SeatctlError:
    return refuse(
        Code.USER_NOT_ACTIVE,
        f"{', '.join(emails)} {'is' if len(emails) == 1 else 'are'} {status}",
        hint=f"seatctl users {command} {emails[0]}",
        data={"emails": [*emails], "status": status},
    )


def stage(ledger: Ledger, people: People) -> staging.Staged:
    """Load the people into `incoming` without a lock.

    Raises UsageError, BadInput.
    """
    if bool(people.emails) == (people.source is not None):
        raise UsageError("name people by e-mail or in a file with --from, not both")
    with ledger.staging() as journal:
        if people.source is None:
            return staging.load(journal, typed(people.emails, people.until))
        from seatctl.input.tables import open_table

        with open_table(people.source, FIELDS, mapping=people.mapping) as table:
            rows = checked_rows(table)
            if people.until is not None:
                rows = (row if row.until else row._replace(until=people.until) for row in rows)
            return staging.load(journal, rows)


def require_known(tx: Transaction, people: People, *, creatable: bool = False) -> None:
    """Mark the people who are not users as bad rows. Raises UnknownUser if they were typed as arguments.

    `creatable`: the command has --create-users.
    """
    others = (RowVerdict.BAD, RowVerdict.SUSPENDED, RowVerdict.REMOVED) if creatable else (RowVerdict.BAD,)
    if _only_problem(tx, people, others):
        unknown = staging.emails(tx, RowVerdict.UNKNOWN)
        if len(unknown) == 1:
            users.require(tx, unknown[0])
        if unknown:
            raise users.UnknownUser(
                f"these are not users: {', '.join(unknown)}",
                hint="add --create-users, or: seatctl users add EMAIL" if creatable else "seatctl users list",
                data={"emails": [*unknown]},
            )
    option = "; --create-users adds one" if creatable else ""
    staging.refuse_bad_rows(tx, RowVerdict.UNKNOWN, f"no user has this e-mail{option}")


def _only_problem(tx: Transaction, people: People, others: Iterable[RowVerdict]) -> bool:
    """Whether the people were typed and none has one of the `others`: then one sentence names the problem.

    Otherwise each becomes a bad row, so that all problems are listed at once.
    """
    return people.typed and not any(staging.count(tx, other) for other in others)


def require_good(tx: Transaction, people: People) -> int:
    """Return the number of bad rows to skip. Raises `bad_rows` with all of them, unless `skip_bad`.

    The rows of typed people have no line numbers.
    """
    if not people.typed:
        return staging.require_good(tx, people.skip_bad)
    rows: list[JsonValue] = [
        {"email": row["email"], "error": row["error"]}
        for row in staging.bad_rows(tx)
        if isinstance(row, dict)
    ]
    if rows:
        several = len(people.emails) > 1
        subject = f"{len(rows):,} of {len(people.emails):,} people" if several else people.emails[0]
        raise refuse(
            Code.BAD_ROWS,
            f"{subject} cannot be accepted; nothing was changed",
            hint="correct them, or skip them with --skip-bad" if several else "correct the e-mail",
            data={"rows": rows},
        )
    return 0


def require_active(tx: Transaction, people: People) -> None:
    """Mark suspended and removed people as bad rows. Raises `user_not_active` if they were typed.

    Call it after `require_known`, which turns unknown people into bad rows if there are other problems.
    """
    for verdict, command in ((RowVerdict.SUSPENDED, "reactivate"), (RowVerdict.REMOVED, "add")):
        others = {RowVerdict.BAD, RowVerdict.SUSPENDED, RowVerdict.REMOVED} - {verdict}
        if _only_problem(tx, people, others):
            emails = staging.emails(tx, verdict)
            if emails:
                raise _not_active(emails, verdict.value, command)
        staging.refuse_bad_rows(
            tx, verdict, f"the user is {verdict}; to bring them back: seatctl users {command} EMAIL"
        )
