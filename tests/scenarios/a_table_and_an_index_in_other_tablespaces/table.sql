CREATE TABLE archive (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY USING INDEX TABLESPACE scenario_fast, filed_at timestamptz NOT NULL, text text)
    TABLESPACE scenario_slow;
CREATE INDEX archive_filed_at ON archive (filed_at) TABLESPACE scenario_fast;
CREATE INDEX archive_text ON archive (text);
INSERT INTO archive (filed_at, text) SELECT moment, n FROM pg_temp.moments(300);
