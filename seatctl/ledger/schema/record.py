"""DDL of the record (runs, batches, audit, changes), the outbox, roles, codes and state, with triggers.

docs/ledger.md explains each table.
"""

from __future__ import annotations

from seatctl.ledger.schema.column_kinds import JSON_DEFAULT, one_of, time_of

RECORD = (
    f"""CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        command TEXT NOT NULL,
        actor TEXT NOT NULL,
        os_user TEXT NOT NULL,
        {one_of("state", "pending", "done", "failed", default="pending")},
        {time_of("started_at")},
        {time_of("finished_at", null=True)},
        summary TEXT,
        undo_of INTEGER REFERENCES runs (number)
    ) STRICT""",
    f"""CREATE TABLE batch_rows (
        run INTEGER NOT NULL REFERENCES runs (number),
        n INTEGER NOT NULL,
        command TEXT NOT NULL,
        {one_of("state", "waiting", "done", "failed", default="waiting")},
        entry_id INTEGER,
        error TEXT,
        PRIMARY KEY (run, n)
    ) STRICT""",
    f"""CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (number),
        {time_of("at")},
        actor TEXT NOT NULL,
        os_user TEXT NOT NULL,
        command_hash TEXT NOT NULL,
        digest TEXT NOT NULL,
        prev_hash TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    f"""CREATE TABLE changes (
        entry INTEGER NOT NULL REFERENCES audit (seq) DEFERRABLE INITIALLY DEFERRED,
        n INTEGER NOT NULL,
        entity TEXT NOT NULL,
        entity_id INTEGER NOT NULL,
        before TEXT,
        after TEXT,
        salt TEXT,
        {time_of("erased_at", null=True)},
        hash TEXT NOT NULL,
        PRIMARY KEY (entry, n)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX changes_by_entity ON changes (entity, entity_id)",
    f"""CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        entry_id INTEGER NOT NULL REFERENCES audit (seq) DEFERRABLE INITIALLY DEFERRED,
        n INTEGER NOT NULL,
        template TEXT NOT NULL,
        ids {JSON_DEFAULT},
        recipient_id INTEGER REFERENCES users (id),
        recipient_actor TEXT,
        {one_of("state", "waiting", "sent", "failed", "held", default="waiting")},
        attempts INTEGER NOT NULL DEFAULT 0,
        {time_of("next_attempt", null=True)},
        {time_of("sent_at", null=True)},
        last_error TEXT,
        CONSTRAINT message_is_unique UNIQUE (entry_id, n)
    ) STRICT""",
    "CREATE INDEX outbox_due ON outbox (next_attempt) WHERE state = 'waiting'",
    f"""CREATE TABLE roles (
        id INTEGER PRIMARY KEY,
        actor TEXT NOT NULL,
        subscription_id INTEGER REFERENCES subscriptions (id),
        {one_of("role", "owner", "admin", "assignor", "viewer")},
        CONSTRAINT owner_is_of_a_subscription CHECK (role <> 'owner' OR subscription_id IS NOT NULL)
    ) STRICT""",
    "CREATE UNIQUE INDEX one_grant_of_a_role ON roles (actor, coalesce(subscription_id, 0), role)",
    f"""CREATE TABLE activation_codes (
        id INTEGER PRIMARY KEY,
        seat_id INTEGER NOT NULL REFERENCES seats (id),
        code_hash TEXT NOT NULL CONSTRAINT code_is_unique UNIQUE,
        {time_of("created_at")},
        {time_of("expires_at")},
        {time_of("used_at", null=True)}
    ) STRICT""",
    f"CREATE TABLE sync_state (key TEXT PRIMARY KEY, value TEXT NOT NULL, {time_of('updated_at')}) STRICT",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
)

RECORD_GUARDS = (
    """CREATE TRIGGER audit_goes_on_at_its_end BEFORE INSERT ON audit
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    # The entry is written last, so that its changes cannot be replaced or added to afterwards.
    """CREATE TRIGGER changes_come_before_their_entry BEFORE INSERT ON changes
        WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.entry) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    """CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    """CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    """CREATE TRIGGER changes_are_append_only_delete BEFORE DELETE ON changes BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    # The only update allowed: an erasure blanks the data of a person and sets the time; the hash stays.
    """CREATE TRIGGER changes_are_append_only_update BEFORE UPDATE ON changes
        WHEN NOT (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL
            AND NEW.before IS NULL AND NEW.after IS NULL AND NEW.salt IS NULL
            AND NEW.entry = OLD.entry AND NEW.n = OLD.n AND NEW.entity = OLD.entity
            AND NEW.entity_id = OLD.entity_id AND NEW.hash = OLD.hash) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
)
