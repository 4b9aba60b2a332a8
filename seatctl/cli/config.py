"""`seatctl config`: settings of profiles, and which profile is in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.config_auto_approve import auto_approve
from seatctl.cli.framework.options import context
from seatctl.config.settings import SETTINGS, Setting, Value, parse_setting, setting
from seatctl.errors import NotFound, Refused
from seatctl.output.emit import note, write_text
from seatctl.output.style import Column

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.models.report import Record

app = typer.Typer()
app.command("auto-approve")(auto_approve)


def _complete_setting(incomplete: str) -> list[str]:
    return [key for key in SETTINGS if key.startswith(incomplete)]


KeyArg = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A setting; for all of them: seatctl help settings.",
        show_default=False,
        autocompletion=_complete_setting,
    ),
]
VALUE_COLUMNS = (Column("setting", "Setting"), Column("value", "Value"), Column("source", "From"))


class NotSet(NotFound):
    """The setting has no value and no default."""

    code = "not_set"


class FixedSetting(Refused):
    """A setting that `init` decides, for good."""

    code = "fixed_setting"


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show every setting of the profile, and where its value comes from.

    Examples:
      seatctl config show
      seatctl config show -p live -o json
    """
    here = context(ctx)
    profile = here.profile.name
    here.emit_list((_record(here, known) for known in SETTINGS.values()), VALUE_COLUMNS, handle="setting")
    here.note(f"profile {profile} in {here.settings.path}")


@app.command("get")
def get(ctx: typer.Context, key: KeyArg) -> None:
    """Print the value of a setting.

    Examples:
      seatctl config get actor
      seatctl config get sync.requests_per_second -o json
    """
    here = context(ctx)
    record = _record(here, setting(key))
    if record["value"] is None:
        raise NotSet(f"{key} is not set", hint=f"seatctl config set {key} VALUE", data={"setting": key})
    if here.options.output or here.options.fields:
        here.emit_one(record, VALUE_COLUMNS, handle="value")
    else:
        write_text(str(record["value"]))


@app.command("set")
def set_value(
    ctx: typer.Context,
    key: KeyArg,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The new value.", show_default=False)],
) -> None:
    """Set a setting of the profile.

    Examples:
      seatctl config set actor ann@example.com
      seatctl config set output json -p ci
      seatctl config set stripe_key_command 'pass show stripe/live'
    """
    known = _changeable(key)
    parsed = parse_setting(key, value)
    _write(context(ctx), known, parsed)


@app.command("unset")
def unset(ctx: typer.Context, key: KeyArg) -> None:
    """Take a setting of the profile away, so that its default counts again.

    Examples:
      seatctl config unset output
    """
    _write(context(ctx), _changeable(key), None)


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Print the path of config.toml, whether it exists or not.

    Examples:
      seatctl config path
    """
    from seatctl.config.settings import places

    here = context(ctx)
    path = places(here.environment).config
    if here.format is None:
        write_text(str(path))
    else:
        found: Record = {"path": str(path), "exists": path.exists()}
        here.emit_one(found, (Column("path", "Path"), Column("exists", "Exists", "flag")), handle="path")


@app.command("profiles")
def profiles(ctx: typer.Context) -> None:
    """List the profiles; `current` marks the one in use.

    Examples:
      seatctl config profiles
    """
    here = context(ctx)
    columns = (
        Column("profile", "Profile"),
        Column("mode", "Mode"),
        Column("current", "In use", "flag"),
        Column("actor", "Actor"),
        Column("stripe_account", "Stripe account"),
        Column("ledger", "Ledger"),
    )
    here.emit_list(_profiles(here), columns, handle="profile")


@app.command("use")
def use(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="A profile.", show_default=False)],
) -> None:
    """Make a profile the one in use where none is named.

    Examples:
      seatctl config use live
    """
    here = context(ctx)
    chosen = here.settings.profile(name)
    here.change_settings(lambda settings: settings._replace(current=chosen.name))
    if here.options.dry_run:
        here.note(f"would use profile {chosen.name} ({chosen.mode})")
    else:
        here.note(f"profile {chosen.name} ({chosen.mode}) is now in use")


def _changeable(key: str) -> Setting:
    known = setting(key)
    if known.fixed:
        raise FixedSetting(
            f"{key} is decided when a profile is made, and stays",
            hint="to make another profile: seatctl init PROFILE",
            data={"setting": key},
        )
    return known


def _write(here: Context, known: Setting, value: Value | None) -> None:
    from seatctl.config.settings_file import with_value

    name = here.profile.name
    before = here.profile.values.get(known.key)
    here.change_settings(lambda settings: with_value(settings, name, known.key, value))
    record: Record = {"profile": name, "setting": known.key, "value": value, "before": before}
    columns = [Column("profile", "Profile"), Column("setting", "Setting"), Column("value", "Value")]
    here.emit_one(record, [*columns, Column("before", "Before")], handle="value")
    if here.options.dry_run:
        here.note("dry run: nothing was written")
    hidden = [name for name in known.environment if here.environment.get(name)]
    if hidden and not here.options.quiet:
        note(f"{hidden[0]} is set and comes before the profile")


def _record(here: Context, known: Setting) -> Record:
    """A setting with the value that counts and where it comes from."""
    source = next((name for name in known.environment if here.environment.get(name)), None)
    if source is None and known.key in here.profile.values:
        source = f"profile {here.profile.name}"
    if source is None and known.default is not None:
        source = "default"
    value = here.profile.text(known.key, here.environment)
    number = isinstance(known.default, int) or known.key.endswith("_per_second")
    return {
        "setting": known.key,
        "value": int(value) if value is not None and number else value,
        "source": source,
    }


def _profiles(here: Context) -> Iterator[Record]:
    named = here.options.profile or here.environment.get("SEATCTL_PROFILE") or here.settings.current
    for profile in here.settings.profiles.values():
        yield {
            "profile": profile.name,
            "mode": profile.mode.value,
            "current": profile.name == named,
            "actor": _text(profile.values.get("actor")),
            "stripe_account": _text(profile.values.get("stripe_account")),
            "ledger": str(here.settings.ledger_path(profile, {})),
        }


def _text(value: Value | None) -> str | None:
    return None if value is None else str(value)
