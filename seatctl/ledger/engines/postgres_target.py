"""What libpq is given to connect to a ledger's server: the URL, after its safety was checked.

Whatever the URL leaves out comes from where every user of libpq expects it: `PGHOST`, `PGPASSFILE`,
`PGSSLMODE` and the other variables, and service files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.models.ledger_url import BadLedgerUrl, ServerUrl

_NOT_ENCRYPTED = frozenset(("disable", "allow", "prefer"))
"""The values of `sslmode` with which libpq may connect without TLS."""

_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1", re.IGNORECASE)

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
"""The files with the CAs that a system trusts."""

_DEFAULTS = {
    "connect_timeout": "15",
    # A connection that was cut is noticed after half a minute, not after the two hours of TCP's own default.
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "fallback_application_name": "seatctl",
}


def require_driver() -> None:
    """Raise `postgres_missing` if psycopg or libpq cannot be imported."""
    try:
        import psycopg  # noqa: F401 - only to see that it can be loaded
    except ImportError as error:
        raise refuse(
            Code.POSTGRES_MISSING,
            f"the ledger is on a PostgreSQL server, and psycopg cannot be loaded: {error}",
            hint="pip install 'seatctl[postgres]'",
        ) from error


def parameters(url: ServerUrl) -> dict[str, str]:
    """Return the parameters of the connection. Raises `tls_required`, BadLedgerUrl.

    The connection is encrypted, unless the server is on this machine.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url.secret).items()}
    except ProgrammingError as error:
        why = str(error).strip().replace(url.secret, url.shown)
        raise BadLedgerUrl(
            f"the URL of the ledger is not well-formed: {why}",
            hint="write postgresql://USER@HOST/DATABASE?KEY=VALUE with parameters of libpq, such as sslmode",
        ) from error
    others = _defaults(given.get("service"))
    effective = {**others, **given}
    if not is_local(effective):
        given |= _encrypted(url, given, effective)
    given |= _trusted(given, effective)
    return {**{key: value for key, value in _DEFAULTS.items() if key not in others}, **given}


def _defaults(service: str | None) -> dict[str, str]:
    """Return what libpq adds to a URL: from its variables, and from the service that the URL names."""
    from psycopg import pq

    before = os.environ.get("PGSERVICE")
    try:
        if service:
            os.environ["PGSERVICE"] = service
        options = pq.Conninfo.get_defaults()
    finally:
        if service:
            os.environ.pop("PGSERVICE")
            if before is not None:
                os.environ["PGSERVICE"] = before
    return {option.keyword.decode(): option.val.decode() for option in options if option.val}


def is_local(effective: Mapping[str, str]) -> bool:
    """Return whether all hosts of a connection are Unix sockets or loopback addresses of this machine."""
    hosts = effective.get("host", "").split(",")
    addresses = effective.get("hostaddr", "").split(",")
    places = [address or host for host, address in zip(hosts, addresses, strict=False)]
    places += hosts[len(addresses) :] + addresses[len(hosts) :]
    return all(place[:1] in {"", "/", "@"} or _LOOPBACK.fullmatch(place) for place in places)


def _trusted(given: Mapping[str, str], effective: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters by which psycopg's own OpenSSL, if it brings one, finds the system's CAs.

    It looks for them in a folder of its build machine, unless SSL_CERT_FILE or SSL_CERT_DIR names a place.
    """
    from psycopg import pq

    is_named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if effective.get("sslrootcert") != "system" or pq.__impl__ != "binary" or is_named:
        return {}
    bundle = next((path for path in SYSTEM_BUNDLES if Path(path).exists()), None)
    mode = given.get("sslmode") or _chosen_mode(effective)
    if bundle is None or mode not in {None, "verify-full"}:  # libpq refuses less than verify-full
        return {}
    return {"sslrootcert": bundle, "sslmode": "verify-full"}


def _chosen_mode(effective: Mapping[str, str]) -> str | None:
    mode = effective.get("sslmode")
    return None if mode == "prefer" else mode


def _encrypted(url: ServerUrl, given: Mapping[str, str], effective: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter that makes libpq insist on TLS, if none does yet. Raises `tls_required`."""
    mode = effective.get("sslmode", "prefer")
    verifies = effective.get("sslrootcert") == "system"  # libpq then takes nothing less than verify-full
    if verifies or mode not in _NOT_ENCRYPTED:
        return {}
    if mode == "prefer" and "sslmode" not in given:  # nobody has chosen libpq's default
        return {"sslmode": "require"}
    raise refuse(
        Code.TLS_REQUIRED,
        f"sslmode={mode} would send the ledger's data to {url.shown} without encryption",
        hint="in the URL or in PGSSLMODE, leave sslmode out or set it to verify-full, with the server's CA in"
        " sslrootcert",
        data={"sslmode": mode},
    )
