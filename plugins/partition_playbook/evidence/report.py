"""The report of a run: one value, written as a page and as Markdown for people, and as JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from partition_playbook.checks import Check, Outcome, Severity, Verdict, as_json
from partition_playbook.database import Row
from partition_playbook.evidence import estimate, page
from partition_playbook.evidence.decision import decide
from partition_playbook.evidence.plans import outline
from partition_playbook.evidence.record import Evidence
from partition_playbook.ledger import Statistics
from partition_playbook.migration.run import Run
from partition_playbook.spec import Mode, RunParams

WRITE_LATENCY = "Not measured by the run: the application's own monitoring knows, and the demo knows its own writers'."
NEXT_STEPS = {
    "go after a rehearsal": (
        "Make the adjustments named above, and rehearse again if there are any",
        "Choose a window with little traffic for production, and schedule it",
        "Brief the team on these results and on the plan",
        "Keep partition_rollback at hand: production is rolled back in the same way",
    ),
    "go in production": (
        "Watch the logs of application and PostgreSQL for two hours; partition_rollback leads back with every write",
        "See that partition_maintenance is not paused: it creates the next partitions",
        "Trigger partition_finalize when nobody needs the retired table any more",
    ),
    "no-go": (
        "Find the cause of each failed criterion in the checks above",
        "Make the adjustments named above",
        "Rehearse again; do not go on to production",
    ),
}


def write(run: Run, params: RunParams, folder: Path, address: str = "") -> list[Path]:
    """Write the report into the folder and return its files; the address is where Airflow shows the run."""
    content = compose(Evidence.read(run), params, address)
    written = {
        page.NAME: page.render(content),
        "report.md": render(content),
        "report.json": json.dumps(content, indent=2, default=str),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (folder / name).write_text(text)
    return [folder / name for name in written]


def compose(evidence: Evidence, params: RunParams, address: str = "") -> dict[str, Any]:
    """Return everything that the report tells, as plain values."""
    decided = decide(evidence, params)
    verdict = Verdict.of("decision", decided)
    sections = {name: list(checks) for name, checks in evidence.checks.items() if name != "decision"}
    everything = [each for checks in sections.values() for each in checks]
    return {
        "verdict": "go" if verdict.go else "no-go",
        "run": {
            name: evidence.run[name] for name in ("run_id", "mode", "phase", "plan_hash", "opened_by", "started_at")
        },
        "address": address,
        "table": f"{evidence.run['table_schema']}.{evidence.run['table_name']}",
        "spec": {name: evidence.run["spec"].get(name) for name in ("partition_by", "interval", "timezone")},
        "params": params.model_dump(mode="json"),
        "criteria": _listed(each for each in decided if not each.name.startswith("checklist_")),
        "checklist": _listed(each for each in decided if each.name.startswith("checklist_")),
        "went_well": [*_facts(evidence), *_passed(sections)],
        "went_wrong": _listed(_wrong(everything, verdict)),
        "adjustments": _remedies(everything),
        "people": list(_people(evidence)),
        "durations": [asdict(each) | {"seconds": each.seconds} for each in evidence.spans],
        "loads": [_loaded(load) for load in evidence.loads],
        "swaps": list(_swaps(evidence)),
        "write_latency": WRITE_LATENCY,
        "performance": list(_performance(evidence)),
        "gains": [_measure(row) for row in evidence.measurements.get("gains", {}).values()],
        "cutover": [
            _measure(row) for row in evidence.measurements.get("migration", {}).values() if row["unit"] == "ms"
        ],
        "rollback": [_measure(row) for row in evidence.measurements.get("rollback", {}).values()],
        "partitions": list(_partitions(evidence)),
        "translated": _listed(_noted(sections.get("preflight", []))),
        "notes": list(evidence.notes),
        "estimate": estimate.production(evidence, params),
        "recommendations": list(_recommendations(evidence, params, verdict, everything)),
        "next_steps": list(NEXT_STEPS[_ending(evidence, verdict)]),
        "checks": {name: _listed(checks) for name, checks in sections.items()},
    }


def render(content: dict[str, Any]) -> str:
    """Return the report as Markdown; whatever comes from data is escaped where it is written."""
    environment = Environment(
        loader=FileSystemLoader(page.TEMPLATES),
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # finalize escapes for Markdown, which escaping for HTML would not do
    )
    return environment.get_template("report.md.j2").render(content)


def escape(value: object) -> str:
    """Return a value as one line of text that means nothing to Markdown."""
    text = " ".join(("" if value is None else str(value)).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", text)


def checks_table(checks: Iterable[Check]) -> str:
    """Return checks as a table of Markdown, those that are a no-go first."""
    rows = [
        f"| {each.outcome} | {' | '.join(map(escape, (each.name, each.expected, each.actual)))} |"
        for each in sorted(checks, key=lambda each: not each.blocks)
    ]
    return "\n".join(["| outcome | check | expected | actual |", "|---|---|---|---|", *rows])


def _listed(checks: Any) -> list[dict[str, Any]]:
    return [as_json(each) | {"text": str(each)} for each in checks]


def _wrong(checks: Sequence[Check], verdict: Verdict) -> list[Check]:
    """Return the checks that failed, and the criteria that failed for want of a check."""
    unproved = [each for each in verdict.reasons if "no evidence" in each.actual and each.name != "all_items_passed"]
    return [each for each in checks if each.fell_short] + unproved


def _ending(evidence: Evidence, verdict: Verdict) -> str:
    if not verdict.go:
        return "no-go"
    return "go in production" if evidence.mode is Mode.MIGRATE else "go after a rehearsal"


def _facts(evidence: Evidence) -> Iterator[str]:
    rows = sum(load["rows"] or 0 for load in evidence.loads)
    if rows:
        yield f"{rows:,} rows were loaded into {len(evidence.loads)} partitions"
    if (held := evidence.measured("migration", "cutover_held_ms")) is not None:
        waited = evidence.measured("migration", "cutover_waited_ms") or 0.0
        yield f"the cutover waited {waited:.1f} ms for its lock and held it for {held:.1f} ms"
    if (seconds := evidence.measured("rollback", "rollback_seconds")) is not None:
        yield f"the rollback took {seconds:.1f} s, with every write since the cutover reconciled first"


def _passed(sections: dict[str, list[Check]]) -> Iterator[str]:
    for section, checks in sections.items():
        passed = sum(each.outcome is Outcome.PASSED for each in checks)
        if passed:
            yield f"{section}: {passed} of {len(checks)} checks passed"


def _remedies(checks: Sequence[Check]) -> list[str]:
    short = [each for each in checks if each.fell_short and each.remedy]
    return list(dict.fromkeys(f"{each.name}: {each.remedy}" for each in short))


def _noted(checks: Sequence[Check]) -> list[Check]:
    """Return what preflight refused, translated or passed over."""
    return [each for each in checks if each.outcome is not Outcome.PASSED]


def _performance(evidence: Evidence) -> Iterator[dict[str, Any]]:
    before, after = (evidence.measurements.get(stage, {}) for stage in ("before", "after"))
    for name in before.keys() & after.keys():
        then, now = before[name], after[name]
        if then["value"] and now["value"] is not None:
            yield {
                "query": name,
                "before_ms": then["value"],
                "after_ms": now["value"],
                "speedup": 1 - now["value"] / then["value"],
                **_planned("before", then["detail"]),
                **_planned("after", now["detail"]),
            }


def _planned(stage: str, detail: dict[str, Any]) -> dict[str, Any]:
    measured = {f"{key}_{stage}": detail.get(key) for key in ("planning_ms", "buffers")}
    return measured | {f"plan_{stage}": list(outline(detail["plan"])) if "plan" in detail else []}


def _loaded(load: Row) -> dict[str, Any]:
    begun, ended = load["started_at"], load["ended_at"]
    known = ("lower_bound", "upper_bound", "state", "rows", "bytes", "started_at", "ended_at")
    return {
        "partition": load["partition_name"],
        **{name: load.get(name) for name in known},
        "seconds": (ended - begun).total_seconds() if begun and ended else None,
    }


def _swaps(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield what each swap of the names took from the application, in the order of the swaps."""
    measured = evidence.measurements.get("migration", {})
    for name, held in measured.items():
        if name.endswith("_held_ms"):
            swap = name.removesuffix("_held_ms")
            told = {key: held["detail"].get(key) for key in ("tries", "reconciled_under_lock")}
            waited = evidence.measured("migration", f"{swap}_waited_ms")
            yield {"swap": swap.replace("_", " "), "waited_ms": waited, "held_ms": held["value"], **told}


def _people(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield who did what and when, as far as the ledger was told."""
    opened = {"who": evidence.run["opened_by"], "when": evidence.run["started_at"]}
    if who := evidence.triggered_by:
        yield opened | {"what": "triggered the run, in Airflow", "who": who}
    yield opened | {"what": "opened the run, as a role of the database"}
    yield from ({"what": str(each), "who": each.by, "when": each.at} for each in evidence.answers)


def _measure(row: dict[str, Any]) -> dict[str, Any]:
    aside = [row["detail"]["note"]] if "note" in row["detail"] else []
    aside += [f"granted at try {row['detail']['tries']}"] if "tries" in row["detail"] else []
    text = f"{row['name']}: {row['value']:,.1f} {row['unit']}" + (f" ({', '.join(aside)})" if aside else "")
    return {name: row[name] for name in ("name", "value", "unit", "detail")} | {"text": text}


def _partitions(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for name in sorted(evidence.snapshot.keys() | evidence.validation.keys()):
        yield {
            "partition": name,
            **_held("snapshot", evidence.snapshot.get(name)),
            **_held("validation", evidence.validation.get(name)),
        }


def _held(stage: str, found: Statistics | None) -> dict[str, Any]:
    rows, checksum = (found.rows, str(found.checksum)) if found else (None, None)
    return {f"{stage}_rows": rows, f"{stage}_checksum": checksum}


def _recommendations(evidence: Evidence, params: RunParams, verdict: Verdict, checks: Sequence[Check]) -> Iterator[str]:
    if not verdict.go:
        yield f"Do not go on: {len(verdict.reasons)} criteria say no-go"
    cutover = evidence.measurements.get("migration", {}).get("cutover_held_ms")
    if cutover and cutover["detail"].get("tries", 1) > 1:
        yield f"The cutover needed {cutover['detail']['tries']} tries for its lock: choose a quieter window"
    slower = [each for each in checks if each.name.startswith("speedup_") and each.fell_short]
    if slower:
        yield "Some reads gain too little: weigh them against what the table gains in retention, vacuum and hot indexes"
    warned = [each for each in checks if each.outcome is Outcome.FAILED and each.severity is Severity.WARNING]
    if warned:
        yield f"Read the {len(warned)} warnings before production: {', '.join(each.name for each in warned)}"
    if not params.production_rows:
        yield "Set production_rows to get an estimate for production's own number of rows"
    waived = [each.name for each in checks if each.outcome is Outcome.WAIVED]
    if waived:
        yield f"Mend what was waived: {', '.join(waived)}"
    yield "Keep the retired table and the backup until the partitioned one has proved itself"
