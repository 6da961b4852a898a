"""Write the audit trail of a run as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from partition_playbook.console import answers, read
from partition_playbook.spec import TableSpec

# A file is read in pages: each statement of the console is short.
PAGE = 5_000
ORIGIN = ("dag_id", "run_id", "task_id", "map_index", "try_number", "version")
COLUMNS = ("event_id", "happened_at", "section", "kind", "message", "rows", "duration_ms", "statement", "detail")
# A spreadsheet takes such a text for a formula, also after spaces.
FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")


def write(spec: TableSpec, run_id: str, filters: Mapping[str, Any]) -> Iterator[str]:
    """Return the events of a run as pieces of a CSV file, newest first; an error comes before the first piece."""
    first = read.page_of_events(spec, run_id, {"before": None, **filters}, PAGE)
    return _pieces(spec, run_id, first, filters)


def _pieces(spec: TableSpec, run_id: str, page: list[answers.Event], filters: Mapping[str, Any]) -> Iterator[str]:
    yield _text([[*COLUMNS, *ORIGIN]])
    while page:
        yield _text(map(_row, page))
        if len(page) < PAGE:
            return
        page = read.page_of_events(spec, run_id, {**filters, "before": page[-1].event_id}, PAGE)


def _row(event: answers.Event) -> list[Any]:
    detail = dict(event.detail)
    origin = detail.pop("origin", {})
    values = event.model_dump() | {"happened_at": event.happened_at.isoformat()}
    values["detail"] = json.dumps(detail, default=str) if detail else ""
    return [*(_safe(values[name]) for name in COLUMNS), *(_safe(origin.get(name)) for name in ORIGIN)]


def _safe(value: Any) -> Any:
    """Return a text that no spreadsheet evaluates; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _text(rows: Iterable[list[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def file_name(spec: TableSpec, run_id: str) -> str:
    """Return the name of the file, in characters that need no quoting."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", f"audit_{spec.table}_{run_id}")[:120] + ".csv"
