CREATE TABLE articles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, printed_at timestamptz NOT NULL, author text, text text, summary text);
ALTER TABLE articles ALTER author SET (n_distinct = 50, n_distinct_inherited = -0.2), ALTER author SET STATISTICS 500, ALTER text SET STATISTICS 0,
    ALTER text SET STORAGE EXTERNAL, ALTER summary SET STORAGE MAIN, ALTER summary SET COMPRESSION pglz;
CREATE INDEX articles_author ON articles (lower(author), (length(text)));
ALTER INDEX articles_author ALTER COLUMN 2 SET STATISTICS 250;
INSERT INTO articles (printed_at, author, text) SELECT moment, 'author ' || n % 50, repeat('text ', n) FROM pg_temp.moments(300);
