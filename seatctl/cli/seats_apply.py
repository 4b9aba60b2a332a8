"""`seatctl seats apply`: a desired state of seats, compared with the ledger and brought about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import MapOpt, MaxSpendOpt, OverwriteOpt, context
from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from seatctl.app.context import Context
    from seatctl.errors import JsonValue
    from seatctl.ledger.transaction import Journal
    from seatctl.models.report import Report
    from seatctl.rules.desired_state import Changes
    from seatctl.services.seats.apply import ApplyOptions, Checked, Comparison
    from seatctl.services.seats.apply_purchases import FinishedPurchase, SeatPurchase
    from seatctl.services.seats.saved_comparison import SavedComparison

DesiredArg = Annotated[
    str | None,
    typer.Argument(metavar="[FILE|-]", help="CSV, TSV, JSON Lines or TOML; - is stdin.", show_default=False),
]
SubscriptionsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--subscription",
        "-s",
        metavar="SUBSCRIPTION",
        help="What the file is the whole truth of, even if nobody of it is there; one alone is also that of"
        " the rows that name none.",
    ),
]
SkipBadOpt = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Leave bad rows out and do the rest (exit 6); with --prune only rows of people who can be read.",
    ),
]
PruneOpt = Annotated[
    bool, typer.Option("--prune", help="Revoke who is not in the file, in the subscriptions it names.")
]
CreateOpt = Annotated[bool, typer.Option("--create-users", help="Add the people who are no users yet.")]
MostOpt = Annotated[
    str, typer.Option("--max-revoke", metavar="N|P%", help="Refuse to revoke more of a subscription.")
]
FillOpt = Annotated[
    bool, typer.Option("--fill", help="Where seats are short, seat as many as fit (exit 6 if some do not).")
]
CheckOpt = Annotated[bool, typer.Option("--check", help="Write nothing; exit 7 if anything differs.")]
SaveOpt = Annotated[
    str | None,
    typer.Option("--save", metavar="PLAN|-", help="Write nothing but the comparison, to a file or stdout."),
]
SavedOpt = Annotated[
    str | None,
    typer.Option("--saved", metavar="PLAN|-", help="Carry out a saved comparison, if it still holds."),
]
BuyOpt = Annotated[bool, typer.Option("--buy-shortfall", help="Buy the seats that are missing, in packs.")]


def apply(
    typer_ctx: typer.Context,
    file: DesiredArg = None,
    subscription: SubscriptionsOpt = None,
    mapping: MapOpt = None,
    prune: PruneOpt = False,
    create_users: CreateOpt = False,
    max_revoke: MostOpt = "10%",
    fill: FillOpt = False,
    skip_bad: SkipBadOpt = False,
    buy_shortfall: BuyOpt = False,
    max_spend: MaxSpendOpt = None,
    check: CheckOpt = False,
    save: SaveOpt = None,
    overwrite: OverwriteOpt = False,
    saved: SavedOpt = None,
) -> None:
    """Bring subscriptions to the state that a file describes; a second time there is nothing to do.

    Its columns are email and subscription, and may be name, group and until (a date, a time, or never).
    Revokes come before assigns, all in one transaction. In TOML, [subscriptions] has a list of e-mails for
    each name, and [[seats]] has the columns as keys.

    With --prune, a file that has no rows, or none of a subscription that it had before, stops (exit 3):
    --subscription names what the file is the whole truth of. People who are suspended or removed stop it
    too, unless --skip-bad leaves them out. At a terminal it asks before it revokes.

    Examples:
      seatctl seats apply people.csv --subscription design --create-users
      seatctl seats apply seats.toml --prune --max-revoke 5 --dry-run
      seatctl seats apply seats.csv --prune --check -o markdown
      seatctl seats apply seats.csv --buy-shortfall --max-spend 60.00 --yes
      seatctl seats apply seats.csv --prune --save plan.jsonl
      seatctl seats apply --saved plan.jsonl
    """
    from seatctl.errors import UsageError
    from seatctl.rules.revocations import limit
    from seatctl.services.seats.apply import ApplyOptions

    ctx = context(typer_ctx)
    if saved is not None:
        given = (
            file,
            subscription,
            mapping,
            prune,
            create_users,
            fill,
            skip_bad,
            buy_shortfall,
            max_spend,
            save,
            overwrite,
        )
        if any(given) or max_revoke != "10%":
            raise UsageError(
                "--saved takes its file and its options from the plan", hint="--saved PLAN alone"
            )
        _apply_saved(ctx, saved, check=check)
        return
    if file is None:
        raise UsageError(
            "which state is wanted is not said", hint="seatctl seats apply FILE, or --saved PLAN"
        )
    if max_spend is not None and not buy_shortfall:
        raise UsageError("--max-spend limits what --buy-shortfall buys", hint="add --buy-shortfall")
    if overwrite and save is None:
        raise UsageError("--overwrite replaces the file that --save names", hint="add --save PLAN")
    most = limit(max_revoke)
    where = ctx.target(save, file, overwrite=overwrite) if save not in {None, "-"} else None
    named = _stage(ctx, file, subscription or [], mapping)
    how = ApplyOptions(most, prune, create_users, fill, skip_bad, named)
    if where is not None:
        _save(ctx, how, where, buy=buy_shortfall, max_spend=max_spend, check=check)
    elif save is not None:
        _print_plan(ctx, how, buy=buy_shortfall, max_spend=max_spend, check=check)
    else:
        _carry_out(ctx, how, buy=buy_shortfall, max_spend=max_spend, check=check)


def _stage(ctx: Context, file: str, subscriptions: list[str], mapping: list[str] | None) -> bool:
    """Take the rows of the file; whether subscriptions are named besides. Raises `no_rows`."""
    from seatctl.input.columns import renames
    from seatctl.services.seats.apply import stage
    from seatctl.services.seats.apply_files import rows_of

    with rows_of(file, subscriptions, renames(mapping or ())) as (rows, named):
        if not stage(ctx.ledger, rows, named) and not named:
            source = "stdin" if file == "-" else file
            raise refuse(
                Code.NO_ROWS,
                f"{source} has no rows, and no subscription is named: it does not say who should sit where",
                hint="if nobody should, name what the file is the whole truth of: --subscription NAME",
                data={"path": file},
            )
    return bool(named)


def _apply_saved(ctx: Context, path: str, *, check: bool) -> None:
    from seatctl.cli.framework.options import input_file
    from seatctl.services.seats import saved_comparison
    from seatctl.services.seats.apply import stage

    with input_file(path) as file:
        plan = saved_comparison.read(file)
        stage(ctx.ledger, plan.rows(), plan.handles)
    _carry_out(ctx, plan.how, buy=plan.buy, max_spend=plan.max_spend, check=check, plan=plan)


def _save(
    ctx: Context, how: ApplyOptions, where: Path, *, buy: bool, max_spend: str | None, check: bool
) -> None:
    """Write the comparison to a file that may be written, and report it."""
    from shlex import join

    from seatctl.services.seats.apply import weighed_report

    weighed = _weigh_and_write(ctx, how, where, buy=buy, max_spend=max_spend)
    _emit(ctx, weighed_report(weighed, check=check))
    refused = _forewarn(ctx, weighed.changes, how, "make it again; ")
    if not refused and not ctx.options.dry_run:
        ctx.note(f"carry it out: {join(['seatctl', 'seats', 'apply', '--saved', str(where)])}")


def _print_plan(ctx: Context, how: ApplyOptions, *, buy: bool, max_spend: str | None, check: bool) -> None:
    """Write the comparison to stdout, which leaves stderr for what it comes to."""
    from seatctl.cli.framework.options import for_stdout
    from seatctl.services.seats.apply import weighed_report

    with for_stdout() as where:
        weighed = _weigh_and_write(ctx, how, where, buy=buy, max_spend=max_spend)
        report = weighed_report(weighed, check=check)
        ctx.note(report.summary)
        ctx.exit_code = report.exit_code
        _forewarn(ctx, weighed.changes, how, "make it again; ")
        if not ctx.options.dry_run:
            ctx.emit_file(where)


def _weigh_and_write(
    ctx: Context, how: ApplyOptions, where: Path, *, buy: bool, max_spend: str | None
) -> Comparison:
    from functools import partial

    from seatctl.services.seats import saved_comparison
    from seatctl.services.seats.apply import weigh
    from seatctl.services.seats.apply_purchases import require_amount

    write = partial(saved_comparison.save, where, ledger=ctx.ledger.id, how=how, buy=buy, max_spend=max_spend)

    def keep(journal: Journal, changes: Changes) -> None:
        require_amount(changes, max_spend)
        if not ctx.options.dry_run:
            write(journal, changes)

    return weigh(ctx.ledger, ctx.call, how, keep)


def _forewarn(ctx: Context, changes: Changes, how: ApplyOptions, then: str = "") -> bool:
    """Say what would refuse it: a comparison that is approved must not fail when it is carried out."""
    from seatctl.errors import Refused
    from seatctl.rules.desired_state import check

    try:
        check(changes, how.max_revoke, ctx.ledger.id)
    except Refused as refusal:
        ctx.note(f"it would be refused: {refusal.message}; {then}{refusal.hint}")
        return True
    return False


def _carry_out(
    ctx: Context,
    how: ApplyOptions,
    *,
    buy: bool,
    max_spend: str | None,
    check: bool,
    plan: SavedComparison | None = None,
) -> None:
    """Compare, buy what is short where that is wanted, and bring it about."""
    from seatctl.cli.seats_prune import confirmed
    from seatctl.services.seats.apply import apply_state, require_allowed, weigh, weighed_report
    from seatctl.services.seats.saved_comparison import still_holds

    holds: Checked | None = None if plan is None else still_holds(plan, ctx.ledger.id)
    if not (check or buy):
        _emit(ctx, apply_state(ctx.ledger, ctx.call, how, confirmed(ctx, how, holds)))
        return
    from seatctl.services.seats.apply_purchases import require_amount

    weighed = weigh(ctx.ledger, ctx.call, how, holds)
    require_amount(weighed.changes, max_spend)
    if check:
        _emit(ctx, weighed_report(weighed, check=True))
        _forewarn(ctx, weighed.changes, how)
        return
    from seatctl.rules.desired_state import check as check_changes
    from seatctl.services.seats.apply_purchases import price

    require_allowed(ctx.ledger, ctx.call, weighed.changes)
    check_changes(weighed.changes, how.max_revoke, ctx.ledger.id)
    holds = confirmed(ctx, how, holds)
    purchases = (
        price(ctx.ledger, ctx.billing, ctx.call, weighed.changes, max_spend) if weighed.changes.short else []
    )
    if ctx.options.dry_run and purchases:
        _ask(ctx, purchases, max_spend)
        costs = {one.counted.subscription.name: one.prepared.due for one in purchases}
        _emit(ctx, weighed_report(weighed, costs=costs, check=False))
        return
    bought = _buy(ctx, purchases, max_spend)
    if plan is not None and bought:
        holds = still_holds(plan, ctx.ledger.id, bought=True)
    done = apply_state(ctx.ledger, ctx.call, how, holds, bought=[one.run for one in bought])
    _emit(ctx, done, bought)


def _buy(ctx: Context, purchases: Sequence[SeatPurchase], max_spend: str | None) -> list[FinishedPurchase]:
    """Show what is short and what it costs, ask, and buy; what was bought."""
    if not purchases:
        return []
    from seatctl.services.seats.apply_purchases import buy

    _ask(ctx, purchases, max_spend)
    return buy(ctx.ledger, ctx.billing, ctx.call, purchases)


def _ask(ctx: Context, purchases: Sequence[SeatPurchase], max_spend: str | None) -> None:
    from seatctl.cli.confirm import require_max_spend

    if ctx.asks:
        require_max_spend(ctx, max_spend)
    _tell(ctx, purchases)
    if ctx.asks:
        ctx.confirm("Buy them?")


def _tell(ctx: Context, purchases: Sequence[SeatPurchase]) -> None:
    from seatctl.output.style import Format

    # What a program reads on stderr is the error, as one JSON object.
    if ctx.interactive or ctx.style.format is not Format.JSON:
        for one in purchases:
            ctx.note(one.sentence)


def _emit(ctx: Context, report: Report, bought: Sequence[FinishedPurchase] = ()) -> None:
    """Print the report; in Markdown the summary and the numbers stand above the rows."""
    _tell_not_in_file(ctx, report)
    from dataclasses import replace

    from seatctl.output.style import Format

    if bought:
        said = "; ".join((report.summary, *(one.sentence for one in bought)))
        purchases: list[JsonValue] = [one.record for one in bought]
        warnings = tuple(warning for one in bought for warning in one.warnings)
        report = replace(
            report, summary=said, data={**report.data, "purchases": purchases}, warnings=warnings
        )
    if ctx.style.format is Format.MARKDOWN and not ctx.options.quiet:
        from seatctl.output.emit import as_markdown

        title = "Differences" if report.dry_run else "Done"
        ctx.emit_text(f"**{title}:** {as_markdown(report.summary)}\n")
        _emit_numbers(ctx, report)
        ctx.emit_text("")
    ctx.emit(report, handle="email")


def _tell_not_in_file(ctx: Context, report: Report) -> None:
    """Name the subscriptions that --prune leaves alone, since the file says nothing of them."""
    from seatctl.output.style import Format

    left = report.data["not_in_file"]
    if isinstance(left, list) and left and ctx.style.format is not Format.JSON:
        ctx.note(f"not in the file, so nobody is revoked there: {', '.join(map(str, left))}")


def _emit_numbers(ctx: Context, report: Report) -> None:
    from seatctl.output.style import Column

    subscriptions = report.data["subscriptions"]
    assert isinstance(subscriptions, list)
    numbers = ("rows", "seated", "new", "ends", "revoked", "free", "short", "to_buy")
    columns = [Column(key, key.replace("_", " ").capitalize(), "integer") for key in numbers]
    rows = [one for one in subscriptions if isinstance(one, dict)]
    ctx.emit_list(rows, [Column("subscription", "Subscription"), *columns], handle="subscription")
