"""The mail server and the mail templates of a profile. The password is never an argument.

The password comes from the environment, then the system keyring, then `mail.password_command`.
"""

from __future__ import annotations

from seatctl.config.secrets import (
    COMMAND_SECONDS,
    NoKey,
    first_line,
    keyring_entry,
    store_secret,
    stored_secret,
)
from seatctl.config.settings import Environment, Profile, Settings
from seatctl.errors import Code, refuse
from seatctl.mail.email import MailServer
from seatctl.mail.rendering import MailSetup, Renderer

PASSWORD_VARIABLE = "SEATCTL_MAIL_PASSWORD"  # noqa: S105 - a name
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_HERE = frozenset(("127.0.0.1", "::1", "localhost"))


def find_mail_setup(
    settings: Settings, profile: Profile, environment: Environment, seconds: float = COMMAND_SECONDS
) -> MailSetup:
    """Return the server and the texts of a profile. `mail.password_command` may take `seconds`.

    Raises `mail_not_configured`, and NoKey if a user name has no password.
    """
    host, sender = profile.text("mail.host", environment), profile.text("mail.from", environment)
    if not host or not sender:
        missing = "mail.from" if host else "mail.host"
        value = "'Seats <seats@example.com>'" if host else "smtp.example.com"
        raise refuse(
            Code.MAIL_NOT_CONFIGURED,
            f"profile {profile.name} cannot send mail: {missing} is not set",
            hint=f"seatctl config set {missing} {value}",
            data={"setting": missing},
        )
    security = profile.text("mail.security", environment) or "starttls"
    if security == "none" and host not in _HERE:
        raise refuse(
            Code.MAIL_NOT_CONFIGURED,
            f"mail to {host} would be sent unencrypted, including codes and the password",
            hint="seatctl config set mail.security starttls",
            data={"setting": "mail.security"},
        )
    user = profile.text("mail.user", environment)
    server = MailServer(
        host=host,
        port=int(profile.text("mail.port", environment) or _PORTS[security]),
        security=security,
        sender=sender,
        reply_to=profile.text("mail.reply_to", environment),
        user=user,
        password=_password(settings, profile, environment, seconds) if user else None,
    )
    return MailSetup(server, find_texts(settings, profile), activation_days(profile))


def find_texts(settings: Settings, profile: Profile) -> Renderer:
    """Return the templates: the profile's own, then those of all profiles, then the built-in ones."""
    own = settings.home / "templates"
    return Renderer([own / profile.name, own])


def store_password(settings: Settings, profile: Profile, password: str) -> None:
    """Store the password of the mail server in the system keyring. Raises NoKey if there is none."""
    if not store_secret(_entry(settings, profile), password):
        raise NoKey(
            "this machine has no system keyring to store the password in",
            hint=f"set {PASSWORD_VARIABLE}, or seatctl config set mail.password_command 'COMMAND'",
        )


def _password(settings: Settings, profile: Profile, environment: Environment, seconds: float) -> str:
    given = environment.get(PASSWORD_VARIABLE) or stored_secret(_entry(settings, profile))
    if given:
        return given
    command = profile.text("mail.password_command", environment)
    password = first_line(command, "mail.password_command", profile, seconds).strip() if command else ""
    if not password:
        raise NoKey(
            f"profile {profile.name} has no password for its mail server",
            hint=f"set {PASSWORD_VARIABLE}, or seatctl notify test --password-stdin",
        )
    return password


def activation_days(profile: Profile) -> int:
    """Return for how many days an activation code is valid."""
    return int(profile.text("mail.code_days", {}) or 14)


def _entry(settings: Settings, profile: Profile) -> str:
    return f"mail:{keyring_entry(settings, profile)}"
