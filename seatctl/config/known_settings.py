"""The table of known settings: every key that a profile in config.toml may have, and its parser.

`settings.py` decides which value counts. Every command imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from seatctl.errors import BadInput, Code, UsageError
from seatctl.output.style import FORMAT_NAMES, Format

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
        from seatctl.rules.whole_numbers import whole_number

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


SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("mode", "sandbox, test or live; chosen by init", _one_of(*Mode), fixed=True),
        Setting("actor", "the actor: an e-mail address or ci:NAME", _actor, environment=("SEATCTL_ACTOR",)),
        Setting("ledger", "path of the ledger file", _text, environment=("SEATCTL_LEDGER",)),
        Setting(
            "output",
            f"format of results: {FORMAT_NAMES}",
            _one_of(*Format),
            environment=("SEATCTL_OUTPUT",),
        ),
        Setting("color", "auto, always or never", _one_of("auto", "always", "never"), "auto"),
        Setting("stripe_account", "the Stripe account of this profile", _account),
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
        Setting("stripe.automatic_tax", "on: Stripe adds tax to purchases", _one_of("on", "off"), "off"),
        Setting("sync.requests_per_second", "limit on requests to Stripe", _number(10_000)),
        Setting(
            "undo_window",
            "minutes that the waitlist and the mails of a bulk revoke wait for an undo; 0: no wait",
            _number(1440, least=0),
            10,
        ),
        Setting("mail.host", "the SMTP server that sends notifications; without it none are sent", _text),
        Setting(
            "mail.port", "its port; by default 587 with starttls, 465 with tls, 25 with none", _number(65_535)
        ),
        Setting(
            "mail.security",
            "starttls, tls, or none (this machine only)",
            _one_of("starttls", "tls", "none"),
            "starttls",
        ),
        Setting("mail.user", "the user name to log in with; without it there is no login", _text),
        Setting("mail.password_command", "a command that prints the password", _text),
        Setting("mail.from", "the sender of messages, such as 'Seats <seats@example.com>'", _mailbox),
        Setting("mail.reply_to", "the address for replies", _mailbox),
        Setting("mail.code_days", "for how many days an activation code is valid", _number(365), 14),
    )
}


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
        from seatctl.rules.suggestions import did_you_mean

        hint = did_you_mean(key, SETTINGS, "to list all settings: seatctl help settings")
        raise UnknownSetting(f"there is no setting {key!r}", hint=hint, data={"setting": key})
    return known


def parse_setting(key: str, text: str) -> Value:
    """Return the value of a known setting from its text. Raises UnknownSetting or BadInput."""
    known = setting(key)
    try:
        return known.parse(text)
    except ValueError as expected:
        raise BadInput(f"{key} takes {expected}, not {text!r}", data={"setting": key}) from None
