"""`seatctl users`: the people who can have seats."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, EmailArg, FileArg, MapOpt, SkipBadOpt, argument, option
from seatctl.errors import UsageError
from seatctl.models.user import UserStatus
from seatctl.output.style import columns

app = Commands()

LIST_COLUMNS = columns("email name group status seats last_active created_at", machine="created_at")

SHOW_COLUMNS = columns(
    "email name group status last_active exempt created_at subscriptions owns open_requests seats requests",
    machine="seats requests",
    titles={"subscriptions": "Seats in"},
)

EmailsArg = Annotated[list[str], argument("EMAIL...", "Users, by e-mail.")]
NameOpt = Annotated[str | None, option("--name NAME", "The full name.")]
NewOwnerOpt = Annotated[str | None, option("--new-owner EMAIL", "The new owner of their subscriptions.")]
EraseOpt = Annotated[bool, option("--erase", "Blank their data in the ledger and its audit, for good.")]
GroupOpt = Annotated[str | None, option("--group GROUP", "A team, a department.")]


@app.command("list")
def list_users(
    ctx: Context,
    text: Annotated[str, argument("[TEXT]", "Part of a name or an e-mail.")] = "",
    status: Annotated[
        UserStatus | None, option("--status", "Only this status; without it, removed users are not listed.")
    ] = None,
    group: Annotated[str | None, option("--group GROUP", "Only this group.")] = None,
) -> None:
    """List users, or search them by part of a name or an e-mail.

    A search for two letters finds e-mails and names that begin with them; for one letter only e-mails.

    Examples:
      seatctl users list
      seatctl users list smith --group sales
      seatctl users list --status suspended -o csv
    """
    from seatctl.ledger import users

    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            users.records(reader, text=text.strip(), status=status, group=group, now=ctx.now),
            LIST_COLUMNS,
            handle="email",
            # Counting what a search finds would take longer than showing the first page.
            total=None if text.strip() else lambda: users.total(reader, status=status, group=group),
        )


@app.command()
def show(ctx: Context, email: EmailArg) -> None:
    """Show a user with seats, open requests and owned subscriptions.

    Examples:
      seatctl users show ann@example.com
    """
    from seatctl.services.users.edit import describe

    with ctx.ledger.reading() as reader:
        ctx.emit_one(describe(reader, email, ctx.now), SHOW_COLUMNS, handle="email")


@app.command()
def add(ctx: Context, emails: EmailsArg, name: NameOpt = None, group: GroupOpt = None) -> None:
    """Add users, or bring removed users back.

    Examples:
      seatctl users add zoe@example.com --name 'Zoe Zhang' --group design
      seatctl users add ann@example.com bob@example.com
    """
    from seatctl.services.users.edit import add_users

    if name is not None and len(emails) > 1:
        raise UsageError(
            "--name works with one e-mail address only",
            hint="add them one by one, or: seatctl users import FILE",
        )
    ctx.emit(add_users(ctx.ledger, ctx.call, emails, name=name, group=group))


@app.command()
def edit(
    ctx: Context,
    email: EmailArg,
    new_email: Annotated[str | None, option("--email EMAIL", "The new e-mail.")] = None,
    name: NameOpt = None,
    group: GroupOpt = None,
    exempt: Annotated[
        bool | None, option("--exempt/--no-exempt", "Whether seats reclaim skips this user.")
    ] = None,
) -> None:
    """Change a user's e-mail, name or group.

    The user keeps seats, requests, roles and subscriptions. An empty text clears the name or the group.

    Examples:
      seatctl users edit zoe@example.com --name 'Zoe Zhang'
      seatctl users edit zoe@example.com --email zoe.zhang@example.com
      seatctl users edit zoe@example.com --group ''
      seatctl users edit zoe@example.com --exempt
    """
    from seatctl.services.users.edit import UserEdit, edit_user

    if new_email is None and name is None and group is None and exempt is None:
        raise UsageError(
            "say what to change: --email, --name, --group or --exempt", hint="seatctl users edit --help"
        )
    report = edit_user(ctx.ledger, ctx.call, email, UserEdit(new_email, name, group, exempt))
    ctx.emit(report)
    if new_email is not None and not ctx.options.dry_run:
        from seatctl.services.subscriptions.subscription_metadata_operation import update_owner_email

        problem = update_owner_email(ctx.ledger, lambda: ctx.billing, ctx.call, new_email)
        if problem is not None:
            from seatctl.ledger.users import quoted

            retry = f"seatctl users edit {quoted(new_email)} --email {quoted(new_email)}"
            ctx.note(f"Stripe still has the old e-mail of the owner: {problem}; to try again: {retry}")


@app.command("import")
def import_file(ctx: Context, file: FileArg, mapping: MapOpt = None, skip_bad: SkipBadOpt = False) -> None:
    """Add and update users from a file.

    The file has the column email, and may have name, group and last_active. Users who exist already get the
    values that are not empty; their status does not change. If any row is bad, nothing is written, unless
    --skip-bad skips it.

    Examples:
      seatctl users import people.csv
      seatctl users import people.csv --map email='Work Email' --map name='Full Name'
      seatctl users list -o csv -p sandbox | seatctl users import - -p live
    """
    from seatctl.input.columns import renames
    from seatctl.input.tables import open_table
    from seatctl.rules.people import USER_FIELDS, checked_rows
    from seatctl.services.users.edit import import_users

    with open_table(file, USER_FIELDS, mapping=renames(mapping or ())) as table:
        if table.ignored:
            _name_unknown_columns(ctx, table.ignored)
        report = import_users(ctx.ledger, ctx.call, checked_rows(table), skip_bad=skip_bad)
        ctx.emit(report, handle="email")


def _name_unknown_columns(ctx: Context, ignored: tuple[str, ...]) -> None:
    """Tell the user which ignored columns are not those of `users list` or `seats list`: typing mistakes."""
    from seatctl.cli.seats import LISTED

    printed = {*LISTED.split(), *(column.key for column in LIST_COLUMNS)}
    unknown = [name for name in ignored if name not in printed]
    if unknown:
        ctx.note(f"ignored columns: {', '.join(unknown)}")


@app.command()
def suspend(ctx: Context, emails: EmailsArg) -> None:
    """Suspend users: they keep their seats, but are not entitled and cannot use their roles.

    Examples:
      seatctl users suspend bob@example.com
    """
    from seatctl.services.users.edit import suspend_users

    ctx.emit(suspend_users(ctx.ledger, ctx.call, emails))


@app.command()
def reactivate(ctx: Context, emails: EmailsArg) -> None:
    """Make suspended users active again.

    Examples:
      seatctl users reactivate bob@example.com
    """
    from seatctl.services.users.edit import reactivate_users

    ctx.emit(reactivate_users(ctx.ledger, ctx.call, emails))


@app.command()
def remove(ctx: Context, emails: EmailsArg, new_owner: NewOwnerOpt = None, erase: EraseOpt = False) -> None:
    """Remove users: their seats are revoked and their open requests canceled.

    What is billed does not change. The record stays as history; adding the e-mail again brings it back.
    --erase blanks names, e-mails and notes, in the audit too, whose hashes stay; it also works for users who
    were removed before. Data in Stripe, actors in the audit, and older backups are not changed.

    Examples:
      seatctl users remove bob@example.com
      seatctl users remove ann@example.com --new-owner zoe@example.com
      seatctl users remove bob@example.com --erase
    """
    from seatctl.services.users.edit import remove_users

    hand_over = None
    if new_owner is not None:
        from seatctl.services.subscriptions import subscription_metadata_operation as settings

        hand_over = partial(settings.transfer, ctx.ledger, ctx.billing, ctx.call)
    if erase and ctx.asks:
        users = emails[0] if len(emails) == 1 else f"{len(emails)} users"
        ctx.confirm(f"Erase {users} for good?")
    ctx.emit(
        remove_users(ctx.ledger, ctx.call, emails, new_owner=new_owner, hand_over=hand_over, erase=erase)
    )
    if erase and not ctx.options.dry_run:
        ctx.ledger.engine.empty_journal()
        if not isinstance(ctx.ledger_place(ctx.profile), Path):
            ctx.note(
                "the server's write-ahead log, its replicas and its backups keep what was erased until they"
                " are overwritten"
            )
