"""No task needs a file of another one: each has a process and an empty folder, which is deleted after it."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from tests.fixtures.dag_runs import APART_VARIABLE, DagRuns

REPORTS = "SELECT name FROM partition_playbook.reports WHERE run_id = %s ORDER BY name"
# The files that a task may leave, because a later one does without them.
LEFT = {"snapshot.back_up": "SHA256SUMS", "decision.decide": "report.html", "preflight.check_preconditions": "plan.sql"}


def test_a_rehearsal_is_a_go_though_each_task_loses_its_folder(
    tables: Path, dsn: str, connection: psycopg.Connection, tmp_path: Path
) -> None:
    conf = {"table": "calm", "mode": "rehearse", "accept_weaker_uniqueness": True, "min_speedup": 0}
    home, folders = tmp_path / "home", tmp_path / "folders"
    home.mkdir()
    folders.mkdir()
    # A process of its own: the tasks are forked from it, and those of other tests leave threads behind.
    with DagRuns(home, tables, seconds=540) as runs:
        done = runs.run("partition_migration", dsn, conf, **{APART_VARIABLE: str(folders)})
    ran = [json.loads(line.partition("APART ")[2]) for line in done.log.splitlines() if line.startswith("APART ")]
    left = {task: {Path(each).name for each in files} for task, _, files in ran}

    assert (done.state, done.tasks["decision.say_verdict"]) == ("success", "success"), done.log[-4000:]
    assert len({pid for _, pid, _ in ran}) == len(ran) > 25
    assert {task: name for task, name in LEFT.items() if name not in left[task]} == {}
    assert list(folders.iterdir()) == []
    assert {"plan.sql", "report.html"} <= {name for (name,) in connection.execute(REPORTS, [done.run_id])}
