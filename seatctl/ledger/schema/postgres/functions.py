"""Functions on PostgreSQL: those of SQLite that the ledger's SQL uses, search, hashes, and locks.

Bodies after RETURN and BEGIN ATOMIC are bound to what they name when they are created; the others fix the
search path of that moment. Nobody can put functions of the same names in front of them.
"""

from __future__ import annotations

from seatctl.ledger.schema.postgres.case_folding import folded_letters
from seatctl.ledger.schema.staged import STAGED

_PURE = "IMMUTABLE PARALLEL SAFE"
_HASHES = "STABLE PARALLEL SAFE"

JSON = (
    f"""CREATE FUNCTION json_steps(path text) RETURNS text[] LANGUAGE sql {_PURE}
    RETURN string_to_array(replace(replace(substr(path, 3), '[', '.'), ']', ''), '.')""",
    # As in SQLite: a text without its quotes, true and false as 1 and 0, objects and arrays as JSON.
    f"""CREATE FUNCTION json_plain(content json) RETURNS text LANGUAGE sql {_PURE}
    RETURN CASE json_typeof(content) WHEN 'boolean' THEN CASE content::text WHEN 'true' THEN '1' ELSE '0' END
        ELSE content #>> '{{}}' END""",
    f"""CREATE FUNCTION json_extract(document text, path text) RETURNS text LANGUAGE sql {_PURE}
    RETURN json_plain(document::json #> json_steps(path))""",
    f"""CREATE FUNCTION json_each(document text, path text DEFAULT '$') RETURNS TABLE (key text, value text)
    LANGUAGE sql {_PURE} BEGIN ATOMIC
        SELECT (n - 1)::text, json_plain(item)
        FROM json_array_elements(CASE json_typeof(document::json #> json_steps(path)) WHEN 'array'
            THEN document::json #> json_steps(path) ELSE '[]'::json END) WITH ORDINALITY AS items (item, n)
        UNION ALL
        SELECT name, json_plain(item)
        FROM json_each(CASE json_typeof(document::json #> json_steps(path)) WHEN 'object'
            THEN document::json #> json_steps(path) ELSE '{{}}'::json END) AS items (name, item);
    END""",
    f"""CREATE FUNCTION json_array_length(document text, path text DEFAULT '$') RETURNS bigint
    LANGUAGE sql {_PURE}
    RETURN CASE json_typeof(document::json #> json_steps(path)) WHEN 'array'
        THEN json_array_length(document::json #> json_steps(path))
        ELSE CASE WHEN document::json #> json_steps(path) IS NULL THEN NULL ELSE 0 END END""",
    f"""CREATE FUNCTION json_type(document text, path text DEFAULT '$') RETURNS text LANGUAGE sql {_PURE}
    RETURN CASE json_typeof(document::json #> json_steps(path))
        WHEN 'boolean' THEN (document::json #> json_steps(path))::text
        WHEN 'string' THEN 'text'
        WHEN 'number' THEN CASE WHEN document::json #>> json_steps(path) ~ '^-?[0-9]+$'
            THEN 'integer' ELSE 'real' END
        ELSE json_typeof(document::json #> json_steps(path)) END""",
    """CREATE FUNCTION json_quote(content text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(to_json(content)::text, 'null')""",
    f"""CREATE FUNCTION json_quote(content bigint) RETURNS text LANGUAGE sql {_PURE}
    RETURN coalesce(content::text, 'null')""",
    f"""CREATE FUNCTION json_valid(document text) RETURNS bigint LANGUAGE plpgsql {_PURE} STRICT AS $$
    BEGIN
        PERFORM document::json;
        RETURN 1;
    EXCEPTION WHEN data_exception THEN
        RETURN 0;
    END $$""",
    f"""CREATE FUNCTION concatenated(list text, item text, separator text) RETURNS text LANGUAGE sql {_PURE}
    RETURN CASE WHEN item IS NULL THEN list ELSE coalesce(list || separator, '') || item END""",
    "CREATE AGGREGATE group_concat(text, text) (SFUNC = concatenated, STYPE = text, PARALLEL = SAFE)",
    # The keys keep their order and the text stays compact.
    f"""CREATE FUNCTION json_remove(document text, path text) RETURNS text LANGUAGE sql {_PURE} STRICT
    RETURN '{{' || coalesce((SELECT string_agg(to_json(name)::text || ':' || item, ',' ORDER BY n)
        FROM json_each(document::json) WITH ORDINALITY AS items (name, item, n)
        WHERE name <> substr(path, 3)), '') || '}}'""",
)

USERS_SEARCH = "CREATE INDEX users_search ON users USING gin (user_trigrams(name, email))"
"""Last, when there are many users: an index is made faster than it is kept."""

SEARCH = (
    """CREATE FUNCTION folded(content text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN octet_length(content) = length(content) THEN lower(content COLLATE "C")
        ELSE translate(lower(content COLLATE "C"), '{capitals}', '{small}') END""",
    f"""CREATE FUNCTION trigrams(content text) RETURNS text[] LANGUAGE sql {_PURE}
    RETURN (SELECT array_agg(DISTINCT substr(content, n, 3))
        FROM generate_series(1, length(content) - 2) AS n)""",
    # With a space before and after a name, two letters at its beginning or end are part of a trigram.
    f"""CREATE FUNCTION user_trigrams(name text, email text) RETURNS text[] LANGUAGE sql {_PURE}
    RETURN (SELECT array_agg(substr(content, n, 3))
        FROM (VALUES (folded(' ' || name || ' ')), (folded(email))) AS columns (content),
            generate_series(1, length(content) - 2) AS n)""",
    USERS_SEARCH,
)

HASHES = (
    # As Python's json.dumps writes a text with ASCII only.
    f"""CREATE FUNCTION ascii_json(content text) RETURNS text LANGUAGE sql {_PURE} STRICT
    RETURN CASE WHEN content COLLATE "C" !~ '[^ -~]|["\\\\]' THEN '"' || content || '"'
        ELSE (SELECT '"' || coalesce(string_agg(CASE
            WHEN letter IN ('"', '\\') THEN '\\' || letter
            WHEN code BETWEEN 32 AND 126 THEN letter
            WHEN code = 8 THEN '\\b' WHEN code = 9 THEN '\\t' WHEN code = 10 THEN '\\n'
            WHEN code = 12 THEN '\\f' WHEN code = 13 THEN '\\r'
            WHEN code < 65536 THEN '\\u' || lpad(to_hex(code), 4, '0')
            ELSE '\\u' || to_hex(55296 + (code - 65536) / 1024) || '\\u' || to_hex(56320 + code % 1024)
            END, '' ORDER BY n), '') || '"'
            FROM (SELECT letter, ascii(letter) AS code, n
                FROM string_to_table(content, NULL) WITH ORDINALITY AS letters (letter, n)) AS codes) END""",
    # Not immutable, because `convert_to` is not: with another promise, no call of it is inlined.
    f"""CREATE FUNCTION hash_of(content text) RETURNS text LANGUAGE sql {_HASHES} STRICT
    RETURN encode(sha256(convert_to(content, 'UTF8')), 'hex')""",
    f"""CREATE FUNCTION hash_of_change(entity text, entity_id bigint, before text, after text, salt text)
    RETURNS text LANGUAGE sql {_HASHES}
    RETURN hash_of(entity || chr(10) || entity_id::text || chr(10) || coalesce('+' || before, '') || chr(10)
        || coalesce('+' || after, '') || chr(10) || salt)""",
    # A salt for each change row of a statement, from one secret: asking for random bytes takes longer.
    f"""CREATE FUNCTION salt_of_change(secret text, n bigint) RETURNS text LANGUAGE sql {_HASHES}
    RETURN left(hash_of(secret || n::text), 32)""",
    """CREATE FUNCTION digest_of_entry(number bigint) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT hash_of(coalesce(string_agg(hash, '' ORDER BY n), ''))
        FROM changes WHERE entry = number)""",
    f"""CREATE FUNCTION hash_of_entry(
        seq bigint, run bigint, at text, actor text, os_user text, command_hash text, digest text,
        previous text, origin text
    ) RETURNS text LANGUAGE sql {_HASHES}
    RETURN hash_of('[' || seq::text || ',' || run::text || ',' || ascii_json(at) || ','
        || ascii_json(actor) || ',' || ascii_json(os_user) || ',' || ascii_json(command_hash) || ','
        || ascii_json(digest) || ',' || ascii_json(previous)
        || coalesce(',' || ascii_json(origin), '') || ']')""",
)

TIME = """CREATE FUNCTION is_a_time(content text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $$
    BEGIN
        RETURN content = to_char(rtrim(content, 'Z')::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
    EXCEPTION WHEN data_exception THEN
        RETURN false;
    END $$"""

_OWNER = "SECURITY DEFINER SET search_path FROM CURRENT"
"""Runs with the rights of the ledger's owner: what it does is all that a client may do to these tables."""

_STAGED = ", ".join(f"'{table.name}'" for table in STAGED)

LOCKS = (
    # The row lock is what counts. The advisory lock only makes the queue fair: without it, changes that share
    # the ledger would pass by one that waits for the whole of it, again and again.
    f"""CREATE FUNCTION lock_ledger(whole boolean) RETURNS void LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        queue bigint := 'locks'::regclass::oid::bigint;
    BEGIN
        IF whole THEN
            PERFORM pg_advisory_xact_lock(queue);
            PERFORM name FROM locks WHERE name = 'ledger' FOR UPDATE;
        ELSE
            PERFORM pg_advisory_xact_lock_shared(queue);
            PERFORM name FROM locks WHERE name = 'ledger' FOR SHARE;
        END IF;
    END $$""",
    # Not a statement of the client: locking a row needs the right to change it.
    f"""CREATE FUNCTION lock_users() RETURNS void LANGUAGE plpgsql {_OWNER} AS $$ BEGIN
        PERFORM name FROM locks WHERE name = 'users' FOR UPDATE;
    END $$""",
    # The audit's head is locked by one client at a time; the others leave their entries to the next one.
    f"""CREATE FUNCTION link_audit(most bigint DEFAULT 1000, durable boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        head chain%ROWTYPE;
        entry audit%ROWTYPE;
        linked bigint := 0;
    BEGIN
        IF durable THEN
            SELECT * INTO head FROM chain FOR UPDATE;
        ELSE
            PERFORM set_config('synchronous_commit', 'off', true);
            SELECT * INTO head FROM chain FOR UPDATE SKIP LOCKED;
        END IF;
        IF NOT FOUND THEN
            RETURN 0;
        END IF;
        FOR entry IN SELECT * FROM audit WHERE place IS NULL ORDER BY seq LIMIT most LOOP
            entry.prev_hash := head.hash;
            head.place := head.place + 1;
            head.hash := hash_of_entry(entry.seq, entry.run, entry.at, entry.actor, entry.os_user,
                entry.command_hash, entry.digest, entry.prev_hash, entry.origin);
            UPDATE audit SET place = head.place, prev_hash = entry.prev_hash, hash = head.hash
            WHERE seq = entry.seq;
            linked := linked + 1;
        END LOOP;
        IF linked > 0 OR durable THEN
            UPDATE chain SET place = head.place, hash = head.hash;
        END IF;
        IF linked > 0 THEN
            DELETE FROM commits WHERE token IN (
                SELECT token FROM commits WHERE at < now() - interval '1 day' ORDER BY at LIMIT 1000
                FOR UPDATE SKIP LOCKED);
        END IF;
        RETURN linked;
    END $$""",
    # The planner knows nothing about rows that were just loaded. If another client does this, it is skipped.
    f"""CREATE FUNCTION index_staged(staged text) RETURNS void LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        many boolean;
    BEGIN
        IF staged NOT IN ({_STAGED}) THEN
            RAISE EXCEPTION '% is not a staged table', staged USING ERRCODE = '22023';
        END IF;
        EXECUTE format('SELECT count(*) = 1000 FROM (SELECT 1 FROM %I LIMIT 1000) AS first', staged)
            INTO many;
        IF many THEN
            EXECUTE format('ANALYZE (SKIP_LOCKED) %I', 'staged_' || staged);
        END IF;
    END $$""",
    # Registers the number under which a client stores its staged rows, and returns it.
    f"""CREATE FUNCTION begin_load(own bigint) RETURNS bigint LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        number bigint := coalesce(own, nullif(current_setting('seatctl.load', true), '')::bigint);
    BEGIN
        IF number IS NULL THEN
            INSERT INTO staged_loads DEFAULT VALUES RETURNING load INTO number;
        ELSE
            INSERT INTO staged_loads (load) VALUES (number) ON CONFLICT DO NOTHING;
        END IF;
        PERFORM set_config('seatctl.load', number::text, true);
        RETURN number;
    END $$""",
    # Staged rows are gone after a crash of the server. To go on with none of them could remove everybody.
    f"""CREATE FUNCTION require_load(own bigint) RETURNS void LANGUAGE plpgsql {_OWNER} AS $$
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM staged_loads WHERE load = own) THEN
            RAISE EXCEPTION 'the rows that this command had sent are gone: the server has crashed meanwhile'
                USING ERRCODE = 'crash_shutdown';
        END IF;
    END $$""",
    # Rows of a client that was killed are a day old at most when the next one forgets its own.
    f"""CREATE FUNCTION forget_loads(own bigint) RETURNS void LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        staged text;
        old bigint[];
    BEGIN
        SELECT array_agg(load) INTO old FROM (SELECT load FROM staged_loads
            WHERE load = own OR at < now() - interval '1 day' FOR UPDATE SKIP LOCKED) AS loads;
        FOREACH staged IN ARRAY ARRAY[{_STAGED}] LOOP
            EXECUTE format('DELETE FROM %I WHERE load = ANY ($1)', 'staged_' || staged) USING old;
        END LOOP;
        DELETE FROM staged_loads WHERE load = ANY (old);
    END $$""",
)


PACE = (
    # Reserves turns for requests to Stripe, one behind the other among all clients, and returns the seconds
    # until the first one. A turn is never more than a minute away, whatever a clock or a client has done.
    f"""CREATE FUNCTION take_turns(endpoint text, gap double precision, endpoint_gap double precision)
    RETURNS double precision LANGUAGE plpgsql {_OWNER} AS $$
    DECLARE
        second interval := interval '1 second';
        latest timestamptz := clock_timestamp() + interval '1 minute';
        turn timestamptz;
    BEGIN
        INSERT INTO pace (name, free_at) VALUES ('', clock_timestamp()), (endpoint, clock_timestamp())
        ON CONFLICT (name) DO NOTHING;
        PERFORM name FROM pace WHERE name = '' FOR UPDATE;
        SELECT least(latest, greatest(max(free_at), clock_timestamp())) INTO turn
        FROM pace WHERE name IN ('', endpoint);
        UPDATE pace SET free_at = turn + CASE name WHEN '' THEN gap ELSE endpoint_gap END * second
        WHERE name IN ('', endpoint);
        RETURN greatest(0, extract(epoch FROM turn - clock_timestamp()));
    END $$""",
)


def functions() -> list[str]:
    """Return the statements that create the functions and the search index, after the tables."""
    capitals, small = folded_letters()
    search = [SEARCH[0].format(capitals=capitals, small=small), *SEARCH[1:]]
    return [*JSON, *search, *HASHES, TIME, *LOCKS, *PACE]
