"""Database roles: the logins of PostgreSQL that a shared ledger knows, and what each of them may do."""

from __future__ import annotations

from enum import StrEnum


class DatabaseRole(StrEnum):
    """What a database role was granted. The first four read everything; the others see one person."""

    ADMIN = "admin"
    OWNER = "owner"
    ASSIGNOR = "assignor"
    VIEWER = "viewer"
    REQUESTER = "requester"
    CHECK_ONLY = "check-only"

    @property
    def reads_everything(self) -> bool:
        """Whether it may read the whole ledger."""
        return self not in {DatabaseRole.REQUESTER, DatabaseRole.CHECK_ONLY}

    @property
    def writes(self) -> bool:
        """Whether it may write to tables."""
        return self in {DatabaseRole.ADMIN, DatabaseRole.OWNER, DatabaseRole.ASSIGNOR}
