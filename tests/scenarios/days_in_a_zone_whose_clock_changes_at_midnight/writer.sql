-- insert beside the change
INSERT INTO visits AS live (at) SELECT at + (%(n)s %% 200 - 100) * interval '7 minutes' FROM changes
-- insert at the change
INSERT INTO visits AS live (at) SELECT at FROM changes
-- insert before the change
INSERT INTO visits AS live (at) SELECT at - interval '1 microsecond' FROM changes
-- move over the change
UPDATE visits AS live SET at = changes.at + (changes.at - live.at) FROM changes WHERE id = %(id)s
-- delete
DELETE FROM visits AS live WHERE id = %(id)s
