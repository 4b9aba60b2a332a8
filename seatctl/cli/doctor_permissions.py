"""The part of `doctor` that tries the permissions of a key: which it lacks, and which commands need them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from seatctl.app.context import Context
from seatctl.billing import permissions
from seatctl.billing.permissions import Known
from seatctl.cli.findings import Finding
from seatctl.cli.permission_table import NEEDS, all_permissions, users_of

_AT_ONCE = 8


def examine_permissions(ctx: Context) -> Iterator[Finding]:
    """Yield what is known of the key's permissions: a summary, then each one that it lacks.

    A key that may not buy is somebody's choice, so that is a warning; one that cannot sync is a problem.
    """
    stripe, wanted = ctx.stripe, all_permissions()
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as executor:
        found = [*executor.map(lambda one: permissions.try_out(stripe, one), wanted)]
    lacking = [one for one in found if one.known is Known.NO]
    unknown = [one for one in found if one.known is Known.UNKNOWN]
    yield _summary(found, len(lacking))
    repair = (
        f"allow it in Stripe's dashboard, or give another key: seatctl init {ctx.profile.name} --key-stdin"
    )
    for one in (*lacking, *unknown):
        refused = one.known is Known.NO
        users = users_of(one.permission)
        detail = f"this key may not {one.permission.access} {one.permission.objects}"
        if not refused:
            detail = f"not known whether this key may {one.permission.access} {one.permission.objects}"
        yield Finding(
            "problem" if refused and one.permission in NEEDS["sync"] else "warning",
            f"{detail}, which these need: {', '.join(users)} ({one.told})",
            repair if refused else None,
            f"permission {one.permission}",
        )


def _summary(found: list[permissions.Finding], lacking: int) -> Finding:
    counts = {known: sum(one.known is known for one in found) for known in Known}
    sure = f"{counts[Known.YES]} for certain, {counts[Known.PROBABLY]} probably"
    how = "to write was not tried: Stripe did not refuse a change of objects that do not exist"
    if not lacking:
        return Finding("ok", f"the key has all {len(found)} permissions, {sure} ({how})")
    worst = any(one.known is Known.NO and one.permission in NEEDS["sync"] for one in found)
    detail = f"the key lacks {lacking} of {len(found)} permissions; it has {sure} ({how})"
    return Finding("problem" if worst else "warning", detail)
