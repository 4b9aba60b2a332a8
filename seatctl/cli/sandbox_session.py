"""Opening the sandbox of a profile for the commands of `seatctl sandbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.config.settings import Mode
from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from seatctl.app.context import Context
    from seatctl.sandbox.api.twin import Twin


def sandbox_path(ctx: Context) -> Path:
    """The sandbox's file. Raises `not_a_sandbox` for a test or live profile."""
    profile = ctx.profile
    if profile.mode is not Mode.SANDBOX:
        raise refuse(
            Code.NOT_A_SANDBOX,
            f"profile {profile.name} is in {profile.mode} mode and has no sandbox",
            hint="-p PROFILE picks another; for the mode of each: seatctl config profiles",
            data={"profile": profile.name, "mode": profile.mode.value},
        )
    return ctx.settings.sandbox_path(profile)


def opened(ctx: Context) -> AbstractContextManager[Twin]:
    """The sandbox of the profile, closed afterwards. Raises `not_a_sandbox`, SandboxUnusable."""
    from contextlib import closing

    from seatctl.app.connections import sandbox_file
    from seatctl.sandbox.api.twin import Twin

    path = sandbox_path(ctx)
    with sandbox_file(path):
        return closing(Twin(path))
