"""Opens connections to Stripe and to the sandbox for a profile. The context decides when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatctl.config.settings import DEFAULT_PROFILE, Mode, Profile, Settings, Value
from seatctl.errors import BadInput, Code, LedgerError, SeatctlError, refuse

if TYPE_CHECKING:
    import ssl
    from datetime import datetime
    from pathlib import Path

    from seatctl.billing.pace import Turns
    from seatctl.billing.port import Billing
    from seatctl.ledger.ledger import Ledger
    from seatctl.models.ledger_url import ServerUrl


SANDBOX_KEY = "sk_test_sandbox"  # a served sandbox accepts every test key
MODE_VARIABLE = "SEATCTL_MODE"


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
    turns: Turns | None = None,
) -> Billing:
    """Return Stripe with this key, at the pace of the profile or of its mode. Raises `bad_ca_bundle`.

    `check` runs before the first call, and raises to stop it. `turns` shares the pace with other machines.
    """
    from seatctl.billing.pace import pace_of
    from seatctl.billing.stripe import connect

    base = profile.text("stripe.api_base", environment)
    context = profile.text("stripe.context", environment)
    rate = profile.text("sync.requests_per_second", environment)
    trusted, _ = trusted_certificates(profile, environment)
    return connect(
        secret,
        api_base=base,
        context=context,
        ca_bundle=trusted,
        read_only=read_only,
        sleep=time.sleep,
        pace=pace_of(profile.mode.value, float(rate) if rate else None, turns),
        check=check,
        trace=trace,
    )


def on_test_clock(stripe: Billing, profile: Profile) -> Billing:
    """Return Stripe as seen from the profile's test clock, if it has one. Raises BadInput in live mode."""
    clock = profile.values.get("stripe.test_clock")
    if clock is None:
        return stripe
    if profile.mode is Mode.LIVE:
        raise BadInput(
            "Stripe has no test clocks in live mode",
            hint="seatctl config unset stripe.test_clock",
            data={"setting": "stripe.test_clock"},
        )
    from seatctl.billing.test_clock import OnTestClock

    return OnTestClock(stripe, str(clock))


def to_sandbox(path: Path, *, read_only: bool, trace: Callable[[str], None]) -> Billing:
    """Return the sandbox in this file. Raises SandboxUnusable."""
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


def served_now(sandbox: Billing) -> datetime:
    """Return the time of a served sandbox: it is in the head of every answer."""
    from datetime import UTC, datetime

    from seatctl.billing.answers import account_id

    account_id(sandbox)
    return sandbox.clock() or datetime.fromtimestamp(0, UTC)


def sandbox_place(
    settings: Settings, profile: Profile, environment: Mapping[str, str], ledger: Path | ServerUrl
) -> Path | str:
    """Return the file of a profile's sandbox, or the URL at which it is served.

    Two machines with one ledger and a sandbox each would not agree on what was bought. Beside a ledger on a
    server, the sandbox is served, or its file was named explicitly; else raise `sandbox_not_shared`.
    """
    from pathlib import Path

    if isinstance(ledger, Path) or profile.text("sandbox", environment):
        return settings.sandbox_path(profile, environment)
    served = profile.text("stripe.api_base", environment)
    if served is None:
        raise sandbox_not_shared(is_set_up=profile.name in settings.profiles)
    return served


def sandbox_not_shared(*, is_set_up: bool) -> SeatctlError:
    """Return the refusal for a sandbox that only this machine has, beside a ledger that others use too."""
    # Without --empty, it would have to be the sandbox of another profile, whose ledger is a file.
    serve = "serve one sandbox to all of them, such as seatctl sandbox serve --empty, and name its URL"
    if is_set_up:
        named = "seatctl config set stripe.api_base URL; or name a file: seatctl config set sandbox FILE"
    else:
        named = "in SEATCTL_STRIPE_API_BASE; or name a file in SEATCTL_SANDBOX"
    return refuse(
        Code.SANDBOX_NOT_SHARED,
        "the ledger is on a server, but the sandbox is a file of this machine, which others would not see",
        hint=f"{serve}: {named}" if is_set_up else f"{serve} {named}",
    )


def clock_note(ahead: float) -> str:
    """Return the note for a machine whose clock differs from the server's by this many seconds."""
    minutes = max(1, round(abs(ahead) / 60))
    side = "behind" if ahead > 0 else "ahead of"
    return (
        f"this machine's clock is {minutes} minute{'' if minutes == 1 else 's'} {side} the clock of the"
        " ledger's server, which counts"
    )


def profile_of(ledger: Ledger) -> Profile:
    """Return the profile of a machine without config.toml: the mode and the account of the ledger."""
    values: dict[str, Value] = {"mode": ledger.mode}
    if ledger.stripe_account:
        values["stripe_account"] = ledger.stripe_account
    return Profile(DEFAULT_PROFILE, Mode(ledger.mode), values)


def require_mode(ledger: Ledger, environment: Mapping[str, str]) -> None:
    """Raise `mode_mismatch` unless SEATCTL_MODE, if it is set, is the mode of the ledger."""
    wanted = environment.get(MODE_VARIABLE)
    if wanted and wanted != ledger.mode:
        raise refuse(
            Code.MODE_MISMATCH,
            f"the ledger {ledger.place} belongs to {ledger.mode}, but {MODE_VARIABLE} is {wanted}",
            hint=f"correct {MODE_VARIABLE}, or name another ledger in SEATCTL_LEDGER",
            data={"ledger_mode": ledger.mode, "wanted_mode": wanted},
        )


def own_actor(ledger: Ledger, named: str | None) -> str | None:
    """Return the actor that the database role of the connection is mapped to; None: any actor.

    Raises NotAllowed if somebody else is named; the server would refuse the change.
    """
    from seatctl.rules.permissions import actor_key

    own = ledger.rights.actor
    if own is not None and named is not None and actor_key(named) != actor_key(own):
        raise refuse(
            Code.NOT_ALLOWED,
            f"the database role of this connection acts as {own} only, not as {named}",
            hint=f"--as {own}, or connect as another database role",
            data={"actor": named, "allowed": [own]},
        )
    return own


def require_command(ledger: Ledger, command: str) -> None:
    """Raise NotAllowed for a command that would show a limited database role a part as if it were all."""
    rights = ledger.rights
    if rights.reads_everything:
        return
    from seatctl.rules.permissions import BY_CHECKERS, BY_REQUESTERS

    allowed = BY_REQUESTERS if rights.requester is not None else BY_CHECKERS
    if command in allowed:
        return
    raise refuse(
        Code.NOT_ALLOWED,
        f"the database role of this connection may not use seatctl {command}, only {', '.join(allowed)}",
        hint=f"seatctl help {allowed[0]}",
        data={"allowed": [*allowed]},
    )


def require_same(ledger: Ledger, profile: Profile) -> None:
    """Raise `mode_mismatch` if the ledger was made for another mode or Stripe account than the profile.

    Real money must never be recorded in a ledger of test money.
    """
    account = profile.values.get("stripe_account")
    pairs = [("mode", ledger.mode, profile.mode.value)]
    if account and ledger.stripe_account:
        pairs.append(("stripe_account", ledger.stripe_account, str(account)))
    for what, actual, wanted in pairs:
        if actual != wanted:
            raise refuse(
                Code.MODE_MISMATCH,
                f"the ledger {ledger.place} belongs to {actual}, but profile {profile.name} to {wanted}",
                hint="choose another profile with -p; to list them: seatctl config profiles",
                data={f"ledger_{what}": actual, f"profile_{what}": wanted},
            )


def require_account(ledger: Ledger, profile: Profile, billing: Billing) -> str:
    """Return the Stripe account that the key, the profile and the ledger share.

    Raises `other_account`, and `account_unknown` if Stripe does not tell this key its account and the profile
    has no `stripe_account`.
    """
    from seatctl.billing.answers import account_id

    in_context = account_of_context(billing.context)
    named = in_context or profile.values.get("stripe_account")
    if in_context is not None and ledger.stripe_account not in {None, in_context}:
        # Refused before anything is sent: a key that is not told its account would act on the other one.
        raise _other_account(ledger, in_context)
    account = account_id(billing)
    if account is None:
        if not named:
            raise refuse(
                Code.ACCOUNT_UNKNOWN,
                "Stripe does not tell this key its account, and the profile does not name it",
                hint="seatctl config set stripe_account acct_…, or give the key the permission account read",
                data={"permission": "account read"},
            )
        account = str(named)
    if (ledger.stripe_account or str(named or account)) != account:
        raise _other_account(ledger, account, None if named is None else str(named))
    return account


def account_of_context(context: str | None) -> str | None:
    """Return the account on which requests with this context act: the last one of its path."""
    return None if context is None else context.rpartition("/")[2]


def _other_account(ledger: Ledger, account: str, named: str | None = None) -> SeatctlError:
    actual = ledger.stripe_account or named
    return refuse(
        Code.OTHER_ACCOUNT,
        f"the key belongs to account {account}, but the ledger {ledger.place} to {actual}",
        hint="use the key of that account, or another profile with -p: seatctl config profiles",
        data={"key_account": account, "ledger_account": actual},
    )
