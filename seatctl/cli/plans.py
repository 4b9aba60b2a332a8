"""`seatctl plans`: plans, their prices and policies."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, argument, option
from seatctl.errors import JsonValue, UsageError
from seatctl.models.plan import Interval, PlanTax, TaxBehavior, TrialWithoutCard
from seatctl.output.emit import write_text
from seatctl.output.style import columns

app = Commands()

LIST_COLUMNS = columns(
    "slug name unit_amount currency interval interval_count active product price",
    machine="currency product price",
    titles={"price": "Stripe price"},
)

SHOW_COLUMNS = columns(
    "slug name unit_amount currency pricing interval interval_count tax_behavior tax_code active product"
    " price rules policy currency_options",
    machine="currency policy currency_options",
    titles={"price": "Stripe price"},
)

PlanArg = Annotated[str, argument("PLAN", "A plan, by its slug.")]
PolicyOpt = Annotated[str | None, option("--policy flexible|term", "Start from this policy.")]
SetOpt = Annotated[
    list[str] | None, option("--set FIELD=VALUE", "Change one field of the policy; can be repeated.")
]


TrialDaysOpt = Annotated[
    int | None,
    option("--trial-days N", "Begin purchases with a free trial of N days; 0: none.", min=0, max=730),
]
TrialWithoutCardOpt = Annotated[
    TrialWithoutCard | None,
    option("--trial-without-card", "Whether a trial needs no card, and what its end without one does."),
]
TaxBehaviorOpt = Annotated[
    TaxBehavior | None, option("--tax-behavior", "Whether tax is added to the price or part of it.")
]
TaxCodeOpt = Annotated[str | None, option("--tax-code CODE", "Stripe's code of what is sold: txcd_….")]


@app.command("list")
def list_plans(
    ctx: Context,
    archived: Annotated[bool, option("--archived", "Also plans that are no longer sold.")] = False,
) -> None:
    """List plans.

    Examples:
      seatctl plans list
      seatctl plans list --archived -o json
    """
    from seatctl.ledger import plans
    from seatctl.services.plans.prices import priced_row

    with ctx.ledger.reading() as reader:
        rows = (priced_row(reader, plan) for plan in plans.listing(reader, archived=archived))
        ctx.emit_list(rows, LIST_COLUMNS, handle="slug")


@app.command()
def show(ctx: Context, plan: PlanArg) -> None:
    """Show a plan and explain its policy.

    Examples:
      seatctl plans show pro
    """
    from seatctl.ledger import plans
    from seatctl.rules.policies import sentences
    from seatctl.services.plans.prices import priced_page
    from seatctl.services.plans.spec import tax_of, tax_row

    with ctx.ledger.reading() as reader:
        stored = plans.find(reader, plan)
        page = {**priced_page(reader, stored), **tax_row(tax_of(reader, stored))}
    none = "It came from Stripe and has no policy yet; to set one: seatctl plans edit"
    rules = [none] if stored.policy is None else sentences(stored.policy)
    ctx.emit_one({**page, "rules": [*rules]}, SHOW_COLUMNS, handle="slug")


@app.command()
def add(
    ctx: Context,
    slug: Annotated[str, argument("SLUG", "Its short name, such as team-plus.")],
    price: Annotated[str, option("--price AMOUNT", "The price per seat and interval, such as 12.00.")],
    currency: Annotated[str, option("--currency CODE", "The currency, such as usd.")],
    interval: Annotated[Interval, option("--interval", "How often it is billed.")] = Interval.MONTH,
    every: Annotated[int, option("--every N", "Bill every N intervals.", min=1)] = 1,
    name: Annotated[str | None, option("--name NAME", "The name that customers read on invoices.")] = None,
    policy: PolicyOpt = None,
    trial_days: TrialDaysOpt = None,
    trial_without_card: TrialWithoutCardOpt = None,
    assignments: SetOpt = None,
    tax_behavior: TaxBehaviorOpt = None,
    tax_code: TaxCodeOpt = None,
) -> None:
    """Add a plan: a product with a price in Stripe, and its policy.

    Examples:
      seatctl plans add pro --price 12.00 --currency usd --interval month --policy flexible
      seatctl plans add team --price 5.00 --currency eur --interval year --policy term
      seatctl plans add eu --price 9 --currency eur --set pack_size=10 --set min_seats=10
      seatctl plans add try --price 12.00 --currency usd --trial-days 14 --trial-without-card pause
      seatctl plans add de --price 9 --currency eur --tax-behavior exclusive --tax-code txcd_10103001
    """
    from seatctl.rules.policies import preset, with_fields
    from seatctl.services.plans.plan_operation import add_plan
    from seatctl.services.plans.spec import new_spec

    spec = new_spec(
        slug=slug,
        name=name or slug,
        price=price,
        currency=currency,
        interval=interval,
        interval_count=every,
        policy=with_fields(
            preset(policy or "flexible", interval, every),
            _assignments(assignments, trial_days, trial_without_card),
        ),
        tax=PlanTax(tax_behavior, tax_code),
    )
    ctx.emit(add_plan(ctx.ledger, ctx.billing, ctx.call, spec), handle="slug")


@app.command()
def edit(
    ctx: Context,
    plan: PlanArg,
    price: Annotated[str | None, option("--price AMOUNT", "The new price per seat and interval.")] = None,
    name: Annotated[str | None, option("--name NAME", "The new name.")] = None,
    policy: PolicyOpt = None,
    trial_days: TrialDaysOpt = None,
    trial_without_card: TrialWithoutCardOpt = None,
    assignments: SetOpt = None,
    tax_behavior: TaxBehaviorOpt = None,
    tax_code: TaxCodeOpt = None,
) -> None:
    """Change a plan for purchases from now on.

    Running subscriptions keep the policy and the price under which they were bought. Another tax behavior
    is another price.

    Examples:
      seatctl plans edit pro --price 14.00
      seatctl plans edit pro --set grace_days=14 --set sign_in_url=https://example.com/login
    """
    from seatctl.ledger import plans
    from seatctl.rules.policies import preset
    from seatctl.rules.purchases import amount_of
    from seatctl.services.plans.plan_operation import edit_plan

    fields, amount, whole = _assignments(assignments, trial_days, trial_without_card), None, None
    tax = PlanTax(tax_behavior, tax_code)
    if price is None and name is None and policy is None and not fields and tax == PlanTax():
        raise UsageError("there is nothing to change", hint="give --price, --name, --policy or --set")
    if policy is not None or price is not None:
        with ctx.ledger.reading() as reader:
            edited = plans.find(reader, plan)
        if policy is not None:
            whole = preset(policy, edited.interval, edited.interval_count)
        if price is not None:
            amount = amount_of(price, edited.currency)
    report = edit_plan(
        ctx.ledger,
        ctx.billing,
        ctx.call,
        plan,
        name=name,
        unit_amount=amount,
        policy=whole,
        fields=fields,
        tax=tax,
    )
    ctx.emit(report, handle="slug")


@app.command()
def archive(
    ctx: Context,
    plan: PlanArg,
    undo: Annotated[bool, option("--undo", "Sell an archived plan again.")] = False,
) -> None:
    """Stop selling a plan; its subscriptions continue.

    Examples:
      seatctl plans archive pro
      seatctl plans archive pro --undo
    """
    from seatctl.services.plans.plan_operation import archive_plan

    ctx.emit(archive_plan(ctx.ledger, ctx.billing, ctx.call, plan, undo=undo), handle="slug")


@app.command("export")
def export_file(
    ctx: Context,
    plans: Annotated[
        list[str] | None, argument("[PLAN]...", "Plans, by slug; without it, all that are sold.")
    ] = None,
) -> None:
    """Write plans as TOML, to import them into another profile.

    Examples:
      seatctl plans export > plans.toml
      seatctl plans export pro -p sandbox | seatctl plans import - -p test
    """
    from seatctl.services.plans.toml_file import export_plans

    write_text(export_plans(ctx.ledger, tuple(plans or ())))


@app.command("import")
def import_file(
    ctx: Context,
    file: Annotated[str, argument("FILE|-", "TOML; - is stdin.")],
) -> None:
    """Add the plans of a TOML file and change the plans that differ.

    Examples:
      seatctl plans import plans.toml --dry-run
      seatctl plans import plans.toml -p live
    """
    from seatctl.input.lines import read_text
    from seatctl.services.plans.toml_file import import_plans, read_plan_file

    specs = read_plan_file(read_text(file))
    ctx.emit(import_plans(ctx.ledger, ctx.billing, ctx.call, specs), handle="slug")


def _assignments(
    texts: list[str] | None, trial_days: int | None, trial_without_card: TrialWithoutCard | None
) -> dict[str, JsonValue]:
    """`--set FIELD=VALUE` as a mapping, with the fields that have options of their own.

    Raises UsageError if `=` is missing or a field has two values.
    """
    from seatctl.rules.typed_values import pairs

    split = [text.partition("=") for text in texts or ()]
    bad = [name for name, equals, _ in split if not equals or not name]
    if bad:
        raise UsageError(
            f"--set takes FIELD=VALUE, not {', '.join(map(repr, bad))}",
            hint="for the fields and their values: seatctl help policies",
        )
    fields: dict[str, JsonValue] = {**pairs("--set", ((name.strip(), value) for name, _, value in split))}
    own = {"trial_days": trial_days, "trial_without_card": trial_without_card}
    given: dict[str, JsonValue] = {name: str(value) for name, value in own.items() if value is not None}
    twice = next((name for name in given if name in fields), None)
    if twice is not None:
        option_name = f"--{twice.replace('_', '-')}"
        raise UsageError(f"{option_name} and --set {twice} give the same field", hint="use one of them")
    return fields | given
