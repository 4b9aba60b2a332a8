"""What a requester may do on a server: request a seat and cancel a request, for themselves, by two functions.

A requester writes to no table: with rights on tables they could give themselves a seat, or write anything
into the audit. The functions have the rights of the ledger's owner. They take the person from the grant of
`session_user` and the time from the server, and record what every change records.
"""

from __future__ import annotations

from seatctl.ledger import change_rows

_OWNER = "SECURITY DEFINER SET search_path FROM CURRENT"

_OPEN = "status IN ('pending', 'waitlisted')"

OWN_REQUESTS = (
    # The time of the server, except in a sandbox, which has a time of its own.
    f"""CREATE FUNCTION time_of_change(moment text) RETURNS text LANGUAGE sql STABLE {_OWNER}
    RETURN CASE WHEN (SELECT value FROM meta WHERE key = 'mode') = 'sandbox' AND is_a_time(moment) THEN moment
        ELSE to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END""",
    f"""CREATE FUNCTION request_facts(wanted bigint) RETURNS text LANGUAGE sql STABLE {_OWNER}
    RETURN (SELECT {change_rows.request("r")} FROM requests r WHERE r.number = wanted)""",
    # Records one change of one request, as its requester: the run, the change row and the entry.
    f"""CREATE FUNCTION record_request(wanted bigint, older text, command text, os_user text, origin text,
        moment text, summary text, OUT run bigint) LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        who text := (SELECT actor FROM database_grants WHERE db_role = session_user AND role = 'requester'
            LIMIT 1);
        entry bigint := nextval('audit_seq_seq');
        newer text := request_facts(wanted);
        salt text := replace(gen_random_uuid()::text, '-', '');
    BEGIN
        INSERT INTO runs AS r (command, actor, os_user, state, started_at, finished_at, summary)
        VALUES (left(command, 4000), who, left(os_user, 200), 'done', moment, moment, left(summary, 1000))
        RETURNING r.number INTO run;
        INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)
        VALUES (entry, 1, 'request', wanted, older, newer, salt,
            hash_of_change('request', wanted, older, newer, salt));
        INSERT INTO audit (seq, run, at, actor, os_user, command_hash, digest, origin)
        VALUES (entry, run, moment, who, left(os_user, 200), '', '', left(origin, 2000));
    END $$""",
    # Returns NULL for a role that is not a requester's.
    f"""CREATE FUNCTION requesting_user() RETURNS bigint LANGUAGE sql STABLE {_OWNER}
    RETURN (SELECT u.id FROM users u JOIN database_grants g ON g.actor_key = u.email_key
        WHERE g.db_role = session_user AND g.role = 'requester' LIMIT 1)""",
    # `wished`: features, as a JSON array of texts. The outcome is `requested`, `already requested`,
    # `already seated`, or the code of a refusal. Nobody decides here: the row of `new_requests` makes the
    # next command with the right to do so apply the rules of automatic approval, and send the messages.
    f"""CREATE FUNCTION request_seat(wanted bigint, wished text, remark text, expiry text, command text,
        os_user text, origin text, moment text, OUT outcome text, OUT request bigint, OUT run bigint)
    LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        own bigint := requesting_user();
        at_ text := time_of_change(moment);
        older text;
        into_ subscriptions%ROWTYPE;
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM database_grants WHERE db_role = session_user AND role = 'requester') THEN
            RAISE EXCEPTION 'the database role % is not a requester', session_user
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM lock_ledger(false);
        IF own IS NULL OR NOT EXISTS (SELECT 1 FROM users WHERE id = own AND status = 'active') THEN
            outcome := CASE WHEN own IS NULL THEN 'unknown_user' ELSE 'user_not_active' END;
            RETURN;
        END IF;
        IF json_valid(wished) = 0 OR length(wished) > 4000 OR length(remark) > 1000 OR expiry <= at_
            OR NOT is_a_time(expiry) THEN
            outcome := 'bad_request';
            RETURN;
        END IF;
        IF wanted IS NOT NULL THEN
            SELECT * INTO into_ FROM subscriptions WHERE id = wanted FOR NO KEY UPDATE;
            outcome := CASE WHEN into_.id IS NULL THEN 'unknown_subscription'
                WHEN into_.home_ledger IS DISTINCT FROM (SELECT value FROM meta WHERE key = 'ledger_id')
                    THEN 'foreign_ledger'
                WHEN into_.status NOT IN ('active', 'trialing', 'past_due') THEN 'subscription_not_active'
                WHEN EXISTS (SELECT value FROM json_each(wished) EXCEPT
                    SELECT value FROM json_each(coalesce(json_extract(into_.policy, '$.features'), '[]')))
                    THEN 'bad_request'
                WHEN EXISTS (SELECT 1 FROM seats WHERE subscription_id = wanted AND user_id = own
                    AND revoked_at IS NULL AND (until IS NULL OR until > at_)) THEN 'already seated' END;
            IF outcome IS NOT NULL THEN
                RETURN;
            END IF;
        END IF;
        SELECT r.number INTO request FROM requests r WHERE r.user_id = own
            AND coalesce(r.subscription_id, 0) = coalesce(wanted, 0) AND r.{_OPEN} FOR NO KEY UPDATE;
        IF FOUND THEN
            IF EXISTS (SELECT 1 FROM requests r WHERE r.number = request
                    AND (r.expires_at IS NULL OR r.expires_at > at_)) THEN
                outcome := 'already requested';
                RETURN;
            END IF;
            older := request_facts(request);
            UPDATE requests r SET status = 'expired', decided_at = at_ WHERE r.number = request;
            PERFORM record_request(request, older, command, os_user, origin, at_, 'the request has expired');
        END IF;
        INSERT INTO requests AS r (user_id, subscription_id, features, status, note, created_at, expires_at)
        VALUES (own, wanted, coalesce('[' || (SELECT string_agg(ascii_json(value), ',' ORDER BY key::bigint)
            FROM json_each(wished)) || ']', '[]'), 'pending', remark, at_, expiry)
        RETURNING r.number INTO request;
        INSERT INTO new_requests (request) VALUES (request);
        run := record_request(request, NULL, command, os_user, origin, at_,
            'made request ' || request || ', which waits for approval');
        outcome := 'requested';
    END $$""",
    # The outcome is `canceled now`, `unknown_request`, or the status that the request has already.
    f"""CREATE FUNCTION cancel_own_request(wanted bigint, command text, os_user text, origin text,
        moment text, OUT outcome text, OUT run bigint) LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        own bigint := requesting_user();
        at_ text := time_of_change(moment);
        older text;
    BEGIN
        PERFORM lock_ledger(false);
        PERFORM s.id FROM subscriptions s JOIN requests r ON r.subscription_id = s.id
            WHERE r.number = wanted AND r.user_id = own FOR NO KEY UPDATE OF s;
        PERFORM 1 FROM requests r WHERE r.number = wanted AND r.user_id = own FOR NO KEY UPDATE;
        SELECT CASE WHEN r.{_OPEN} AND r.expires_at <= at_ THEN 'expired' ELSE r.status END INTO outcome
            FROM requests r WHERE r.number = wanted AND r.user_id = own;
        IF outcome IS NULL THEN
            outcome := 'unknown_request';
        ELSIF outcome IN ('pending', 'waitlisted') THEN
            older := request_facts(wanted);
            UPDATE requests r SET status = 'canceled', decided_at = at_, decided_by = (SELECT g.actor
                FROM database_grants g WHERE g.db_role = session_user AND g.role = 'requester' LIMIT 1)
            WHERE r.number = wanted;
            DELETE FROM new_requests WHERE request = wanted;
            run := record_request(wanted, older, command, os_user, origin, at_,
                'canceled request ' || wanted);
            outcome := 'canceled now';
        END IF;
    END $$""",
)
