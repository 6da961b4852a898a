"""Known drivers, ORMs and schema tools: the traces by which a server knows them, and a remedy for each.

A remedy is a template; ``Subject`` has its names. The sources are the tools' own manuals and code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import Template

from partition_playbook.catalog import Table
from partition_playbook.workload.statement_risks import WeakerKeys

# The names of everything that stands beside the table: partitions, default, shadow, retired and doubled rows.
GLOBS = ("${table}_y[12]*", "${table}_default", "${table}_new", "${table}_old", "${table}_doubled")
PATTERN = "${table}_(y[12].*|default|new|old|doubled)"


@dataclass(frozen=True)
class Subject:
    """The table as a remedy names it; ``old`` and ``new`` are its key before and after, empty if it stays.

    ``listed`` and ``ruby`` are the old key without spaces and as Ruby writes it.
    """

    schema: str
    table: str
    by: str
    old: str = ""
    new: str = ""
    listed: str = ""
    ruby: str = ""

    @classmethod
    def of(cls, table: Table, partition_by: str) -> Subject:
        """Return the names of a table."""
        keys = WeakerKeys.of(table, partition_by).columns
        if not keys:
            return cls(table.schema, table.name, partition_by)
        old, symbols = ", ".join(keys[0]), ", ".join(f":{each}" for each in keys[0])
        ruby = symbols if len(keys[0]) == 1 else f"[{symbols}]"
        return cls(table.schema, table.name, partition_by, old, f"{old}, {partition_by}", ",".join(keys[0]), ruby)

    def fill(self, template: str) -> str:
        """Return a template with these names."""
        return Template(template).substitute(vars(self))


@dataclass(frozen=True)
class Client:
    """A driver or library, known by its application_name or by the form of its statements; ``keyed`` adds the key."""

    name: str
    remedy: str
    application: str = ""
    statement: str = ""
    keyed: str = ""

    def is_session(self, application: str) -> bool:
        """Return True if a session has an application_name of this client."""
        return bool(self.application) and re.match(self.application, application, re.IGNORECASE) is not None

    def wrote(self, text: str) -> bool:
        """Return True if a statement has the form of this client."""
        return bool(self.statement) and re.search(self.statement, text) is not None

    def told(self, subject: Subject) -> str:
        """Return the remedy, with that for the key if it changes."""
        return _told(self.remedy, self.keyed, subject)


@dataclass(frozen=True)
class SchemaTool:
    """A schema tool, known by its history table and some of its columns.

    One that ``compares`` a model with the database can drop tables that its model lacks. The others run scripts.
    """

    name: str
    history: str
    remedy: str
    columns: frozenset[str] = frozenset()
    keyed: str = ""
    compares: bool = False

    def told(self, subject: Subject) -> str:
        """Return the remedy, with that for the key if it changes."""
        return _told(self.remedy, self.keyed, subject)


def _told(remedy: str, keyed: str, subject: Subject) -> str:
    parts = [remedy, keyed] if keyed and subject.old else [remedy]
    return ". ".join(subject.fill(each) for each in parts)


TABLE_TYPES = (
    "The table's type is now PARTITIONED TABLE. "
    "Set hibernate.hbm2ddl.extra_physical_table_types=PARTITIONED TABLE, else Hibernate reports a missing table. "
    "Set table.types=TABLE,PARTITIONED TABLE in a Kafka Connect JDBC source"
)
RAILS_KEY = "Add `self.primary_key = $ruby` to the model, else find() expects ($new)"
PRISMA_KEY = "Change the model's @id to @@id([$new]) in schema.prisma, then run `npx prisma generate`"
RELOAD_HASURA = (
    'Reload its metadata after the cutover: POST /v1/metadata {"type": "reload_metadata", "args": {}}. '
    "Untrack each partition that it lists"
)
BY_KEY_HASURA = "Queries by key (${table}_by_pk) then take ($new)"

CLIENTS = (
    Client("PostgreSQL JDBC Driver", TABLE_TYPES, application="PostgreSQL JDBC Driver"),
    Client(
        "Hibernate",
        "Set hibernate.hbm2ddl.extra_physical_table_types=PARTITIONED TABLE if hibernate.hbm2ddl.auto is validate or "
        "update",
        statement=r"\b[a-z]+\d+_\d+\.\w+|\bas \w+\d+_\d+_\b",
        keyed="Leave @Id on ($old), and annotate $by with @PartitionKey (Hibernate 6.2), so that UPDATE and DELETE "
        "read one partition",
    ),
    Client(
        "PostgREST",
        "Type NOTIFY pgrst, 'reload schema'; after the cutover and after a rollback",
        application="PostgREST",
        statement=r"\bpgrst_source\b",
        keyed="Until then an upsert still says ON CONFLICT ($old), and fails. Then it needs values for ($new)",
    ),
    Client(
        "Rails",
        "Its schema cache has the old key: restart the processes after the cutover and after a rollback",
        application=r"(\S*/)?(rails|puma|sidekiq|rake|unicorn|good_job)\b",
        statement=r'^\s*SELECT "([^"]+)"\.\* FROM "\1"',
        keyed=RAILS_KEY,
    ),
    Client(
        "Prisma",
        "Never run `prisma migrate dev` or `prisma db push` against this database",
        statement=r'^\s*(SELECT|.*\bRETURNING) "[^"]+"\."[^"]+"\."[^"]+"(?! AS )',
        keyed=PRISMA_KEY,
    ),
    Client("Hasura", RELOAD_HASURA, statement='"_root(\\.base)?"', keyed=BY_KEY_HASURA),
    Client(
        "Debezium",
        "Expect a DELETE and an INSERT for an UPDATE that moves a row to another partition",
        application="Debezium",
        keyed="Set message.key.columns=$schema.$table:$listed to keep the key of its messages",
    ),
    Client(
        "Metabase",
        "It lists each partition as a table. Hide them under Admin settings, Table Metadata",
        application="Metabase",
    ),
    Client(
        "a monitoring agent",
        "It reports each partition by its own name, and 0 for the table. Sum over pg_partition_tree, see size_queries",
        application=r"datadog|dd-agent|pganalyze|postgres[_-]exporter|pgwatch|pgmetrics|zabbix|telegraf|check_postgres"
        r"|newrelic|nri-postgres|netdata|percona|pmm",
    ),
)

SCRIPTS = (
    "Deploy no script for the table from preflight to partition_finalize. Later CREATE INDEX CONCURRENTLY fails on it. "
    "Type CREATE INDEX … ON ONLY $table, then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH "
    "PARTITION. Add a script that creates the table partitioned, for new databases"
)
TOOLS = (
    SchemaTool(
        "Prisma Migrate",
        "_prisma_migrations",
        "`prisma migrate deploy` is safe. `prisma migrate dev` and `prisma db push` would drop ${table}_old and "
        "restore the old key, so never run them against this database. Record the new key as a migration, and type "
        "`npx prisma migrate resolve --applied <its name>`",
        keyed=PRISMA_KEY,
        compares=True,
    ),
    SchemaTool(
        "drizzle-kit",
        "__drizzle_migrations",
        "`drizzle-kit push` would DROP each partition. Use `drizzle-kit migrate` only, and set "
        'tablesFilter: ["*", "!${table}_y[12]*", "!${table}_default", "!${table}_new", "!${table}_old", '
        '"!${table}_doubled"] in drizzle.config.ts',
        compares=True,
        keyed="Give the table primaryKey({ columns: [$new] })",
    ),
    SchemaTool(
        "Atlas",
        "atlas_schema_revisions",
        "`atlas schema apply` and `atlas migrate diff` would drop tables beside $table. Add "
        + " ".join(f"--exclude '$schema.{each}'" for each in GLOBS)
        + ", without `$schema.` if the URL has search_path",
        compares=True,
        keyed="Change the primary key in the schema file to ($new)",
    ),
    SchemaTool(
        "Liquibase",
        "databasechangelog",
        "`liquibase update` is safe. For diff and diff-changelog add --exclude-objects="
        f'"table:{PATTERN}". The JDBC driver lists $table as PARTITIONED TABLE, so review each createTable and '
        "dropTable",
        compares=True,
    ),
    SchemaTool(
        "Alembic",
        "alembic_version",
        "`alembic revision --autogenerate` would drop each partition. In env.py let include_name(name, type_, parent) "
        f'return `type_ != "table" or not re.fullmatch("{PATTERN}", name)`, and give it to context.configure',
        columns=frozenset({"version_num"}),
        compares=True,
        keyed="Change the model's primary key to ($new)",
    ),
    SchemaTool(
        "TypeORM",
        "migrations",
        "Set synchronize: false. Delete the statements for $table from each result of `typeorm migration:generate`",
        columns=frozenset({"timestamp", "name"}),
        compares=True,
        keyed="Put @PrimaryColumn() on each of ($new)",
    ),
    SchemaTool(
        "Doctrine",
        "doctrine_migration_versions",
        "`doctrine:schema:update` and `doctrine:migrations:diff` would drop each partition. Set doctrine.dbal."
        f"schema_filter: ~^(?!{PATTERN})~",
        compares=True,
    ),
    SchemaTool(
        "Rails",
        "ar_internal_metadata",
        f"db/schema.rb would list each partition. Set ActiveRecord::SchemaDumper.ignore_tables = [/\\A{PATTERN}\\z/], "
        "or config.active_record.schema_format = :sql. Use disable_ddl_transaction! and one index for each partition "
        "instead of algorithm: :concurrently",
        keyed=RAILS_KEY,
        compares=True,
    ),
    SchemaTool("Hasura", "hdb_metadata", RELOAD_HASURA, keyed=BY_KEY_HASURA, compares=True),
    SchemaTool("Flyway", "flyway_schema_history", SCRIPTS),
    SchemaTool("schema_migrations (Ecto, golang-migrate, dbmate, Supabase)", "schema_migrations", SCRIPTS),
    SchemaTool("Django", "django_migrations", SCRIPTS + ". AddIndexConcurrently fails in the same way"),
    SchemaTool("Entity Framework", "__efmigrationshistory", SCRIPTS),
    SchemaTool("goose", "goose_db_version", SCRIPTS),
    SchemaTool("Knex", "knex_migrations", SCRIPTS),
    SchemaTool("Sequelize", "sequelizemeta", SCRIPTS + ". Never call sync({ alter: true })"),
    SchemaTool("Laravel", "migrations", SCRIPTS, columns=frozenset({"migration", "batch"})),
    SchemaTool("node-pg-migrate", "pgmigrations", SCRIPTS),
    SchemaTool("sqlx", "_sqlx_migrations", SCRIPTS),
    SchemaTool("Diesel", "__diesel_schema_migrations", SCRIPTS),
)

# A hint for each output plugin that gives rows under the names of partitions.
PLUGINS = {
    "wal2json": "wal2json: the option add-tables knows no patterns within a name, so use add-tables=$schema.* or list "
    "the partitions",
    "decoderbufs": "decoderbufs: set plugin.name=pgoutput in Debezium, or table.include.list=$schema[.]$table.* with "
    "the transformation ByLogicalTableRouter",
    "test_decoding": "test_decoding: AWS DMS and scripts that read it filter by name, so add each partition to the "
    "filter",
}


def find_tools(name: str, columns: Iterable[str]) -> list[SchemaTool]:
    """Return the tools with a history table of this name and these columns."""
    present = set(columns)
    return [each for each in TOOLS if each.history == name.lower() and each.columns <= present]
