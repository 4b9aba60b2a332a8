"""`seatctl seats apply`: compare a file of desired seats with the ledger, and apply the differences."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import MapOpt, MaxSpendOpt, OverwriteOpt, argument, option
from seatctl.errors import Code, JsonValue, Refused, UsageError, refuse
from seatctl.output.style import Format, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from seatctl.ledger.transaction import Journal
    from seatctl.models.report import Report
    from seatctl.rules.desired_state import Changes
    from seatctl.services.seats.apply import ApplyOptions, ComparisonCheck
    from seatctl.services.seats.apply_purchases import FinishedPurchase, SeatPurchase
    from seatctl.services.seats.saved_comparison import SavedComparison

DesiredArg = Annotated[str | None, argument("[FILE|-]", "CSV, TSV, JSON Lines or TOML; - is stdin.")]
SubscriptionsOpt = Annotated[
    list[str] | None,
    option(
        "--subscription SUBSCRIPTION",
        "A subscription that the file describes completely, even if it has no row for it; if only one"
        " is named, rows without a subscription belong to it.",
        short="-s",
    ),
]
SkipBadOpt = Annotated[
    bool,
    option(
        "--skip-bad",
        "Skip bad rows and process the others (exit 6); with --prune, a row whose person cannot be read"
        " is never skipped.",
    ),
]
PruneOpt = Annotated[
    bool, option("--prune", "Revoke the seats of people who are not in the file, in its subscriptions.")
]
CreateUsersOpt = Annotated[bool, option("--create-users", "Add the people who are not users yet.")]
MaxRevokeOpt = Annotated[str, option("--max-revoke N|P%", "Refuse to revoke more seats of a subscription.")]
FillOpt = Annotated[
    bool, option("--fill", "If seats are missing, seat as many people as fit (exit 6 if some do not).")
]
CheckOpt = Annotated[bool, option("--check", "Write nothing; exit 7 if anything differs.")]
SaveOpt = Annotated[str | None, option("--save PLAN|-", "Only write the comparison to a file or stdout.")]
SavedOpt = Annotated[str | None, option("--saved PLAN|-", "Apply a saved comparison, unless it is stale.")]
BuyOpt = Annotated[bool, option("--buy-shortfall", "Buy the seats that are missing, in packs.")]

_MAX_NAMED = 10
"""At most so many people who lose their seats are named before the question."""


def apply(
    ctx: Context,
    file: DesiredArg = None,
    subscription: SubscriptionsOpt = None,
    mapping: MapOpt = None,
    prune: PruneOpt = False,
    create_users: CreateUsersOpt = False,
    max_revoke: MaxRevokeOpt = "10%",
    fill: FillOpt = False,
    skip_bad: SkipBadOpt = False,
    buy_shortfall: BuyOpt = False,
    max_spend: MaxSpendOpt = None,
    check: CheckOpt = False,
    save: SaveOpt = None,
    overwrite: OverwriteOpt = False,
    saved: SavedOpt = None,
) -> None:
    """Assign and revoke seats until they match a file; if they match already, nothing is written.

    The file has the columns email and subscription, and may have name, group and until (a date, a time, or
    never). Seats are revoked before others are assigned, all in one transaction. In TOML, [subscriptions]
    has a list of e-mails for each name, and [[seats]] has the columns as keys.

    With --prune, a file without rows is refused (exit 3), and so is one without a subscription that an
    earlier file had; name it with --subscription. Suspended and removed people are refused too, unless
    --skip-bad skips them. At a terminal it asks before it revokes.

    Examples:
      seatctl seats apply people.csv --subscription design --create-users
      seatctl seats apply seats.toml --prune --max-revoke 5 --dry-run
      seatctl seats apply seats.csv --prune --check -o markdown
      seatctl seats apply seats.csv --buy-shortfall --max-spend 60.00 --yes
      seatctl seats apply seats.csv --prune --save plan.jsonl
      seatctl seats apply --saved plan.jsonl
    """
    from seatctl.rules.assignment import read_revocation_limit
    from seatctl.services.seats.apply import ApplyOptions

    if saved is not None:
        flags = prune, create_users, fill, skip_bad, buy_shortfall, overwrite
        if any((file, subscription, mapping, max_spend, save, *flags)) or max_revoke != "10%":
            raise UsageError(
                "--saved takes no other options: the plan has the file and the options",
                hint="seatctl seats apply --saved PLAN",
            )
        _apply_saved(ctx, saved, check=check)
        return
    if file is None:
        raise UsageError(
            "no file given: name the file that describes the wanted seats",
            hint="seatctl seats apply FILE, or --saved PLAN",
        )
    if max_spend is not None and not buy_shortfall:
        raise UsageError("--max-spend limits what --buy-shortfall buys", hint="add --buy-shortfall")
    if overwrite and save is None:
        raise UsageError("--overwrite replaces the file that --save names", hint="add --save PLAN")
    revocation_limit = read_revocation_limit(max_revoke)
    plan_file = ctx.target(save, file, overwrite=overwrite) if save not in {None, "-"} else None
    named = _stage(ctx, file, subscription or [], mapping)
    options = ApplyOptions(
        revocation_limit, prune, create_users, fill, skip_bad, named, buy_shortfall, max_spend
    )
    if save is None:
        _compare_and_apply(ctx, options, check=check)
    else:
        _save_plan(ctx, options, plan_file, check=check)


def _stage(ctx: Context, file: str, subscriptions: list[str], mapping: list[str] | None) -> bool:
    """Stage the rows of the file; return whether it, or --subscription, names subscriptions besides them.

    Raises `no_rows`.
    """
    from seatctl.input.columns import renames
    from seatctl.services.seats.apply import stage
    from seatctl.services.seats.apply_files import read_rows

    with read_rows(file, subscriptions, renames(mapping or ())) as (rows, named):
        if not stage(ctx.ledger, rows, named) and not named:
            source = "stdin" if file == "-" else file
            raise refuse(
                Code.NO_ROWS,
                f"{source} has no rows and names no subscription: it does not say who should have a seat",
                hint="if nobody should have a seat, name the subscription: --subscription NAME",
                data={"path": file},
            )
    return bool(named)


def _apply_saved(ctx: Context, path: str, *, check: bool) -> None:
    from seatctl.services.seats import saved_comparison
    from seatctl.services.seats.apply import stage
    from seatctl.system.files import input_file

    with input_file(path) as file:
        plan = saved_comparison.read(file)
        stage(ctx.ledger, plan.rows(), plan.handles)
    _compare_and_apply(ctx, plan.options, check=check, plan=plan)


def _save_plan(ctx: Context, options: ApplyOptions, plan_file: Path | None, *, check: bool) -> None:
    """Write the comparison to a file and report it; None: to stdout, and its summary to stderr."""
    from shlex import join

    from seatctl.services.seats import saved_comparison
    from seatctl.services.seats.apply import compare_state, comparison_report
    from seatctl.services.seats.apply_purchases import require_amount
    from seatctl.system.files import for_stdout

    def save(journal: Journal, changes: Changes) -> None:
        require_amount(changes, options.max_spend)
        if not ctx.options.dry_run:
            saved_comparison.save(file, journal, changes, ledger=ctx.ledger.id, options=options)

    with for_stdout() if plan_file is None else nullcontext(plan_file) as file:
        comparison = compare_state(ctx.ledger, ctx.call, options, save)
        report = comparison_report(comparison, check=check)
        if plan_file is None:
            ctx.note(report.summary)
            ctx.exit_code = report.exit_code
        else:
            _emit(ctx, report)
        refused = _note_refusal(ctx, comparison.changes, options, "make the plan again; ")
        if ctx.options.dry_run:
            return
        if plan_file is None:
            ctx.emit_file(file)
        elif not refused:
            ctx.note(f"apply it: {join(['seatctl', 'seats', 'apply', '--saved', str(file)])}")


def _note_refusal(ctx: Context, changes: Changes, options: ApplyOptions, advice: str = "") -> bool:
    """Print what would refuse the change, and return whether anything would.

    People approve comparisons: one that was approved should not fail when it is applied.
    """
    from seatctl.rules.desired_state import check

    try:
        check(changes, options.max_revoke, ctx.ledger.id)
    except Refused as refusal:
        ctx.note(f"applying this would be refused: {refusal.message}; {advice}{refusal.hint}")
        return True
    return False


def _compare_and_apply(
    ctx: Context,
    options: ApplyOptions,
    *,
    check: bool,
    plan: SavedComparison | None = None,
) -> None:
    """Compare; unless `check`, also buy the missing seats if `options` say so, and apply the differences."""
    from seatctl.services.seats.apply import apply_state, compare_state, comparison_report, require_allowed
    from seatctl.services.seats.saved_comparison import require_current

    is_current: ComparisonCheck | None = None if plan is None else require_current(plan, ctx.ledger.id)
    if not (check or options.buy):
        _emit(ctx, apply_state(ctx.ledger, ctx.call, options, _confirm_prune(ctx, options, is_current)))
        return
    from seatctl.services.seats.apply_purchases import require_amount

    comparison = compare_state(ctx.ledger, ctx.call, options, is_current)
    require_amount(comparison.changes, options.max_spend)
    if check:
        _emit(ctx, comparison_report(comparison, check=True))
        _note_refusal(ctx, comparison.changes, options)
        return
    from seatctl.rules.desired_state import check as check_changes
    from seatctl.services.seats.apply_purchases import price

    changes = comparison.changes
    require_allowed(ctx.ledger, ctx.call, changes)
    check_changes(changes, options.max_revoke, ctx.ledger.id)
    is_current = _confirm_prune(ctx, options, is_current)
    purchases = price(ctx.ledger, ctx.billing, ctx.call, changes, options.max_spend) if changes.short else []
    if ctx.options.dry_run and purchases:
        _confirm_purchases(ctx, purchases, options.max_spend)
        costs = {each.compared.subscription.name: each.proposal.due for each in purchases}
        _emit(ctx, comparison_report(comparison, costs=costs, check=False))
        return
    finished = _buy(ctx, purchases, options.max_spend)
    if plan is not None and finished:
        is_current = require_current(plan, ctx.ledger.id, bought=True)
    runs = [purchase.run for purchase in finished]
    _emit(ctx, apply_state(ctx.ledger, ctx.call, options, is_current, purchase_runs=runs), finished)


def _confirm_prune(
    ctx: Context, options: ApplyOptions, is_current: ComparisonCheck | None
) -> ComparisonCheck | None:
    """Ask before --prune revokes. Return the check that applying revokes what was agreed to, and no more.

    Without a terminal, and with --yes, nobody is asked: there --max-revoke limits the damage.
    Raises `not_confirmed`, and whatever would refuse the change anyway.
    """
    if not options.prune or not ctx.asks or not ctx.interactive or ctx.options.yes:
        return is_current
    from seatctl.ledger.desired.differences import records
    from seatctl.models.report import counted
    from seatctl.rules.desired_state import check
    from seatctl.services.seats.apply import compare_state, require_allowed

    comparison = compare_state(ctx.ledger, ctx.call, options, is_current)
    require_allowed(ctx.ledger, ctx.call, comparison.changes)
    check(comparison.changes, options.max_revoke, ctx.ledger.id)
    revoked = [row for row in comparison.rows if row["result"] == "revoked"]
    if not revoked:
        return is_current
    for row in revoked[:_MAX_NAMED]:
        ctx.note(f"{row['email']} loses the seat in {row['subscription']}")
    if len(revoked) > _MAX_NAMED:
        ctx.note(f"… and {len(revoked) - _MAX_NAMED:,} more: --dry-run shows all")
    ctx.confirm(f"Revoke {counted(len(revoked), 'seat')}?")

    def as_agreed(journal: Journal, changes: Changes) -> None:
        if is_current is not None:
            is_current(journal, changes)
        if [row for row in records(journal) if row["result"] == "revoked"] != revoked:
            raise refuse(
                Code.STALE_PLAN,
                "the people who would lose their seats have changed since the question; nothing was written",
                hint="run the same command again",
            )

    return as_agreed


def _buy(ctx: Context, purchases: Sequence[SeatPurchase], max_spend: str | None) -> list[FinishedPurchase]:
    """Show the missing seats and their price, ask, and buy them."""
    if not purchases:
        return []
    from seatctl.services.seats.apply_purchases import buy

    _confirm_purchases(ctx, purchases, max_spend)
    return buy(ctx.ledger, ctx.billing, ctx.call, purchases)


def _confirm_purchases(ctx: Context, purchases: Sequence[SeatPurchase], max_spend: str | None) -> None:
    from seatctl.cli.confirm import require_max_spend

    if ctx.asks:
        require_max_spend(ctx, max_spend)
    # With -o json, a program reads stderr and expects one JSON object there if there is an error.
    if ctx.interactive or ctx.style.format is not Format.JSON:
        for purchase in purchases:
            ctx.note(purchase.sentence)
    if ctx.asks:
        ctx.confirm("Buy them?")


def _emit(ctx: Context, report: Report, finished: Sequence[FinishedPurchase] = ()) -> None:
    """Print the report; in Markdown the summary and the numbers come above the rows."""
    _note_not_in_file(ctx, report)
    from dataclasses import replace

    if finished:
        purchases: list[JsonValue] = [purchase.record for purchase in finished]
        report = replace(
            report,
            summary="; ".join((report.summary, *(purchase.sentence for purchase in finished))),
            data={**report.data, "purchases": purchases},
            warnings=tuple(warning for purchase in finished for warning in purchase.warnings),
        )
    if ctx.style.format is Format.MARKDOWN and not ctx.options.quiet:
        from seatctl.output.delimited import markdown_text

        title = "Differences" if report.dry_run else "Done"
        ctx.emit_text(f"**{title}:** {markdown_text(report.summary)}\n")
        _emit_numbers(ctx, report)
        ctx.emit_text("")
    ctx.emit(report, handle="email")


def _note_not_in_file(ctx: Context, report: Report) -> None:
    """Name the subscriptions that --prune does not change because the file does not name them."""
    names = report.data["not_in_file"]
    if isinstance(names, list) and names and ctx.style.format is not Format.JSON:
        ctx.note(f"not in the file, so no seats are revoked there: {', '.join(map(str, names))}")


def _emit_numbers(ctx: Context, report: Report) -> None:

    subscriptions = report.data["subscriptions"]
    assert isinstance(subscriptions, list)
    rows = [row for row in subscriptions if isinstance(row, dict)]
    keys = "subscription rows seated new ends revoked free short to_buy"
    ctx.emit_list(rows, columns(keys, titles={"ends": "Ends"}), handle="subscription")
