"""`seatctl ledger`: what stores everything: check, back up, restore, export, copy, migrate and adopt."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from seatctl.app.connections import require_same
from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, OverwriteOpt, SubscriptionOpt, argument, option
from seatctl.errors import Code, ExitCode, UsageError, refuse
from seatctl.models.database_role import DatabaseRole
from seatctl.output.style import Format, columns
from seatctl.system.files import STDOUT, for_stdout, input_file

if TYPE_CHECKING:
    from seatctl.config.settings import Value
    from seatctl.ledger.ledger import Ledger
    from seatctl.models.ledger_url import ServerUrl

app = Commands()


@app.command()
def backup(
    ctx: Context,
    file: Annotated[str, argument("FILE|-", "The file to write; - is stdout.")],
    overwrite: OverwriteOpt = False,
) -> None:
    """Copy the ledger to a file and check the copy. Other commands can go on writing meanwhile.

    The copy has every change that was committed before, and can be read like any ledger: --ledger FILE. With
    - it is printed to stdout after the check.

    Examples:
      seatctl ledger backup ledger-2027-01-31.db
      seatctl ledger backup - | gzip > ledger-2027-01-31.db.gz
      seatctl seats list --ledger ledger-2027-01-31.db
    """
    from seatctl.ledger import copies
    from seatctl.models.report import would_have
    from seatctl.services import ledger_files

    if file == STDOUT:
        if ctx.options.dry_run:
            copies.file_of(ctx.ledger)
            ctx.note(would_have("backed up to stdout"))
            return
        with for_stdout() as copy:
            ctx.note(ledger_files.backup(ctx.ledger, ctx.call, copy, overwrite=True).summary)
            ctx.emit_file(copy)
        return
    target = ctx.target(file, overwrite=overwrite)
    ctx.emit(ledger_files.backup(ctx.ledger, ctx.call, target, overwrite=overwrite), handle="path")


@app.command()
def restore(
    ctx: Context,
    file: Annotated[str, argument("FILE|-", "A backup; - is stdin.")],
) -> None:
    """Replace the ledger with a backup; the replaced ledger is kept beside it.

    The backup is checked first. It becomes a new ledger with an id of its own: it must adopt subscriptions
    before it can change them, so that two ledgers never assign the same seats.

    Examples:
      seatctl ledger restore ledger-2027-01-31.db
    """
    with input_file(file) as source:
        _restore(ctx, source, "stdin" if file == "-" else str(source))


def _restore(ctx: Context, source: Path, source_name: str) -> None:
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.report import change_report
    from seatctl.services import ledger_files

    place = ctx.ledger_place(ctx.profile)
    if not isinstance(place, Path):
        raise refuse(
            Code.SERVER_LEDGER,
            f"the ledger {place} is on a server, and is not restored from a file",
            hint=f"restore a dump into a new database: pg_restore --dbname={place} ledger.dump; then give it"
            " an id of its own: seatctl ledger new-id",
        )
    ctx.require_place(place)
    ledger_files.allow_restore(place, ctx.call)
    part = ledger_files.prepare_restore(source, place, ctx.call)
    try:
        restored = open_ledger(part)
        try:
            require_same(restored, ctx.profile)
        finally:
            restored.close()
        if ctx.options.dry_run:
            ctx.emit(change_report(f"restored {source_name} to {place}", dry_run=True))
            return
        ctx.confirm(f"Replace the ledger {place} with {source_name}?")
        ctx.emit(ledger_files.finish_restore(part, place, ctx.call, source_name), handle="ledger_id")
    finally:
        part.unlink(missing_ok=True)


@app.command()
def export(
    ctx: Context,
    directory: Annotated[str, argument("DIR", "A new folder.")],
) -> None:
    """Write the whole ledger to a folder of CSV files, or of JSON files with -o json.

    Examples:
      seatctl ledger export ledger-2027-01-31
      seatctl ledger export ledger-2027-01-31 -o json
    """
    from seatctl.services import ledger_files
    from seatctl.system.refusals import expanded

    if directory == STDOUT:
        raise UsageError(
            "an export is a folder, and cannot go to stdout", hint="seatctl ledger export FOLDER"
        )
    as_json = ctx.style.format is Format.JSON
    ctx.emit(ledger_files.export(ctx.ledger, ctx.call, expanded(directory), as_json=as_json), handle="file")


@app.command()
def copy(
    ctx: Context,
    source: Annotated[str, argument("FROM", "The ledger: a file, or the URL of a PostgreSQL database.")],
    target: Annotated[str, argument("TO", "The new place: a file or a database without a ledger.")],
    keep: Annotated[
        bool, option("--keep", "Go on using FROM; the copy becomes a ledger with an id of its own.")
    ] = False,
) -> None:
    """Move the ledger to another place: from a file to a server, back, or between two of a kind.

    Every row is copied as it is, and compared afterwards: the audit, and purchases that are not finished, go
    on at the new place. Meanwhile nobody can change FROM, and afterwards nobody can use it: each command
    names the new place. If this command is interrupted, run it again.

    With --keep, others go on using FROM. The copy gets an id of its own, as after ledger restore: it must
    adopt subscriptions before it can change them.

    A password in a URL can be seen by other users of this machine: better use PGPASSFILE.

    Examples:
      seatctl ledger copy ledger.db postgresql://seatctl@db.example.com/seats
      seatctl ledger copy postgresql://seatctl@db.example.com/seats ledger.db --yes
      seatctl ledger copy ledger.db copy.db --keep
    """
    from seatctl.config.settings import ledger_place
    from seatctl.services import ledger_copy

    if not source or not target:
        # Without this, an empty FROM would move the ledger in use.
        raise UsageError(f"{'TO' if source else 'FROM'} is empty", hint="seatctl ledger copy --help")
    ledger = ctx.use_ledger(source)
    place = ledger_place(target)
    done = ledger_copy.finish_move(ledger, place, keep=keep, dry_run=ctx.options.dry_run)
    if done is None:
        if isinstance(place, Path):
            ctx.require_place(place)
        if keep:
            done = ledger_copy.keep(ledger, place, ctx.call, ctx.trace)
        else:
            if ctx.asks:
                ctx.confirm(f"Move the ledger {ledger.place} to {place}, and use it only there from now on?")
            done = ledger_copy.move(ledger, place, ctx.call, ctx.trace)
    ctx.emit(done, handle="table")
    if not keep and not ctx.options.dry_run:
        ctx.note(f"to use it: seatctl config set ledger {quote(str(place))}")
        for key, value in _local_policy(ctx, ledger, place):
            to_store = f"seatctl config set {key} {quote(str(value))}"
            ctx.note(f"{key} in config.toml does not count for a ledger on a server; to store it: {to_store}")


def _local_policy(ctx: Context, ledger: Ledger, place: Path | ServerUrl) -> list[tuple[str, Value]]:
    """Return the settings of the profile that count for a file only, and that the ledger does not have."""
    if isinstance(place, Path):
        return []
    counting = {*ctx.profile.without_policy().values, *ledger.settings}
    return [(key, value) for key, value in ctx.profile.values.items() if key not in counting]


@app.command("new-id")
def new_id(ctx: Context) -> None:
    """Give this ledger a new id: after its database was restored from a dump, or its file was copied.

    Two ledgers with one id would assign the same seats. Whatever was unfinished is ended, since the other
    ledger may have finished it. With its new id the ledger must adopt subscriptions before it can change
    them. A ledger that was moved can be used again with this.

    Examples:
      seatctl ledger new-id --ledger postgresql://seatctl@db.example.com/restored
      seatctl ledger new-id --ledger copy.db --yes
    """
    from seatctl.services import ledger_copy

    ledger = ctx.use_ledger()
    if ctx.asks:
        ctx.confirm(f"Give the ledger {ledger.place} a new id, and end what is unfinished in it?")
    ctx.emit(ledger_copy.new_id(ledger, ctx.call), handle="ledger_id")


@app.command()
def migrate(ctx: Context) -> None:
    """Migrate the ledger to the schema of this version.

    A file is migrated by the first command that opens it. A server is migrated only by this command, as the
    owner of the ledger: programs of this version and of the one before work with it meanwhile.

    Examples:
      seatctl ledger migrate
      seatctl ledger migrate --dry-run
    """
    from seatctl.services import ledger_copy

    ctx.emit(ledger_copy.migrate(ctx.place, dry_run=ctx.options.dry_run), handle="schema")


@app.command("path")
def print_path(ctx: Context) -> None:
    """Print the path of the ledger.

    Examples:
      seatctl ledger path
    """
    place = ctx.ledger.place
    record = {"path": place, "ledger_id": ctx.ledger.id, "mode": ctx.ledger.mode}
    if ctx.format is None:
        ctx.emit_text(place)
    else:
        ctx.emit_one(record, columns("path ledger_id mode", machine="ledger_id mode"), handle="path")


@app.command()
def check(ctx: Context) -> None:
    """Check the ledger: the file, its references, the seat counters, the audit; exit 7 if anything is wrong.

    Examples:
      seatctl ledger check
      seatctl ledger check -o json
    """
    from seatctl.ledger import check as ledger_check
    from seatctl.ledger.ledger import open_ledger
    from seatctl.models.report import counted

    # `ctx.ledger` would read the ledger's mode first, which fails if the ledger is damaged.
    with closing(open_ledger(ctx.ledger_place(ctx.profile))) as ledger:
        ledger.require_in_use()
        problems = list(ledger_check.problems(ledger))
        over = [] if problems else ledger_check.over_assigned(ledger)
        shared = [] if problems else ledger_check.shared_addresses(ledger)
    bad = {name for name, _, _ in problems}
    passed = [(name, True, None, None) for name in ledger_check.check_names() if name not in bad]
    failed = [(name, False, subject, detail) for name, subject, detail in problems]
    keys = ("check", "ok", "subject", "detail")
    rows = [dict(zip(keys, values, strict=True)) for values in (*passed, *failed)]
    ctx.emit_list(rows, columns(" ".join(keys)), handle="check")
    for sentence in over:
        ctx.note(f"over-assigned: {sentence}")
    for sentence in shared:
        ctx.note(f"e-mail: {sentence}")
    if problems:
        place = ctx.ledger_place(ctx.profile)
        number = counted(len(problems), "problem")
        way = "to replace it with a backup: seatctl ledger restore FILE"
        if not isinstance(place, Path):
            way = "to restore a dump into a new database: pg_restore --dbname=URL FILE"
        ctx.note(f"{number} found in {place}; {way}")
        ctx.exit_code = ExitCode.NO


@app.command("grants")
def print_grants(
    ctx: Context,
    role: Annotated[
        DatabaseRole, argument("ROLE", "admin, owner, assignor, viewer, requester or check-only.")
    ],
    database_role: Annotated[str, argument("DATABASE_ROLE", "A login of PostgreSQL.")],
    subscription: SubscriptionOpt = None,
    revoke: Annotated[bool, option("--revoke", "Take all rights in the ledger from it instead.")] = False,
) -> None:
    """Print the SQL that gives a database role its rights in a ledger on a server. It is not run.

    The owner of the ledger runs it, with psql; no superuser is needed. With --as, the database role can act
    as this actor only. An admin, assignor or viewer reads everything; the rights of an owner, and of an
    assignor with --subscription, to change something end at that subscription. A requester sees and requests
    for one person, whom --as names. check-only can ask whether anybody is entitled, and nothing else.

    Examples:
      seatctl ledger grants viewer auditor | psql "$SEATCTL_LEDGER"
      seatctl ledger grants assignor ci_design --subscription design --as ci:design
      seatctl ledger grants requester zoe --as zoe@example.com
    """
    from seatctl.services import database_roles

    grants = database_roles.Wanted(role, database_role, subscription, ctx.options.actor, revoke)
    sql, notes = database_roles.sql(ctx.ledger, grants)
    ctx.emit_text(sql)
    for note in notes:
        ctx.note(note)


@app.command()
def adopt(
    ctx: Context,
    subscription: Annotated[
        list[str] | None, argument("[SUBSCRIPTION]...", "Subscriptions to adopt; by default all.")
    ] = None,
    migrate: Annotated[
        bool, option("--migrate", "Also change classic billing to flexible; Stripe does not take it back.")
    ] = False,
) -> None:
    """Make this ledger the home of subscriptions that have another home or none.

    A subscription has one home: the ledger that may change it and that assigns its seats. The id of the home
    is stored in Stripe. The previous home can then only read the subscription.

    In Stripe's classic billing mode, a change credits what the item holds; in flexible mode, what was billed.
    So some changes of a classic subscription are refused. A migration charges nothing and leaves the renewal
    as it is.

    Examples:
      seatctl ledger adopt
      seatctl ledger adopt design sales --yes
      seatctl ledger adopt --dry-run
      seatctl ledger adopt design --migrate
    """
    from seatctl.models.report import counted
    from seatctl.services.sync.adopt_operation import adopt as adopt_subscriptions
    from seatctl.services.sync.adopt_operation import adoption

    chosen = adoption(ctx.ledger, lambda: ctx.billing, ctx.call, subscription or [], migrate=migrate)
    if ctx.asks and chosen.subscriptions:
        homes = {each.home_ledger for each in chosen.adopted if each.home_ledger}
        previous = f" ({', '.join(sorted(homes))} can then only read)" if homes else ""
        adopted, migrated = (counted(len(some), "subscription") for some in (chosen.adopted, chosen.migrated))
        parts = (
            *((f"make this ledger the home of {adopted}{previous}",) if chosen.adopted else ()),
            *((f"migrate {migrated} to flexible billing for good",) if chosen.migrated else ()),
        )
        question = " and ".join(parts)
        ctx.confirm(f"{question[0].upper()}{question[1:]}?")
    ctx.emit(adopt_subscriptions(ctx.ledger, ctx.billing, ctx.call, chosen), handle="name")
