"""Name the parts of the catalog that this version does not know, before anything relies on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from partition_playbook.checks import Check, Severity, check
from partition_playbook.sections.preflight.context import PreflightContext

# The columns of PostgreSQL 14.23, 15.20, 16.14, 17.10 and 18.6, by catalog.
CATALOG_COLUMNS: dict[str, frozenset[str]] = {
    catalog: frozenset(columns.split())
    for catalog, columns in json.loads(Path(__file__).with_name("catalog_columns.json").read_text()).items()
}


def unknown_options(context: PreflightContext) -> Check:
    """Warn about options of the table and its columns that are not in PostgreSQL's documentation.

    The server keeps marks of its own among the options: 15.20 has ``pg_attver`` on each column, refuses to set it, and
    pg_dump omits it. Such an option is neither copied nor compared.
    """
    found = context.table.unknown_options
    return check(
        "unknown_options",
        not found,
        expected="only options that this version knows",
        actual="; ".join(found) or "none is unknown",
        severity=Severity.WARNING,
        remedy="These options are not copied to the partitions. If you set one of them yourself, set it again on each "
        "partition after the cutover",
    )


def unknown_catalog(context: PreflightContext) -> Check:
    """Warn about catalog columns and kinds of constraints that this version does not read."""
    problems = [*_columns(context), *_kinds(context)]
    return check(
        "unknown_catalog",
        not problems,
        expected="a catalog that this version knows",
        actual="; ".join(problems) or "every column and kind is known",
        severity=Severity.WARNING,
        remedy="A property of the table may not be carried over. Rehearse on a copy, and compare its pg_dump "
        "--schema-only before and after. Or install a newer version of Partition Playbook",
    )


def _columns(context: PreflightContext) -> Iterator[str]:
    for row in context.session.rows("preflight/list_catalog_columns", {"catalogs": list(CATALOG_COLUMNS)}):
        if row["column"] not in CATALOG_COLUMNS[row["catalog"]]:
            yield f"{row['catalog']}.{row['column']}"


def _kinds(context: PreflightContext) -> Iterator[str]:
    for row in context.session.rows("preflight/list_unknown_kinds", context.name):
        yield f"{row['name']} is a constraint of kind {row['kind']}"
