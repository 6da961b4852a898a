"""Statements that others wrote: a table is found and replaced by the grammar's places, never by its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_playbook.names import TableName
from partition_playbook.workload.sql_lexer import Kind, joined, tokens
from partition_playbook.workload.statements import ParsedStatement

TABLE = TableName("public", "readings")
SHADOW = '"public"."readings_new"'
AS = f'{SHADOW} AS "readings"'
MIXED = TableName("My Schema", 'We"ird')


@given(st.text(alphabet="ab$'\"/*-\\;.1 \n(E_é", max_size=60))
def test_tokens_put_together_are_the_text(text: str) -> None:
    assert joined(tokens(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        r"SELECT 'C:\', 1",
        "SELECT E'it\\'s; readings', 1",
        "SELECT /* one /* two */ ; */ 1",
        "SELECT $body$ ; ' $other$ readings $body$, 1",
        "SELECT $$;$$ -- ; from readings",
        "SELECT \"a;b\", U&\"\\0061;\", B'1', 'it''s;'",
        "SELECT a$b, $1",
    ],
)
def test_what_is_quoted_is_one_token(text: str) -> None:
    script = ParsedStatement(text)
    assert script.problem == ""
    assert script.references == []


def test_names_are_as_the_catalog_has_them() -> None:
    found = [each.name for each in tokens('Readings "Read""ings" ÉTÉ U&"x" \'y\'')]
    assert found == ["readings", 'Read"ings', "ÉtÉ", None, None, None]
    assert tokens("x")[-1].kind is Kind.END


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM readings", f"SELECT * FROM {AS}"),
        ("SELECT * FROM READINGS r WHERE r.id >= $1", f"SELECT * FROM {SHADOW} r WHERE r.id >= $1"),
        ("SELECT * FROM public.readings AS x", f"SELECT * FROM {SHADOW} AS x"),
        ('SELECT readings.id FROM "public"."readings"', f"SELECT readings.id FROM {AS}"),
        ("SELECT public.readings.id FROM public.readings", f"SELECT readings.id FROM {AS}"),
        ("SELECT 'readings', readings FROM readings -- readings", f"SELECT 'readings', readings FROM {AS}"),
        ("SELECT * FROM units readings, readings r", f"SELECT * FROM units readings, {SHADOW} r"),
        ("SELECT * FROM a JOIN readings USING (readings)", f"SELECT * FROM a JOIN {AS} USING (readings)"),
        ("SELECT * FROM (readings JOIN b ON true), c", f"SELECT * FROM ({AS} JOIN b ON true), c"),
        ("SELECT readings(1), x FROM readings(2)", None),
        ("SELECT extract(year FROM readings), f(a, readings) FROM b", None),
        ("SELECT * FROM b WHERE a IS DISTINCT FROM readings ORDER BY c, readings", None),
        ("SELECT * FROM other.readings", None),
        ("SELECT * FROM b WHERE id IN (SELECT id FROM readings)", f"SELECT * FROM b WHERE id IN (SELECT id FROM {AS})"),
        ("SELECT * FROM a, LATERAL (SELECT * FROM readings) b", f"SELECT * FROM a, LATERAL (SELECT * FROM {AS}) b"),
        ("WITH x AS (TABLE readings) SELECT * FROM x", f"WITH x AS (TABLE {SHADOW}) SELECT * FROM x"),
        ("SELECT 1 FROM a UNION SELECT 2 FROM readings", f"SELECT 1 FROM a UNION SELECT 2 FROM {AS}"),
        ("INSERT INTO readings (readings, b) VALUES ($1, $2)", f"INSERT INTO {AS} (readings, b) VALUES ($1, $2)"),
        ("INSERT INTO readings AS r DEFAULT VALUES", f"INSERT INTO {SHADOW} AS r DEFAULT VALUES"),
        ("INSERT INTO a SELECT * FROM readings", f"INSERT INTO a SELECT * FROM {AS}"),
        ("UPDATE readings SET a = 1, readings = 2 FROM b", f"UPDATE {AS} SET a = 1, readings = 2 FROM b"),
        ("UPDATE b SET c = 1 FROM readings", f"UPDATE b SET c = 1 FROM {AS}"),
        ("DELETE FROM readings USING b, readings r WHERE true", f"DELETE FROM {AS} USING b, {SHADOW} r WHERE true"),
        ("DELETE FROM b USING readings", f"DELETE FROM b USING {AS}"),
        (
            "MERGE INTO readings r USING b ON true WHEN MATCHED THEN UPDATE SET a = 1",
            f"MERGE INTO {SHADOW} r USING b ON true WHEN MATCHED THEN UPDATE SET a = 1",
        ),
        ("SELECT * FROM b FOR UPDATE OF readings", None),
        ("SELECT * FROM readings FOR UPDATE OF readings", f"SELECT * FROM {AS} FOR UPDATE OF readings"),
        ("SELECT null::readings, a::public.readings FROM readings", f"SELECT null::{SHADOW}, a::{SHADOW} FROM {AS}"),
        ("DECLARE c CURSOR FOR SELECT * FROM readings", f"SELECT * FROM {AS}"),
        (
            "SELECT * FROM a JOIN readings ON CASE WHEN b THEN c END, readings r",
            f"SELECT * FROM a JOIN {AS} ON CASE WHEN b THEN c END, {SHADOW} r",
        ),
    ],
)
def test_table_is_replaced_where_it_is_one(text: str, expected: str | None) -> None:
    script = ParsedStatement(text)
    if expected is None:
        assert script.references_to(TABLE) == []
    else:
        assert script.references_to(TABLE)
        assert script.redirected(TABLE, TABLE.shadow, {}).text.partition(" --")[0].strip() == expected


def test_quoted_mixed_case_names_are_found_and_quoted() -> None:
    script = ParsedStatement('SELECT "We""ird".id FROM "My Schema"."We""ird" JOIN "we""ird" ON true')
    found = script.redirected(MIXED, MIXED.shadow, {}).text
    assert found == 'SELECT "We""ird".id FROM "My Schema"."We""ird_new" AS "We""ird" JOIN "we""ird" ON true'


def test_the_constraint_of_an_upsert_is_called_as_on_the_shadow() -> None:
    script = ParsedStatement("INSERT INTO readings VALUES ($1) ON CONFLICT ON CONSTRAINT readings_pkey DO NOTHING")
    found = script.redirected(TABLE, TABLE.shadow, {"readings_pkey": "readings_pkey_new"}).text
    assert found == f'INSERT INTO {AS} VALUES ($1) ON CONFLICT ON CONSTRAINT "readings_pkey_new" DO NOTHING'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT now() - interval $1", "SELECT now() - ($1)::interval"),
        ("SELECT date $1, interval $2 day", "SELECT ($1)::date, ($2)::interval day"),
        ("SELECT a AT TIME ZONE $1", "SELECT a AT TIME ZONE $1"),
        ("SELECT extract($1 from t), 1", 'SELECT pg_catalog."extract"($1 , t), 1'),
        (
            "SELECT extract($1 from t), 1 GROUP BY extract(year from t)",
            "SELECT extract(year from t), 1 GROUP BY extract(year from t)",
        ),
        (
            "SELECT date_trunc($1, t) GROUP BY date_trunc('day', t)",
            "SELECT date_trunc('day', t) GROUP BY date_trunc('day', t)",
        ),
        (
            "SELECT date_trunc($1, t) GROUP BY date_trunc('day', u)",
            "SELECT date_trunc($1, t) GROUP BY date_trunc('day', u)",
        ),
        ("SELECT 1 WHERE a IN ($1) OR b IN (id)", "SELECT 1 WHERE a IN ($1) OR b IN (id)"),
    ],
)
def test_parameters_stand_only_where_the_grammar_has_them(text: str, expected: str) -> None:
    assert " ".join(ParsedStatement(text).restore_literals().text.split()) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SELECT 1; DROP TABLE readings", "contains ;"),
        ("SELECT 1;", "contains ;"),
        ("SELECT 'x", "contains '"),
        ("DROP TABLE readings", "EXPLAIN does not accept DROP"),
        ("COPY readings TO STDOUT", "EXPLAIN does not accept COPY"),
        ("", "EXPLAIN does not accept it"),
        ("SELECT " + "1" * 100_000, "longer than"),
        ("(SELECT 1) UNION VALUES (2)", ""),
    ],
)
def test_only_one_plain_statement_is_fit(text: str, problem: str) -> None:
    assert problem in ParsedStatement(text).problem
    assert bool(problem) is bool(ParsedStatement(text).problem)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("SELECT 1 FROM readings\n/* partition_playbook */", True),
        ("INSERT INTO readings_new SELECT * FROM readings", True),
        ("DELETE FROM partition_playbook.public_readings_changes", True),
        ("ALTER TABLE public.readings RENAME TO readings_old", True),
        ("ALTER INDEX public.a RENAME TO b\n/* partition_playbook */", True),
        ("COPY public.readings (id) TO stdout", True),
        ("EXPLAIN SELECT * FROM readings", True),
        ('SELECT 1 FROM ONLY "public"."readings" x WHERE $1 OPERATOR(pg_catalog.=) "id" FOR KEY SHARE OF x', True),
        ("SELECT * FROM ONLY readings", False),
        ("SELECT '/* partition_playbook */', 'readings_new' FROM readings", False),
        ("SELECT * FROM readings_newest, readings", False),
        ("SELECT readings_old AS readings_new FROM readings", False),
        ("COPY readings TO STDOUT", False),
    ],
)
def test_own_statements_are_told_from_the_applications(text: str, ours: bool) -> None:
    assert ParsedStatement(text).is_ours(TABLE) is ours


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("PREPARE p (int) AS SELECT * FROM readings WHERE id = $1", "SELECT * FROM readings WHERE id = $1"),
        ("CREATE TABLE a AS SELECT id AS b FROM readings WITH NO DATA", "SELECT id AS b FROM readings"),
        ("CREATE UNLOGGED TABLE a (x) AS (TABLE readings) WITH DATA", "(TABLE readings)"),
        ("CREATE MATERIALIZED VIEW a AS WITH b AS (SELECT 1) SELECT 2", "WITH b AS (SELECT 1) SELECT 2"),
        ("CREATE TABLE a (b int, c int GENERATED ALWAYS AS IDENTITY)", ""),
        ("CREATE VIEW a AS SELECT * FROM readings", ""),
    ],
)
def test_the_query_inside_a_command_is_found(text: str, query: str) -> None:
    parsed = ParsedStatement(text)
    assert parsed.is_utility is not bool(query)
    assert joined(parsed.tokens).strip() == (query or text)


@pytest.mark.parametrize(
    "text", ["LOCK TABLE readings IN ACCESS SHARE MODE", "ALTER TABLE readings ADD a int", "TRUNCATE TABLE readings"]
)
def test_utility_statements_read_no_rows(text: str) -> None:
    assert ParsedStatement(text).is_utility
    assert not ParsedStatement("UPDATE readings SET id = 1").is_utility


def test_a_common_table_expression_may_hide_the_table() -> None:
    assert ParsedStatement("WITH readings AS (SELECT 1) SELECT * FROM readings").hides(TABLE)
    assert ParsedStatement("WITH a AS (SELECT 1), readings AS NOT MATERIALIZED (SELECT 1) SELECT 1").hides(TABLE)
    assert not ParsedStatement("SELECT * FROM units AS readings").hides(TABLE)
