"""Sends the messages of a command after its change is committed: at most a few, and for a few seconds.

The mail server must neither fail a command nor delay it. Messages that are not sent stay in the ledger for
`notify send` or the next command.
"""

from __future__ import annotations

from functools import partial

from seatctl.app.context import Context

MAX_MESSAGES = 20
MAX_SECONDS = 5.0


def deliver(ctx: Context, first_entry: int) -> None:
    """Send the messages queued since this audit entry. Problems are written to the log only."""
    try:
        if not ctx.profile.text("mail.host", ctx.environment):
            return
        from seatctl.config.mail import find_mail_setup
        from seatctl.services.notifications.delivery import DeliveryLimit, send_due

        limit = DeliveryLimit(MAX_MESSAGES, MAX_SECONDS, first_entry, patient=False)
        find = partial(find_mail_setup, ctx.settings, ctx.profile, ctx.environment, MAX_SECONDS)
        sent = send_due(ctx.ledger, find, ctx.now, limit)
        for row in sent.rows:
            if row["result"] not in {"failed", "put off"}:
                continue
            ctx.trace(f"message {row['id']} {row['result']}: {row['error']}")
        if sent.error is not None:
            ctx.trace(sent.error.message)
    except Exception as error:  # noqa: BLE001 - the command has succeeded; its messages stay in the ledger
        ctx.log.write(f"messages were not sent: {type(error).__name__}: {error}")
