CREATE FUNCTION snowflake_at(moment timestamptz, sequence bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT (floor(extract(epoch FROM moment) * 1000)::bigint - 1420070400000) << 22 | sequence % 4194304
$$;
CREATE TABLE messages (id bigint PRIMARY KEY, content text);
CREATE INDEX messages_content ON messages (content);
INSERT INTO messages SELECT snowflake_at(moment, n), 'message ' || n FROM pg_temp.moments(600);
