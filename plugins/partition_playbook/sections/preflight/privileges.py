"""Check the privileges of the role of the connection; each remedy is the statement that grants a missing one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Row, Session
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import Backup

Missing = tuple[str, str]  # a privilege and the statement that grants it


def privileges(context: PreflightContext) -> Check:
    """Check every privilege that a run with these params needs."""
    found = _found(context)
    missing = [
        *_as_owner(context, found),
        *_grants(context, found),
        *_on_schemas(context, found),
        *_for_dump(context, found),
    ]
    return _check(missing, "superuser" if found["superuser"] else "all granted")


def unreadable_table(session: Session, table: TableName, error: psycopg.Error) -> Check:
    """Return the failed check of a role without USAGE on the schema; no other check can be evaluated without it."""
    remedy = f"GRANT USAGE ON SCHEMA {_quoted(table.schema)} TO {_quoted(session.connection.info.user)}"
    return _check([(f"USAGE on schema {table.schema} ({error.diag.message_primary})", remedy)], "")


def _check(missing: Sequence[Missing], otherwise: str) -> Check:
    return check(
        "privileges",
        not missing,
        expected="every privilege that the run needs",
        actual="; ".join(name for name, _ in missing) or otherwise,
        remedy="; ".join(dict.fromkeys(remedy for _, remedy in missing)),
        evidence={"missing": [name for name, _ in missing]},
    )


def _found(context: PreflightContext) -> Row:
    return context.session.row("preflight/list_privileges", context.name | {"ledger_schema": LEDGER_SCHEMA})


def _quoted(*name: str) -> str:
    return sql.Identifier(*name).as_string(None)


def _as_owner(context: PreflightContext, found: Row) -> Iterator[Missing]:
    role, owner = _quoted(found["role"]), _quoted(found["owner"])
    if not (found["uses_owner"] and found["becomes_owner"]):
        if context.session.server_version() >= 16:
            remedy = f"GRANT {owner} TO {role} WITH INHERIT TRUE, SET TRUE"
        else:
            remedy = f"GRANT {owner} TO {role}" + ("" if found["inherits"] else f"; ALTER ROLE {role} INHERIT")
        yield f"membership in the owner {found['owner']}, with its privileges", remedy

    if found["filtered"]:
        table = _quoted(context.table.schema, context.table.name)
        remedy = f"ALTER ROLE {role} BYPASSRLS, or ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, OWNER TO {role}"
        yield f"every row of {context.table.table_name}: row security applies to {found['role']}", remedy


def _grants(context: PreflightContext, found: Row) -> Iterator[Missing]:
    inserts = {"inserts": context.params.synthetic_rows > 0}
    for row in context.session.rows("preflight/list_missing_grants", context.name | inserts):
        remedy = f"GRANT {row['privilege']} ON {row['kind']} {row['name']} TO {_quoted(found['role'])}"
        yield f"{row['privilege']} on {row['kind'].lower()} {row['name']}", remedy


def _on_schemas(context: PreflightContext, found: Row) -> Iterator[Missing]:
    role, schema, owner = _quoted(found["role"]), context.table.schema, found["owner"]
    if not (found["owner_creates_in_schema"] or found["superuser"]):
        yield (
            f"CREATE on schema {schema} for the owner {owner}",
            f"GRANT USAGE, CREATE ON SCHEMA {_quoted(schema)} TO {_quoted(owner)}",
        )

    database = context.session.connection.info.dbname
    views = ", ".join(row["name"] for row in context.session.rows("catalog/list_materialized_views", context.name))
    if views and not found["creates_schemas"]:
        remedy = f"GRANT CREATE ON DATABASE {_quoted(database)} TO {role}"
        yield f"CREATE on database {database} for the twins of materialized views: {views}", remedy

    if not found["ledger_exists"] and not found["creates_schemas"]:
        remedy = f"CREATE SCHEMA {LEDGER_SCHEMA} AUTHORIZATION {role}"
        yield f"CREATE on database {database} for the ledger", remedy
    if found["ledger_exists"] and not (found["uses_ledger"] and found["writes_ledger"]):
        remedy = (
            f"GRANT USAGE, CREATE ON SCHEMA {LEDGER_SCHEMA} TO {role}; "
            f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {LEDGER_SCHEMA} TO {role}"
        )
        yield f"USAGE, CREATE and writes for the ledger in schema {LEDGER_SCHEMA}", remedy


def _for_dump(context: PreflightContext, found: Row) -> Iterator[Missing]:
    if context.params.backup is not Backup.DUMP:
        return
    role = _quoted(found["role"])
    if not found["createdb"]:
        yield "CREATEDB for the restore check", f"ALTER ROLE {role} CREATEDB, or set the param backup to external"

    unreadable = context.session.rows("preflight/list_unreadable", {"ledger_schema": LEDGER_SCHEMA})
    filtered = [row["name"] for row in unreadable if row["filtered"]]
    others = [row["name"] for row in unreadable if not row["filtered"]]
    if others:
        remedy = f"GRANT pg_read_all_data TO {role}, or set the param backup to external"
        yield f"SELECT for the dump on {_some(others)}", remedy
    if filtered:
        remedy = f"ALTER ROLE {role} BYPASSRLS, or set the param backup to external"
        yield f"every row for the dump: row security applies to {_some(filtered)}", remedy


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def foreign_function_rights(context: PreflightContext) -> Check:
    """List the functions of other roles that a run may call with the privileges of its own role."""
    rows = context.session.rows("preflight/list_borrowers", context.name | {"ledger_schema": LEDGER_SCHEMA})
    role = context.session.connection.info.user
    return check(
        "foreign_function_rights",
        not rows,
        expected=f"no function of another role runs with the privileges of {role}",
        actual="; ".join(f"{row['function']} of {row['owner']}" for row in rows) or "none",
        severity=Severity.WARNING,
        remedy=f"Review these functions, and give {role} only the privileges that a run needs: never superuser",
        evidence={"superuser": bool(_found(context)["superuser"])},
    )


def statistics_privilege(context: PreflightContext) -> Check:
    """Check that the role sees the age and the statements of other sessions."""
    found = _found(context)
    return check(
        "statistics_privilege",
        bool(found["reads_statistics"]),
        expected="pg_read_all_stats, to name the sessions that block the cutover",
        actual="granted" if found["reads_statistics"] else "missing",
        severity=Severity.INFO,
        remedy=f"GRANT pg_read_all_stats TO {_quoted(found['role'])}",
    )
