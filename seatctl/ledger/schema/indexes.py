"""The indexes of schema version 4, for queries that scanned whole tables before; see docs/ledger.md."""

from __future__ import annotations

_UNSETTLED = "status IN ('draft', 'open', 'uncollectible')"
"""As in `ledger/collection.py`; repeated here, because a released migration is never edited."""

INDEXES = (
    "CREATE INDEX invoices_by_status ON invoices (status, created_at)",
    f"CREATE INDEX invoices_unsettled ON invoices (subscription_id) WHERE {_UNSETTLED}",
    f"CREATE INDEX invoices_unsettled_in_stripe ON invoices (stripe_subscription) WHERE {_UNSETTLED}",
    "CREATE INDEX audit_by_run ON audit (run)",
    "CREATE INDEX audit_by_actor ON audit (actor)",
    "CREATE INDEX audit_by_time ON audit (at)",
    "CREATE INDEX runs_by_actor ON runs (actor)",
    "CREATE INDEX runs_by_state ON runs (state)",
    "CREATE INDEX runs_that_undo ON runs (undo_of) WHERE undo_of IS NOT NULL",
    "CREATE INDEX operations_by_run ON operations (run)",
    "CREATE INDEX requests_by_subscription ON requests (subscription_id)",
    "CREATE INDEX requests_by_user ON requests (user_id)",
    "CREATE INDEX outbox_by_state ON outbox (state)",
)

SEARCH = (
    "DROP TABLE users_search",
    # With a space before and after the name, the two letters at the beginning or end of a word, and a whole
    # name of two letters, are part of a trigram.
    """CREATE VIEW users_searched (id, name, email) AS SELECT id, ' ' || name || ' ', email FROM users""",
    """CREATE VIRTUAL TABLE users_search USING fts5(
        name, email, content='users_searched', content_rowid='id', tokenize='trigram'
    )""",
    "INSERT INTO users_search (users_search) VALUES ('rebuild')",
)
