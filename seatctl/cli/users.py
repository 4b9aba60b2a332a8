"""`seatctl users`: the people who can sit in seats."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import EmailArg, FileArg, MapOpt, SkipBadOpt, context
from seatctl.cli.users_remove import People, remove
from seatctl.models.user import UserStatus
from seatctl.output.style import Column

app = typer.Typer()

LIST_COLUMNS = (
    Column("email", "E-mail"),
    Column("name", "Name"),
    Column("group", "Group"),
    Column("status", "Status"),
    Column("seats", "Seats", "integer"),
    Column("last_active", "Last active", "time"),
    Column("created_at", "Added", "time", table=False),
)

SHOW_COLUMNS = (
    Column("email", "E-mail"),
    Column("name", "Name"),
    Column("group", "Group"),
    Column("status", "Status"),
    Column("last_active", "Last active", "time"),
    Column("exempt", "Kept by reclaim", "flag"),
    Column("created_at", "Added", "time"),
    Column("subscriptions", "Seats in", "list"),
    Column("owns", "Owns", "list"),
    Column("open_requests", "Open requests", "list"),
    Column("seats", "Seats", "list", table=False),
    Column("requests", "Requests", "list", table=False),
)

_LISTED = frozenset(("status", "seats", "created_at", "subscription", "assigned_at", "until"))

NameOpt = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The full name.")]
GroupOpt = Annotated[str | None, typer.Option("--group", metavar="GROUP", help="A team, a department.")]


@app.command("list")
def list_users(
    typer_ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="Part of a name or an e-mail.", show_default=False)
    ] = "",
    status: Annotated[
        UserStatus | None, typer.Option("--status", help="Only these; removed users are shown only so.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="Only this group.")] = None,
) -> None:
    """List users, or search them by part of a name or an e-mail.

    Two letters are looked for at the beginning of the e-mail and of each name, one only of the e-mail.

    Examples:
      seatctl users list
      seatctl users list smith --group sales
      seatctl users list --status suspended -o csv
    """
    from seatctl.ledger import users

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            users.records(reader, text=text.strip(), status=status, group=group, now=ctx.now),
            LIST_COLUMNS,
            handle="email",
            # What a search finds is shown as it is found; counting it would cost more than showing it.
            total=None if text.strip() else lambda: users.total(reader, status=status, group=group),
        )


@app.command()
def show(typer_ctx: typer.Context, email: EmailArg) -> None:
    """Show a user with seats, open requests and what the user owns.

    Examples:
      seatctl users show ann@example.com
    """
    from seatctl.services.users.edit import describe

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        ctx.emit_one(describe(reader, email, ctx.now), SHOW_COLUMNS, handle="email")


@app.command()
def add(typer_ctx: typer.Context, emails: People, name: NameOpt = None, group: GroupOpt = None) -> None:
    """Add users; a removed one comes back.

    Examples:
      seatctl users add zoe@example.com --name 'Zoe Zhang' --group design
      seatctl users add ann@example.com bob@example.com
    """
    from seatctl.errors import UsageError
    from seatctl.services.users.edit import add_users

    if name is not None and len(emails) > 1:
        raise UsageError(
            "--name is the name of one user", hint="add them one by one, or seatctl users import FILE"
        )
    ctx = context(typer_ctx)
    ctx.emit(add_users(ctx.ledger, ctx.call, emails, name=name, group=group))


@app.command()
def edit(
    typer_ctx: typer.Context,
    email: EmailArg,
    new_email: Annotated[str | None, typer.Option("--email", metavar="EMAIL", help="The new e-mail.")] = None,
    name: NameOpt = None,
    group: GroupOpt = None,
    exempt: Annotated[
        bool | None,
        typer.Option("--exempt/--no-exempt", help="Whether seats reclaim leaves this user's seats alone."),
    ] = None,
) -> None:
    """Change a user's e-mail, name or group.

    Seats, requests, roles and what they own stay with the user. An empty text takes a name or a group away.

    Examples:
      seatctl users edit zoe@example.com --name 'Zoe Zhang'
      seatctl users edit zoe@example.com --email zoe.zhang@example.com
      seatctl users edit zoe@example.com --group ''
      seatctl users edit zoe@example.com --exempt
    """
    from seatctl.errors import UsageError
    from seatctl.services.users.edit import UserEdit, edit_user

    if new_email is None and name is None and group is None and exempt is None:
        raise UsageError("nothing to change is given", hint="give --email, --name, --group or --exempt")
    ctx = context(typer_ctx)
    report = edit_user(ctx.ledger, ctx.call, email, UserEdit(new_email, name, group, exempt))
    ctx.emit(report)
    if new_email is not None and not ctx.options.dry_run:
        from seatctl.services.subscriptions.settings import update_owner_email

        why = update_owner_email(ctx.ledger, lambda: ctx.billing, ctx.call, new_email)
        if why is not None:
            from seatctl.ledger.users import quoted

            again = f"seatctl users edit {quoted(new_email)} --email {quoted(new_email)}"
            ctx.note(f"Stripe does not know the new e-mail of the owner yet: {why}; once more: {again}")


@app.command("import")
def import_file(
    typer_ctx: typer.Context, file: FileArg, mapping: MapOpt = None, skip_bad: SkipBadOpt = False
) -> None:
    """Add and update users from a file.

    It has a column email, and may have name, group and last_active. Who is there already gets the values
    that are not empty; the status stays. Nothing is written if any row is bad, unless --skip-bad is given.

    Examples:
      seatctl users import people.csv
      seatctl users import people.csv --map email='Work Email' --map name='Full Name'
      seatctl users list -o csv -p sandbox | seatctl users import - -p live
    """
    from seatctl.input.columns import renames
    from seatctl.input.tables import open_table
    from seatctl.rules.people import USER_FIELDS, incoming
    from seatctl.services.users.import_file import import_users

    ctx = context(typer_ctx)
    with open_table(file, USER_FIELDS, mapping=renames(mapping or ())) as table:
        # A column that our own lists print is left out on purpose; another may be a typing mistake.
        unread = [name for name in table.ignored if name not in _LISTED]
        if unread:
            ctx.note(f"columns not read: {', '.join(unread)}")
        report = import_users(ctx.ledger, ctx.call, incoming(table), skip_bad=skip_bad)
        ctx.emit(report, handle="email")


@app.command()
def suspend(typer_ctx: typer.Context, emails: People) -> None:
    """Suspend users: they keep their seats and are not entitled, nor do their roles permit anything.

    Examples:
      seatctl users suspend bob@example.com
    """
    from seatctl.services.users.edit import suspend_users

    ctx = context(typer_ctx)
    ctx.emit(suspend_users(ctx.ledger, ctx.call, emails))


@app.command()
def reactivate(typer_ctx: typer.Context, emails: People) -> None:
    """Make suspended users active again.

    Examples:
      seatctl users reactivate bob@example.com
    """
    from seatctl.services.users.edit import reactivate_users

    ctx = context(typer_ctx)
    ctx.emit(reactivate_users(ctx.ledger, ctx.call, emails))


app.command()(remove)
