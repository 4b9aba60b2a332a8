"""`seatctl notify`: messages to people."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import LAST_NUMBER, context
from seatctl.output.style import Column

app = typer.Typer()

LIST_COLUMNS = (
    Column("id", "Message", "integer"),
    Column("template", "What"),
    Column("recipient", "To"),
    Column("state", "State"),
    Column("attempts", "Attempts", "integer"),
    Column("queued_at", "Queued", "time"),
    Column("next_attempt", "Next attempt", "time", table=False),
    Column("sent_at", "Sent", "time"),
    Column("error", "Error"),
)

NumberArg = Annotated[
    int, typer.Argument(metavar="ID", help="A message's number.", show_default=False, max=LAST_NUMBER)
]
FailedOpt = Annotated[bool, typer.Option("--failed", help="Only messages that have failed.")]
WaitingOpt = Annotated[bool, typer.Option("--waiting", help="Only messages that are still to be sent.")]


@app.command("list")
def list_messages(typer_ctx: typer.Context, failed: FailedOpt = False, waiting: WaitingOpt = False) -> None:
    """List messages, newest first.

    Failed ones wait for a person; waiting ones are sent by the next command, or by `notify send`; held
    ones were overtaken, such as an invitation to a seat that was given back.

    Examples:
      seatctl notify list
      seatctl notify list --failed -o json
    """
    from seatctl.ledger import outbox
    from seatctl.models.message import MessageState
    from seatctl.services.notifications.commands import message_row

    ctx = context(typer_ctx)
    state = MessageState.FAILED if failed else MessageState.WAITING if waiting else None
    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            map(message_row, outbox.listing(reader, state)),
            LIST_COLUMNS,
            handle="id",
            total=lambda: outbox.count(reader, state),
        )


@app.command()
def show(typer_ctx: typer.Context, number: NumberArg) -> None:
    """Show a message as it would be sent now.

    An activation code is made when the message is sent, and kept nowhere.

    Examples:
      seatctl notify show 12
      seatctl notify show 12 -o json
    """
    from seatctl.config.mail import activation_days, find_texts
    from seatctl.services.notifications.commands import preview

    ctx = context(typer_ctx)
    texts = find_texts(ctx.settings, ctx.profile)
    columns = (
        *(column._replace(table=True) for column in LIST_COLUMNS),
        Column("subject", "Subject"),
        Column("text", "Text", "prose"),
        Column("html", "HTML", table=False),
    )
    with ctx.ledger.reading() as reader:
        ctx.emit_one(
            preview(reader, texts, number, ctx.now, activation_days(ctx.profile)), columns, handle="id"
        )


@app.command()
def send(
    typer_ctx: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Also those that have failed before.")] = False,
    again: Annotated[
        str | None, typer.Option("--again", metavar="EMAIL", help="Send this user a new activation code.")
    ] = None,
    at_once: Annotated[bool, typer.Option("--now", help="Also those that were put off until later.")] = False,
) -> None:
    """Send the messages that are due.

    Every command sends its own; this sends what they have left, and is meant for cron. Exit 6 if one
    failed or was put off, 75 if the server cannot be reached.

    Examples:
      seatctl notify send
      seatctl notify send --now
      seatctl notify send --failed
      seatctl notify send --again zoe@example.com
    """
    from seatctl.services.notifications.commands import SendOptions, send_messages

    ctx = context(typer_ctx)
    report = send_messages(ctx.ledger, lambda: ctx.post, ctx.call, SendOptions(failed, again, at_once))
    ctx.emit(report, handle="id")


@app.command("test")
def try_server(
    typer_ctx: typer.Context,
    email: Annotated[
        str | None, typer.Argument(metavar="[EMAIL]", help="Who gets it; the actor.", show_default=False)
    ] = None,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="First keep the password from stdin in the system keyring."),
    ] = False,
) -> None:
    """Send a test message at once, to try the mail server.

    Examples:
      seatctl notify test
      seatctl notify test ann@example.com --password-stdin < password
    """
    from seatctl.errors import UsageError
    from seatctl.services.notifications import commands

    ctx = context(typer_ctx)
    to = email or ctx.actor
    if "@" not in to:
        raise UsageError("the actor is not an e-mail address", hint="seatctl notify test EMAIL")
    if password_stdin and not ctx.options.dry_run:
        from seatctl.config.mail import keep_password
        from seatctl.config.secrets import read_secret
        from seatctl.input.lines import stdin_line

        keep_password(ctx.settings, ctx.profile, read_secret(stdin_line()))
    sent = commands.try_server(ctx.ledger, lambda: ctx.post, ctx.call, to, ctx.profile.name)
    columns = [Column(key, key.capitalize()) for key in sent]
    ctx.emit_one(sent, columns, handle="to")
