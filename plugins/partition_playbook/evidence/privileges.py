"""What the connection's role lacks: each privilege by name, with the statement that grants it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Row, Session
from partition_playbook.evidence.precondition import Look
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.spec import Backup

Lack = tuple[str, str]


def privileges(look: Look) -> Check:
    """Name every privilege that a run with these params would need and does not have."""
    found = _found(look)
    lacks = [*_as_owner(look, found), *_grants(look, found), *_on_schemas(look, found), *_for_dump(look, found)]
    return _check(lacks, "superuser" if found["superuser"] else "all there")


def no_look(session: Session, table: TableName, error: psycopg.Error) -> Check:
    """Return the check for a role that may not even look at the table: nothing more is known before it may."""
    remedy = f"GRANT USAGE ON SCHEMA {_quoted(table.schema)} TO {_quoted(session.connection.info.user)}"
    return _check([(f"USAGE on schema {table.schema} ({error.diag.message_primary})", remedy)], "")


def _check(lacks: Sequence[Lack], otherwise: str) -> Check:
    return check(
        "privileges",
        not lacks,
        expected="every privilege that the run needs",
        actual="; ".join(name for name, _ in lacks) or otherwise,
        remedy="; ".join(dict.fromkeys(remedy for _, remedy in lacks)),
        evidence={"missing": [name for name, _ in lacks]},
    )


def _found(look: Look) -> Row:
    return look.session.row("preflight/list_privileges", look.name | {"ledger_schema": LEDGER_SCHEMA})


def _quoted(*name: str) -> str:
    return sql.Identifier(*name).as_string(None)


def _as_owner(look: Look, found: Row) -> Iterator[Lack]:
    role, owner = _quoted(found["role"]), _quoted(found["owner"])
    if not (found["uses_owner"] and found["becomes_owner"]):
        if look.session.server_version() >= 16:
            remedy = f"GRANT {owner} TO {role} WITH INHERIT TRUE, SET TRUE"
        else:
            remedy = f"GRANT {owner} TO {role}" + ("" if found["inherits"] else f"; ALTER ROLE {role} INHERIT")
        yield f"membership of the owner {found['owner']}, with its rights", remedy
    if found["filtered"]:
        remedy = f"ALTER ROLE {role} BYPASSRLS, or let the table be NO FORCE ROW LEVEL SECURITY and {role} be its owner"
        yield f"every row of {look.table.table_name}: row security applies to {found['role']}", remedy


def _grants(look: Look, found: Row) -> Iterator[Lack]:
    inserts = {"inserts": look.params.synthetic_rows > 0}
    for row in look.session.rows("preflight/list_missing_grants", look.name | inserts):
        remedy = f"GRANT {row['privilege']} ON {row['kind']} {row['name']} TO {_quoted(found['role'])}"
        yield f"{row['privilege']} on {row['kind'].lower()} {row['name']}", remedy


def _on_schemas(look: Look, found: Row) -> Iterator[Lack]:
    role, schema, owner = _quoted(found["role"]), look.table.schema, found["owner"]
    if not (found["owner_creates_in_schema"] or found["superuser"]):
        yield (
            f"CREATE on schema {schema} for the owner {owner}",
            f"GRANT USAGE, CREATE ON SCHEMA {_quoted(schema)} TO {_quoted(owner)}",
        )
    database = look.session.connection.info.dbname
    views = ", ".join(row["name"] for row in look.session.rows("catalog/list_materialized_views", look.name))
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
        yield f"the ledger in schema {LEDGER_SCHEMA}", remedy


def _for_dump(look: Look, found: Row) -> Iterator[Lack]:
    if look.params.backup is not Backup.DUMP:
        return
    role = _quoted(found["role"])
    if not found["createdb"]:
        yield "CREATEDB for the restore check", f"ALTER ROLE {role} CREATEDB, or choose backup external"
    unreadable = look.session.rows("preflight/list_unreadable", {"ledger_schema": LEDGER_SCHEMA})
    filtered = [row["name"] for row in unreadable if row["filtered"]]
    others = [row["name"] for row in unreadable if not row["filtered"]]
    if others:
        remedy = f"GRANT pg_read_all_data TO {role}, or choose backup external"
        yield f"SELECT for the dump on {_some(others)}", remedy
    if filtered:
        remedy = f"ALTER ROLE {role} BYPASSRLS, or choose backup external"
        yield f"every row for the dump of {_some(filtered)}, which have row security", remedy


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def lent_rights(look: Look) -> Check:
    """Name the functions of other roles that a run may call with its own rights."""
    rows = look.session.rows("preflight/list_borrowers", look.name | {"ledger_schema": LEDGER_SCHEMA})
    role = look.session.connection.info.user
    return check(
        "lent_rights",
        not rows,
        expected=f"no function of another role that runs with the rights of {role}",
        actual="; ".join(f"{row['function']} of {row['owner']}" for row in rows) or "none",
        severity=Severity.WARNING,
        remedy=f"Read them, and let {role} have no more rights than a run needs: never a superuser's",
        evidence={"superuser": bool(_found(look)["superuser"])},
    )


def statistics_privilege(look: Look) -> Check:
    """Tell whether the role sees the age and the statements of other sessions."""
    found = _found(look)
    return check(
        "statistics_privilege",
        bool(found["reads_statistics"]),
        expected="pg_read_all_stats, to name those who would block the cutover",
        actual="granted" if found["reads_statistics"] else "missing",
        severity=Severity.INFO,
        remedy=f"GRANT pg_read_all_stats TO {_quoted(found['role'])}",
    )
