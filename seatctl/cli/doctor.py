"""`seatctl doctor`: check everything that commands rely on, and name the command that repairs it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from seatctl.app.connections import account_of_context, trusted_certificates
from seatctl.app.context import Context
from seatctl.cli.findings import Finding
from seatctl.cli.framework.commands import Commands
from seatctl.config.settings import Mode
from seatctl.errors import ExitCode, SeatctlError
from seatctl.models.report import record_of
from seatctl.output.style import columns

app = Commands()

_KEYS = "check result detail repair"


@app.command("doctor")
def doctor(ctx: Context) -> None:
    """Check configuration, ledger, key and Stripe, and say how to repair problems (exit 7).

    Examples:
      seatctl doctor
      seatctl doctor -p live -o json
    """
    findings = list(examine(ctx))
    ctx.emit_list((record_of(finding, _KEYS) for finding in findings), columns(_KEYS), handle="check")
    wrong = sum(finding.result == "problem" for finding in findings)
    if wrong:
        ctx.exit_code = ExitCode.NO
    ctx.note(f"{wrong} problem{'' if wrong == 1 else 's'} found" if wrong else "everything is in order")


_FEW = 10


Check = Callable[[Context], Finding]


def examine(ctx: Context) -> Iterator[Finding]:
    """Yield the finding of every check; checks that rely on a failed one are skipped."""
    yield _guarded("sqlite", _sqlite, ctx)
    if not (yield from _until_problem(ctx, {"configuration": _configuration, "profile": _profile})):
        return
    yield _guarded("file permissions", _permissions, ctx)
    if (yield from _until_problem(ctx, {"ledger": _ledger})):
        yield from _examine_place(ctx)
        for name, check in LEDGER_CHECKS.items():
            yield _guarded(name, check, ctx)
    has_key = ctx.profile.mode is not Mode.SANDBOX
    if has_key and not (yield from _until_problem(ctx, {"key": _key, "certificates": _certificates})):
        return
    if (yield from _until_problem(ctx, {"stripe": _stripe})) and has_key:
        from seatctl.cli.doctor_permissions import examine_permissions

        yield from _several("permissions", examine_permissions, ctx)


def _examine_place(ctx: Context) -> Iterator[Finding]:
    """Yield the findings about where the ledger is: a file system, or a server."""
    place = ctx.ledger_place(ctx.profile)
    if isinstance(place, Path):
        yield _guarded("file system", lambda _: _file_system(place), ctx)
        return
    from seatctl.cli.doctor_server import examine_server

    yield from _several("server", examine_server, ctx)


def _until_problem(ctx: Context, checks: Mapping[str, Check]) -> Generator[Finding, None, bool]:
    """Yield the findings up to the first problem; return whether there was none."""
    for name, check in checks.items():
        finding = _guarded(name, check, ctx)
        yield finding
        if finding.result == "problem":
            return False
    return True


def _guarded(name: str, check: Check, ctx: Context) -> Finding:
    """Run a check; a refusal becomes a problem, with the refusal's hint as the repair."""
    try:
        return check(ctx)._replace(check=name)
    except SeatctlError as error:
        repair = _instead_of_doctor(error, ctx) if error.hint == "seatctl doctor" else error.hint
        return Finding("problem", error.message, repair, name)


def _several(name: str, checks: Callable[[Context], Iterator[Finding]], ctx: Context) -> Iterator[Finding]:
    """Yield the findings of several checks, which name themselves, until a refusal; it becomes a problem."""
    try:
        for finding in checks(ctx):
            yield finding if finding.check else finding._replace(check=name)
    except SeatctlError as error:
        repair = _instead_of_doctor(error, ctx) if error.hint == "seatctl doctor" else error.hint
        yield Finding("problem", error.message, repair, name)


def _instead_of_doctor(error: SeatctlError, ctx: Context) -> str:
    """Return the repair for a refusal whose hint is `seatctl doctor` itself."""
    if error.exit_code is ExitCode.NOT_ALLOWED:
        another = f"give another key: seatctl init {ctx.profile.name} --key-stdin"
        return f"{another}; or allow it in Stripe's dashboard" if error.code != "key_rejected" else another
    return "check the network, any proxy, and seatctl config get stripe.api_base; then: seatctl doctor"


def _sqlite(_ctx: Context) -> Finding:
    from seatctl.ledger.engines.sqlite import require_sqlite, sqlite_version

    require_sqlite()
    return Finding("ok", f"SQLite {sqlite_version()}")


def _configuration(ctx: Context) -> Finding:
    path = ctx.settings.path
    if not ctx.is_set_up:
        return Finding("ok", "none: the mode and the account are those of the ledger")
    if not path.exists():
        return Finding("problem", f"{path} does not exist", "seatctl init")
    return Finding("ok", str(path))


def _profile(ctx: Context) -> Finding:
    profile = ctx.profile
    return Finding("ok", f"{profile.name}, {profile.mode} mode")


def _permissions(ctx: Context) -> Finding:
    """Names, e-mails and purchases are private on a shared machine.

    A group with read permission is how a service account runs `check`, so it is only a warning.
    """
    ledger = ctx.ledger_place(ctx.profile)
    sandbox = ctx.settings.sandbox_path(ctx.profile, ctx.environment)
    files = [place for place in (ledger, sandbox) if isinstance(place, Path)]
    databases = [Path(f"{path}{end}") for path in files for end in ("", "-wal", "-shm")]
    modes = {path: _mode(path) for path in (ctx.settings.path, *databases)}
    to_others = [str(path) for path, mode in modes.items() if mode & (stat.S_IRWXO | stat.S_IWGRP)]
    if to_others:
        names = " ".join(to_others)
        return Finding("problem", f"others can read {names}", f"chmod 600 {names}")
    to_group = [str(path) for path, mode in modes.items() if mode & stat.S_IRWXG]
    if to_group:
        names = " ".join(to_group)
        return Finding("warning", f"the group can read {names}", f"chmod 600 {names}")
    return Finding("ok", "readable by their owner only")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _ledger(ctx: Context) -> Finding:
    return Finding("ok", f"{ctx.ledger.place} ({ctx.ledger.id})")


def _file_system(place: Path) -> Finding:
    from seatctl.ledger.engines.sqlite_files import network_file_system

    kind = network_file_system(place)
    if kind:
        return Finding(
            "problem",
            f"the ledger is on a network file system ({kind}), where two machines can damage it",
            "move it to a local disk, then seatctl config set ledger PATH",
        )
    return Finding("ok", "local")


def _integrity(ctx: Context) -> Finding:
    from seatctl.ledger.check import problems

    problems_found = [f"{subject}: {detail}" for _, subject, detail in problems(ctx.ledger)]
    if problems_found:
        more = f" and {len(problems_found) - 1} more" if len(problems_found) > 1 else ""
        return Finding("problem", f"{problems_found[0]}{more}", "seatctl ledger check")
    return Finding("ok", "the ledger is intact")


def _emails(ctx: Context) -> Finding:
    """Find users who shared a key under an earlier version's rule, or share an address under this one's."""
    from seatctl.ledger.schema import email_keys
    from seatctl.ledger.users import quoted

    with ctx.ledger.reading() as reader:
        doubled, separated = list(email_keys.doubled(reader)), list(email_keys.separated(reader))
    if doubled:
        other = f"seatctl users edit {quoted(doubled[0][1])} --email EMAIL"
        return Finding("problem", f"two users have the same address: {_named(doubled)}", other)
    if separated:
        again = f"seatctl notify send --again {quoted(separated[0][0])}"
        detail = f"an earlier version sent mail to another address: {_named(separated)}"
        return Finding("warning", detail, f"{again}, if their seat is not claimed")
    return Finding("ok", "no two users have the same address")


def _named(pairs: list[tuple[str, str]]) -> str:
    """Return the first few pairs of an e-mail and the other address."""
    more = f" and {len(pairs) - _FEW} more" if len(pairs) > _FEW else ""
    return ", ".join(f"{email} ({other})" for email, other in pairs[:_FEW]) + more


def _actor(ctx: Context) -> Finding:
    from seatctl.ledger import roles

    with ctx.ledger.reading() as reader:
        held = roles.held(reader, ctx.actor)
    if not held:
        return Finding(
            "warning",
            f"{ctx.actor} has no role in this ledger",
            "seatctl config set actor E-MAIL, or --as ACTOR",
        )
    return Finding("ok", f"{ctx.actor}: {', '.join(sorted(held))}")


def _operations(ctx: Context) -> Finding:
    from seatctl.ledger import operations

    with ctx.ledger.reading() as reader:
        unfinished = operations.unfinished(reader)
    if unfinished:
        return Finding("warning", f"{len(unfinished)} unfinished", "seatctl sync")
    return Finding("ok", "none unfinished")


def _plans(ctx: Context) -> Finding:
    """Find plans, from an earlier version or the dashboard, to which seats could never be added."""
    from seatctl.ledger import plans
    from seatctl.rules.policies import BadPolicy, check_term

    with ctx.ledger.reading() as reader:
        sold = list(plans.listing(reader, archived=False))
    bad_plans: list[tuple[str, str, str]] = []
    for plan in sold:
        try:
            if plan.policy is not None:
                check_term(plan.policy, plan.interval, plan.interval_count)
        except BadPolicy as error:
            options = str(error.hint).removeprefix("use ")
            bad_plans.append((plan.slug, error.message, f"seatctl plans edit {plan.slug} {options}"))
    if not bad_plans:
        return Finding("ok", "seats can be added to every plan")
    detail = "; ".join(f"{slug}: {message}" for slug, message, _ in bad_plans)
    return Finding("warning", detail, "; ".join(repair for *_, repair in bad_plans))


def _key(ctx: Context) -> Finding:
    from seatctl.config.secrets import find_key

    key = find_key(ctx.settings, ctx.profile, ctx.environment)
    return Finding("ok", f"a {ctx.profile.mode} key from {key.source}")


def _certificates(ctx: Context) -> Finding:
    """Return which certificates prove Stripe's identity."""
    named, _ = trusted_certificates(ctx.profile, ctx.environment)
    return Finding("ok", f"trusts {named}" if named else "trusts the certificates of Stripe's library")


def _stripe(ctx: Context) -> Finding:
    """Check that the account behind the key is the profile's and the ledger's."""
    from seatctl.billing.answers import account_id

    stripe = ctx.billing if ctx.profile.mode is Mode.SANDBOX else ctx.stripe
    named = account_of_context(stripe.context) or ctx.profile.values.get("stripe_account")
    account = account_id(stripe)
    if account is None:
        expected = f" (expected {named})" if named else ""
        return Finding(
            "warning",
            f"reachable, but it does not tell this key its account{expected}; permission: account read",
            None if named else "seatctl config set stripe_account ACCOUNT",
        )
    if named and account != named:
        return Finding(
            "problem",
            f"the key belongs to account {account}, but the profile to {named}",
            f"use a key of {named}: seatctl init {ctx.profile.name} --key-stdin",
        )
    return Finding("ok", f"account {account} answers")


LEDGER_CHECKS = {
    "integrity": _integrity,
    "e-mails": _emails,
    "actor": _actor,
    "operations": _operations,
    "plans": _plans,
}
