"""config.toml: the table of settings, profiles, the value of a setting that counts, and the places of files.

A value comes from the flag, then the environment, then the profile, then its default. Reading never creates
a file. `app/context.py` opens what a profile names. Every command imports this module, so it uses named
tuples: defining a frozen dataclass takes seven times as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from seatctl.errors import BadInput, Code, SeatctlError, UsageError, refuse
from seatctl.output.style import FORMAT_NAMES, Format

if TYPE_CHECKING:
    from seatctl.models.ledger_url import ServerUrl

Value: TypeAlias = str | int | bool


class Mode(StrEnum):
    """What a profile works with. Chosen once, by `init`, so that live is never reached by accident."""

    SANDBOX = "sandbox"
    TEST = "test"
    LIVE = "live"


class UnknownSetting(UsageError):
    """config.toml has no setting of this name."""

    kind = Code.UNKNOWN_SETTING


class Setting(NamedTuple):
    """A key of a profile, with its parser and the environment variables that override it."""

    key: str
    help: str
    parse: Callable[[str], Value]
    default: Value | None = None
    environment: tuple[str, ...] = ()
    fixed: bool = False
    """Decided by `init`; `config set` refuses it."""
    policy: bool = False
    """Stored in the ledger, so that all machines that use it follow the same policy."""
    hidden: bool = False
    """Not listed: nobody needs it but the conformance suite."""


def _text(text: str) -> Value:
    if not text.strip() or not text.isprintable():
        raise ValueError("text of printable characters")
    return text.strip()


def _one_of(*words: str) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return parse


def _actor(text: str) -> Value:
    if not is_actor(text):
        raise ValueError("an e-mail address or ci:NAME")
    return text


def _number(most: int, least: int = 1) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        from seatctl.rules.typed_values import whole_number

        number = whole_number(text, most)
        if number is None or number < least:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def _mailbox(text: str) -> Value:
    """Parse `seats@example.com` or `Seats <seats@example.com>`."""
    from seatctl.rules.emails import check_email

    name, bracket, rest = text.strip().rpartition("<")
    address = rest.removesuffix(">") if bracket else text.strip()
    if check_email(address) or not name.isprintable() or bool(bracket) != rest.endswith(">"):
        raise ValueError("an address such as seats@example.com or 'Seats <seats@example.com>'")
    return text.strip()


def _account(text: str) -> Value:
    if not re.fullmatch(r"acct_[A-Za-z0-9]+", text):
        raise ValueError("a Stripe account id such as acct_1AbC")
    return text


def _context(text: str) -> Value:
    """Return the path to an account, from the key's point of view: `acct_1`, or `acct_1/acct_2`."""
    if not re.fullmatch(r"(?:[a-z]+_[A-Za-z0-9]+/)*acct_[A-Za-z0-9]+", text):
        raise ValueError("a Stripe account id such as acct_1AbC, or a path to it such as acct_1AbC/acct_2DeF")
    return text


def _test_clock(text: str) -> Value:
    if not re.fullmatch(r"clock_[A-Za-z0-9]+", text):
        raise ValueError("the id of a test clock such as clock_1AbC")
    return text


def _api_base(text: str) -> Value:
    """A key must never be sent in clear text, so plain http is accepted for this machine only."""
    from urllib.parse import urlsplit

    url = urlsplit(text)
    local = url.hostname in {"127.0.0.1", "localhost", "::1"}
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and local)):
        raise ValueError("an https:// URL (http:// for 127.0.0.1 only)")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("a URL without user, password, query or fragment")
    return text.rstrip("/")


def _path(text: str) -> Value:
    """Return an absolute path, so that it means the same in every folder."""
    from seatctl.system.refusals import expanded

    return str(expanded(str(_text(text))).absolute())


def _ledger(text: str) -> Value:
    """Parse a path, or the URL of a PostgreSQL database. Raises BadLedgerUrl."""
    named = str(_text(text))
    if "://" in named:
        ledger_place(named)
    return named


def _ledger_url(text: str) -> Value:
    """Parse the URL of a PostgreSQL database. Raises BadLedgerUrl."""
    from seatctl.models.ledger_url import ServerUrl

    return ServerUrl(str(_text(text))).secret


SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("mode", "sandbox, test or live; chosen by init", _one_of(*Mode), fixed=True),
        Setting("actor", "the actor: an e-mail address or ci:NAME", _actor, environment=("SEATCTL_ACTOR",)),
        Setting(
            "ledger",
            "path of the ledger file, or the URL of a PostgreSQL database",
            _ledger,
            environment=("SEATCTL_LEDGER",),
        ),
        Setting("ledger.url", "the URL of a PostgreSQL database, instead of `ledger`", _ledger_url),
        Setting("sandbox", "path of the sandbox's file", _path, environment=("SEATCTL_SANDBOX",)),
        Setting(
            "output",
            f"format of results: {FORMAT_NAMES}",
            _one_of(*Format),
            environment=("SEATCTL_OUTPUT",),
        ),
        Setting("color", "auto, always or never", _one_of("auto", "always", "never"), "auto"),
        Setting("stripe_account", "the Stripe account of this profile", _account),
        Setting(
            "stripe.context",
            "the account to act on, for the key of a Connect platform or an organisation",
            _context,
            environment=("SEATCTL_STRIPE_CONTEXT",),
        ),
        Setting("stripe_key_command", "a command that prints the Stripe key", _text),
        Setting(
            "stripe.api_base",
            "another server that speaks Stripe's API",
            _api_base,
            environment=("SEATCTL_STRIPE_API_BASE",),
        ),
        Setting(
            "stripe.ca_bundle",
            "certificates to trust, such as a company's CA: a PEM file or a folder of them",
            _path,
            environment=("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
        ),
        Setting(
            "stripe.automatic_tax",
            "on: Stripe adds tax to purchases",
            _one_of("on", "off"),
            "off",
            policy=True,
        ),
        Setting("stripe.test_clock", "a test clock of Stripe, whose time is now", _test_clock, hidden=True),
        Setting("sync.requests_per_second", "limit on requests to Stripe", _number(10_000), policy=True),
        Setting(
            "undo_window",
            "minutes that the waitlist and the mails of a bulk revoke wait for an undo; 0: no wait",
            _number(1440, least=0),
            10,
            policy=True,
        ),
        Setting(
            "mail.host",
            "the SMTP server that sends notifications; without it none are sent",
            _text,
            policy=True,
        ),
        Setting(
            "mail.port",
            "its port; by default 587 with starttls, 465 with tls, 25 with none",
            _number(65_535),
            policy=True,
        ),
        Setting(
            "mail.security",
            "starttls, tls, or none (this machine only)",
            _one_of("starttls", "tls", "none"),
            "starttls",
            policy=True,
        ),
        Setting(
            "mail.user", "the user name to log in with; without it there is no login", _text, policy=True
        ),
        Setting("mail.password_command", "a command that prints the password", _text),
        Setting(
            "mail.from", "the sender of messages, such as 'Seats <seats@example.com>'", _mailbox, policy=True
        ),
        Setting("mail.reply_to", "the address for replies", _mailbox, policy=True),
        Setting(
            "mail.code_days", "for how many days an activation code is valid", _number(365), 14, policy=True
        ),
    )
}


LISTED = {key: known for key, known in SETTINGS.items() if not known.hidden}
"""The settings that are shown and completed."""


def is_actor(text: str) -> bool:
    """Return whether the text can name an actor: an e-mail address, `ci:NAME` or `os:NAME`."""
    kind, colon, name = text.partition(":")
    if colon:
        return kind in {"ci", "os"} and bool(re.fullmatch(r"[\w.@+-]+", name))
    local, at, domain = text.rpartition("@")
    return bool(at and local and domain) and text.isprintable() and not re.search(r"\s", text)


def setting(key: str) -> Setting:
    """Return the known setting with this key. Raises UnknownSetting with the nearest names."""
    known = SETTINGS.get(key)
    if known is None:
        from seatctl.rules.typed_values import did_you_mean

        hint = did_you_mean(key, LISTED, "to list all settings: seatctl help settings")
        raise UnknownSetting(f"there is no setting {key!r}", hint=hint, data={"setting": key})
    return known


def parse_setting(key: str, text: str) -> Value:
    """Return the value of a known setting from its text. Raises UnknownSetting or BadInput."""
    known = setting(key)
    try:
        return known.parse(text)
    except ValueError as expected:
        raise BadInput(f"{key} takes {expected}, not {text!r}", data={"setting": key}) from None


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

    def without_policy(self) -> Profile:
        """Return the profile without the settings that are policy."""
        values = {key: value for key, value in self.values.items() if not SETTINGS[key].policy}
        return self._replace(values=values)

    def with_stored(self, stored: Mapping[str, str]) -> Profile:
        """Return the profile with the settings that a ledger stores; those of a later version are skipped."""
        try:
            known = {key: parse_setting(key, text) for key, text in stored.items() if key in SETTINGS}
        except BadInput as error:
            error.hint = f"to remove it from the ledger: seatctl config unset {error.data['setting']}"
            raise
        return self._replace(values={**self.values, **known}) if known else self


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
        from seatctl.rules.typed_values import nearest

        close = nearest(wanted, list(self.profiles)) or list(self.profiles)
        return refuse(
            Code.UNKNOWN_PROFILE,
            f"there is no profile {wanted!r}",
            hint=f"known profiles: {', '.join(close)}; to make this one: seatctl init {wanted}",
        )

    def ledger_place(
        self, profile: Profile, environment: Environment, flag: str | None = None
    ) -> Path | ServerUrl:
        """Return where the ledger of a profile is: flag, environment, profile, else its default file.

        Raises BadLedgerUrl.
        """
        named = flag or profile.text("ledger", environment) or profile.text("ledger.url", environment)
        return ledger_place(named) if named else self.data / profile.name / "ledger.db"

    def sandbox_path(self, profile: Profile, environment: Environment) -> Path:
        """Return the sandbox's file, which stands for the Stripe account: named, else one per profile."""
        named = profile.text("sandbox", environment)
        return Path(named) if named else self.data / profile.name / "sandbox.db"


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


def ledger_place(text: str) -> Path | ServerUrl:
    """Return the file, or the server, that a text names. Raises BadLedgerUrl."""
    if "://" in text:
        from seatctl.models.ledger_url import ServerUrl, is_url

        if is_url(text):
            return ServerUrl(text)
    return _absolute(text)


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
