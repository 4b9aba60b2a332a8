"""The checks of `doctor` for a ledger on a server, and what each finding costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatctl.app.context import Context
from seatctl.cli.findings import Finding
from seatctl.config.settings import SETTINGS
from seatctl.ledger.engines.postgres_report import ServerReport, report

_ROUND_TRIPS = 6
"""How many an assignment takes at most."""
_SLOW_SECONDS = 0.02
_CLOCK_SECONDS = 60

_GRANTS = "seatctl ledger grants prints the rights that a database user needs"


def examine_server(ctx: Context) -> Iterator[Finding]:
    """Yield the findings about the server, the connection to it, and settings that do not count."""
    server = report(ctx.ledger.engine)
    yield Finding("ok", f"PostgreSQL {server.version}", check="server")
    yield _encryption(server)._replace(check="encryption")
    yield _rights(server)._replace(check="database user")
    yield _clock(ctx.seconds_ahead())._replace(check="clock")
    yield _round_trip(server)._replace(check="round trip")
    yield _durability(server)._replace(check="durability")
    yield _leftovers(ctx)._replace(check="settings")


def _encryption(server: ServerReport) -> Finding:
    if server.is_encrypted and (server.is_verified or server.is_local):
        return Finding("ok", "TLS" if server.is_local else "TLS, and the server's certificate is verified")
    if server.is_local:
        return Finding("ok", "not encrypted, but it does not leave this machine")
    return Finding(
        "warning",
        "TLS, but the server's certificate is not verified: whoever can redirect the connection can read and"
        " change the ledger",
        "add sslmode=verify-full to the URL, with sslrootcert=system or the file of the server's CA",
    )


def _rights(server: ServerReport) -> Finding:
    if server.is_superuser:
        return Finding(
            "warning",
            f"{server.user} is a superuser: nothing protects the audit and the seats from who has this URL",
            f"connect as another user; {_GRANTS}",
        )
    if server.read_only:
        cannot = ", ".join(server.read_only)
        return Finding(
            "warning",
            f"{server.user} may not add to {cannot}: commands that do so end with exit code 8",
            f"if this user should; {_GRANTS}",
        )
    return Finding("ok", f"{server.user} may read and change the ledger")


def _clock(ahead: float) -> Finding:
    seconds = abs(ahead)
    if seconds <= _CLOCK_SECONDS:
        return Finding("ok", f"{seconds:.1f} s from this machine's")
    side = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "warning",
        f"the server is {seconds:.0f} s {side} this machine: its time counts for the ledger, but certificates"
        " and the log go by this machine's",
        "correct the clock of this machine, for example with NTP",
    )


def _round_trip(server: ServerReport) -> Finding:
    took = f"{server.round_trip * 1000:.1f} ms"
    if server.round_trip < _SLOW_SECONDS:
        return Finding("ok", took)
    return Finding(
        "warning",
        f"{took}: an assignment takes up to {_ROUND_TRIPS} of them, {_ROUND_TRIPS * server.round_trip:.1f} s,"
        " and others wait for it in the same subscription",
        "run this program near the server",
    )


def _durability(server: ServerReport) -> Finding:
    if server.is_standby:
        behind = "an unknown time" if server.lag is None else f"{server.lag:.0f} s"
        return Finding(
            "problem",
            f"the server is a standby, {behind} behind: answers may be old, and no change is possible",
            "name all hosts in the URL, and add target_session_attrs=read-write",
        )
    if server.unsafe:
        return Finding(
            "warning",
            f"{' and '.join(server.unsafe)}: if the server crashes, changes that were reported as done are"
            " lost, also purchases",
            "ask the administrator of the server to turn it on",
        )
    return Finding("ok", "what is reported as done survives a crash of the server")


def _leftovers(ctx: Context) -> Finding:
    """Find settings in config.toml that do not count, because the ledger's settings do."""
    left = [key for key in ctx.profile.values if SETTINGS[key].policy]
    if not left or isinstance(ctx.ledger_place(ctx.profile), Path):
        return Finding("ok", "those that are policy are the ledger's")
    return Finding(
        "warning",
        f"config.toml sets {', '.join(left)}, which does not count: the ledger's settings do",
        "; ".join(f"seatctl config set {key} {ctx.profile.values[key]}" for key in left)
        + ", or config unset",
    )
