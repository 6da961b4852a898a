"""Compose the way to keys with the partition column, as SQL with the table's own names.

Nothing here changes the database. A check keeps its steps in its evidence, and ``lines`` prints those of all checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from psycopg import sql

from partition_playbook.catalog import Table
from partition_playbook.checks import Check
from partition_playbook.database import Row
from partition_playbook.names import TableName, clip

HEADING = "Your keys: every step to a key with the partition column"
STEPS = "steps"  # of a check's evidence
MOVES_FROM = 15  # the first version that takes an UPDATE across partitions for an UPDATE, not for a DELETE
BATCH_PAGES = 1_000
ACTIONS = re.compile(r" ON (?:UPDATE|DELETE) (?:CASCADE|SET NULL|SET DEFAULT)(?: \([^)]*\))?")
INTRODUCTION = (
    "Execute each step in psql, outside of a transaction block. Execute a step again if lock_timeout ends it (55P03)."
)

INDEX_COMMENTS = ("If the build fails, DROP INDEX CONCURRENTLY the invalid index and repeat this step.",)
FILL = """\
SET plan_cache_mode = force_custom_plan;
DO $fill$
BEGIN
  FOR page IN 0 .. pg_relation_size({regclass}) / current_setting('block_size')::int BY {pages} LOOP
    UPDATE {referring} AS r
       SET {column} = t.{by}
      FROM {table} AS t
     WHERE r.ctid >= format('(%s,0)', page)::tid
       AND r.ctid < format('(%s,0)', page + {pages})::tid
       AND r.{column} IS NULL
       AND {same};
    COMMIT;
  END LOOP;
END
$fill$;
RESET plan_cache_mode;"""


class Place(IntEnum):
    """The place of a step on the way."""

    INDEX = 1
    COLUMN = 2
    STATEMENTS = 3
    FILL = 4
    KEY = 5
    VALIDATE = 6
    DROP = 7
    FORGET = 8
    AFTERWARDS = 9


@dataclass(frozen=True)
class Step:
    """One step: its purpose, its lock, comments, and its statements; one without statements is work for a person."""

    place: Place
    purpose: str
    lock: str
    comments: tuple[str, ...] = ()
    text: str = ""


def evidence(steps: Iterable[Step]) -> dict[str, Any]:
    """Return steps as the evidence of a check."""
    return {STEPS: [asdict(each) for each in steps]}


def lines(checks: Iterable[Check]) -> list[str]:
    """Return the steps of all checks as one commented script; empty if no check has a step.

    Equal steps of two checks are one. The steps after partition_finalize are comments only.
    """
    found = [step for each in checks for step in each.evidence.get(STEPS, ())]
    ordered = sorted(found, key=lambda step: int(step["place"]))
    printed = list(dict.fromkeys("\n".join(_printed(step)) for step in ordered))
    return [f"-- {HEADING}", f"-- {INTRODUCTION}", *"\n".join(printed).splitlines()] if printed else []


def _printed(step: Mapping[str, Any]) -> Iterator[str]:
    told = [f"{int(step['place'])}. {step['purpose']}", *([f"lock: {step['lock']}"] if step["lock"] else [])]
    for each in (*told, *step["comments"]):
        yield f"-- {' '.join(each.split())}"  # a name with a line break must not end the comment
    later = "-- " if step["place"] == Place.AFTERWARDS else ""
    yield from (f"{later}{each}" for each in step["text"].splitlines())


def quoted(names: Iterable[str]) -> str:
    """Return names as a quoted list."""
    return ", ".join(sql.Identifier(each).as_string(None) for each in names)


def promptly(*statements: str) -> str:
    """Return a transaction of statements that wait at most half a second for a lock."""
    return "\n".join(("BEGIN;", "SET LOCAL lock_timeout = '500ms';", *statements, "COMMIT;"))


@dataclass(frozen=True)
class NewKey:
    """One key of the table with the partition column added: the key that the partitioned table will have."""

    table: Table
    columns: tuple[str, ...]
    partition_by: str

    @property
    def listed(self) -> str:
        """Return the columns of the new key, quoted."""
        return quoted((*self.columns, self.partition_by))

    @property
    def index(self) -> str:
        """Return the name of the unique index that step INDEX makes."""
        return clip("_".join((self.table.name, *self.columns, self.partition_by)), "_key")

    @property
    def _replaces_plain(self) -> bool:
        """Return False if the old key is partial or on expressions: its predicate is not known here."""
        return any(each.unique and each.plain and each.columns == self.columns for each in self.table.indexes)

    def present(self) -> str:
        """Return the name of a valid unique index over exactly these columns; empty if there is none."""
        deferrable = {each.name for each in self.table.constraints if each.deferrable}
        return next(
            (
                each.name
                for each in self.table.indexes
                if each.unique
                and each.plain
                and each.valid
                and each.constraint not in deferrable
                and set(each.columns) == {*self.columns, self.partition_by}
            ),
            "",
        )

    def index_steps(self) -> Iterator[Step]:
        """Yield the steps that make the unique index, and name the duplicate that may go after finalize."""
        name = self.table.table_name
        if not self._replaces_plain:
            return
        if not self.present():
            yield Step(
                Place.INDEX,
                f"Add the unique index that ON CONFLICT and foreign keys need on {name}",
                f"SHARE UPDATE EXCLUSIVE on {name}; writes go on",
                INDEX_COMMENTS,
                "\n".join((*self._drop_of_invalid(), self._create())),
            )
        yield from self.afterwards()

    def _create(self) -> str:
        table = self.table.table_name.quoted
        return f"CREATE UNIQUE INDEX CONCURRENTLY {quoted([self.index])} ON {table} ({self.listed});"

    def _drop_of_invalid(self) -> Iterator[str]:
        invalid = [each.name for each in self.table.indexes if each.name == self.index and not each.valid]
        for each in invalid:
            yield f"DROP INDEX CONCURRENTLY {sql.Identifier(self.table.schema, each).as_string(None)};"

    def afterwards(self) -> Iterator[Step]:
        """Yield the step that drops the duplicate index: the old key itself becomes a key over the same columns."""
        index = self.present() or self.index
        if any(each.name == index and each.constraint for each in self.table.indexes):
            return  # a constraint of the application stays
        yield Step(
            Place.AFTERWARDS,
            f"After partition_finalize, {index} is the duplicate of the key: drop it. Not before, a rollback needs it",
            f"ACCESS EXCLUSIVE on {self.table.table_name} and its partitions, briefly",
            text=promptly(f"DROP INDEX {sql.Identifier(self.table.schema, index).as_string(None)};"),
        )


@dataclass(frozen=True)
class InboundKey:
    """A foreign key to the table, as a row of list_inbound_keys has it, and the partition column."""

    table: Table
    partition_by: str
    row: Row
    server: int

    @property
    def name(self) -> str:
        """Return the key with its table, in words."""
        return str(self.row["name"])

    @property
    def by_id_alone(self) -> bool:
        """Return True if the key does not reference the partition column."""
        return self.partition_by not in self.row["columns"]

    @property
    def referring(self) -> TableName:
        """Return the referring table."""
        return TableName(self.row["schema"], self.row["table"])

    @property
    def column(self) -> str:
        """Return the name of the column that the referring table gains."""
        stem = "_".join(each.removesuffix("_id") for each in self.row["referring"])
        name = clip(f"{stem}_{self.partition_by}")
        known = self.row["types"].get(name)
        return name if known in (None, self._type) else clip(name, "_key")

    @property
    def _type(self) -> str:
        return self.table.column(self.partition_by).type

    @property
    def obstacle(self) -> str:
        """Return the reason why no SQL can be printed for it; empty if there is none."""
        if self.row["own"]:
            return "it refers to its own table, and such a key cannot follow a swap"
        if self.row["kind"] != "r":
            return "its table is partitioned, and such a table takes no NOT VALID key before PostgreSQL 18"
        if self.row["sets_default"]:
            return "SET DEFAULT has no default for the partition column"
        if self.row["tail"] is None or self.row["tail"].endswith(" NOT ENFORCED"):
            return "it is temporal or NOT ENFORCED"
        return ""

    def steps(self) -> Iterator[Step]:
        """Yield every step from the old key to the new one; for a key with an obstacle only the drop."""
        table, referring = self.table.table_name, self.referring
        if self.obstacle:
            drop = promptly(f"ALTER TABLE {referring.quoted} DROP CONSTRAINT {quoted([self.row['constraint_name']])};")
            lock = f"ACCESS EXCLUSIVE on {referring} and {table}, briefly"
            yield Step(Place.DROP, f"Drop {self.name}: {self.obstacle}", lock, text=drop)
            return

        yield from NewKey(self.table, tuple(self.row["referenced"]), self.partition_by).index_steps()
        yield from (self._column_step(), self._statement_step(), self._fill_step(), self._key_step())
        if not self.row["tail"].endswith(" NOT VALID"):
            yield self._validate_step()
        yield self._drop_step()

    def _column_step(self) -> Step:
        column = f"{quoted([self.column])} {self._type}"
        return Step(
            Place.COLUMN,
            f"Add the column {self.column} to {self.referring}",
            f"ACCESS EXCLUSIVE on {self.referring}, briefly: the column is empty, so no row is written",
            text=promptly(f"ALTER TABLE {self.referring.quoted} ADD COLUMN IF NOT EXISTS {column};"),
        )

    def _statement_step(self) -> Step:
        table, own, other = self.table.table_name, self.row["referring"], self.row["referenced"]
        values = quoted((*other, self.partition_by))
        where = " AND ".join(f"{quoted([each])} = ${number}" for number, each in enumerate(other, 1))
        moved = (
            f"An UPDATE of {self.partition_by} in {table} then fails with 23503 while rows refer to the old value. "
            f"If your application does this, add ON UPDATE CASCADE to the new key, from PostgreSQL {MOVES_FROM} on"
        )
        return Step(
            Place.STATEMENTS,
            f"Let every INSERT into {self.referring} give {self.column} too, and every UPDATE that sets "
            f"{', '.join(own)}",
            "",
            (
                f"for example: INSERT INTO {self.referring.quoted} ({quoted((*own, self.column))}, …) "
                f"SELECT {values}, … FROM {table.quoted} WHERE {where}",
                *([] if " ON UPDATE " in self._tail else [moved]),
            ),
        )

    def _fill_step(self) -> Step:
        pairs = zip(self.row["referenced"], self.row["referring"], strict=True)
        text = FILL.format(
            regclass=sql.quote(self.referring.quoted),
            pages=BATCH_PAGES,
            referring=self.referring.quoted,
            column=quoted([self.column]),
            by=quoted([self.partition_by]),
            table=self.table.table_name.quoted,
            same=" AND ".join(f"t.{quoted([other])} = r.{quoted([own])}" for other, own in pairs),
        )
        return Step(
            Place.FILL,
            f"Fill {self.column} in the rows of {self.referring}, {BATCH_PAGES} pages a transaction",
            f"ROW EXCLUSIVE on {self.referring}; the rows of one batch are locked while it is written",
            ("Only once no session executes the old INSERT any more. It fires UPDATE triggers, and can be repeated.",),
            text,
        )

    @property
    def _tail(self) -> str:
        """Return the actions and the deferral of the new key: before PostgreSQL 15 without actions."""
        tail = str(self.row["tail"]).removesuffix(" NOT VALID")
        return tail if self.server >= MOVES_FROM else ACTIONS.sub("", tail)

    @property
    def _new_name(self) -> str:
        return clip(f"{self.referring.name}_{self.column}", "_fkey")

    @property
    def _filled_check(self) -> str:
        return clip(f"{self.referring.name}_{self.column}", "_check")

    def _key_step(self) -> Step:
        key = NewKey(self.table, tuple(self.row["referenced"]), self.partition_by)
        own = (*self.row["referring"], self.column)
        empty = " OR ".join(f"{quoted([each])} IS NULL" for each in self.row["referring"])
        given = self.row["tail"].removesuffix(" NOT VALID")
        lost = f"Without{given}: before PostgreSQL {MOVES_FROM} it would act on a moved row"
        return Step(
            Place.KEY,
            f"Add the key from {self.referring} to ({key.listed}), for new rows first",
            f"ACCESS EXCLUSIVE on {self.referring} and SHARE ROW EXCLUSIVE on {self.table.table_name}, briefly",
            (
                *([] if self._tail == given else [lost]),
                "The CHECK leaves no row without the new column, because a key does not look at a NULL.",
            ),
            promptly(
                f"ALTER TABLE {self.referring.quoted}",
                f"  ADD CONSTRAINT {quoted([self._filled_check])} "
                f"CHECK ({empty} OR {quoted([self.column])} IS NOT NULL) NOT VALID,",
                f"  ADD CONSTRAINT {quoted([self._new_name])} FOREIGN KEY ({quoted(own)}) "
                f"REFERENCES {self.table.table_name.quoted} ({key.listed}){self._tail} NOT VALID;",
            ),
        )

    def _validate_step(self) -> Step:
        return Step(
            Place.VALIDATE,
            f"Check the rows that {self.referring} had before",
            f"SHARE UPDATE EXCLUSIVE on {self.referring} and ROW SHARE on {self.table.table_name}; writes go on",
            ("A violation here is a row that step 4 could not fill: repeat steps 3 and 4.",),
            "\n".join(
                f"ALTER TABLE {self.referring.quoted} VALIDATE CONSTRAINT {quoted([each])};"
                for each in (self._filled_check, self._new_name)
            ),
        )

    def _drop_step(self) -> Step:
        old = quoted([self.row["constraint_name"]])
        return Step(
            Place.DROP,
            f"Drop the old key {self.name}, and give its name to the new one",
            f"ACCESS EXCLUSIVE on {self.referring} and {self.table.table_name}, briefly",
            text=promptly(
                f"ALTER TABLE {self.referring.quoted} DROP CONSTRAINT {old};",
                f"ALTER TABLE {self.referring.quoted} RENAME CONSTRAINT {quoted([self._new_name])} TO {old};",
            ),
        )


def duplicates(table: Table, partition_by: str) -> Iterator[Step]:
    """Yield the step of each index that is a duplicate as soon as the key of the table has the partition column."""
    for each in table.indexes:
        key = NewKey(table, each.columns, partition_by)
        if each.unique and each.plain and partition_by not in each.columns and key.present():
            yield from key.afterwards()


def statement_steps(key: NewKey, told: Sequence[tuple[str, ...]]) -> Iterator[Step]:
    """Yield the steps for statements that rely on the old key; ``told`` has the comments on each of them."""
    yield from key.index_steps()
    old, table = quoted(key.columns), key.table.table_name
    yield Step(
        Place.STATEMENTS,
        f"Change the statements that rely on ({old}) alone",
        "",
        (
            *(line for each in told for line in each),
            f"Until the cutover ({old}) is unique too: with another {key.partition_by} the same {old} fails: 23505.",
            "So does one of two sessions that insert the same new row at the same moment: repeat that statement.",
            f"After the cutover the same {old} with another {key.partition_by} is a second row in {table}.",
        ),
    )


def forget_step(text: Sequence[str]) -> Iterator[Step]:
    """Yield the step that makes the server forget the old texts; nothing without any."""
    if text:
        yield Step(
            Place.FORGET,
            "Forget the old texts of these statements in pg_stat_statements, once no session executes them any more",
            "",
            text="\n".join(f"{each};" for each in text),
        )
