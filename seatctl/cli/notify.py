"""`seatctl notify`: the messages that are sent to people."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import LAST_NUMBER, Commands, argument, option
from seatctl.errors import UsageError
from seatctl.output.style import columns

app = Commands()

_LISTED = "id template recipient state attempts queued_at next_attempt sent_at error"
LIST_COLUMNS = columns(_LISTED, machine="next_attempt", titles={"id": "Message"})

NumberArg = Annotated[int, argument("ID", "The number of a message.", max=LAST_NUMBER)]
FailedOpt = Annotated[bool, option("--failed", "Only messages that failed.")]
WaitingOpt = Annotated[bool, option("--waiting", "Only messages that wait to be sent.")]


@app.command("list")
def list_messages(ctx: Context, failed: FailedOpt = False, waiting: WaitingOpt = False) -> None:
    """List messages, newest first.

    The next command, or `notify send`, sends waiting messages. Failed messages are sent again only by
    `notify send --failed`. Held messages are never sent, because something happened that made them wrong:
    for example, the seat was revoked.

    Examples:
      seatctl notify list
      seatctl notify list --failed -o json
    """
    from seatctl.ledger import outbox
    from seatctl.models.message import MessageState
    from seatctl.services.notifications.delivery import message_row

    state = MessageState.FAILED if failed else MessageState.WAITING if waiting else None
    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            map(message_row, outbox.listing(reader, state)),
            LIST_COLUMNS,
            handle="id",
            total=lambda: outbox.count(reader, state),
        )


@app.command()
def show(ctx: Context, number: NumberArg) -> None:
    """Show a message as it would be sent now.

    An activation code is made when the message is sent, and is not stored.

    Examples:
      seatctl notify show 12
      seatctl notify show 12 -o json
    """
    from seatctl.config.mail import activation_days, find_texts
    from seatctl.services.notifications.delivery import preview

    texts = find_texts(ctx.settings, ctx.profile)
    shown = columns(f"{_LISTED} subject text html", machine="html", titles={"id": "Message"})
    with ctx.ledger.reading() as reader:
        ctx.emit_one(preview(reader, texts, number, ctx.now, activation_days(ctx.policy)), shown, handle="id")


@app.command()
def send(
    ctx: Context,
    failed: Annotated[bool, option("--failed", "Also messages that failed.")] = False,
    again: Annotated[str | None, option("--again EMAIL", "Send this user a new activation code.")] = None,
    at_once: Annotated[bool, option("--now", "Also messages that were put off.")] = False,
) -> None:
    """Send the messages that are due.

    Every command sends its own messages, but only for a few seconds. Run this from cron to send the others.
    It exits with 6 if a message failed or was put off, with 75 if the server cannot be reached.

    Examples:
      seatctl notify send
      seatctl notify send --now
      seatctl notify send --failed
      seatctl notify send --again zoe@example.com
    """
    from seatctl.services.notifications.delivery import SendOptions, send_messages

    options = SendOptions(failed, again, at_once)
    ctx.emit(send_messages(ctx.ledger, lambda: ctx.mail_setup, ctx.call, options), handle="id")


@app.command("test")
def send_test(
    ctx: Context,
    email: Annotated[str | None, argument("[EMAIL]", "The recipient; by default the actor.")] = None,
    password_stdin: Annotated[
        bool, option("--password-stdin", "First store the password from stdin in the system keyring.")
    ] = False,
) -> None:
    """Send a test message to check the mail server.

    Examples:
      seatctl notify test
      seatctl notify test ann@example.com --password-stdin < password
    """
    from seatctl.models.report import would_have
    from seatctl.services.notifications import delivery

    recipient = email or ctx.actor
    if "@" not in recipient:
        raise UsageError("the actor is not an e-mail address", hint="seatctl notify test EMAIL")
    if password_stdin and not ctx.options.dry_run:
        from seatctl.config.mail import store_password
        from seatctl.config.secrets import read_secret
        from seatctl.input.lines import stdin_line

        store_password(ctx.settings, ctx.profile, read_secret(stdin_line()))
    record = delivery.send_test(ctx.ledger, lambda: ctx.mail_setup, ctx.call, recipient, ctx.profile.name)
    if ctx.options.dry_run:
        ctx.note(would_have(f"sent a test message to {recipient}"))
    ctx.emit_one(record, columns(" ".join(record), machine="dry_run"), handle="to")
