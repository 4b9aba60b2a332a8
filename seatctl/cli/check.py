"""`seatctl check`: whether a person is entitled."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, EmailArg, SubscriptionOpt, option
from seatctl.errors import ExitCode
from seatctl.output.style import columns

app = Commands()

COLUMNS = columns(
    "email entitled reason message subscription plan features until as_of ways_out sign_in_url",
    machine="reason",
    titles={"message": "Why"},
)


@app.command()
def check(
    ctx: Context,
    email: EmailArg,
    subscription: SubscriptionOpt = None,
    plan: Annotated[str | None, option("--plan PLAN", "Only seats of this plan count.")] = None,
    feature: Annotated[
        str | None, option("--feature FEATURE", "Only seats that grant this feature count.")
    ] = None,
) -> None:
    """Say whether a person is entitled, why, and until when. Exit 0 means yes, 7 means no.

    If the answer is no, it lists the commands that would change it, such as requesting or buying a seat.

    Examples:
      seatctl check zoe@example.com
      seatctl check zoe@example.com -s design -o json
      seatctl check zoe@example.com --feature recordings -q && echo welcome
    """
    from seatctl.services.seats.entitlement import check as check_entitlement

    answer = ctx.answer(
        lambda reader, now: check_entitlement(
            reader, email, now, subscription=subscription, plan=plan, feature=feature
        )
    )
    ctx.emit_one(answer, COLUMNS, handle="reason")
    ctx.exit_code = ExitCode.DONE if answer["entitled"] else ExitCode.NO
