"""`seatctl init`: create a profile with its ledger and, in sandbox mode, its own Stripe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seatctl.app.connections import MODE_VARIABLE, account_of_context
from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, argument, option
from seatctl.config.settings import (
    DEFAULT_PROFILE,
    PROFILE_NAME,
    Mode,
    Profile,
    Value,
    is_actor,
    parse_setting,
)
from seatctl.errors import BadInput, Code, UsageError, refuse
from seatctl.models.report import Record
from seatctl.output.style import columns

app = Commands()


@app.command("init")
def init(
    ctx: Context,
    name: Annotated[str | None, argument("[PROFILE]", "Name of the profile.")] = None,
    mode: Annotated[str | None, option("--mode MODE", "sandbox (the default), test or live.")] = None,
    actor: Annotated[str | None, option("--actor ACTOR", "The actor: an e-mail address or ci:NAME.")] = None,
    key_stdin: Annotated[
        bool, option("--key-stdin", "Read the Stripe key from stdin and store it in the keyring.")
    ] = False,
    stripe_account: Annotated[
        str | None, option("--stripe-account ACCOUNT", "The account, for a key that may not read it.")
    ] = None,
    stripe_context: Annotated[
        str | None,
        option("--stripe-context CONTEXT", "The account to act on, for a platform's or organisation's key."),
    ] = None,
) -> None:
    """Set up a profile: configuration, ledger and sandbox. Repeating it changes nothing.

    Without --mode it is a sandbox: no account, no network. A test or live profile needs a Stripe key from the
    environment, from stdin, or typed when asked for. The first actor of a ledger becomes its admin.

    Examples:
      seatctl init
      seatctl init --no-input --actor ann@example.com
      seatctl init company --mode live --actor ann@example.com --key-stdin < key
    """
    from seatctl.models.report import would_have

    made = set_up(ctx, InitOptions(name, mode, actor, key_stdin, stripe_account, stripe_context))
    ctx.emit_one(made, COLUMNS, handle="profile")
    if ctx.options.dry_run:
        ctx.note(would_have(f"set up profile {made['profile']} ({made['mode']})"))
    elif made["mode"] == "sandbox" and made["created"]:
        ctx.note(
            "next: seatctl plans add pro --price 12.00 --currency usd --interval month --policy flexible"
        )


COLUMNS = columns("profile mode actor stripe_account config ledger created")


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The arguments of `init`."""

    profile: str | None
    mode: str | None
    actor: str | None
    key_stdin: bool
    stripe_account: str | None
    stripe_context: str | None = None


def set_up(ctx: Context, options: InitOptions) -> Record:
    """Create the profile, or complete an existing one. Return what `init` prints."""
    inherited = ctx.options.profile or ctx.environment.get("SEATCTL_PROFILE") or DEFAULT_PROFILE
    name = inherited if options.profile is None else options.profile
    if not re.fullmatch(PROFILE_NAME, name):
        raise BadInput(f"{name!r} is not a valid profile name: use lower-case letters, digits, - and _")
    before = ctx.settings.profiles.get(name)
    mode = _mode(options, before, name, ctx.environment.get(MODE_VARIABLE))
    values: dict[str, Value] = dict(before.values) if before else {}
    values["mode"] = mode.value
    actor = _actor(ctx, options, before)
    if actor:
        values["actor"] = actor
    if ctx.options.ledger:
        values["ledger"] = ctx.options.ledger
        values.pop("ledger.url", None)
    if options.stripe_context:
        values["stripe.context"] = parse_setting("stripe.context", options.stripe_context)
    profile = Profile(name, mode, values)
    if mode is not Mode.SANDBOX:
        profile = _with_account(ctx, options, profile)
    dry = ctx.options.dry_run
    place = ctx.ledger_place(profile)
    created = not dry and (before is None or (isinstance(place, Path) and not place.exists()))
    if not dry:
        _make(ctx, profile, actor or f"os:{ctx.os_user}")
    return {
        "profile": name,
        "mode": mode.value,
        "actor": actor or f"os:{ctx.os_user}",
        "stripe_account": profile.values.get("stripe_account"),
        "config": str(ctx.settings.path),
        "ledger": str(place),
        "created": created,
    }


def _make(ctx: Context, profile: Profile, actor: str) -> None:
    """Create the ledger, the sandbox, the first admin, and last config.toml."""
    from seatctl.config.settings_file import locked, with_profile
    from seatctl.ledger import roles
    from seatctl.models.role import Grant, Role

    # If two processes create the same sandbox file at once, one of them fails to turn on SQLite's WAL.
    with locked(ctx.settings.data / ".init.lock"):
        ctx.create(profile)
    with ctx.ledger.change(ctx.call._replace(actor=actor)) as tx:
        # Inside the write lock: of two concurrent first actors only one becomes the admin.
        if not roles.holders(tx, {Role.ADMIN}) and roles.grant(tx, Grant(actor, Role.ADMIN)):
            tx.summarise(f"{actor} is the admin of this ledger")
    ctx.change_settings(lambda settings: with_profile(settings, profile))


def _mode(options: InitOptions, before: Profile | None, name: str, expected: str | None) -> Mode:
    """Return the mode: option, profile, `expected`, sandbox. Raises `mode_mismatch` unless it is expected."""
    if options.mode:
        mode = Mode(str(parse_setting("mode", options.mode)))
    else:
        mode = before.mode if before else Mode(str(parse_setting("mode", expected or Mode.SANDBOX)))
    if expected and mode != expected:
        raise refuse(
            Code.MODE_MISMATCH,
            f"profile {name} would have {mode} mode, but {MODE_VARIABLE} is {expected}",
            hint=f"correct {MODE_VARIABLE}, or name the mode: seatctl init --mode {expected}",
            data={"profile_mode": mode.value, "wanted_mode": expected},
        )
    if before and before.mode is not mode:
        raise refuse(
            Code.PROFILE_EXISTS,
            f"profile {name} has {before.mode} mode, which cannot be changed",
            hint=f"make another profile: seatctl init {mode} --mode {mode}",
            data={"profile": name, "mode": before.mode.value},
        )
    return mode


def _actor(ctx: Context, options: InitOptions, before: Profile | None) -> str | None:
    """Return the actor: flag, environment, the profile's, an answer; None stands for the OS user."""
    named = options.actor or ctx.options.actor or ctx.environment.get("SEATCTL_ACTOR")
    if named is None and before is not None:
        kept = before.values.get("actor")
        return str(kept) if kept else None
    if named is None and ctx.interactive and not ctx.options.yes:
        return _ask_for_actor(ctx)
    if named is not None and not is_actor(named):
        raise UsageError(f"--actor takes an e-mail address or ci:NAME, not {named!r}")
    return None if named is None or named.startswith("os:") else named


def _ask_for_actor(ctx: Context) -> str | None:
    """Ask for the actor until the answer is valid: the ledger will know the person by this address."""
    from seatctl.output.redact import redact
    from seatctl.rules.emails import check_email

    question, nobody = "Your e-mail address, for the audit log", f"os:{ctx.os_user}"
    while True:
        named = ctx.ask(question, flag="--actor", default=nobody)
        if named == nobody:
            return None
        problem = None if named.startswith(("ci:", "os:")) else check_email(named)
        if problem is None and is_actor(named):
            return None if named.startswith("os:") else named
        shown = redact(named)  # the key is asked for next, and may have been pasted here by mistake
        ctx.note(f"{shown!r} is not an e-mail address{f': {problem}' if problem else ''}")


def _with_account(ctx: Context, options: InitOptions, profile: Profile) -> Profile:
    """Return the profile with its account, after checking the key; nothing else is written yet."""
    from seatctl.config.secrets import Key, check_key, find_key, read_secret, require_keyring, store_key
    from seatctl.input.lines import stdin_line

    if options.key_stdin or not _has_key(ctx, profile):
        if not options.key_stdin and ctx.interactive:
            require_keyring(profile)
        secret = read_secret(
            stdin_line()
            if options.key_stdin
            else ctx.ask(f"Stripe {profile.mode} key", flag="--key-stdin", hidden=True)
        )
        key = Key(secret, "stdin" if options.key_stdin else "the terminal")
        check_key(key, profile)
        if not ctx.options.dry_run:
            store_key(ctx.settings, profile, secret)
    else:
        key = find_key(ctx.settings, profile, ctx.environment)
    account = _account(ctx, options, profile, key.secret)
    return Profile(profile.name, profile.mode, {**profile.values, "stripe_account": account})


def _has_key(ctx: Context, profile: Profile) -> bool:
    from seatctl.config.secrets import NoKey, find_key

    try:
        find_key(ctx.settings, profile, ctx.environment)
    except NoKey:
        return False
    return True


def _account(ctx: Context, options: InitOptions, profile: Profile, secret: str) -> str:
    """Return the account of the key, or `--stripe-account` if Stripe does not tell this key."""
    from seatctl.billing.answers import account_id
    from seatctl.billing.port import KeyRejected

    in_context = account_of_context(profile.text("stripe.context", ctx.environment))
    named = options.stripe_account or in_context or profile.values.get("stripe_account")
    if named:
        parse_setting("stripe_account", str(named))
    try:
        account = account_id(ctx.connect(profile, secret))
    except KeyRejected as rejected:  # doctor would not help: nothing is set up yet
        rejected.hint = "copy the key again from Stripe's dashboard: Developers, API keys"
        raise
    if account is None:
        if not named:
            raise UsageError(
                "Stripe does not tell this key its account, so --stripe-account is required",
                hint="the id of the account (acct_…) is in Stripe's settings",
            )
        return str(named)
    if named and named != account:
        raise refuse(
            Code.WRONG_ACCOUNT,
            f"the key belongs to account {account}, not to {named}",
            hint="use the key of that account, or make another profile: seatctl init PROFILE",
            data={"key_account": account, "profile_account": str(named)},
        )
    return account


def recreate_ledger(ctx: Context, path: Path) -> None:
    """Replace the ledger file of a sandbox profile with an empty one that has the same admin and settings."""
    from seatctl.services.ledger_settings import change_setting

    actor, settings = ctx.actor, dict(ctx.ledger.settings)
    ctx.ledger.close()
    del ctx.ledger
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    _make(ctx, ctx.profile, actor)
    for key, value in settings.items():
        change_setting(ctx.ledger, ctx.call, key, value)
