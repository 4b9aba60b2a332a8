"""config.toml: profiles, the value of a setting that counts, and the places of files.

A value comes from the flag, then the environment, then the profile, then its default. `known_settings.py`
lists the settings and their parsers. Reading never creates a file. `app/context.py` opens what a profile
names. Every command imports this module, so it uses named tuples: defining a frozen dataclass takes seven
times as long.
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
"""A pattern for `re.fullmatch`: the name of a profile is also the name of a folder."""


class BadConfig(BadInput):
    """config.toml cannot be read as settings; the program does not guess."""

    kind = Code.BAD_CONFIG


class Profile(NamedTuple):
    """One profile of config.toml with its validated values, before flags and environment."""

    name: str
    mode: Mode
    values: Mapping[str, Value]

    def text(self, key: str, environment: Environment) -> str | None:
        """Return a setting as text: environment, profile, default. Raises BadInput for a bad variable."""
        known = SETTINGS[key]
        for variable in known.environment:
            if environment.get(variable):
                return str(parse_setting(key, environment[variable]))
        value = self.values.get(key, known.default)
        return None if value is None else str(value)


class Settings(NamedTuple):
    """The contents of config.toml: the profiles, and the one in use."""

    home: Path
    """The folder of config.toml."""
    data: Path
    """The folder of ledgers, sandboxes and the log."""
    path: Path
    profiles: Mapping[str, Profile]
    current: str | None

    def profile(self, name: str | None) -> Profile:
        """Return the profile of this name, or the one in use. Raises `unknown_profile`."""
        wanted = name or self.current or DEFAULT_PROFILE
        if wanted not in self.profiles:
            raise self._unknown(wanted)
        return self.profiles[wanted]

    def _unknown(self, wanted: str) -> SeatctlError:
        if not self.profiles:
            return refuse(Code.UNKNOWN_PROFILE, "seatctl is not set up yet", hint="seatctl init")
        from seatctl.rules.suggestions import nearest

        close = nearest(wanted, list(self.profiles)) or list(self.profiles)
        return refuse(
            Code.UNKNOWN_PROFILE,
            f"there is no profile {wanted!r}",
            hint=f"known profiles: {', '.join(close)}; to make this one: seatctl init {wanted}",
        )

    def ledger_path(self, profile: Profile, environment: Environment, flag: str | None = None) -> Path:
        """Return the ledger file of a profile: flag, environment, profile, else its default."""
        named = flag or profile.text("ledger", environment)
        return _absolute(named) if named else self.data / profile.name / "ledger.db"

    def sandbox_path(self, profile: Profile) -> Path:
        """Return the sandbox's file, which stands for the Stripe account; one per profile."""
        return self.data / profile.name / "sandbox.db"


def load(environment: Environment) -> Settings:
    """Read config.toml; a missing file has no profiles. Raises BadConfig naming the line or the key."""
    home, data, config = places(environment)
    return understand(Settings(home, data, config, {}, None), read(config))


def read(path: Path) -> str:
    """Return the text of a config.toml, empty if it is missing. Raises BadConfig."""
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
    """The folder of config.toml, the folder of ledgers and log, and config.toml itself."""

    home: Path
    data: Path
    config: Path


def places(environment: Environment) -> Places:
    """Return where files are: SEATCTL_CONFIG (config.toml, or a folder for everything) or the platform's.

    Raises `no_home` if the user has no home folder.
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
    if not (home.is_absolute() and data.is_absolute()):  # an older platformdirs does not expand the ~
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
    except (ValueError, RecursionError) as error:  # ValueError: a number of more than 4,300 digits
        raise BadConfig(f"{path} is not valid TOML: {error}") from None


def understand(empty: Settings, text: str) -> Settings:
    """Return the settings in the text of a config.toml. Raises BadConfig naming the line."""
    document = _parse(text, empty.path) if text else {}
    tables = document.get("profiles", {})
    current = document.get("profile")
    unknown = [key for key in document if key not in {"profile", "profiles"}]
    if unknown or not isinstance(tables, dict) or not isinstance(current, str | None):
        what = f"unknown key {unknown[0]!r}" if unknown else "profile has to be a name, profiles tables"
        raise BadConfig(f"{_place(empty.path, text, *unknown[:1])}: {what}")
    profiles = {name: _profile(name, table, empty.path, text) for name, table in tables.items()}
    return empty._replace(profiles=profiles, current=current)


def _place(path: Path, text: str, *keys: str) -> str:
    """Return where something is wrong, for a message."""
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
            place = _place(path, text, "profiles", name, *key.split("."))
            raise BadConfig(f"{place}, profile {name}: {error.message}", hint=error.hint) from None
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
