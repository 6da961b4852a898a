"""What the connection's role lacks: each privilege by name, with the statement that grants it."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Row
from partition_playbook.evidence.precondition import Look
from partition_playbook.names import LEDGER_SCHEMA
from partition_playbook.spec import Backup

Lack = tuple[str, str]


def privileges(look: Look) -> Check:
    """Name every privilege that a run with these params would need and does not have."""
    found = look.session.row("preflight/list_privileges", look.name | {"ledger_schema": LEDGER_SCHEMA})
    lacks = [*_on_table(look, found), *_on_schemas(look, found), *_for_dump(look, found)]
    return check(
        "privileges",
        not lacks,
        expected="every privilege that the run needs",
        actual="; ".join(name for name, _ in lacks) or ("superuser" if found["superuser"] else "all there"),
        remedy="; ".join(dict.fromkeys(remedy for _, remedy in lacks)),
        evidence={"missing": [name for name, _ in lacks]},
    )


def _role(look: Look) -> str:
    return _quoted(look.session.connection.info.user)


def _quoted(*name: str) -> str:
    return sql.Identifier(*name).as_string(None)


def _on_table(look: Look, found: Row) -> Iterator[Lack]:
    role, table, owner = _role(look), look.table.table_name, found["owner"]
    quoted = table.identifier.as_string(None)
    if not (found["uses_owner"] and found["becomes_owner"]):
        yield f"membership of the owner {owner}", f"GRANT {_quoted(owner)} TO {role}"
    if not found["selects"]:
        yield f"SELECT on {table}", f"GRANT SELECT ON {quoted} TO {role}"
    if not found["triggers"]:
        yield f"TRIGGER on {table}", f"GRANT TRIGGER ON {quoted} TO {role}"
    for other in found["unreferenced"]:
        yield f"REFERENCES on {other}", f"GRANT REFERENCES ON {other} TO {role}"


def _on_schemas(look: Look, found: Row) -> Iterator[Lack]:
    role, schema, owner = _role(look), look.table.schema, found["owner"]
    database = look.session.connection.info.dbname
    if not (found["uses_schema"] and found["creates_in_schema"]):
        yield f"CREATE on schema {schema}", f"GRANT USAGE, CREATE ON SCHEMA {_quoted(schema)} TO {role}"
    if not (found["owner_creates_in_schema"] or found["superuser"]):
        yield (
            f"CREATE on schema {schema} for the owner {owner}",
            f"GRANT CREATE ON SCHEMA {_quoted(schema)} TO {_quoted(owner)}",
        )
    if not found["ledger_exists"] and not found["creates_schemas"]:
        remedy = f"CREATE SCHEMA {LEDGER_SCHEMA} AUTHORIZATION {role}"
        yield f"CREATE on database {database} for the ledger", remedy
    if found["ledger_exists"] and not (found["uses_ledger"] and found["writes_ledger"]):
        yield f"the ledger's schema {LEDGER_SCHEMA}", f"Let {role} own schema {LEDGER_SCHEMA} and its tables"


def _for_dump(look: Look, found: Row) -> Iterator[Lack]:
    if look.params.backup is not Backup.DUMP:
        return
    role = _role(look)
    if not found["createdb"]:
        yield "CREATEDB for the restore check", f"ALTER ROLE {role} CREATEDB, or choose backup external"
    unreadable = look.session.rows("preflight/list_unreadable", {"ledger_schema": LEDGER_SCHEMA})
    if unreadable:
        shown = ", ".join(row["name"] for row in unreadable[:10])
        more = f" and {len(unreadable) - 10} more" if len(unreadable) > 10 else ""
        yield f"SELECT for the dump on {shown}{more}", f"GRANT pg_read_all_data TO {role}, or choose backup external"


def statistics_privilege(look: Look) -> Check:
    """Tell whether the role sees the age and the statements of other sessions."""
    found = look.session.row("preflight/list_privileges", look.name | {"ledger_schema": LEDGER_SCHEMA})
    return check(
        "statistics_privilege",
        bool(found["reads_statistics"]),
        expected="pg_read_all_stats, to name those who would block the cutover",
        actual="granted" if found["reads_statistics"] else "missing",
        severity=Severity.INFO,
        remedy=f"GRANT pg_read_all_stats TO {_role(look)}",
    )
