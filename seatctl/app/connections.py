"""Opens connections to Stripe and to the sandbox for a profile. The context decides when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatctl.errors import Code, LedgerError, refuse

if TYPE_CHECKING:
    import ssl
    from datetime import datetime
    from pathlib import Path

    from seatctl.billing.port import Billing
    from seatctl.config.settings import Profile


class SandboxUnusable(LedgerError):
    """The sandbox's file is damaged or cannot be opened."""

    kind = Code.SANDBOX_UNUSABLE


def trusted_certificates(
    profile: Profile, environment: Mapping[str, str]
) -> tuple[str | None, ssl.SSLContext]:
    """Return the configured file or folder of certificates, if any, and an SSL context that trusts it.

    Raises `bad_ca_bundle` if it cannot be read, which requests would report as a network failure.
    """
    import ssl
    from pathlib import Path

    named = profile.text("stripe.ca_bundle", environment)
    folder = named is not None and Path(named).is_dir()
    try:
        context = ssl.create_default_context(
            cafile=None if folder else named, capath=named if folder else None
        )
    except OSError as error:
        why = "it contains no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise refuse(
            Code.BAD_CA_BUNDLE,
            f"the certificates to trust, {named}, cannot be read: {why}",
            hint="correct REQUESTS_CA_BUNDLE or SSL_CERT_FILE, or: seatctl config set stripe.ca_bundle FILE",
            data={"path": named},
        ) from error
    return named, context


def to_stripe(
    profile: Profile,
    secret: str,
    environment: Mapping[str, str],
    *,
    read_only: bool,
    trace: Callable[[str], None],
    check: Callable[[Billing], None] | None = None,
) -> Billing:
    """Return Stripe with this key, at the pace of the profile or of its mode. Raises `bad_ca_bundle`.

    `check` runs before the first call, and raises to stop it.
    """
    import time

    from seatctl.billing.rate_limit import pace_of
    from seatctl.billing.stripe import connect

    base = profile.text("stripe.api_base", environment)
    rate = profile.text("sync.requests_per_second", environment)
    pace = pace_of(profile.mode.value, float(rate) if rate else None, clock=time.monotonic, sleep=time.sleep)
    trusted, _ = trusted_certificates(profile, environment)
    return connect(
        secret,
        api_base=base,
        ca_bundle=trusted,
        read_only=read_only,
        sleep=time.sleep,
        pace=pace,
        check=check,
        trace=trace,
    )


def to_sandbox(path: Path, *, read_only: bool, trace: Callable[[str], None]) -> Billing:
    """Return the sandbox in this file. Raises SandboxUnusable."""
    import time

    from seatctl.billing.stripe import connect_sandbox

    with sandbox_file(path):
        return connect_sandbox(path, read_only=read_only, sleep=time.sleep, trace=trace)


def sandbox_now(path: Path) -> datetime:
    """Return the time of the sandbox in this file. Raises SandboxUnusable."""
    from seatctl.models.call import from_epoch
    from seatctl.sandbox import clock
    from seatctl.sandbox.store import Store

    with sandbox_file(path):
        store = Store(path)
    try:
        return from_epoch(clock.now(store))
    finally:
        store.close()


@contextmanager
def sandbox_file(path: Path) -> Iterator[None]:
    """Raise SandboxUnusable if the sandbox reports that its file is unusable; it does not know our errors."""
    from seatctl.sandbox.store import Unusable

    try:
        yield
    except Unusable as error:
        raise SandboxUnusable(
            f"the sandbox cannot be opened: {error}", hint=_repair(path, str(error)), data={"path": str(path)}
        ) from error


def _repair(path: Path, why: str) -> str:
    """Return a hint that destroys nothing: in most cases the file is not damaged."""
    from seatctl.rules import hints

    if "full" in why:
        return f"free some disk space, then {hints.AGAIN}"
    if "locked" in why or "busy" in why:
        return hints.AGAIN
    if "malformed" in why or "not a database" in why:
        another = hints.command("init", hints.Blank.PROFILE, "--mode", "sandbox")
        return hints.to("the file is left unchanged; to make another profile with a new sandbox", another)
    return f"give yourself write access to {path} and to its folder {path.parent}, then {hints.AGAIN}"
