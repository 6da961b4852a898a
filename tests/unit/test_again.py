"""CI runs few failed tests once more, names them, and never hides a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import again

ONCE = """
from pathlib import Path

def test_noise():
    marker = Path("ran")
    was_there = marker.exists()
    marker.touch()
    assert was_there

def test_fault():
    assert False
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_once.py").write_text(ONCE)
    return tmp_path


def fail(*tests: str) -> None:
    again.FAILED.parent.mkdir(parents=True, exist_ok=True)
    again.FAILED.write_text(json.dumps(dict.fromkeys(tests, True)))


def test_noise_passes_the_second_time_and_is_named(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "ran").touch()
    fail("test_once.py::test_noise")
    assert again.main([]) == 0
    assert "mend it: test_once.py::test_noise" in capsys.readouterr().out


def test_a_fault_fails_again(capsys: pytest.CaptureFixture[str]) -> None:
    fail("test_once.py::test_fault", "test_once.py::test_noise")
    assert again.main([]) == 1
    assert "Failed twice: test_once.py::test_fault" in capsys.readouterr().out


@pytest.mark.parametrize("count", [0, again.MOST + 1])
def test_nothing_and_too_much_are_red(count: int) -> None:
    fail(*(f"test_once.py::test_noise[{number}]" for number in range(count)))
    assert again.main([]) == 1


def test_the_tests_of_a_long_run_are_run_again_together(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "STORIES", ("test_many",))
    (elsewhere / "test_many.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('number', range(9))\ndef test_it(number): pass\n"
    )
    fail(*(f"test_many.py::test_it[{number}]" for number in range(9)))
    assert again.main([]) == 0


def test_a_run_that_told_nothing_is_red() -> None:
    assert again.main([]) == 1
