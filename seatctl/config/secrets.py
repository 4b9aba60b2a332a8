"""The Stripe key: its sources, and whether it fits the profile. It is never an argument.

It comes from the environment, then the system keyring, then the profile's `stripe_key_command`. No message,
log or ledger contains more of it than its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seatctl.config.settings import Environment, Mode, Profile, Settings
from seatctl.errors import BadInput, Code, NotAllowed, refuse

KEYRING_SERVICE = "seatctl"
KEY_VARIABLES = ("SEATCTL_STRIPE_KEY", "STRIPE_API_KEY")
COMMAND_SECONDS = 30
_NO_KEYRING = (RuntimeError, ImportError, AttributeError, ValueError, OSError)
"""What keyring raises besides its own errors: a missing home folder, a missing backend."""


class NoKey(NotAllowed):
    """The profile needs a Stripe key and none was found."""

    kind = Code.NO_KEY


@dataclass(frozen=True, slots=True)
class Key:
    """A secret; its text never appears in its repr."""

    secret: str
    source: str

    def __repr__(self) -> str:
        return f"Key(from {self.source})"


def find_key(settings: Settings, profile: Profile, environment: Environment) -> Key:
    """Return the key for a test or live profile. Raises NoKey, and `wrong_key` naming both modes."""
    key = next((key for key in _sources(settings, profile, environment) if key.secret), None)
    if key is None:
        raise NoKey(
            f"profile {profile.name} is in {profile.mode} mode and has no Stripe key",
            hint=f"seatctl init {profile.name} --mode {profile.mode}, or set SEATCTL_STRIPE_KEY",
        )
    check_key(key, profile)
    return key


def check_key(key: Key, profile: Profile) -> None:
    """Raise `wrong_key` for a key of the other mode, or a text that is not a secret or restricted key."""
    mode = key_mode(key.secret)
    if mode is None:
        raise refuse(
            Code.WRONG_KEY,
            f"the value from {key.source} is not a secret or restricted Stripe key",
            hint="use a key that begins with sk_ or rk_",
        )
    if mode is not profile.mode:
        raise refuse(
            Code.WRONG_KEY,
            f"the key from {key.source} is a {mode} key, but profile {profile.name} has {profile.mode} mode",
            hint="choose another profile with -p; to list them: seatctl config profiles",
            data={"key_mode": mode.value, "profile_mode": profile.mode.value},
        )


def key_mode(secret: str) -> Mode | None:
    """Return the mode of a key, or None if it is not a secret key (such as a publishable one)."""
    match = re.fullmatch(r"(?:sk|rk|sk_org)_(test|live)_\w+", secret)
    return Mode(match.group(1)) if match else None


def store_key(settings: Settings, profile: Profile, secret: str) -> None:
    """Store the key in the system keyring. Raises NoKey if there is none, or if it stores nothing."""
    if not store_secret(keyring_entry(settings, profile), secret):
        raise _no_keyring(profile)


def require_keyring(profile: Profile) -> None:
    """Look for a keyring before the user is asked for a key. Raises NoKey.

    An existing keyring may still refuse to store anything: `store_key` finds that out.
    """
    import keyring
    from keyring.backends import chainer, fail, null

    backend = keyring.get_keyring()
    chained = not isinstance(backend, chainer.ChainerBackend) or any(backend.backends)
    if not chained or isinstance(backend, fail.Keyring | null.Keyring):
        raise _no_keyring(profile)


def _no_keyring(profile: Profile) -> NoKey:
    return NoKey(
        "this machine has no system keyring to store the key in",
        hint=f"set SEATCTL_STRIPE_KEY in the environment, then seatctl init {profile.name}"
        f" --mode {profile.mode}; the key is then read from there",
    )


def read_secret(text: str) -> str:
    """Return the key from a line of input. Raises BadInput if it is empty."""
    secret = text.strip()
    if not secret or re.search(r"\s", secret):
        raise BadInput("no key was given", hint="give the key on one line, such as sk_test_…")
    return secret


def _sources(settings: Settings, profile: Profile, environment: Environment) -> Iterator[Key]:
    """Yield the key of each source, in order; its secret is empty if the source has none."""
    for variable in KEY_VARIABLES:
        yield Key(environment.get(variable, "").strip(), variable)
    yield Key(stored_secret(keyring_entry(settings, profile)) or "", "the system keyring")
    command = profile.values.get("stripe_key_command")
    if isinstance(command, str):
        line = first_line(command, "stripe_key_command", profile)
        yield Key(read_secret(line), "stripe_key_command")


def keyring_entry(settings: Settings, profile: Profile) -> str:
    """Return the name of the keyring entry: two configurations may each have a profile `live`."""
    return f"{profile.name}@{Path(settings.path).resolve()}"


def stored_secret(entry: str) -> str | None:
    """Return what the system keyring has under this entry; None also if there is no keyring."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, entry)
    except (KeyringError, *_NO_KEYRING):
        return None


def store_secret(entry: str, secret: str) -> bool:
    """Store a secret in the system keyring; return whether it is really there."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(KEYRING_SERVICE, entry, secret)
    except (KeyringError, *_NO_KEYRING):
        return False
    return stored_secret(entry) == secret


def first_line(command: str, setting: str, profile: Profile, seconds: float = COMMAND_SECONDS) -> str:
    """Run the command in a setting, without a shell, and return its first line. Raises NoKey."""
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
