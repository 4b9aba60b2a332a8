"""The Stripe key: where it comes from, and whether it fits the profile. It is never an argument.

Environment, then the system keyring, then the profile's `stripe_key_command`. No message, log or
ledger ever holds more than its kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from seatctl.config.settings import Environment, Mode, Profile, Settings
from seatctl.errors import BadInput, Code, NotAllowed, refuse

KEYRING_SERVICE = "seatctl"
KEY_VARIABLES = ("SEATCTL_STRIPE_KEY", "STRIPE_API_KEY")
COMMAND_SECONDS = 30
_NO_KEYRING = (RuntimeError, ImportError, AttributeError, ValueError, OSError)
"""What keyring raises beside its own errors: no home folder, a backend that is not there."""


class NoKey(NotAllowed):
    """The profile needs a Stripe key and none was found."""

    kind = Code.NO_KEY


@dataclass(frozen=True, slots=True)
class Key:
    """A secret; its text never appears in a repr."""

    secret: str
    source: str

    def __repr__(self) -> str:
        return f"Key(from {self.source})"


def find_key(settings: Settings, profile: Profile, environment: Environment) -> Key:
    """The key for a test or live profile. Raises NoKey, and `wrong_key` naming both modes."""
    key = _from_environment(environment) or _from_keyring(settings, profile) or _from_command(profile)
    if key is None:
        raise NoKey(
            f"profile {profile.name} is in {profile.mode} mode and has no Stripe key",
            hint=f"seatctl init {profile.name} --mode {profile.mode}, or set SEATCTL_STRIPE_KEY",
        )
    check_key(key, profile)
    return key


def check_key(key: Key, profile: Profile) -> None:
    """Refuse a key of the other mode, and anything that is not a secret or restricted key."""
    mode = key_mode(key.secret)
    if mode is None:
        raise refuse(
            Code.WRONG_KEY,
            f"what {key.source} holds is not a secret or restricted Stripe key",
            hint="Stripe's keys for servers begin with sk_ or rk_",
        )
    if mode is not profile.mode:
        raise refuse(
            Code.WRONG_KEY,
            f"the key from {key.source} is a {mode} key, but profile {profile.name} is a {profile.mode} one",
            hint="-p PROFILE picks another; for the mode of each: seatctl config profiles",
            data={"key_mode": mode.value, "profile_mode": profile.mode.value},
        )


def key_mode(secret: str) -> Mode | None:
    """The mode a key works in; None for what is no secret key (publishable ones included)."""
    found = re.fullmatch(r"(?:sk|rk)_(test|live)_\w+", secret)
    return Mode(found.group(1)) if found else None


def store_key(settings: Settings, profile: Profile, secret: str) -> None:
    """Keep the key in the system keyring. Raises NoKey where there is none, or one that keeps nothing."""
    if not keep_secret(keyring_entry(settings, profile), secret):
        raise _no_keyring(profile)


def require_keyring(profile: Profile) -> None:
    """Look for a keyring before a key is asked for in vain. Raises NoKey.

    One that is there may still refuse to keep anything: `store_key` finds that out.
    """
    import keyring
    from keyring.backends import chainer, fail, null

    found = keyring.get_keyring()
    chained = not isinstance(found, chainer.ChainerBackend) or any(found.backends)
    if not chained or isinstance(found, fail.Keyring | null.Keyring):
        raise _no_keyring(profile)


def _no_keyring(profile: Profile) -> NoKey:
    return NoKey(
        "there is no system keyring here to keep the key in",
        hint=f"set SEATCTL_STRIPE_KEY in the environment, then seatctl init {profile.name}"
        f" --mode {profile.mode}; the key stays there and is not kept",
    )


def read_secret(text: str) -> str:
    """The key from a line of input. Raises BadInput for an empty one."""
    secret = text.strip()
    if not secret or re.search(r"\s", secret):
        raise BadInput("no key was given", hint="the key is one line of input, such as sk_test_…")
    return secret


def _from_environment(environment: Environment) -> Key | None:
    for variable in KEY_VARIABLES:
        secret = environment.get(variable, "").strip()
        if secret:
            return Key(secret, variable)
    return None


def _from_keyring(settings: Settings, profile: Profile) -> Key | None:
    """No keyring on this machine is the same as none stored."""
    secret = kept_secret(keyring_entry(settings, profile))
    return Key(secret, "the system keyring") if secret else None


def keyring_entry(settings: Settings, profile: Profile) -> str:
    """Two configurations may each have a profile `live`, with keys of their own."""
    return f"{profile.name}@{Path(settings.path).resolve()}"


def kept_secret(entry: str) -> str | None:
    """What the system keyring has under this entry; None also where there is no keyring."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, entry)
    except (KeyringError, *_NO_KEYRING):
        return None


def keep_secret(entry: str, secret: str) -> bool:
    """Put a secret into the system keyring; whether it is really there."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(KEYRING_SERVICE, entry, secret)
    except (KeyringError, *_NO_KEYRING):
        return False
    return kept_secret(entry) == secret


def _from_command(profile: Profile) -> Key | None:
    """The first line of what `stripe_key_command` prints."""
    command = profile.values.get("stripe_key_command")
    if not isinstance(command, str):
        return None
    return Key(read_secret(first_line(command, "stripe_key_command", profile)), "stripe_key_command")


def first_line(command: str, setting: str, profile: Profile, seconds: float = COMMAND_SECONDS) -> str:
    """Run the command that a setting holds, without a shell; its first line. Raises NoKey."""
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=seconds, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = type(error).__name__ if not isinstance(error, OSError) else error.strerror
        raise NoKey(
            f"{setting} of profile {profile.name} failed: {reason}",
            hint=f"seatctl config get {setting}",
        ) from None
    lines = done.stdout.splitlines()
    return lines[0] if lines else ""
