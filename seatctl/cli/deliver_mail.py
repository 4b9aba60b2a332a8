"""After a command whose change is committed: send its messages, a few and for a moment, whatever happens.

`main` asks for it when there is something to send. A mail server must never fail a command nor hold it
up; what is left waits in the ledger for `notify send`, or for the next command.
"""

from __future__ import annotations

from functools import partial

from seatctl.app.context import Context

MOST = 20
SECONDS = 5.0


def deliver(ctx: Context, first_entry: int) -> None:
    """Send what the ledger holds for sending since this audit entry; trouble goes to the log alone."""
    try:
        if not ctx.profile.text("mail.host", ctx.environment):
            return
        from seatctl.config.mail import find_post
        from seatctl.services.notifications.delivery import DeliveryLimit, send_due

        limit = DeliveryLimit(MOST, SECONDS, first_entry, patient=False)
        find = partial(find_post, ctx.settings, ctx.profile, ctx.environment, SECONDS)
        sent = send_due(ctx.ledger, find, ctx.now, limit)
        lost = [row for row in sent.rows if row["result"] in {"failed", "put off"}]
        for row in lost:
            ctx.trace(f"message {row['id']} {row['result']}: {row['error']}")
        if sent.error is not None:
            ctx.trace(sent.error.message)
    except Exception as error:  # noqa: BLE001  # the command is done; its messages stay in the ledger
        ctx.log.write(f"messages were not sent: {type(error).__name__}: {error}")
