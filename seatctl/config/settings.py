"""config.toml: profiles, which value of a setting counts, and where files live.

A value is taken from the flag, then the environment, then the profile, then its default. Which settings
there are, and how each is read, is `known_settings.py`'s. Reading never creates a file. What a profile is
used for (ledger, Stripe) is built by `app/context.py`. On the way of every command named tuples stand for
frozen dataclasses: they take a seventh of the time to define.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from seatctl.config.known_settings import (
    SETTINGS,
    Mode,
    Setting,
    UnknownSetting,
    Value,
    is_actor,
    parse_setting,
    setting,
)
from seatctl.errors import BadInput, Code, SeatctlError, refuse

__all__ = ["SETTINGS", "Mode", "Setting", "UnknownSetting", "Value", "is_actor", "parse_setting", "setting"]

Environment: TypeAlias = Mapping[str, str]

DEFAULT_PROFILE = "default"
PROFILE_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
"""A pattern for `re.fullmatch`: a profile's name is a directory's too."""


class BadConfig(BadInput):
    """config.toml cannot be understood; the program does not guess what was meant."""

    kind = Code.BAD_CONFIG


class Profile(NamedTuple):
    """One profile of config.toml: its known values, validated, still without flags and environment."""

    name: str
    mode: Mode
    values: Mapping[str, Value]

    def text(self, key: str, environment: Environment) -> str | None:
        """A setting as text: environment, profile, default. Raises BadInput for a bad environment value."""
        known = SETTINGS[key]
        for variable in known.environment:
            if environment.get(variable):
                return str(parse_setting(key, environment[variable]))
        value = self.values.get(key, known.default)
        return None if value is None else str(value)


class Settings(NamedTuple):
    """config.toml as it was read: the profiles and the one in use."""

    home: Path
    """The directory of config.toml."""
    data: Path
    """The directory of ledgers, sandboxes and the log."""
    path: Path
    profiles: Mapping[str, Profile]
    current: str | None

    def profile(self, name: str | None) -> Profile:
        """The profile of this name, or the one in use. Raises `unknown_profile` with the way to make it."""
        wanted = name or self.current or DEFAULT_PROFILE
        found = self.profiles.get(wanted)
        if found is None:
            raise self._unknown(wanted)
        return found

    def _unknown(self, wanted: str) -> SeatctlError:
        if not self.profiles:
            return refuse(Code.UNKNOWN_PROFILE, "seatctl is not set up yet", hint="seatctl init")
        from seatctl.rules.suggestions import nearest

        close = nearest(wanted, list(self.profiles)) or list(self.profiles)
        return refuse(
            Code.UNKNOWN_PROFILE,
            f"there is no profile {wanted!r}",
            hint=f"known: {', '.join(close)}; to make it: seatctl init {wanted}",
        )

    def ledger_path(self, profile: Profile, environment: Environment, flag: str | None = None) -> Path:
        """The ledger file of a profile: flag, environment, profile, then a file of its own."""
        named = flag or profile.text("ledger", environment)
        return _absolute(named) if named else self.data / profile.name / "ledger.db"

    def sandbox_path(self, profile: Profile) -> Path:
        """The sandbox's file, which stands for the Stripe account; one per profile."""
        return self.data / profile.name / "sandbox.db"


def load(environment: Environment) -> Settings:
    """Read config.toml; a missing one has no profiles. Raises BadConfig naming the line or the key."""
    found = places(environment)
    return understand(Settings(found.home, found.data, found.config, {}, None), read(found.config))


def read(path: Path) -> str:
    """The text of a config.toml, empty for a missing one. Raises BadConfig."""
    try:
        return path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise BadConfig(f"{path} is not UTF-8", hint="save it as UTF-8") from None
    except NotADirectoryError as error:
        raise BadConfig(f"{path.parent} is not a folder", hint="set SEATCTL_CONFIG to a folder") from error
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}") from error


class Places(NamedTuple):
    """Where things are: the directory of config.toml, the one of ledgers and log, config.toml itself."""

    home: Path
    data: Path
    config: Path


def places(environment: Environment) -> Places:
    """SEATCTL_CONFIG names config.toml, or a directory for everything; else the platform's places.

    Raises `no_home` if the user has no home folder to have them in.
    """
    named = environment.get("SEATCTL_CONFIG")
    if named:
        place = _absolute(named)
        config = place if place.suffix == ".toml" else place / "config.toml"
        return Places(config.parent, config.parent, config)
    import platformdirs

    try:
        home, data = platformdirs.user_config_path("seatctl"), platformdirs.user_data_path("seatctl")
    except RuntimeError:
        home = data = Path()
    if not (home.is_absolute() and data.is_absolute()):  # an older platformdirs leaves the ~ as it is
        from seatctl.system.refusals import no_home

        raise no_home()
    return Places(home, data, home / "config.toml")


def _absolute(text: str) -> Path:
    if not text.startswith("~"):
        return Path(text).absolute()
    from seatctl.system.refusals import expanded

    return expanded(text).absolute()


def _parse(text: str, path: Path) -> Mapping[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a ValueError: a number of over 4,300 digits
        raise BadConfig(f"{path} is not valid TOML: {error}") from None


def understand(empty: Settings, text: str) -> Settings:
    """The settings that a config.toml with this text holds. Raises BadConfig naming the line."""
    document = _parse(text, empty.path) if text else {}
    tables = document.get("profiles", {})
    current = document.get("profile")
    unknown = [key for key in document if key not in {"profile", "profiles"}]
    if unknown or not isinstance(tables, dict) or not isinstance(current, str | None):
        what = f"there is no key {unknown[0]!r}" if unknown else "profile is a name, profiles are tables"
        raise BadConfig(f"{_place(empty.path, text, *unknown[:1])}: {what}")
    profiles = {name: _profile(name, table, empty.path, text) for name, table in tables.items()}
    return empty._replace(profiles=profiles, current=current)


def _place(path: Path, text: str, *keys: str) -> str:
    """Where something wrong stands, for a message."""
    from seatctl.rules.toml_lines import line_of, toml_lines

    line = line_of(toml_lines(text), *keys)
    return str(path) if line is None else f"{path}, line {line}"


def _profile(name: str, table: object, path: Path, text: str) -> Profile:
    if not isinstance(table, dict) or not re.fullmatch(PROFILE_NAME, name):
        raise BadConfig(f"{_place(path, text, 'profiles', name)}: profiles.{name} is not a profile")
    values: dict[str, Value] = {}
    for key, value in _flatten(table):
        try:
            values[key] = parse_setting(key, value if isinstance(value, str) else str(value))
        except (UnknownSetting, BadInput) as error:
            where = _place(path, text, "profiles", name, *key.split("."))
            raise BadConfig(f"{where}, profile {name}: {error.message}", hint=error.hint) from None
    if "mode" not in values:
        raise BadConfig(
            f"{_place(path, text, 'profiles', name)}: profile {name} has no mode",
            hint="write mode = 'sandbox', 'test' or 'live'",
        )
    return Profile(name, Mode(str(values["mode"])), values)


def _flatten(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
