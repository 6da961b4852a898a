CREATE TABLE memberships (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, since timestamptz NOT NULL, team integer, member text);
CREATE TABLE papers (team integer, title text);
ALTER TABLE papers ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_team ON papers USING (team IN (SELECT m.team FROM memberships AS m WHERE m.member = current_user));
INSERT INTO memberships (since, team, member) SELECT moment, n % 9, 'm' || n FROM pg_temp.moments(300);
