"""The files of ``include/tables``."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from partition_playbook import resources
from partition_playbook.errors import InvalidSpec
from partition_playbook.names import TableName
from partition_playbook.spec.document import read_document
from partition_playbook.spec.plausible import require_plausible, require_runway
from partition_playbook.spec.problems import validated
from partition_playbook.spec.table import TableSpec

TABLES_VARIABLE = "PARTITION_PLAYBOOK_TABLES"
DEFAULT_TABLES = resources.tables()
SUFFIX, ENDINGS = ".yaml", (".yaml", ".yml")


def tables_folder() -> Path:
    """Return the folder of the table specs: ``PARTITION_PLAYBOOK_TABLES``, by default ``include/tables``."""
    return Path(os.environ.get(TABLES_VARIABLE) or DEFAULT_TABLES)


def spec_path(name: str) -> Path:
    """Return the file of a spec."""
    return tables_folder() / f"{name}{SUFFIX}"


def spec_names() -> list[str]:
    """Return the names of the specs without reading them."""
    return sorted(path.stem for path in tables_folder().glob("*.yaml"))


def misnamed(folder: Path) -> list[Path]:
    """Return the files of a folder that look like table specs and are not read, because of their ending."""
    return sorted(path for path in folder.glob("*.[yY]*[lL]") if path.suffix.lower() in ENDINGS and not _is_read(path))


def _is_read(path: Path) -> bool:
    return path.suffix == SUFFIX


def require_folder() -> Path:
    """Return the folder of the table specs; InvalidSpec if it does not exist."""
    folder = tables_folder()
    if not folder.is_dir():
        raise InvalidSpec(
            "there is no such folder of table specs",
            where=str(folder),
            remedy=f"Create it, or set the environment variable {TABLES_VARIABLE} to the folder with your specs",
        )
    return folder


def load_spec(name: str, *, standing: bool = False) -> TableSpec:
    """Read and validate one spec by its name; InvalidSpec names the file, the line, the key and the fix.

    A spec with too few partitions ahead, absurd limits or probes without the table is refused, and so are two specs of
    one table. A ``standing`` one is not: maintenance, rollback and the console go on, and the check `runway` is red.
    """
    if name not in spec_names():
        raise _no_spec(name)
    path = spec_path(name)
    spec = read_spec(path, standing=standing)
    if not standing:
        require_single(path, spec)
    return spec


def _no_spec(name: str) -> InvalidSpec:
    folder = require_folder()
    known = spec_names()
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    remedy = f"Add a YAML file of this name, or name an existing spec: {', '.join(known) or 'none yet'}"
    if wrong := next((path for path in misnamed(folder) if path.stem == name), None):
        hint, remedy = f", only {wrong.name}, which is not read", f"Rename it: mv {wrong} {wrong.with_suffix(SUFFIX)}"
    return InvalidSpec(f"there is no table spec {name!r}{hint}", where=str(folder), remedy=remedy)


def read_spec(path: Path, *, standing: bool = False) -> TableSpec:
    """Read and validate the spec in a file, as ``load_spec`` does."""
    if not _is_read(path):
        raise InvalidSpec(
            f"a table spec has the ending {SUFFIX}",
            where=str(path),
            remedy=f"Rename it: mv {path} {path.with_suffix(SUFFIX)}",
        )
    found = read_document(path)
    spec = validated(TableSpec, found.content, where=str(path), lines=found.lines)
    if not standing:
        require_runway(spec, where=str(path))
        require_plausible(spec, where=str(path), lines=found.lines)
    return spec


def require_single(path: Path, spec: TableSpec) -> None:
    """Raise InvalidSpec if another file of the folder describes the same table of the same connection."""
    for other in sorted(path.parent.glob(f"*{SUFFIX}")):
        if other.name != path.name and _described(other) == (spec.connection, spec.name):
            raise InvalidSpec(
                f"{other.name} describes the same table, {spec.name} behind the connection {spec.connection}",
                where=str(path),
                remedy="Keep one of the two files: maintenance would apply the retention of both",
            )


def _described(path: Path) -> tuple[str, TableName] | None:
    """Return connection and table of a spec; None for one that is not valid, which is refused by itself."""
    try:
        spec = read_spec(path, standing=True)
    except InvalidSpec:
        return None
    return spec.connection, spec.name
