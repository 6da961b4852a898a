"""Look for programs that read the catalog or the stream of changes, and behave differently after the cutover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.known_clients import CLIENTS, TOOLS, Client, SchemaTool, Subject, find_tools
from partition_playbook.workload.statement_statistics import shorten

HEADING = "After the cutover: what reads the catalog or the stream"
# The checks under this heading, in the order of the report, with the readers that each looks for.
TITLES = {
    "client_libraries": "drivers, ORMs and agents",
    "schema_tools": "schema tools",
    "size_queries": "sizes and row counts",
    "selective_dumps": "dumps by name",
    "output_plugins": "slots with other plugins than pgoutput",
    "stream_consumers": "slots with pgoutput",
    "row_addresses": "postgres_fdw and ctid",
}
FOUND = {Outcome.FAILED: "seen", Outcome.PASSED: "not seen", Outcome.SKIPPED: "cannot be seen"}
READS = r"\m(pg_(total_relation|relation|table|indexes)_size|pg_stat(io)?_(user|all)_tables|reltuples|relpages)\M"
MOST_SHOWN = 5


@dataclass(frozen=True)
class Reader:
    """One program that was seen, with its traces and its remedy; a check keeps it in its evidence."""

    name: str
    traces: str
    remedy: str


def client_libraries(context: PreflightContext) -> Check:
    """Tell the drivers, ORMs and agents that are known by their application_name or their statements."""
    sessions = context.session.rows("preflight/list_clients")
    found = {each: traces for each in CLIENTS if (traces := list(_traces(context, each, sessions)))}
    subject = Subject.of(context.table, context.partition_by)
    readers = [Reader(each.name, ", ".join(traces), each.told(subject)) for each, traces in found.items()]
    return _readers_check(
        "client_libraries",
        readers,
        expected="no driver, ORM or agent with an effect to know of",
        otherwise=f"none known: {_unseen(context, sessions)}",
        severity=Severity.INFO,
    )


def _readers_check(name: str, readers: Sequence[Reader], expected: str, otherwise: str, severity: Severity) -> Check:
    return check(
        name,
        not readers,
        expected=expected,
        actual="; ".join(f"{each.name} ({each.traces})" for each in readers) or otherwise,
        severity=severity,
        remedy=". ".join(f"{each.name}: {each.remedy}" for each in readers),
        evidence={"readers": [asdict(each) for each in readers]},
    )


def _traces(context: PreflightContext, client: Client, sessions: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in sessions:
        if client.is_session(row["application"]):
            yield f"{figures.count(row['sessions'], 'session')} {row['application']!r} of {row['role']}"
    written = [each for each in context.statistics.statements if client.wrote(each.text)]
    if written:
        yield f"{figures.count(len(written), 'statement')} such as {shorten(written[0].text)}"


def _unseen(context: PreflightContext, sessions: Sequence[dict[str, Any]]) -> str:
    nameless = sum(row["sessions"] for row in sessions if not row["application"])
    seen = figures.count(sum(row["sessions"] for row in sessions), "session")
    return "; ".join([f"{seen}, {figures.number(nameless)} without application_name", *_problem(context)])


def _problem(context: PreflightContext) -> Iterator[str]:
    """Yield why statements of the application may be unseen."""
    if context.statistics.problem:
        yield context.statistics.problem
    if context.statistics.hidden:
        yield f"{figures.count(context.statistics.hidden, 'call')} of other roles hidden: GRANT pg_read_all_stats"


def schema_tools(context: PreflightContext) -> Check:
    """Warn of schema tools by their history tables: some drop tables that their model lacks."""
    names = {"names": sorted({each.history for each in TOOLS})}
    rows = context.session.rows("preflight/list_history_tables", names)
    found: dict[SchemaTool, list[str]] = {}
    for row in rows:
        for tool in find_tools(row["name"], row["columns"]):
            found.setdefault(tool, []).append(f"{row['schema']}.{row['name']}")
    subject = Subject.of(context.table, context.partition_by)
    readers = [Reader(tool.name, ", ".join(tables), tool.told(subject)) for tool, tables in found.items()]
    return _readers_check(
        "schema_tools",
        readers,
        expected="no history table of a schema tool",
        otherwise="none in this database; a tool without a history table is not seen",
        severity=Severity.WARNING if any(each.compares for each in found) else Severity.INFO,
    )


def size_queries(context: PreflightContext) -> Check:
    """Find statements, views and functions that read sizes or counts of the table: they get 0 for a parent."""
    table = context.table.table_name
    named = {"name": table.name, "reads": READS}
    places = [
        row["place"]
        for row in context.session.rows("preflight/list_size_definitions", named | {"ledger_schema": LEDGER_SCHEMA})
    ]
    statements, problem = _size_statements(context, named)
    if problem and not places:
        return skipped("size_queries", f"no view or function; {problem}")

    told = [
        f"{figures.count(row['calls'], 'call')} of {shorten(row['text'])}"
        + ("" if row["named"] else " (the name is not recorded)")
        for row in statements
    ]
    shown = [*places, *told[:MOST_SHOWN]]
    shown += [f"{figures.number(len(told) - MOST_SHOWN)} more"] if len(told) > MOST_SHOWN else []
    certain = bool(places) or any(row["named"] for row in statements)
    return check(
        "size_queries",
        not shown,
        expected=f"no statement reads the size or the row count of {table} from the catalog",
        actual="; ".join(shown or ["none recorded", *_problem(context)]),
        severity=Severity.WARNING if certain else Severity.INFO,
        remedy="They read 0 for a partitioned table, and reltuples of its last ANALYZE. For the size: "
        f"{size_of(table)}. For the rows: {rows_of(table)}. Both are right before and after the cutover",
    )


def _size_statements(context: PreflightContext, named: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
    """Return the recorded statements that read sizes, or the reason why there are none."""
    installed = context.session.rows("workload/find_statement_statistics")
    if context.statistics.problem or not installed:
        return [], context.statistics.problem
    view = sql.Identifier(installed[0]["schema"], "pg_stat_statements")
    try:
        with context.session.connection.transaction():
            asked = named | {"most": 50}
            return context.session.rows("workload/list_size_statements", asked, statements=view), ""
    except psycopg.Error as error:
        if context.session.connection.closed:
            raise
        return [], f"pg_stat_statements cannot be read: {error.diag.message_primary or error}"


def size_of(table: TableName) -> str:
    """Return a query for the size of a table with its partitions, partitioned or not."""
    return f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE {_in_tree('oid', table)}"


def rows_of(table: TableName) -> str:
    """Return a query for the estimated rows of a table with its partitions, partitioned or not."""
    return f"SELECT sum(n_live_tup) FROM pg_stat_all_tables WHERE {_in_tree('relid', table)}"


def _in_tree(column: str, table: TableName) -> str:
    name = sql.quote(table.quoted)
    return f"{column} = {name}::regclass OR {column} IN (SELECT relid FROM pg_partition_tree({name}))"


def stream_consumers(context: PreflightContext) -> Check:
    """Tell the consumers of publications of the table: the key of its messages gains the partition column."""
    published = [each.name for each in context.table.publications]
    slots = context.session.rows("preflight/list_pgoutput_slots") if published else []
    told = [f"slot {row['slot']}" + (f", read by {row['consumer']}" if row["consumer"] else "") for row in slots]
    subject = Subject.of(context.table, context.partition_by)
    key = (
        f"The replica identity becomes ({subject.new}). Debezium: set message.key.columns={subject.schema}."
        f"{subject.table}:{subject.listed} to keep the key of its messages. "
        if subject.old
        else ""
    )
    return check(
        "stream_consumers",
        not slots,
        expected="no consumer of a publication of the table",
        actual="; ".join(told) + f"; publications: {', '.join(published)}"
        if slots
        else f"no slot reads {', '.join(published)}"
        if published
        else "no publication has the table",
        severity=Severity.INFO,
        remedy=f"{key}Rows keep the table's name: the cutover sets publish_via_partition_root. An UPDATE that moves a "
        "row to another partition arrives as a DELETE and an INSERT",
    )


def never_blocking(checks: Iterable[Check]) -> Iterator[Check]:
    """Yield the checks; one that the server did not let happen is skipped, because no reader refuses a write."""
    for each in checks:
        yield skipped(each.name, f"not evaluated: {each.actual}") if each.blocks else each


def effects(checks: Sequence[Check]) -> list[dict[str, str]]:
    """Return the rows of the heading, from the checks of preflight: one for each reader seen, else one for each check.

    The keys are name, title, found, actual and remedy.
    """
    made = {each.name: each for each in checks}
    return [row for name, title in TITLES.items() if name in made for row in _rows(made[name], title)]


def _rows(made: Check, title: str) -> Iterator[dict[str, str]]:
    row = {"name": made.name, "found": FOUND.get(made.outcome, "seen")}
    readers = made.evidence.get("readers", [])
    for each in readers:
        yield row | {"title": f"{title}: {each['name']}", "actual": each["traces"], "remedy": each["remedy"]}
    if not readers:
        remedy = made.remedy if made.outcome is Outcome.FAILED else ""
        yield row | {"title": title, "actual": made.actual, "remedy": remedy}


def lines(checks: Sequence[Check]) -> list[str]:
    """Return the rows of ``effects`` as lines of a plan."""
    found = [
        f"{each['title']}, {each['found']}: {each['actual']}" + (f". {each['remedy']}" if each["remedy"] else "")
        for each in effects(checks)
    ]
    return [HEADING, *found] if found else []


CHECKS: tuple[Callable[[PreflightContext], Check], ...] = (
    client_libraries,
    schema_tools,
    size_queries,
    stream_consumers,
)
