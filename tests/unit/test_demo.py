from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pendulum
import pytest
from rich.console import Console

from partition_playbook.checks import Check, check
from partition_playbook.codecs import Encoding
from partition_playbook.engine.layout import bounds_for
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import TableSpec, read_spec
from staging.backend.verdict import Noticed, Times
from staging.demo.display import PlainDisplay, picture
from staging.demo.outcome import Ending, Outcome, Places, Verdict, Written, swaps
from staging.demo.progress import ALL_SECTIONS, Load, Loads, Progress, Section, State, running, sections
from staging.demo.scorecard import print_scorecard
from staging.demo.table_spec import days_of_rows, settings, worked_spec
from staging.keys import ENCODINGS, WorkedKey
from staging.record import Comparison, Difference, Latency
from staging.rest import TaskInstance

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRONG = (Difference(7, ("a",), ()),)
EXACT = Comparison((), (), (), (), rows_checked=80, writes=100)


def measurement(value: float, seconds: int = 0, tries: int = 1) -> dict[str, Any]:
    return {"value": value, "unit": "ms", "detail": {"tries": tries}, "taken_at": NOON + timedelta(seconds=seconds)}


def speedup(name: str, share: float, *, criterion: bool = True, time: float | None = None) -> Check:
    figures = {"total_ms": 10.0, "buffers": 100}
    shares = {"speedup": share, "time": share if time is None else time, "pages": share}
    evidence = {"before": figures, "after": figures, "criterion": criterion, **shares}
    return check(f"speedup_{name}", True, expected="half", actual="[less]", evidence=evidence)


def found(verdict: str | None = "go", checks: Mapping[str, Sequence[Check]] | None = None) -> RunRecord:
    measured = {
        "migration": {
            "cutover_held_ms": measurement(8.04, tries=2),
            "cutover_waited_ms": measurement(1.0),
            "rollback_held_ms": measurement(6.0, 20),
            "rollback_waited_ms": measurement(0.5, 20),
        },
        "rollback": {"rollback_seconds": measurement(2.5, 30)},
        "gains": {"retention_drop_ms": {**measurement(3.0), "name": "retention_drop_ms"}},
    }
    known = checks or {"pruning": [speedup("week", 0.8), speedup("month", 0.6), speedup("count", 0.1, criterion=False)]}
    return RunRecord({"verdict": verdict, "phase": "live"}, known, measured)


def outcome(**changes: Any) -> Outcome:
    written = Written(2, 100, {}, EXACT, Latency(50, 1.0, 5.0, 9.0), {"cutover": Latency(3, 1.0, 2.0, 7.77)}, 1100)
    places = Places("http://ui", "login", "SELECT", "report.md")
    return replace(Outcome(1000, written, "run-1", Ending("success"), found(), places, 99.0, 88.0), **changes)


def written(**changes: Any) -> Written:
    return replace(outcome().written, **changes)


def test_all_that_says_go_is_a_go() -> None:
    assert outcome().verdict is Verdict.GO
    assert outcome().verdict.exit_code == 0


def test_the_no_go_of_the_run_is_a_no_go() -> None:
    seen = outcome(ending=Ending("failed"), evidence=found("no-go"))
    assert seen.verdict is Verdict.NO_GO
    assert seen.verdict.exit_code == 1
    assert seen.against == ["the verdict of the run is no-go"]


@pytest.mark.parametrize("kind", ["lost", "resurrected", "stale", "doubled"])
def test_any_difference_from_the_record_is_a_no_go_whatever_the_run_says(kind: str) -> None:
    different = written(comparison=replace(EXACT, **{kind: WRONG}))
    assert outcome(written=different).verdict is Verdict.NO_GO
    assert outcome(written=different, ending=Ending(None, "Airflow is gone")).verdict is Verdict.NO_GO
    assert outcome(written=different).as_json()[kind] == 1


def test_an_error_that_the_application_saw_is_a_no_go() -> None:
    assert outcome(written=written(errors={"40P01": 1})).verdict is Verdict.NO_GO


@pytest.mark.parametrize(
    ("ending", "evidence"),
    [
        (Ending("failed"), found(None)),  # a task could not do its work
        (Ending("failed"), found("go")),
        (Ending("success"), found("no-go")),  # a green result that is not true
        (Ending("success"), found(None)),
        (Ending("success"), None),
        (Ending(None, "Airflow has not answered"), found("go")),
        (Ending("running", "the run has not ended"), found(None)),
    ],
)
def test_what_does_not_agree_is_unknown(ending: Ending, evidence: RunRecord | None) -> None:
    seen = outcome(ending=ending, evidence=evidence)
    assert seen.verdict is Verdict.UNKNOWN
    assert seen.verdict.exit_code == 2
    assert seen.unknown


@pytest.mark.parametrize("changes", [{"comparison": None}, {"writes": 0}])
def test_writers_that_prove_nothing_make_it_unknown(changes: dict[str, Any]) -> None:
    assert outcome(written=written(**changes)).verdict is Verdict.UNKNOWN


def test_a_rehearsal_without_writers_may_say_go() -> None:
    assert outcome(written=Written(0)).verdict is Verdict.GO


def test_an_error_that_a_user_of_the_application_saw_is_a_no_go() -> None:
    times = Times(1, 1.0, 1.0)
    good = Noticed(requests=3, compared=3, swapped=True, before=times, during=times, after=times)
    assert outcome(noticed=good).verdict is Verdict.GO
    assert outcome(noticed=replace(good, errors={"readings.recent: HTTP 500": 1})).verdict is Verdict.NO_GO
    assert outcome(noticed=replace(good, unequal=["1, expected 2"])).verdict is Verdict.NO_GO
    assert outcome(noticed=replace(good, compared=0)).verdict is Verdict.UNKNOWN
    assert outcome(noticed=good).as_json()["application"]["requests"] == 3


def test_a_demo_without_the_application_imports_none_of_it() -> None:
    code = "import sys, staging.demo.__main__; print([name for name in sys.modules if 'staging.backend' in name])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=PATHS, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_demo_of_a_key_reads_the_spec_of_its_encoding(tmp_path: Path, encoding: Encoding) -> None:
    (folder,) = settings(tmp_path, worked_spec(WorkedKey(encoding), "6 hours")).values()
    spec = read_spec(Path(folder) / "sensor_readings.yaml")
    assert spec.codec == WorkedKey(encoding).codec
    assert (spec.table, spec.partition_by, str(spec.interval)) == ("sensor_readings", "id", "6 hours")
    assert days_of_rows(worked_spec(WorkedKey(encoding), "6 hours")) == 12


@pytest.mark.parametrize(("interval", "days"), [("hour", 2), ("6 hours", 12), ("day", 48), ("week", 336)])
def test_the_demo_of_a_narrow_interval_has_few_days_and_reads_values(interval: str, days: int) -> None:
    """A read with now() is planned for all partitions, so the demo of hours could only end as a NO-GO."""
    spec = TableSpec.model_validate(worked_spec(WorkedKey(None), interval))
    now = pendulum.now("UTC")
    found = {"oldest": spec.synthetic_start(now), "newest": now, "sequence": None}
    assert days_of_rows(worked_spec(WorkedKey(None), interval)) == days
    assert len(bounds_for(found, spec)) <= 120
    assert {query.since for query in spec.queries} == {"{interval_start}"}
    assert spec.synthetic.values["source"] == "'synthetic'"


def test_the_demo_of_a_wide_interval_keeps_the_worked_year() -> None:
    changed = worked_spec(WorkedKey(None), "quarter")
    assert changed == worked_spec(WorkedKey(None)) | {"interval": "quarter"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--application", "--key", "uuidv7"), "leave out --key"),
        (("--interval", "5 minutes"), "the narrowest interval is an hour"),
    ],
)
def test_the_demo_refuses_a_key_or_an_interval_that_it_cannot_have(given: Sequence[str], told: str) -> None:
    command = [sys.executable, "-m", "staging.demo", *given]
    done = subprocess.run(command, cwd=ROOT, env=PATHS, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert told in done.stderr


def test_the_reasons_are_the_checks_behind_the_decision() -> None:
    failed = check("speedup_week", False, expected="half", actual="none")
    concluded = check("speedup_reached", False, expected="half", actual="speedup_week: none")
    seen = outcome(ending=Ending("failed"), evidence=found("no-go", {"pruning": [failed], "decision": [concluded]}))
    assert seen.against == ["pruning.speedup_week: none"]


def test_the_json_has_what_was_promised() -> None:
    told = json.loads(json.dumps(outcome().as_json()))
    assert (
        told
        | {
            "verdict": "go",
            "run_id": "run-1",
            "rows": 1000,
            "writes_during_run": 100,
            "lost": 0,
            "cutover_held_ms": 8.0,
            "rollback_seconds": 2.5,
            "speedup": 0.6,
            "slowest_write_around_cutover_ms": 7.8,
            "second_cutover_held_ms": None,
            "reasons": [],
        }
        == told
    )


def test_a_demo_that_found_nothing_has_the_same_keys() -> None:
    nothing = Outcome(1000, Written(2), ending=Ending(None, "no PostgreSQL"))
    told = nothing.as_json()
    assert told.keys() == outcome().as_json().keys()
    assert (told["verdict"], told["lost"], told["speedup"], told["run_id"]) == ("unknown", None, None, None)
    assert told["reasons"][0] == "no PostgreSQL"


def test_a_swap_that_needed_two_tries_is_watched_from_the_first() -> None:
    cutover, rollback = swaps(found())
    assert (cutover.name, rollback.name) == ("cutover", "rollback")
    assert cutover.until == (NOON + timedelta(seconds=1)).timestamp()
    assert cutover.since < (NOON - timedelta(seconds=4)).timestamp()
    assert rollback.since > (NOON + timedelta(seconds=18)).timestamp()


@pytest.mark.parametrize("seen", [outcome(), Outcome(1000, Written(2), ending=Ending(None, "no [b]PostgreSQL"))])
def test_the_scorecard_is_plain_where_nobody_looks(seen: Outcome) -> None:
    text = StringIO()
    print_scorecard(Console(file=text, width=120), seen)
    assert "\x1b" not in text.getvalue()
    assert ("retention drop ms" in text.getvalue()) is bool(seen.evidence)
    assert ("[less]" if seen.evidence else "no [b]PostgreSQL") in text.getvalue()


def test_the_scorecard_names_the_gain_that_was_judged() -> None:
    """A query of a fraction of a millisecond takes longer to plan: only its pages became fewer."""
    text = StringIO()
    checks = {"pruning": [speedup("week", 0.88, time=-5.0), speedup("month", 0.6)]}
    print_scorecard(Console(file=text, width=160), outcome(evidence=found(checks=checks)))
    assert "88 % fewer pages" in text.getvalue()
    assert "60 % faster" in text.getvalue()
    assert "88 % faster" not in text.getvalue()


def task(name: str, state: str | None, start: int | None = None, end: int | None = None) -> TaskInstance:
    moments = (None if each is None else NOON + timedelta(seconds=each) for each in (start, end))
    return TaskInstance(name, -1, state, 1, *moments)


def test_sections_follow_their_tasks() -> None:
    tasks = [
        task("preflight.open_run", "success", 0, 1),
        task("preflight.check_preconditions", "success", 1, 3),
        task("go_no_go_preflight", "success", 3, 4),
        task("data_preparation.generate", "skipped", 4, 4),
        task("snapshot.benchmark_before", "success", 4, 5),
        task("snapshot.back_up", None),
        task("rollback.restore_original", "skipped", 2, 2),
        task("rollback.roll_back", None),
        task("decision.decide", "upstream_failed"),
    ]
    seen = {each.name: each for each in sections(tasks, {"preflight": (58, ("key",))})}
    states = {name: each.state for name, each in seen.items()}
    assert list(states) == list(ALL_SECTIONS)
    assert seen["preflight"] == Section("preflight", State.DONE, 3.0, 58, ("key",))
    assert states["data_preparation"] is State.SKIPPED
    assert states["snapshot"] is State.RUNNING
    assert states["rollback"] is states["migration"] is State.WAITING
    assert states["decision"] is State.FAILED


def test_tasks_under_way_are_named_once() -> None:
    loads = [
        replace(task("a.load", state), map_index=index) for index, state in enumerate(["running", "running", "success"])
    ]
    tasks = [*loads, task("b", "success"), task("c", "up_for_retry")]
    assert running(tasks) == ("a.load (1 of 3 done)", "c, up for retry")


def test_the_pace_of_loads_tells_what_is_left() -> None:
    done = Load("p1", "loaded", 100, 100, NOON, NOON + timedelta(seconds=1))
    half = Load("p2", "loading", 100, 50, NOON)
    loads = Loads((done, half, Load("p3", "pending", 100)), NOON + timedelta(seconds=2))
    assert loads.rows_per_second == 75
    assert loads.seconds_left == 2
    assert Loads((done,), NOON + timedelta(hours=1)).rows_per_second == 100
    assert Loads().seconds_left is None


def test_plain_lines_tell_each_event_once() -> None:
    shown = PlainDisplay(Console(file=StringIO()))
    load = Load("sensor_readings_y2026m01", "loaded", 9, 9, NOON, NOON)
    begun = Progress(1.0, (Section("migration", State.RUNNING),), loads=Loads((load, Load("p2", "pending", 1)), NOON))
    assert [line.split(":")[0] for line in shown.news(begun)] == ["sensor_readings_y2026m01", "migration begins"]
    assert shown.news(begun) == []
    ended = replace(begun, sections=(Section("migration", State.DONE, 5.0, 2, ("row_content",)),))
    (line,) = shown.news(ended)
    assert "1 failed: row_content" in line


def test_the_picture_can_be_drawn_before_anything_is_known() -> None:
    text = StringIO()
    console = Console(file=text, width=80)
    console.print(picture(Progress(0.0)))
    console.print(picture(Progress(1.0, loads=Loads((Load("p1", "loading", 0, 0, NOON),), NOON))))
    assert "preflight" in text.getvalue()
