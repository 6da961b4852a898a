"""The application's own tests: programs with a time limit, whose output is bounded and has no secret."""

from __future__ import annotations

import os
import re
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from partition_playbook.checks import Check, Outcome, Verdict, check
from partition_playbook.errors import InvalidSpec
from partition_playbook.sections.application.commands import OUTPUT_LENGTH, command_checks, commands_after
from partition_playbook.spec import Application, TableSpec, validated


def ran(*command: str, before: bool = False, **keys: Any) -> Check:
    asked = {"name": "tests", "command": list(command), "max_seconds": 20, **keys}
    (found,) = command_checks(Application.model_validate({"commands": [asked]}), before=before)
    assert found.name == "command_tests"
    return found


def script(text: str, **keys: Any) -> Check:
    return ran(sys.executable, "-c", text, **keys)


def test_a_program_that_ends_well_passes_with_its_output() -> None:
    found = script("print('3 passing')")
    assert found.outcome is Outcome.PASSED
    assert found.actual.startswith("exit code 0 after ")
    assert (found.evidence["exit_code"], found.evidence["output"]) == (0, "3 passing\n")


def test_a_program_that_fails_is_a_no_go_with_its_last_line() -> None:
    text = "import sys; print('1 failing', flush=True); print('AssertionError: 4 rows', file=sys.stderr); sys.exit(3)"
    after, before = script(text), script(text, before=True)
    assert after.blocks
    assert "exit code 3 after " in after.actual
    assert after.actual.endswith("its last line: AssertionError: 4 rows")
    assert after.evidence["exit_code"] == 3
    assert before.blocks
    assert before.actual.startswith("it fails before the migration already, so it could prove nothing after it: exit c")


def test_no_shell_reads_the_arguments() -> None:
    found = ran(sys.executable, "-c", "import sys; print(sys.argv[1:])", "sensor.*reading; $(id) > x | y")
    assert found.evidence["output"] == "['sensor.*reading; $(id) > x | y']\n"


def test_a_program_is_ended_at_its_limit_with_its_whole_group(tmp_path: Path) -> None:
    """Both ignore SIGTERM; the child holds the pipe of the output open."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    text = f"""
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
print("waiting", flush=True)
time.sleep(600)
"""
    started = time.monotonic()
    found = script(text, max_seconds=1.5)
    assert time.monotonic() - started < 10
    assert found.blocks
    assert found.actual.startswith("stopped after ")
    assert found.evidence["exit_code"] is None
    assert found.evidence["output"] == "waiting\n"
    assert not is_running(int((tmp_path / "pid").read_text()))


def is_running(pid: int) -> bool:
    """Return False once the process has ended; a kill takes a moment."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        deadline = time.monotonic() + 5
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return True
            time.sleep(0.02)
    return False


def test_a_process_left_in_the_background_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    text = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
"""
    started = time.monotonic()
    assert script(text).outcome is Outcome.PASSED
    assert time.monotonic() - started < 10
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_the_output_is_bounded_and_has_no_control_characters() -> None:
    found = script("import sys\nsys.stdout.write('x' * 5_000_000 + '\\x1b[32mgr\\u00fcn\\x1b[0m\\0\\r\\n')")
    output = found.evidence["output"]
    assert len(output) == OUTPUT_LENGTH
    assert output.endswith("xgrün\n")


def test_memory_is_bounded_whatever_a_program_prints() -> None:
    tracemalloc.start()
    try:
        assert script("import sys\nfor _ in range(20): sys.stdout.write('x' * 1_000_000)").outcome is Outcome.PASSED
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_program_that_closes_its_output_goes_on() -> None:
    assert script("import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(5)").evidence["exit_code"] == 5


def test_the_environment_has_only_the_named_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW_CONN_PARTITION_PLAYBOOK_DB", "PGPASSWORD", "TOKEN_OF_TESTS", "OTHER"):
        monkeypatch.setenv(name, "geheim-und-lang")
    text = "import os; print(sorted(n for n in os.environ if n != 'LC_CTYPE'))"  # Python itself sets that one
    assert script(text).evidence["output"] == "['PATH']\n"
    named = script(text, environment=["PGPASSWORD", "TOKEN_OF_TESTS", "ABSENT_HERE"])
    assert named.evidence["output"] == "['PATH', 'PGPASSWORD', 'TOKEN_OF_TESTS']\n"
    failed = script("raise SystemExit(1)", environment=["ABSENT_HERE"])
    assert "the worker has no variable ABSENT_HERE" in failed.actual


@pytest.mark.parametrize("filled", [0, 3_000_000])
def test_a_secret_that_was_passed_on_is_masked(monkeypatch: pytest.MonkeyPatch, filled: int) -> None:
    """A long output begins anywhere, so also in the middle of the secret."""
    secret = "geheim-0123456789-abcdefghijklmnopqrstuvwxyz-und-lang-"
    monkeypatch.setenv("TOKEN_OF_TESTS", secret)
    text = f"import os, sys; t = os.environ['TOKEN_OF_TESTS']; print(t * {filled // len(secret)}, t); sys.exit(t)"
    found = script(text, environment=["TOKEN_OF_TESTS"])
    assert found.blocks
    assert "***" in found.actual
    assert "geheim" not in str(found) + str(found.evidence)
    assert "lang-" not in found.evidence["output"]


def test_a_missing_program_is_named_with_the_next_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = ran("npm", "test")
    assert found.blocks
    assert found.actual == f"the program npm is not on the PATH of this worker: {tmp_path}"
    assert found.remedy == ("Install npm on each worker, or begin `command` in the spec with its absolute path")
    (tmp_path / "npm").write_text("no program")
    assert ran(str(tmp_path / "npm")).actual == f"{tmp_path / 'npm'}: Permission denied"
    absent = ran(sys.executable, "-c", "", folder=str(tmp_path / "absent"))
    assert absent.actual == f"the folder {tmp_path / 'absent'} is no folder on this worker"
    assert "Create the folder" in absent.remedy


def test_the_folder_is_the_working_directory(tmp_path: Path) -> None:
    found = script("import os; print(os.getcwd())", folder=str(tmp_path))
    assert found.evidence["output"] == f"{os.path.realpath(tmp_path)}\n"


@pytest.mark.parametrize(("name", "runs"), [("response_time_probe_q", True), ("probe_q", False)])
def test_a_certain_no_go_after_the_cutover_is_not_delayed(tmp_path: Path, name: str, runs: bool) -> None:
    """A response time may be waived, so the commands must have run by then."""
    touch = ["-c", f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()"]
    asked = Application.model_validate({"commands": [{"name": "tests", "command": [sys.executable, *touch]}]})
    others = Verdict.of("application", [check(name, False, expected="x", actual="y")])
    (found,) = commands_after(asked, others)
    assert found.outcome is (Outcome.PASSED if runs else Outcome.SKIPPED)
    assert (tmp_path / "ran").exists() is runs
    assert runs or found.actual == "not run, because other checks are a no-go: probe_q"
    assert commands_after(Application(), others) == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"command": []}, "command"),
        ({"command": [""]}, "begins with an empty text"),
        ({"command": ["psql", "postgresql://app:geheim@db/x"]}, "must not contain a password"),
        ({"environment": ["AIRFLOW__CORE__FERNET_KEY"]}, "a variable of Airflow is never passed on"),
        ({"environment": ["airflow_conn_x"]}, "a variable of Airflow is never passed on"),
        ({"environment": ["A=B"]}, "environment"),
        ({"folder": "relative"}, "folder"),
        ({"max_seconds": 0}, "max_seconds"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(keys: dict[str, Any], told: str) -> None:
    command = {"name": "tests", "command": ["true"]} | keys
    content = {"table": "t", "partition_by": "at", "application": {"commands": [command]}}
    with pytest.raises(InvalidSpec, match=told) as refused:
        validated(TableSpec, content, where="a spec")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("procedure", "told"),
    [
        ({"input": float("inf")}, "finite number"),
        ({"input": 10**5000}, "not JSON"),
        ({"input": {"at": object()}}, "input"),
        ({"max_seconds": 601}, "max_seconds"),
        ({}, "procedures need base_url"),
    ],
)
def test_a_procedure_needs_a_base_and_an_input_of_json(procedure: dict[str, Any], told: str) -> None:
    application: dict[str, Any] = {"procedures": [{"name": "p", "path": "/p"} | procedure]}
    with pytest.raises(InvalidSpec, match=told):
        validated(TableSpec, {"table": "t", "partition_by": "at", "application": application}, where="a spec")


def test_the_example_of_the_documents_is_valid() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-it-works.md").read_text()
    (example,) = re.findall(r"^```yaml\n(application:\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    spec = validated(TableSpec, {"table": "t", "partition_by": "at"} | yaml.safe_load(example), where="the example")
    assert [each.name for each in spec.application.procedures] == ["readings.byUnit", "readings.recent"]
    assert spec.application.commands[0].command == ("npm", "test", "--", "--grep", "sensor.*reading")
