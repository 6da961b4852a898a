"""Validate table specs, without Airflow and without a database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from partition_playbook.errors import InvalidSpec
from partition_playbook.shell.answer import Answer, Exit, Failure
from partition_playbook.spec import (
    ENDINGS,
    SUFFIX,
    TableSpec,
    load_spec,
    misnamed,
    read_spec,
    require_folder,
    require_single,
    tables_folder,
)


def validate(given: Sequence[str]) -> Answer:
    """Validate specs by name or by path, or every spec of the folder; two specs of one table are refused."""
    found: list[tuple[str, TableSpec]] = []
    failures: list[Failure] = []
    try:
        asked = list(given) or list(_every_spec())
    except InvalidSpec as error:
        asked, failures = [], [failure_of(error)]

    for each in asked:
        try:
            found.append(_valid(each))
        except InvalidSpec as error:
            failures.append(failure_of(error))

    lines = [f"{name}: {spec.name}, one partition per {spec.interval} of {spec.partition_by}" for name, spec in found]
    return Answer(tuple(lines), _content(found, failures), Exit.SPEC if failures else Exit.IN_ORDER, tuple(failures))


def failure_of(error: InvalidSpec) -> Failure:
    """Return the failure of a spec."""
    return Failure(Exit.SPEC, error.where, error.problem, error.remedy)


def _every_spec() -> Iterator[str]:
    folder = require_folder()
    paths = sorted([*folder.glob(f"*{SUFFIX}"), *misnamed(folder)])
    if not paths:
        raise InvalidSpec("no table spec", where=str(folder), remedy=f"Add one as <name>{SUFFIX}")
    return map(str, paths)


def _valid(given: str) -> tuple[str, TableSpec]:
    is_path = os.sep in given or given.endswith(ENDINGS)
    path = Path(given) if is_path else tables_folder() / f"{given}{SUFFIX}"
    if not is_path:
        return path.stem, load_spec(given)
    spec = read_spec(path)
    require_single(path, spec)
    return path.stem, spec


def _content(found: Sequence[tuple[str, TableSpec]], failures: Sequence[Failure]) -> dict[str, object]:
    specs = [
        {
            "spec": name,
            "table": str(spec.name),
            "connection": spec.connection,
            "interval": str(spec.interval),
            "partition_by": spec.partition_by,
        }
        for name, spec in found
    ]
    return {"specs": specs, "failures": [each.as_json() for each in failures]}
