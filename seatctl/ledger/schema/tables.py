"""DDL of the ledger: STRICT tables, named constraints, and triggers that protect seats and the audit.

`migrate.py` applies it. docs/ledger.md explains each table.
"""

from __future__ import annotations

_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_CLOCK = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"


def time_of(column: str, *, null: bool = False) -> str:
    """Return a time column: exactly YYYY-MM-DDTHH:MM:SSZ, so that text order is time order."""
    required = "" if null else "NOT NULL "
    return f"{column} TEXT {required}CONSTRAINT {column}_is_a_time CHECK ({column} GLOB '{_DATE}T{_CLOCK}Z')"


def choice(column: str, *values: str, default: str | None = None) -> str:
    """Return a text column for one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    preset = f" DEFAULT '{default}'" if default else ""
    return f"{column} TEXT NOT NULL{preset} CONSTRAINT {column}_is_known CHECK ({column} IN ({listed}))"


def flag(column: str, default: int = 0) -> str:
    """Return a column for 0 or 1."""
    check = f"CONSTRAINT {column}_is_a_flag CHECK ({column} IN (0, 1))"
    return f"{column} INTEGER NOT NULL DEFAULT {default} {check}"


JSON_DEFAULT = "TEXT NOT NULL DEFAULT '{}'"

CATALOGUE = (
    f"""CREATE TABLE plans (
        id INTEGER PRIMARY KEY,
        slug TEXT NOT NULL CONSTRAINT plan_slug_is_unique UNIQUE,
        name TEXT NOT NULL,
        product_id TEXT NOT NULL CONSTRAINT plan_product_is_unique UNIQUE,
        price_id TEXT NOT NULL,
        currency TEXT NOT NULL,
        unit_amount INTEGER NOT NULL CONSTRAINT unit_amount_is_not_negative CHECK (unit_amount >= 0),
        {choice("interval", "day", "week", "month", "year")},
        interval_count INTEGER NOT NULL DEFAULT 1,
        policy TEXT,
        {flag("active", 1)},
        {time_of("created_at")}
    ) STRICT""",
    f"""CREATE TABLE customers (
        id INTEGER PRIMARY KEY,
        stripe_id TEXT NOT NULL CONSTRAINT customer_stripe_id_is_unique UNIQUE,
        email TEXT,
        name TEXT,
        {flag("deleted")},
        data {JSON_DEFAULT}
    ) STRICT""",
    f"""CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        email TEXT NOT NULL,
        email_key TEXT NOT NULL CONSTRAINT user_email_is_unique UNIQUE,
        name TEXT,
        group_name TEXT,
        {choice("status", "active", "suspended", "removed", default="active")},
        {time_of("last_active", null=True)},
        {flag("reclaim_exempt")},
        {time_of("created_at")}
    ) STRICT""",
    """CREATE VIRTUAL TABLE users_search USING fts5(
        name, email, content='users', content_rowid='id', tokenize='trigram'
    )""",
)

SUBSCRIPTIONS = (
    f"""CREATE TABLE subscriptions (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL CONSTRAINT subscription_name_is_unique UNIQUE,
        plan_id INTEGER NOT NULL REFERENCES plans (id),
        customer_id INTEGER NOT NULL REFERENCES customers (id),
        stripe_subscription TEXT NOT NULL,
        stripe_item TEXT NOT NULL CONSTRAINT subscription_item_is_unique UNIQUE,
        {
        choice(
            "status",
            "incomplete",
            "incomplete_expired",
            "trialing",
            "active",
            "past_due",
            "canceled",
            "unpaid",
            "paused",
        )
    },
        policy TEXT,
        price_id TEXT NOT NULL,
        currency TEXT NOT NULL,
        unit_amount INTEGER NOT NULL,
        {choice("collection_method", "charge_automatically", "send_invoice", default="charge_automatically")},
        {time_of("term_start")},
        {time_of("term_end")},
        quantity INTEGER NOT NULL CONSTRAINT quantity_is_not_negative CHECK (quantity >= 0),
        capacity INTEGER NOT NULL CONSTRAINT capacity_is_not_negative CHECK (capacity >= 0),
        assigned INTEGER NOT NULL DEFAULT 0 CONSTRAINT assigned_is_not_negative CHECK (assigned >= 0),
        last_counted INTEGER NOT NULL DEFAULT 0,
        owner_id INTEGER REFERENCES users (id),
        auto_approval {JSON_DEFAULT},
        {flag("cancel_at_period_end")},
        {time_of("cancel_at", null=True)},
        {time_of("unpaid_since", null=True)},
        home_ledger TEXT,
        metadata {JSON_DEFAULT},
        {time_of("created_at")}
    ) STRICT""",
    "CREATE INDEX subscriptions_by_stripe_id ON subscriptions (stripe_subscription)",
    f"""CREATE TABLE capacity_changes (
        id INTEGER PRIMARY KEY,
        subscription_id INTEGER NOT NULL REFERENCES subscriptions (id),
        {time_of("effective_at")},
        seats INTEGER NOT NULL CONSTRAINT seats_is_not_negative CHECK (seats >= 0),
        operation_id INTEGER REFERENCES operations (id),
        {time_of("applied_at", null=True)}
    ) STRICT""",
    """CREATE INDEX capacity_changes_due ON capacity_changes (effective_at)
        WHERE applied_at IS NULL""",
    # The entry ids have no foreign key: the audit entry is written last, and with an open deferred reference
    # SQLite scans every seat for it (60 ms per change with a million seats). `ledger check` checks them
    # instead.
    f"""CREATE TABLE seats (
        id INTEGER PRIMARY KEY,
        subscription_id INTEGER NOT NULL REFERENCES subscriptions (id),
        user_id INTEGER NOT NULL REFERENCES users (id),
        {time_of("assigned_at")},
        {time_of("until", null=True)},
        {time_of("claimed_at", null=True)},
        {time_of("revoked_at", null=True)},
        assigned_entry INTEGER,
        revoked_entry INTEGER
    ) STRICT""",
    """CREATE UNIQUE INDEX one_active_seat_per_user ON seats (subscription_id, user_id)
        WHERE revoked_at IS NULL""",
    "CREATE INDEX seats_by_user ON seats (user_id)",
    "CREATE INDEX seats_until ON seats (until) WHERE until IS NOT NULL AND revoked_at IS NULL",
    f"""CREATE TABLE requests (
        number INTEGER PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id),
        subscription_id INTEGER REFERENCES subscriptions (id),
        features TEXT NOT NULL DEFAULT '[]',
        {choice("status", "pending", "waitlisted", "approved", "denied", "canceled", "expired")},
        priority INTEGER NOT NULL DEFAULT 0,
        note TEXT,
        {time_of("created_at")},
        {time_of("expires_at", null=True)},
        {time_of("waitlisted_at", null=True)},
        decided_by TEXT,
        {time_of("decided_at", null=True)},
        reason TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX one_open_request_per_user ON requests (user_id, coalesce(subscription_id, 0))
        WHERE status IN ('pending', 'waitlisted')""",
    """CREATE INDEX requests_waiting ON requests (subscription_id, priority DESC, waitlisted_at, number)
        WHERE status = 'waitlisted'""",
    """CREATE INDEX requests_expiring ON requests (expires_at)
        WHERE expires_at IS NOT NULL AND status IN ('pending', 'waitlisted')""",
)

MONEY = (
    f"""CREATE TABLE invoices (
        id INTEGER PRIMARY KEY,
        stripe_id TEXT NOT NULL CONSTRAINT invoice_stripe_id_is_unique UNIQUE,
        number TEXT,
        {choice("status", "draft", "open", "paid", "uncollectible", "void")},
        currency TEXT NOT NULL,
        subtotal INTEGER NOT NULL,
        total INTEGER NOT NULL,
        amount_due INTEGER NOT NULL,
        amount_paid INTEGER NOT NULL,
        amount_remaining INTEGER NOT NULL,
        customer_id INTEGER REFERENCES customers (id),
        subscription_id INTEGER REFERENCES subscriptions (id),
        {time_of("created_at")},
        {time_of("due_date", null=True)},
        {time_of("finalized_at", null=True)},
        {time_of("paid_at", null=True)},
        billing_reason TEXT,
        hosted_url TEXT,
        stripe_subscription TEXT,
        data {JSON_DEFAULT}
    ) STRICT""",
    "CREATE INDEX invoices_by_stripe_subscription ON invoices (stripe_subscription)",
    "CREATE INDEX invoices_by_subscription ON invoices (subscription_id, created_at)",
    "CREATE INDEX invoices_by_time ON invoices (created_at)",
    "CREATE INDEX invoices_by_number ON invoices (number)",
    f"""CREATE TABLE invoice_lines (
        id INTEGER PRIMARY KEY,
        invoice_id INTEGER NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        stripe_id TEXT NOT NULL,
        description TEXT,
        quantity INTEGER,
        amount INTEGER NOT NULL,
        currency TEXT NOT NULL,
        {time_of("period_start")},
        {time_of("period_end")},
        {flag("proration")},
        data {JSON_DEFAULT},
        CONSTRAINT line_is_unique UNIQUE (invoice_id, n)
    ) STRICT""",
    f"""CREATE TABLE stripe_objects (
        stripe_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        parent TEXT,
        created INTEGER NOT NULL,
        {time_of("read_at")},
        data TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX stripe_objects_by_kind ON stripe_objects (kind, created, stripe_id)",
    "CREATE INDEX stripe_objects_by_parent ON stripe_objects (parent) WHERE parent IS NOT NULL",
    f"""CREATE TABLE operations (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (number),
        kind TEXT NOT NULL,
        payload TEXT NOT NULL,
        {choice("state", "pending", "waiting", "done", "failed", default="pending")},
        subscription_id INTEGER REFERENCES subscriptions (id),
        reserved_name TEXT,
        request_id TEXT,
        actor TEXT NOT NULL,
        outcome TEXT,
        {time_of("created_at")},
        {time_of("finished_at", null=True)}
    ) STRICT""",
    """CREATE UNIQUE INDEX one_open_operation_per_subscription ON operations (subscription_id)
        WHERE state IN ('pending', 'waiting') AND subscription_id IS NOT NULL""",
    """CREATE UNIQUE INDEX one_open_operation_per_name ON operations (reserved_name)
        WHERE state IN ('pending', 'waiting') AND reserved_name IS NOT NULL""",
    """CREATE UNIQUE INDEX one_operation_per_request_id ON operations (request_id)
        WHERE state <> 'failed' AND request_id IS NOT NULL""",
    f"""CREATE TABLE steps (
        operation_id INTEGER NOT NULL REFERENCES operations (id),
        name TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 1,
        form TEXT NOT NULL,
        answer TEXT,
        {time_of("sent_at")},
        {time_of("answered_at", null=True)},
        PRIMARY KEY (operation_id, name, attempt)
    ) STRICT""",
)

SEAT_GUARDS = (
    # `assigned` is a counter, because a trigger with count(*) is quadratic. It changes by one, together with
    # `last_counted`, which names the seat that was assigned (+id) or revoked (-id). Both are checked, so that
    # an `UPDATE subscriptions SET assigned = …` by hand aborts.
    """CREATE TRIGGER seat_taken AFTER INSERT ON seats WHEN NEW.revoked_at IS NULL BEGIN
        UPDATE subscriptions SET assigned = assigned + 1, last_counted = NEW.id
        WHERE id = NEW.subscription_id;
    END""",
    """CREATE TRIGGER seat_given_back AFTER UPDATE OF revoked_at ON seats
        WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL BEGIN
        UPDATE subscriptions SET assigned = assigned - 1, last_counted = -NEW.id
        WHERE id = NEW.subscription_id;
    END""",
    """CREATE TRIGGER seat_deleted AFTER DELETE ON seats WHEN OLD.revoked_at IS NULL BEGIN
        UPDATE subscriptions SET assigned = assigned - 1, last_counted = -OLD.id
        WHERE id = OLD.subscription_id;
    END""",
    """CREATE TRIGGER seat_is_never_reopened BEFORE UPDATE OF revoked_at ON seats
        WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at BEGIN
        SELECT RAISE(ABORT, 'a revoked seat is never reopened');
    END""",
    """CREATE TRIGGER seat_keeps_its_place BEFORE UPDATE OF id, subscription_id, user_id ON seats
        WHEN NEW.id <> OLD.id OR NEW.subscription_id <> OLD.subscription_id
          OR NEW.user_id <> OLD.user_id BEGIN
        SELECT RAISE(ABORT, 'a seat keeps its user and subscription');
    END""",
    # REPLACE deletes without firing delete triggers: it could reopen a revoked seat or lose an active one.
    """CREATE TRIGGER seat_replaces_none BEFORE INSERT ON seats
        WHEN EXISTS (SELECT 1 FROM seats WHERE id = NEW.id)
          OR EXISTS (SELECT 1 FROM seats WHERE subscription_id = NEW.subscription_id
                     AND user_id = NEW.user_id AND revoked_at IS NULL) BEGIN
        SELECT RAISE(ABORT, 'a seat replaces no other');
    END""",
    """CREATE TRIGGER assigned_starts_at_zero BEFORE INSERT ON subscriptions
        WHEN NEW.assigned <> 0 OR NEW.last_counted <> 0 BEGIN
        SELECT RAISE(ABORT, 'assigned is kept by the seats, not by hand');
    END""",
    """CREATE TRIGGER assigned_is_kept_by_seats BEFORE UPDATE OF assigned, last_counted ON subscriptions
        WHEN NEW.last_counted = OLD.last_counted
          OR NOT (NEW.assigned = OLD.assigned + 1 AND NEW.last_counted > 0 AND EXISTS (
                    SELECT 1 FROM seats WHERE id = NEW.last_counted
                    AND subscription_id = NEW.id AND revoked_at IS NULL)
               OR NEW.assigned = OLD.assigned - 1 AND NEW.last_counted < 0 AND NOT EXISTS (
                    SELECT 1 FROM seats WHERE id = -NEW.last_counted AND revoked_at IS NULL)) BEGIN
        SELECT RAISE(ABORT, 'assigned is kept by the seats, not by hand');
    END""",
    # The second protection of the last seat, after the transaction's own check: it works against any writer.
    """CREATE TRIGGER no_seats_left BEFORE UPDATE OF assigned ON subscriptions
        WHEN NEW.assigned > OLD.assigned AND NEW.assigned > NEW.capacity BEGIN
        SELECT RAISE(ABORT, 'no_seats_left');
    END""",
)

RECORD = (
    f"""CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        command TEXT NOT NULL,
        actor TEXT NOT NULL,
        os_user TEXT NOT NULL,
        {choice("state", "pending", "done", "failed", default="pending")},
        {time_of("started_at")},
        {time_of("finished_at", null=True)},
        summary TEXT,
        undo_of INTEGER REFERENCES runs (number)
    ) STRICT""",
    f"""CREATE TABLE batch_rows (
        run INTEGER NOT NULL REFERENCES runs (number),
        n INTEGER NOT NULL,
        command TEXT NOT NULL,
        {choice("state", "waiting", "done", "failed", default="waiting")},
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
        {choice("state", "waiting", "sent", "failed", "held", default="waiting")},
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
        {choice("role", "owner", "admin", "assignor", "viewer")},
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

STATEMENTS = (*CATALOGUE, *SUBSCRIPTIONS, *MONEY, *RECORD, *SEAT_GUARDS, *RECORD_GUARDS)
"""Every statement of the first migration, in order."""
