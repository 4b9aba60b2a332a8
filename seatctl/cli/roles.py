"""`seatctl roles`: the roles that permit actors to change things."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, OptionalSubscriptionArg, SubscriptionOpt, argument
from seatctl.config.settings import is_actor
from seatctl.errors import BadInput
from seatctl.models.role import Role
from seatctl.output.style import columns

app = Commands()

COLUMNS = columns("actor role subscription")

ActorArg = Annotated[str, argument("ACTOR", "An e-mail address or ci:NAME.")]
RoleArg = Annotated[Role, argument("ROLE", "admin, assignor or viewer.")]


@app.command("list")
def list_roles(ctx: Context, subscription: OptionalSubscriptionArg = None) -> None:
    """List the roles of actors; a role without a subscription applies to all of them.

    Examples:
      seatctl roles list
      seatctl roles list design -o json
    """
    from seatctl.services.users import permissions

    with ctx.ledger.reading() as reader:
        records = list(permissions.list_roles(reader, subscription))
    ctx.emit_list(records, COLUMNS, handle="actor", total=lambda: len(records))


@app.command()
def grant(ctx: Context, actor: ActorArg, role: RoleArg, subscription: SubscriptionOpt = None) -> None:
    """Grant a role to an actor, for everything or for one subscription.

    `seatctl help roles` lists what each role may do. `subs transfer` changes the owner of a subscription.

    Examples:
      seatctl roles grant bob@example.com assignor
      seatctl roles grant ci:deploy assignor --subscription design
    """
    from seatctl.services.users.permissions import grant_role

    ctx.emit(grant_role(ctx.ledger, ctx.call, _checked(actor), role, subscription), handle="actor")


@app.command()
def revoke(ctx: Context, actor: ActorArg, role: RoleArg, subscription: SubscriptionOpt = None) -> None:
    """Revoke a role of an actor; the last admin keeps the role.

    Examples:
      seatctl roles revoke bob@example.com assignor
    """
    from seatctl.services.users.permissions import revoke_role

    ctx.emit(revoke_role(ctx.ledger, ctx.call, _checked(actor), role, subscription), handle="actor")


def _checked(actor: str) -> str:
    from seatctl.rules.emails import check_email

    problem = check_email(actor) if "@" in actor and not actor.startswith(("ci:", "os:")) else None
    if problem or not is_actor(actor):
        raise BadInput(
            f"{actor!r} is not an actor: {problem or 'use an e-mail address or ci:NAME'}",
            hint="seatctl roles list",
        )
    return actor
