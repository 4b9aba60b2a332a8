"""`seatctl config`: settings of profiles, and the profile in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, SubscriptionArg, argument, option
from seatctl.config.settings import LISTED, Setting, Value, parse_setting, places, setting
from seatctl.errors import Code, refuse
from seatctl.output.emit import note, write_text
from seatctl.output.style import columns

if TYPE_CHECKING:
    from seatctl.models.report import Record

app = Commands()

KeyArg = Annotated[str, argument("KEY", "A setting; to list them: seatctl help settings.", words=LISTED)]
VALUE_COLUMNS = columns("setting value source")


class OnOff(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


RULE_COLUMNS = columns(
    "subscription auto_approve domains groups daily_limit until keep_free rules",
    machine="rules",
    titles={"rules": "Rules"},
)
TEST_COLUMNS = columns("subscription email outcome rule why")

SwitchArg = Annotated[
    OnOff | None, argument("[on|off]", "Without it and without rules, show the current rules.")
]
DomainOpt = Annotated[list[str] | None, option("--domain DOMAIN", "Only addresses of these domains.")]
GroupOpt = Annotated[list[str] | None, option("--group GROUP", "Only users of these groups.")]
DailyOpt = Annotated[int | None, option("--daily-limit N", "At most N a day (UTC).", min=0, max=1_000_000)]
UntilOpt = Annotated[str | None, option("--until 14d|DATE", "Only until then.")]
KeepOpt = Annotated[
    int | None, option("--keep-free N", "Leave the last N free seats unassigned.", min=0, max=1_000_000)
]
ResetOpt = Annotated[bool, option("--reset", "Remove all earlier rules first.")]
TestOpt = Annotated[
    str | None, option("--test EMAIL", "Change nothing; show which rule would decide for this address.")
]


@app.command("show")
def show(ctx: Context) -> None:
    """Show every setting of the profile, and where its value comes from.

    Examples:
      seatctl config show
      seatctl config show -p live -o json
    """
    profile = ctx.profile.name
    stored = ctx.stored_settings
    records = (_record(ctx, known, stored) for known in LISTED.values())
    ctx.emit_list(records, VALUE_COLUMNS, handle="setting")
    ctx.note(f"profile {profile} in {ctx.settings.path}")


@app.command("get")
def get(ctx: Context, key: KeyArg) -> None:
    """Print the value of a setting.

    Examples:
      seatctl config get actor
      seatctl config get sync.requests_per_second -o json
    """
    known = setting(key)
    record = _record(ctx, known, _stored(ctx, known))
    if record["value"] is None:
        raise refuse(
            Code.NOT_SET, f"{key} is not set", hint=f"seatctl config set {key} VALUE", data={"setting": key}
        )
    if ctx.options.output or ctx.options.fields:
        ctx.emit_one(record, VALUE_COLUMNS, handle="value")
    else:
        write_text(str(record["value"]))


@app.command("set")
def set_value(
    ctx: Context,
    key: KeyArg,
    value: Annotated[str, argument("VALUE", "The new value.")],
) -> None:
    """Set a setting of the profile.

    Settings that are policy, such as undo_window and the mail server, are stored in the ledger: they count on
    every machine that uses it, and the audit has each change. seatctl help settings marks them.

    Examples:
      seatctl config set actor ann@example.com
      seatctl config set output json -p ci
      seatctl config set stripe_key_command 'pass show stripe/live'
    """
    known = _changeable(key)
    parsed = parse_setting(key, value)
    _write(ctx, known, parsed)


@app.command("unset")
def unset(ctx: Context, key: KeyArg) -> None:
    """Remove a setting from the profile, so that its default applies again.

    Examples:
      seatctl config unset output
    """
    _write(ctx, _changeable(key), None)


@app.command("path")
def path(ctx: Context) -> None:
    """Print the path of config.toml, whether it exists or not.

    Examples:
      seatctl config path
    """
    path = places(ctx.environment).config
    if ctx.format is None:
        write_text(str(path))
    else:
        record: Record = {"path": str(path), "exists": path.exists()}
        ctx.emit_one(record, columns("path exists"), handle="path")


@app.command("profiles")
def profiles(ctx: Context) -> None:
    """List the profiles; `current` marks the one in use.

    Examples:
      seatctl config profiles
    """
    listed = columns("profile mode current actor stripe_account ledger")
    ctx.emit_list(_profiles(ctx), listed, handle="profile")


@app.command("use")
def use(
    ctx: Context,
    name: Annotated[str, argument("PROFILE", "A profile.")],
) -> None:
    """Choose the profile to use if none is named.

    Examples:
      seatctl config use live
    """
    from seatctl.models.report import would_have

    chosen = ctx.settings.profile(name)
    ctx.change_settings(lambda settings: settings._replace(current=chosen.name))
    summary = f"switched to profile {chosen.name} ({chosen.mode})"
    ctx.note(would_have(summary) if ctx.options.dry_run else summary)


@app.command("auto-approve")
def auto_approve(
    ctx: Context,
    subscription: SubscriptionArg,
    switch: SwitchArg = None,
    domain: DomainOpt = None,
    group: GroupOpt = None,
    daily_limit: DailyOpt = None,
    until: UntilOpt = None,
    keep_free: KeepOpt = None,
    reset: ResetOpt = False,
    test: TestOpt = None,
) -> None:
    """Show or change automatic approval of a subscription's requests.

    While it is on and all rules match, a requester gets a free seat at once, or joins the waitlist if no seat
    is free. Otherwise a person decides. Rules that are not given stay as they are.

    Examples:
      seatctl config auto-approve design
      seatctl config auto-approve design on --domain example.com --keep-free 2
      seatctl config auto-approve design on --reset --daily-limit 5 --until 2027-01-31
      seatctl config auto-approve design --test zoe@example.com
    """
    from seatctl.rules.dates import moment_after
    from seatctl.services.requests.auto_approval import RuleOptions, set_rules, try_rules

    wanted = RuleOptions(
        enabled=None if switch is None else switch is OnOff.ON,
        domains=None if domain is None else tuple(domain),
        groups=None if group is None else tuple(group),
        daily_limit=daily_limit,
        until=None if until is None else moment_after(until, ctx.now),
        keep_free=keep_free,
        reset=reset,
    )
    if test is not None:
        with ctx.ledger.reading() as reader:
            tried = try_rules(reader, ctx.ledger.id, subscription, test, wanted, ctx.now)
            ctx.emit_one(tried, TEST_COLUMNS, handle="outcome")
    elif wanted == RuleOptions():
        _show_rules(ctx, subscription)
    else:
        ctx.emit(set_rules(ctx.ledger, ctx.billing, ctx.call, subscription, wanted), handle="name")


def _changeable(key: str) -> Setting:
    known = setting(key)
    if known.fixed:
        raise refuse(
            Code.FIXED_SETTING,
            f"{key} was decided by init and cannot be changed",
            hint="to make another profile: seatctl init PROFILE",
            data={"setting": key},
        )
    return known


def _write(ctx: Context, known: Setting, value: Value | None) -> None:
    from seatctl.models.report import would_have

    name = ctx.profile.name
    stored = _stored(ctx, known)
    before: Value | None
    if known.policy and ctx.has_ledger and (value is not None or known.key in stored):
        text = stored.get(known.key)
        before = ctx.profile.values.get(known.key) if text is None else _readable(known, text)
        _store(ctx, known, value)
    else:
        before = ctx.profile.values.get(known.key)
        _write_file(ctx, known, value)
    record: Record = {
        "profile": name,
        "setting": known.key,
        "value": _shown(known, value),
        "before": _shown(known, before),
    }
    ctx.emit_one(record, columns("profile setting value before"), handle="value")
    if ctx.options.dry_run:
        ctx.note(would_have(f"{'removed' if value is None else 'set'} {known.key} of profile {name}"))
    hidden = [name for name in known.environment if ctx.environment.get(name)]
    if hidden and not ctx.options.quiet:
        note(f"{hidden[0]} is set and overrides the profile")


def _readable(known: Setting, text: str) -> Value:
    """Return a stored value; its text if no such value is accepted, because it is about to be replaced."""
    try:
        return known.parse(text)
    except ValueError:
        return text


def _write_file(ctx: Context, known: Setting, value: Value | None) -> None:
    from seatctl.config.settings_file import with_value

    name = ctx.profile.name
    ctx.change_settings(lambda settings: with_value(settings, name, known.key, value))


def _store(ctx: Context, known: Setting, value: Value | None) -> None:
    """Store a setting in the ledger. A value in config.toml would no longer count, and is removed there."""
    from seatctl.services.ledger_settings import change_setting

    change_setting(ctx.ledger, ctx.call, known.key, None if value is None else str(value))
    if known.key in ctx.profile.values:
        _write_file(ctx, known, None)


def _shown(known: Setting, value: Value | None) -> Value | None:
    """Return a value without the password of a ledger's URL."""
    if isinstance(value, str) and known.key in {"ledger", "ledger.url"} and "://" in value:
        from seatctl.models.ledger_url import hidden

        return hidden(value)
    return value


def _stored(ctx: Context, known: Setting) -> Mapping[str, str]:
    """Return the settings that the ledger stores, none if this one is not stored there.

    Raises what opening the ledger raises: a value in config.toml may not be the one that counts.
    """
    return ctx.ledger.settings if known.policy and ctx.has_ledger else {}


def _record(ctx: Context, known: Setting, stored: Mapping[str, str]) -> Record:
    """Return a setting with its effective value and where that comes from."""
    profile = ctx.local(ctx.profile).with_stored(stored)
    source = next((name for name in known.environment if ctx.environment.get(name)), None)
    if source is None and known.key in profile.values:
        source = "ledger" if known.key in stored else f"profile {profile.name}"
    if source is None and known.default is not None:
        source = "default"
    value = _shown(known, profile.text(known.key, ctx.environment))
    number = isinstance(known.default, int) or known.key.endswith("_per_second")
    return {
        "setting": known.key,
        "value": int(value) if value is not None and number else value,
        "source": source,
    }


def _profiles(ctx: Context) -> Iterator[Record]:
    named = ctx.options.profile or ctx.environment.get("SEATCTL_PROFILE") or ctx.settings.current
    for profile in ctx.settings.profiles.values():
        yield {
            "profile": profile.name,
            "mode": profile.mode.value,
            "current": profile.name == named,
            "actor": profile.values.get("actor"),
            "stripe_account": profile.values.get("stripe_account"),
            "ledger": str(ctx.settings.ledger_place(profile, {})),
        }


def _show_rules(ctx: Context, subscription: str) -> None:
    from seatctl.ledger import subscriptions
    from seatctl.rules.approval import auto_approval_fields

    with ctx.ledger.reading() as reader:
        current = subscriptions.find(reader, subscription)
    rules = auto_approval_fields(current.auto_approval)
    record: Record = {
        **rules,
        "subscription": current.name,
        "auto_approve": current.auto_approval.enabled,
        "rules": rules,
    }
    ctx.emit_one(record, RULE_COLUMNS, handle="auto_approve")
