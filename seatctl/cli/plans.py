"""`seatctl plans`: plans, their prices and policies."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context
from seatctl.errors import JsonValue
from seatctl.models.plan import Interval
from seatctl.output.columns import columns

app = typer.Typer()

LIST_COLUMNS = columns(
    "slug name unit_amount currency interval interval_count active product price",
    machine="currency product price",
    titles={"price": "Stripe price"},
)

SHOW_COLUMNS = columns(
    "slug name unit_amount currency interval interval_count active product price rules policy",
    machine="currency policy",
    titles={"price": "Stripe price"},
)

PlanArg = Annotated[str, typer.Argument(metavar="PLAN", help="A plan, by its slug.", show_default=False)]
PolicyOpt = Annotated[
    str | None, typer.Option("--policy", metavar="flexible|term", help="Start from this policy.")
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change one field of the policy; can be repeated."),
]


@app.command("list")
def list_plans(
    typer_ctx: typer.Context,
    archived: Annotated[bool, typer.Option("--archived", help="Also plans that are no longer sold.")] = False,
) -> None:
    """List plans.

    Examples:
      seatctl plans list
      seatctl plans list --archived -o json
    """
    from seatctl.ledger import plans
    from seatctl.services.plans.spec import plan_row

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        rows = (plan_row(plan) for plan in plans.listing(reader, archived=archived))
        ctx.emit_list(rows, LIST_COLUMNS, handle="slug")


@app.command()
def show(typer_ctx: typer.Context, plan: PlanArg) -> None:
    """Show a plan and explain its policy.

    Examples:
      seatctl plans show pro
    """
    from seatctl.ledger import plans
    from seatctl.rules.policies import sentences
    from seatctl.services.plans.spec import plan_row

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        stored = plans.find(reader, plan)
    none = "It came from Stripe and has no policy yet; to set one: seatctl plans edit"
    rules = [none] if stored.policy is None else sentences(stored.policy)
    ctx.emit_one({**plan_row(stored), "rules": [*rules]}, SHOW_COLUMNS, handle="slug")


@app.command()
def add(
    typer_ctx: typer.Context,
    slug: Annotated[
        str, typer.Argument(metavar="SLUG", help="Its short name, such as team-plus.", show_default=False)
    ],
    price: Annotated[
        str, typer.Option("--price", metavar="AMOUNT", help="The price per seat and interval, such as 12.00.")
    ],
    currency: Annotated[str, typer.Option("--currency", metavar="CODE", help="The currency, such as usd.")],
    interval: Annotated[
        Interval, typer.Option("--interval", help="How often it is billed.")
    ] = Interval.MONTH,
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Bill every N intervals.")] = 1,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The name that customers read on invoices.")
    ] = None,
    policy: PolicyOpt = None,
    assignments: SetOpt = None,
) -> None:
    """Add a plan: a product with a price in Stripe, and its policy.

    Examples:
      seatctl plans add pro --price 12.00 --currency usd --interval month --policy flexible
      seatctl plans add team --price 5.00 --currency eur --interval year --policy term
      seatctl plans add eu --price 9 --currency eur --set pack_size=10 --set min_seats=10
    """
    from seatctl.rules.policies import preset, with_fields
    from seatctl.services.plans.plan_add_operation import add_plan
    from seatctl.services.plans.spec import new_spec

    ctx = context(typer_ctx)
    spec = new_spec(
        slug=slug,
        name=name or slug,
        price=price,
        currency=currency,
        interval=interval,
        interval_count=every,
        policy=with_fields(preset(policy or "flexible", interval, every), _assignments(assignments)),
    )
    ctx.emit(add_plan(ctx.ledger, ctx.billing, ctx.call, spec), handle="slug")


@app.command()
def edit(
    typer_ctx: typer.Context,
    plan: PlanArg,
    price: Annotated[
        str | None, typer.Option("--price", metavar="AMOUNT", help="The new price per seat and interval.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The new name.")] = None,
    policy: PolicyOpt = None,
    assignments: SetOpt = None,
) -> None:
    """Change a plan for purchases from now on.

    Running subscriptions keep the policy and the price under which they were bought.

    Examples:
      seatctl plans edit pro --price 14.00
      seatctl plans edit pro --set grace_days=14 --set sign_in_url=https://example.com/login
    """
    from seatctl.errors import UsageError
    from seatctl.ledger import plans
    from seatctl.rules.policies import as_fields, preset
    from seatctl.rules.purchases import amount_of
    from seatctl.services.plans.plan_edit_operation import edit_plan

    if price is None and name is None and policy is None and not assignments:
        raise UsageError("there is nothing to change", hint="give --price, --name, --policy or --set")
    ctx = context(typer_ctx)
    changes: dict[str, JsonValue] = {"name": name, "fields": _assignments(assignments)}
    if policy is not None or price is not None:
        with ctx.ledger.reading() as reader:
            edited = plans.find(reader, plan)
        if policy is not None:
            changes["policy"] = as_fields(preset(policy, edited.interval, edited.interval_count))
        if price is not None:
            changes["unit_amount"] = amount_of(price, edited.currency)
    ctx.emit(edit_plan(ctx.ledger, ctx.billing, ctx.call, plan, changes), handle="slug")


@app.command()
def archive(
    typer_ctx: typer.Context,
    plan: PlanArg,
    undo: Annotated[bool, typer.Option("--undo", help="Sell an archived plan again.")] = False,
) -> None:
    """Stop selling a plan; its subscriptions continue.

    Examples:
      seatctl plans archive pro
      seatctl plans archive pro --undo
    """
    from seatctl.services.plans.plan_edit_operation import archive_plan

    ctx = context(typer_ctx)
    ctx.emit(archive_plan(ctx.ledger, ctx.billing, ctx.call, plan, undo=undo), handle="slug")


@app.command("export")
def export_file(
    typer_ctx: typer.Context,
    plans: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PLAN]...", help="Plans, by slug; without it, all that are sold."),
    ] = None,
) -> None:
    """Write plans as TOML, to import them into another profile.

    Examples:
      seatctl plans export > plans.toml
      seatctl plans export pro -p sandbox | seatctl plans import - -p test
    """
    from seatctl.output.emit import write_text
    from seatctl.services.plans.toml_file import export_plans

    write_text(export_plans(context(typer_ctx).ledger, tuple(plans or ())))


@app.command("import")
def import_file(
    typer_ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="TOML; - is stdin.", show_default=False)],
) -> None:
    """Add the plans of a TOML file and change the plans that differ.

    Examples:
      seatctl plans import plans.toml --dry-run
      seatctl plans import plans.toml -p live
    """
    from seatctl.input.lines import read_text
    from seatctl.services.plans.toml_file import import_plans, read_plan_file

    ctx = context(typer_ctx)
    specs = read_plan_file(read_text(file))
    ctx.emit(import_plans(ctx.ledger, ctx.billing, ctx.call, specs), handle="slug")


def _assignments(texts: list[str] | None) -> dict[str, JsonValue]:
    """`--set FIELD=VALUE` as a mapping. Raises UsageError if `=` is missing or a field has two values."""
    from seatctl.errors import UsageError
    from seatctl.rules.typed_values import pairs

    split = [text.partition("=") for text in texts or ()]
    bad = [name for name, equals, _ in split if not equals or not name]
    if bad:
        raise UsageError(
            f"--set takes FIELD=VALUE, not {', '.join(map(repr, bad))}",
            hint="for the fields and their values: seatctl help policies",
        )
    return {**pairs("--set", ((name.strip(), value) for name, _, value in split))}
