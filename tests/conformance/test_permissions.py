"""Restricted keys, one for each permission: seatctl finds out what each may do, and writes nothing."""

from __future__ import annotations

import time

import pytest

from seatctl.billing.permissions import Known, try_out
from seatctl.billing.stripe import connect
from seatctl.cli.permission_table import all_permissions
from tests.cli.test_permissions import stripes_name


@pytest.mark.parametrize("permission", all_permissions(), ids=str)
def test_a_key_with_one_permission_has_it_and_no_other(account, permission):
    name = stripes_name(permission)
    stripe = connect(
        account.restricted_key(name), api_base=account.relay.url, read_only=True, sleep=time.sleep
    )
    found = {one: try_out(stripe, one).known for one in all_permissions()}
    allowed = {one for one in found if stripes_name(one) in (name, name.replace("_write", "_read"))}
    assert permission in allowed
    assert {found[one] for one in allowed} <= {Known.YES, Known.PROBABLY}
    assert {known for one, known in found.items() if one not in allowed} == {Known.NO}
