CREATE TABLE messages (
    id bigint,
    sent_at timestamptz,
    thread_id bigint,
    thread_sent_at timestamptz,
    PRIMARY KEY (id, sent_at),
    CONSTRAINT messages_thread FOREIGN KEY (thread_id, thread_sent_at) REFERENCES messages
);
INSERT INTO messages SELECT n, moment, n, moment FROM pg_temp.moments(400);
