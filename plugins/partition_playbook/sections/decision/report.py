"""The report of a run as an HTML page, as Markdown and as JSON, all from the same values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from partition_playbook import artifacts, figures
from partition_playbook.benchmark.plans import outline
from partition_playbook.checks import Check, Outcome, Severity, Verdict, as_json
from partition_playbook.database import Row
from partition_playbook.engine import way_back
from partition_playbook.intervals import EARLIEST, LATEST, IdMoment
from partition_playbook.ledger import Phase, Statistics
from partition_playbook.markdown import escape
from partition_playbook.run import Run
from partition_playbook.sections.decision import estimate, page
from partition_playbook.sections.decision.criteria import REACHED, decide, waivers
from partition_playbook.sections.decision.headline import headlines
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.preflight import after_cutover, key_steps
from partition_playbook.spec import Mode, RunParams

TITLES = {
    Mode.PLAN: "Plan",
    Mode.REHEARSE: "Rehearsed partitioning",
    Mode.MIGRATE: "Partitioning",
}
WRITE_LATENCY = "Not measured by the run. See the monitoring of the application; `make demo` measures its own writers."
NEXT_STEPS = {
    "go after a rehearsal": (
        "If adjustments are listed above, make them and rehearse again",
        "Schedule production in a window with little traffic",
        "Brief the team on these results and on the plan",
        "Keep the DAG partition_rollback ready: it rolls back production in the same way",
    ),
    "go in production": (
        "Watch the logs of the application and of PostgreSQL for two hours; partition_rollback restores the original "
        "table with all writes",
        "Check that the DAG partition_maintenance is not paused: it creates the next partitions",
        "Trigger partition_finalize when the retired table is no longer needed",
    ),
    "no-go, but live": (
        "The partitioned table is live, and its writes are captured: partition_rollback restores the original table "
        "with all writes",
        "To keep the partitioned table, make the adjustments listed above, or clear the gate of the section and waive "
        "its failed checks with a reason",
        "Do not trigger partition_finalize before: it drops the way back",
    ),
    "no-go": (
        "Find the cause of each failed criterion in the checks of this report",
        "Make the adjustments listed above",
        "Rehearse again; do not start the migration in production",
    ),
}


def keep(run: Run, params: RunParams, address: str = "", plan: str = "") -> dict[str, bytes]:
    """Write the report into the ledger, in a transaction of its own, and return its files: HTML, Markdown, JSON.

    ``address`` is the URL of the run in Airflow's UI, ``plan`` that of its plan.sql, if the ledger has one.
    """
    is_planned = artifacts.PLAN_SQL in run.ledger.file_names()
    content = compose(RunRecord.read(run), params, address, plan if is_planned else "")
    texts = {
        artifacts.REPORT_PAGE: page.render(content),
        "report.md": render(content),
        "report.json": json.dumps(content, indent=2, default=str),
    }

    files = {name: text.encode() for name, text in texts.items()}
    run.ledger.keep_files(files)
    return files


def compose(record: RunRecord, params: RunParams, address: str = "", plan: str = "") -> dict[str, Any]:
    """Return the content of the report as plain values: the keys of report.json."""
    decided = decide(record, params)
    verdict = Verdict.of("decision", decided)
    sections = {name: list(checks) for name, checks in record.checks.items() if name != "decision"}
    everything = [each for checks in sections.values() for each in checks]

    return {
        "title": f"{TITLES[record.mode]} of {record.run['table_schema']}.{record.run['table_name']}",
        "verdict": "go" if verdict.go else "no-go",
        "reasons": [each.name for each in everything if each.blocks] or [each.name for each in verdict.reasons],
        "headlines": [
            {"name": each.name, "text": each.text, "note": each.note}
            for each in headlines(record.loads, record.measurements)
        ],
        "waived": waivers(record.checks),
        "stays": record.stays,
        "run": {name: record.run[name] for name in ("run_id", "mode", "phase", "plan_hash", "opened_by", "started_at")},
        "versions": list(record.versions),
        "address": address,
        "plan": plan,
        "table": f"{record.run['table_schema']}.{record.run['table_name']}",
        "spec": {name: record.run["spec"].get(name) for name in ("partition_by", "interval", "timezone")},
        "params": params.model_dump(mode="json"),
        "criteria": _listed(each for each in decided if not each.name.startswith("checklist_")),
        "checklist": _listed(each for each in decided if each.name.startswith("checklist_")),
        "went_well": [*_facts(record), *_passed(sections)],
        "went_wrong": _listed(_wrong(everything, verdict)),
        "adjustments": _remedies(everything),
        "people": list(_people(record)),
        "durations": [
            asdict(each) | {"seconds": each.seconds, "waited": each.waited.total_seconds()} for each in record.spans
        ],
        "loads": [
            _loaded(load, is_ids=str(record.run["spec"].get("interval")).endswith(" ids")) for load in record.loads
        ],
        "swaps": list(_swaps(record)),
        "write_latency": WRITE_LATENCY,
        "performance": list(_performance(record)),
        "gains": [_measure(row) for row in record.measurements.get("gains", {}).values()],
        "cutover": [_measure(row) for row in record.measurements.get("migration", {}).values() if row["unit"] == "ms"],
        "looks": [
            {
                "at": each["happened_at"],
                "findings": each["findings"],
                "rollbacks": each["detail"]["counted"]["rollbacks"],
            }
            for each in record.looks
        ],
        "way_back": list(_way_back(record)),
        "rollback": [_measure(row) for row in record.measurements.get("rollback", {}).values()],
        "partitions": list(_partitions(record)),
        "after_cutover": after_cutover.effects(sections.get("preflight", [])),
        "key_steps": key_steps.lines(sections.get("preflight", [])),
        "translated": _listed(_noted(sections.get("preflight", []))),
        "notes": list(record.notes),
        "estimate": estimate.production(record, params),
        "recommendations": list(_recommendations(record, params, verdict, everything)),
        "next_steps": list(NEXT_STEPS[_ending(record, verdict)]),
        "checks": {name: _listed(checks) for name, checks in sections.items()},
    }


def _way_back(record: RunRecord) -> list[str]:
    """Return what a rollback would take at the time of the report, and until when; empty if no retired table stands."""
    row = record.measurements.get(way_back.STAGE, {}).get(way_back.NAME)
    return row["detail"]["sentences"] if row and record.run["phase"] == Phase.LIVE else []


def render(content: dict[str, Any]) -> str:
    """Return the report as Markdown; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(page.TEMPLATES),
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # _finalize escapes for Markdown; autoescape would escape for HTML
    )
    environment.filters.update(page.FILTERS)
    environment.filters["code"] = Code

    return environment.get_template("report.md.j2").render(content)


class Code(str):
    """Lines as a code block of Markdown, indented so that no line can end it."""

    def __new__(cls, lines: Sequence[str]) -> Code:
        """Return the lines of a list, each indented."""
        return super().__new__(cls, "\n".join(f"    {line}" for line in lines))


def _finalize(value: object) -> str:
    return value if isinstance(value, Code) else escape(value)


def _listed(checks: Any) -> list[dict[str, Any]]:
    return [as_json(each) | {"text": str(each), "label": each.label} for each in checks]


def _wrong(checks: Sequence[Check], verdict: Verdict) -> list[Check]:
    """Return the failed checks, and the criteria without a check behind them."""
    derived = [each for each in verdict.reasons if each.name != "all_items_passed"]
    unproved = [each for each in derived if "no evidence" in each.actual or each.name == REACHED]
    return [each for each in checks if each.fell_short] + unproved


def _ending(record: RunRecord, verdict: Verdict) -> str:
    in_production = record.mode is Mode.MIGRATE
    if verdict.go:
        return "go in production" if in_production else "go after a rehearsal"
    return "no-go, but live" if in_production and record.run["phase"] == Phase.LIVE else "no-go"


def _facts(record: RunRecord) -> Iterator[str]:
    rows = sum(load["rows"] or 0 for load in record.loads)
    if rows:
        yield f"loaded {figures.count(rows, 'row')} into {figures.count(len(record.loads), 'partition')}"
    if (held := record.measured("migration", "cutover_held_ms")) is not None:
        waited = record.measured("migration", "cutover_waited_ms") or 0.0
        yield (
            f"the cutover waited {figures.milliseconds(waited)} for its lock "
            f"and held it for {figures.milliseconds(held)}"
        )
    if (seconds := record.measured("rollback", "rollback_seconds")) is not None:
        yield f"the rollback took {figures.seconds(seconds)} and kept all writes since the cutover"


def _passed(sections: dict[str, list[Check]]) -> Iterator[str]:
    for section, checks in sections.items():
        passed = sum(each.outcome is Outcome.PASSED for each in checks)
        if passed:
            yield f"{section}: {figures.number(passed)} of {figures.count(len(checks), 'check')} passed"


def _remedies(checks: Sequence[Check]) -> list[str]:
    short = [each for each in checks if each.fell_short and each.remedy]
    return list(dict.fromkeys(f"{each.name}: {each.remedy}" for each in short))


def _noted(checks: Sequence[Check]) -> list[Check]:
    """Return the checks of preflight about refused, translated and skipped facts."""
    return [each for each in checks if each.outcome is not Outcome.PASSED]


def _performance(record: RunRecord) -> Iterator[dict[str, Any]]:
    before, after = (record.measurements.get(stage, {}) for stage in ("before", "after"))
    templates = {each["name"]: each["sql"] for each in record.run["spec"].get("queries") or ()}
    for name in sorted(before.keys() & after.keys()):
        then, now = before[name], after[name]
        if then["value"] and now["value"] is not None:
            yield {
                "query": name,
                # Until version 0.2.0 the ledger kept no text, so the spec's, with its placeholders, stands for it.
                "sql": now["detail"].get("sql") or templates.get(name, "").strip(),
                "before_ms": then["value"],
                "after_ms": now["value"],
                "speedup": 1 - now["value"] / then["value"],
                **_planned("before", then["detail"]),
                **_planned("after", now["detail"]),
            }


def _planned(stage: str, detail: dict[str, Any]) -> dict[str, Any]:
    measured = {f"{key}_{stage}": detail.get(key) for key in ("planning_ms", "buffers")}
    return measured | {f"plan_{stage}": list(outline(detail["plan"])) if "plan" in detail else []}


def _loaded(load: Row, *, is_ids: bool) -> dict[str, Any]:
    begun, ended = load["started_at"], load["ended_at"]
    known = ("lower_bound", "upper_bound", "state", "rows", "bytes", "started_at", "ended_at")
    return {
        "partition": load["partition_name"],
        # The first and the default partition of a spec with `since` and `until` have an open end.
        **{name: None if load.get(name) in (EARLIEST, LATEST) else load.get(name) for name in known},
        **({name: IdMoment.of_moment(load[name]).number for name in known[:2]} if is_ids else {}),
        "seconds": (ended - begun).total_seconds() if begun and ended else None,
    }


def _swaps(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Yield the lock times of each swap in milliseconds, in the order of the swaps."""
    measured = record.measurements.get("migration", {})
    for name, held in measured.items():
        if name.endswith("_held_ms"):
            swap = name.removesuffix("_held_ms")
            counted = {key: held["detail"].get(key) for key in ("tries", "reconciled_under_lock")}
            waited = record.measured("migration", f"{swap}_waited_ms")
            yield {"swap": swap.replace("_", " "), "waited_ms": waited, "held_ms": held["value"], **counted}


def _people(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Yield the actions of people in the ledger, with the person and the time."""
    opened = {"who": record.run["opened_by"], "when": record.run["started_at"]}
    if who := record.triggered_by:
        yield opened | {"what": "triggered the run in Airflow", "who": who}
    yield opened | {"what": "opened the run as a database role"}
    yield from ({"what": str(each), "who": each.by, "when": each.at} for each in record.answers)


def _measure(row: dict[str, Any]) -> dict[str, Any]:
    aside = [row["detail"]["note"]] if "note" in row["detail"] else []
    aside += [f"lock granted at try {row['detail']['tries']}"] if "tries" in row["detail"] else []
    value = figures.measured(row["value"], row["unit"])
    text = f"{row['name']}: {value}" + (f" ({', '.join(aside)})" if aside else "")
    return {name: row[name] for name in ("name", "value", "unit", "detail")} | {"text": text}


def _partitions(record: RunRecord) -> Iterator[dict[str, Any]]:
    for name in sorted(record.snapshot.keys() | record.validation.keys()):
        yield {
            "partition": name,
            **_held("snapshot", record.snapshot.get(name)),
            **_held("validation", record.validation.get(name)),
        }


def _held(stage: str, found: Statistics | None) -> dict[str, Any]:
    rows, checksum = (found.rows, str(found.checksum)) if found else (None, None)
    return {f"{stage}_rows": rows, f"{stage}_checksum": checksum}


def _recommendations(record: RunRecord, params: RunParams, verdict: Verdict, checks: Sequence[Check]) -> Iterator[str]:
    if not verdict.go:
        yield f"Stop here: {figures.count(len(verdict.reasons), 'criterion', 'criteria')} failed"
    cutover = record.measurements.get("migration", {}).get("cutover_held_ms")
    if cutover and cutover["detail"].get("tries", 1) > 1:
        yield f"The cutover needed {cutover['detail']['tries']} tries for its lock: choose a window with less traffic"
    slower = [each for each in checks if each.name.startswith("speedup_") and each.fell_short]
    if slower:
        yield "Some reads are not fast enough: weigh them against faster retention, vacuum and smaller hot indexes"
    warned = [each for each in checks if each.outcome is Outcome.FAILED and each.severity is Severity.WARNING]
    if warned:
        warnings = figures.count(len(warned), "warning")
        yield f"Review {warnings} before production: {', '.join(each.name for each in warned)}"
    if not params.production_rows:
        yield "Set the param production_rows to the row count of production to get an estimate for it"
    waived = [each.name for each in checks if each.outcome is Outcome.WAIVED]
    if waived:
        yield f"Fix the causes of the waived checks: {', '.join(waived)}"
    yield "Keep the retired table and the backup until the partitioned table has proven itself in production"
