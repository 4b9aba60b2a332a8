"""Triggers on PostgreSQL that protect seats and the audit against any writer, as those of SQLite do.

Seats are counted and checked once per statement: row by row, a statement that assigns many seats would take
quadratic time, because each update of the counter leaves a version that the next one has to pass.
"""

from __future__ import annotations

_OWNER = "SECURITY DEFINER SET search_path FROM CURRENT"
"""Counts with the rights of the ledger's owner: nobody else may write `assigned`."""

_APPEND_ONLY = "'the audit is append-only'"

SEATS = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation';
    END $$""",
    f"""CREATE FUNCTION count_assigned() RETURNS trigger LANGUAGE plpgsql {_OWNER} AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM new_rows n WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = n.user_id))
            OR EXISTS (SELECT 1 FROM (SELECT DISTINCT subscription_id AS id FROM new_rows) n
                WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = n.id)) THEN
            RAISE EXCEPTION 'a seat has a user and a subscription' USING ERRCODE = 'foreign_key_violation';
        END IF;
        UPDATE subscriptions s SET assigned = s.assigned + n.seats, last_counted = n.last
        FROM (SELECT subscription_id AS id, count(*) AS seats, max(id) AS last FROM new_rows
            WHERE revoked_at IS NULL GROUP BY subscription_id) AS n WHERE s.id = n.id;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER seats_taken AFTER INSERT ON seats REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_assigned()""",
    # The seats that are active after the statement, less those that were active before. A join of the rows
    # could be quadratic: their number is not known when it is planned.
    f"""CREATE FUNCTION count_revoked() RETURNS trigger LANGUAGE plpgsql {_OWNER} AS $$ BEGIN
        UPDATE subscriptions s SET assigned = s.assigned + c.seats, last_counted = -c.last
        FROM (SELECT subscription_id AS id, sum(active) AS seats, max(seat) AS last FROM (
                SELECT subscription_id, id AS seat, -1 AS active FROM old_rows WHERE revoked_at IS NULL
                UNION ALL
                SELECT subscription_id, id AS seat, 1 AS active FROM new_rows WHERE revoked_at IS NULL
            ) AS seats GROUP BY subscription_id HAVING sum(active) <> 0) AS c WHERE s.id = c.id;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER seat_is_never_reopened BEFORE UPDATE OF revoked_at ON seats FOR EACH ROW
    WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION refuse('a revoked seat is never reopened')""",
    """CREATE TRIGGER seat_keeps_its_place BEFORE UPDATE OF id, subscription_id, user_id ON seats FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.subscription_id <> OLD.subscription_id OR NEW.user_id <> OLD.user_id)
    EXECUTE FUNCTION refuse('a seat keeps its user and subscription')""",
    """CREATE TRIGGER seats_given_back AFTER UPDATE ON seats
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_revoked()""",
    f"""CREATE FUNCTION count_deleted() RETURNS trigger LANGUAGE plpgsql {_OWNER} AS $$ BEGIN
        UPDATE subscriptions s SET assigned = s.assigned - r.seats, last_counted = -r.last
        FROM (SELECT subscription_id AS id, count(*) AS seats, max(id) AS last FROM old_rows
            WHERE revoked_at IS NULL GROUP BY subscription_id) AS r WHERE s.id = r.id;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER seats_deleted AFTER DELETE ON seats REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted()""",
    # A statement by hand runs outside of any trigger; the counts above run inside of one.
    """CREATE TRIGGER assigned_is_kept_by_seats BEFORE UPDATE OF assigned, last_counted ON subscriptions
    FOR EACH ROW WHEN ((NEW.assigned <> OLD.assigned OR NEW.last_counted <> OLD.last_counted)
        AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION refuse('assigned is kept by the seats, not by hand')""",
    """CREATE TRIGGER assigned_starts_at_zero BEFORE INSERT ON subscriptions FOR EACH ROW
    WHEN (NEW.assigned <> 0 OR NEW.last_counted <> 0)
    EXECUTE FUNCTION refuse('assigned is kept by the seats, not by hand')""",
    # The second protection of the last seat, after the transaction's own check: it works against any writer.
    """CREATE TRIGGER no_seats_left BEFORE UPDATE OF assigned ON subscriptions FOR EACH ROW
    WHEN (NEW.assigned > OLD.assigned AND NEW.assigned > NEW.capacity)
    EXECUTE FUNCTION refuse('no_seats_left')""",
    # Seats refer to users and subscriptions without a constraint: see tables.py.
    """CREATE TRIGGER users_stay BEFORE DELETE OR TRUNCATE ON users FOR EACH STATEMENT
    EXECUTE FUNCTION refuse('a user is never deleted')""",
    """CREATE TRIGGER subscriptions_stay BEFORE DELETE OR TRUNCATE ON subscriptions FOR EACH STATEMENT
    EXECUTE FUNCTION refuse('a subscription is never deleted')""",
    """CREATE TRIGGER seats_stay BEFORE TRUNCATE ON seats FOR EACH STATEMENT
    EXECUTE FUNCTION refuse('seats are revoked, not emptied')""",
)

RECORD = (
    # The owner may copy a chain into an empty audit; everybody else appends entries that are not linked yet.
    f"""CREATE FUNCTION refuse_places() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
            RAISE EXCEPTION {_APPEND_ONLY} USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER audit_is_linked_later BEFORE INSERT ON audit FOR EACH ROW
    WHEN (NEW.place IS NOT NULL OR NEW.prev_hash IS NOT NULL OR NEW.hash IS NOT NULL)
    EXECUTE FUNCTION refuse_places()""",
    # The entry is written last, so that its changes cannot be added to afterwards.
    f"""CREATE FUNCTION changes_before_their_entry() RETURNS trigger LANGUAGE plpgsql {_OWNER} AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM (SELECT DISTINCT entry FROM new_rows) n JOIN audit a ON a.seq = n.entry) THEN
            RAISE EXCEPTION {_APPEND_ONLY} USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER changes_come_before_their_entry AFTER INSERT ON changes
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION changes_before_their_entry()""",
    # The only update allowed: an entry that is not linked yet gets its place in the chain.
    f"""CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit FOR EACH ROW
    WHEN (NOT (OLD.place IS NULL AND NEW.place IS NOT NULL AND NEW.prev_hash IS NOT NULL
        AND NEW.hash IS NOT NULL
        AND (NEW.seq, NEW.run, NEW.at, NEW.actor, NEW.os_user, NEW.command_hash, NEW.digest)
            = (OLD.seq, OLD.run, OLD.at, OLD.actor, OLD.os_user, OLD.command_hash, OLD.digest)
        AND NEW.origin IS NOT DISTINCT FROM OLD.origin))
    EXECUTE FUNCTION refuse({_APPEND_ONLY})""",
    f"""CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE OR TRUNCATE ON audit FOR EACH STATEMENT
    EXECUTE FUNCTION refuse({_APPEND_ONLY})""",
    f"""CREATE TRIGGER changes_are_append_only_delete BEFORE DELETE OR TRUNCATE ON changes FOR EACH STATEMENT
    EXECUTE FUNCTION refuse({_APPEND_ONLY})""",
    # The only update allowed: an erasure blanks the data of a person and sets the time; the hash stays.
    f"""CREATE TRIGGER changes_are_append_only_update BEFORE UPDATE ON changes FOR EACH ROW
    WHEN (NOT (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL
        AND NEW.before IS NULL AND NEW.after IS NULL AND NEW.salt IS NULL
        AND (NEW.entry, NEW.n, NEW.entity, NEW.entity_id, NEW.hash)
            = (OLD.entry, OLD.n, OLD.entity, OLD.entity_id, OLD.hash)))
    EXECUTE FUNCTION refuse({_APPEND_ONLY})""",
)


def guards() -> list[str]:
    """Return the statements that create the triggers, after the tables."""
    return [*SEATS, *RECORD]
