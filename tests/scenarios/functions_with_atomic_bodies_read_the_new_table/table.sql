CREATE ROLE scenario_functions_owner;
GRANT USAGE, CREATE ON SCHEMA public TO scenario_functions_owner;
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, kind text);
INSERT INTO events (at, kind) SELECT moment, 'k' || n % 5 FROM pg_temp.moments(400);
CREATE FUNCTION count_events(wanted text DEFAULT 'k1') RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE COST 10
    BEGIN ATOMIC SELECT count(*) FROM events WHERE kind = wanted; END;
CREATE FUNCTION count_events(since timestamptz) RETURNS bigint LANGUAGE sql STABLE RETURN (SELECT count(*) FROM events WHERE at >= since);
CREATE FUNCTION list_events() RETURNS TABLE (id bigint, at timestamptz) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    BEGIN ATOMIC SELECT e.id, e.at FROM events AS e; END;
CREATE PROCEDURE forget_events(before timestamptz) LANGUAGE sql BEGIN ATOMIC DELETE FROM events WHERE at < before; END;
CREATE VIEW event_counts AS SELECT k AS kind, count_events(k) AS events FROM (VALUES ('k1'), ('k2')) AS kinds (k);
CREATE FUNCTION most_events() RETURNS bigint LANGUAGE sql STABLE RETURN (SELECT max(events) FROM event_counts);
ALTER FUNCTION list_events() OWNER TO scenario_functions_owner;
GRANT SELECT ON events TO scenario_functions_owner;
REVOKE EXECUTE ON FUNCTION count_events(text) FROM PUBLIC;
COMMENT ON FUNCTION most_events() IS 'of a kind';
