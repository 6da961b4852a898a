"""The log of a failed attempt ends with one line: problem, place and next step, without a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partition_playbook.errors import PlaybookError
from tests.fixtures.dag_runs import DagRuns, Finished
from tests.fixtures.every_error import OWN, REMEDY, errors_of_airflow, every_error

pytestmark = pytest.mark.usefixtures("airflow_home")

FAILING = Path(__file__).resolve().parents[1] / "fixtures" / "failing"
NAMES = sorted(every_error())
NEXT = re.compile(r"(?:clear|Clear|Connect|Export|Trigger|Write|Set|Correct|trigger) ")


def callbacks(task: Any, how: str) -> list[Any]:
    found = getattr(task, f"on_{how}_callback")
    return list(found) if isinstance(found, list | tuple) else [found]


def test_every_task_of_every_dag_ends_its_log_with_the_line(dags: Any) -> None:
    from partition_playbook.airflow.last_line import tell_failure, tell_retry

    tasks = [task for dag in dags.dags.values() for task in dag.tasks]
    assert len(tasks) > 40
    assert [task.task_id for task in tasks if callbacks(task, "failure")[-1] is not tell_failure] == []
    assert [task.task_id for task in tasks if callbacks(task, "retry")[-1] is not tell_retry] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_error_is_one_line_with_what_to_do(name: str) -> None:
    from partition_playbook.airflow.last_line import told

    line = told(every_error()[name])
    problem, _, remedy = line.partition(". ")
    assert (problem != "", NEXT.search(remedy) is not None) == (True, True), line
    assert "\n" not in line
    assert "Traceback" not in line
    assert not re.search(r"\bNone\b(?! of it)", line)
    assert ".." not in line


def test_an_error_of_our_own_is_told_in_its_own_words() -> None:
    from partition_playbook.airflow.last_line import told

    assert told(PlaybookError("a", where="b", remedy=REMEDY)) == f"b: a. {REMEDY}"
    assert {kind.__name__ for kind in OWN} <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("InvalidPassword 28P01", "the password is wrong or missing"),
        ("InvalidCatalogName 3D000", "the database does not exist"),
        ("TooManyConnections 53300", "no connection is free"),
        ("CannotConnectNow 57P03", "the server is starting or stopping"),
        ("ConnectionFailure 08006", "the connection was lost"),
        ("DiskFull 53100", "Free disk space"),
        ("LockNotAvailable 55P03", "End the session that holds the lock"),
        ("InsufficientPrivilege 42501", "Grant it to the role of the Airflow connection"),
        ("OperationalError", "the connection was lost"),
        ("ProgrammingError", "query parameter missing: names. This is unforeseen"),
        ("OSError", "/artifacts/report.html: No space left on device"),
        ("an error without words", "KeyError. This is unforeseen"),
    ],
)
def test_an_error_of_the_server_has_a_meaning(name: str, wanted: str) -> None:
    from partition_playbook.airflow.last_line import told

    assert wanted in told(every_error()[name])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a rejection", "cutover: Reject, too late today. Clear this task to be asked again"),
        ("no answer", "nobody answered in time (The trigger timed out). Clear this task to be asked again"),
        ("a verdict", "actual 3 %. Read the report and follow it, then start a new run"),
    ],
)
def test_an_answer_or_a_verdict_that_ends_a_task_is_told(name: str, wanted: str) -> None:
    from partition_playbook.airflow.last_line import told

    assert told(errors_of_airflow()[name]).endswith(wanted)


def test_a_task_that_died_has_no_error_and_is_told() -> None:
    from partition_playbook.airflow.last_line import told

    line = told(None)
    assert line.startswith("Airflow lost the process of this task, or never started it. Look for the cause in the logs")
    assert "clear this task" in line
    assert "None" not in line


# Through Airflow itself --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Return a run whose task ended with each error, once or twice."""
    folder = tmp_path_factory.mktemp("failing")
    with DagRuns(folder, folder, FAILING) as runs:
        yield runs.run("every_failure", "postgresql://nobody@127.0.0.1:1/nowhere", {})


def attempts(log: str) -> list[tuple[str, list[str]]]:
    """Return the name of each attempt, and the lines of its log: the API server writes to the same output here."""
    parts = re.split(r"^ATTEMPT (.+)$", log, flags=re.MULTILINE)
    ended = (part.partition("[DAG TEST] end task")[0].splitlines()[:-1] for part in parts[2::2])
    own = ([line for line in lines if "[airflow.api_fastapi." not in line] for lines in ended)
    return list(zip(parts[1::2], own, strict=True))


def test_the_line_is_the_last_one_of_the_log_of_each_attempt(finished: Finished) -> None:
    from partition_playbook.airflow.last_line import FAILED, RETRIED, told

    assert finished.state == "failed"
    found = attempts(finished.log)
    raised = every_error() | errors_of_airflow()
    assert {name for name, _ in found} == set(raised)
    for name, lines in found:
        wanted = told(raised[name])
        # Only the end of Airflow's own group of lines comes after it.
        *_, last, end = lines
        assert f"{FAILED}{wanted} [" in last or f"{RETRIED}{wanted} [" in last, (name, lines[-5:])
        assert "::endgroup::" in end


def test_an_error_that_time_can_fix_is_tried_again_and_says_so(finished: Finished) -> None:
    from partition_playbook.airflow.last_line import FAILED, RETRIED

    tries = [name for name, _ in attempts(finished.log)]
    again = {name for name in tries if tries.count(name) == 2}
    assert {"Unreachable", "LockNotGranted", "OutOfResources", "OperationalError"} <= again
    assert {"LoginRefused", "NoConnection", "InvalidSpec", "InvalidPassword 28P01", "a verdict"}.isdisjoint(again)
    assert sum(each.startswith(RETRIED) for each in finished.messages) == len(again)
    assert sum(each.startswith(FAILED) for each in finished.messages) == len(set(tries))
