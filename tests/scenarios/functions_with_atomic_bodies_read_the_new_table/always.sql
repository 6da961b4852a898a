-- the functions count the rows of the table
SELECT count_events() = count(*) FILTER (WHERE kind = 'k1') AND (SELECT count(*) FROM list_events()) = count(*) AND count_events('-infinity'::timestamptz) = count(*)
  FROM events
