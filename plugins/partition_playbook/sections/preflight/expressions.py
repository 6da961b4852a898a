"""Check that the expressions of the table have the same values in every session."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from partition_playbook.checks import Check, check
from partition_playbook.sections.preflight.context import PreflightContext

# The settings of a session that a wrongly IMMUTABLE function may read. The first two zones never have the same
# date, and no time of the day is before noon in all of them.
SETTINGS = {
    "TimeZone": ("Etc/GMT+12", "Etc/GMT-14", "Etc/GMT-6", "Etc/GMT+6"),
    "DateStyle": ("ISO, YMD", "German, DMY"),
    "IntervalStyle": ("postgres", "iso_8601"),
    "extra_float_digits": ("1", "-15"),
    "bytea_output": ("hex", "escape"),
}
SAMPLE = 200


def expressions(context: PreflightContext) -> Check:
    """Evaluate CHECK constraints, generated columns and indexed expressions with the fixed search_path of the loads.

    Each is evaluated for the same rows under several values of each setting in SETTINGS; the values must be equal.
    """
    texts = [row["expression"] for row in context.session.rows("preflight/list_expressions", context.name)]
    failed = [f"{text}: {problem}" for text in texts if (problem := _evaluate(context, text))]
    remedy = "Run ALTER FUNCTION … SET search_path on the function named; a restore of a dump would fail as well"
    if texts and not failed:
        sample = context.session.rows(
            "preflight/list_sample_rows", {"most": SAMPLE}, source=context.table.table_name.identifier
        )
        places = [row["place"] for row in sample]
        failed = [f"{text} depends on {name}" for text in texts for name in _dependencies(context, text, places)]
        remedy = (
            "The loads build it under settings of their own, so an index would miss rows of the application. Name the "
            "zone or the format in the expression, for example at AT TIME ZONE 'Europe/Berlin' or "
            "to_char(day, 'YYYY-MM-DD'), or DROP it first"
        )
    return check(
        "expressions",
        not failed,
        expected="CHECK constraints, generated columns and indexed expressions do not depend on the session's "
        f"search_path, {', '.join(SETTINGS)}",
        actual="; ".join(failed) or f"{len(texts)} evaluated",
        remedy=remedy,
    )


def _dependencies(context: PreflightContext, text: str, places: list[str]) -> Iterator[str]:
    """Yield the settings under which an expression has other values."""
    for name, values in SETTINGS.items():
        first, *others = (_values(context, text, places, name, value) for value in values)
        # A row that the application changed meanwhile has another place.
        if any(first[place] != other[place] for other in others for place in first.keys() & other.keys()):
            yield name


def _values(context: PreflightContext, text: str, places: list[str], name: str, value: str) -> dict[str, str]:
    """Return a digest of the value of an expression for each row; the setting ends with a savepoint."""
    table = context.table.table_name
    with context.session.connection.transaction(force_rollback=True):
        # Before the next statement is planned: the planner evaluates an IMMUTABLE function of constants.
        context.session.rows("preflight/set_setting", {"name": name, "value": value})
        rows = context.session.rows(
            "preflight/evaluate_for_sample",
            {"places": places},
            source=table.identifier,
            alias=sql.Identifier(table.name),
            expression=sql.SQL(text),
        )
    return {row["place"]: row["value"] for row in rows}


def _evaluate(context: PreflightContext, text: str) -> str:
    source = context.table.table_name.identifier
    try:
        with context.session.connection.transaction():
            context.session.rows("preflight/evaluate_expression", source=source, expression=sql.SQL(text))
    except psycopg.Error as error:
        if context.session.connection.closed:
            raise
        return error.diag.message_primary or str(error)
    return ""
