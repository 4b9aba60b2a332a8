"""The account that the key belongs to; each sandbox file is an account of its own."""

from __future__ import annotations

from seatctl.sandbox.billing.account import own_account
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def retrieve(session: Session, params: Obj) -> Obj:
    """GET /v1/account."""
    return own_account(session)
