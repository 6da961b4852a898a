"""The backup and the exports of a run go to Airflow's object store, and an unusable URL is refused first."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path, PosixPath
from typing import IO, Any

import pytest

from partition_playbook import artifacts
from partition_playbook.checks import Check, Outcome
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import storage
from partition_playbook.sections.snapshot.backup import SUMS
from partition_playbook.sections.snapshot.checks import back_up
from partition_playbook.spec import RunParams

# Of Airflow's own plugin loader.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
PARAMS = RunParams(mode="rehearse")


@pytest.fixture
def store(airflow_home: Path) -> Any:
    """Return Airflow's object store."""
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder behind the URL of the artifacts."""
    monkeypatch.setenv(artifacts.ARTIFACTS_VARIABLE, f"file://{tmp_path}/bucket")
    monkeypatch.setenv(storage.SCRATCH_VARIABLE, str(tmp_path / "scratch"))
    return tmp_path / "bucket"


def named(checks: list[Check]) -> dict[str, Check]:
    return {each.name: each for each in checks}


def test_a_backup_is_uploaded_and_read_back_and_a_retry_replaces_it(
    run: Run, readings: Callable[[int], None], store: Any, bucket: Path
) -> None:
    readings(100)
    for _ in range(2):
        checks = named(back_up(run, PARAMS, store))
        assert {each.outcome for each in checks.values()} == {Outcome.PASSED}
        detail = run.ledger.measurements("snapshot")["backup"]["detail"]
        assert detail["folder"].startswith(f"file://{bucket}/test-run_")
        sums = (next(bucket.iterdir()) / "backup" / SUMS).read_bytes()
        assert hashlib.sha256(sums).hexdigest() == detail["sha256"]
        listed = dict(reversed(line.split("  ")) for line in sums.decode().splitlines())
        present = [path for path in bucket.rglob("*") if path.is_file() and path.name != SUMS]
        found = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in present}
        assert found == listed
        assert len(found) == detail["files"]
        assert list((bucket.parent / "scratch").iterdir()) == []


class Lossy(PosixPath):
    """A store that gives back other bytes than it was given."""

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:
        """Open for writing as it should be, and for reading as it should not."""
        return io.BytesIO(b"other bytes") if mode == "rb" else super().open(mode)


def test_a_store_with_other_bytes_fails_the_backup_and_has_no_commit_mark(
    run: Run, readings: Callable[[int], None], bucket: Path
) -> None:
    readings(100)

    def lossy(url: str) -> Lossy:
        return Lossy(url.removeprefix("file://"))

    stored = named(back_up(run, PARAMS, lossy))["backup_stored"]
    assert stored.blocks
    assert [path.name for path in bucket.rglob("toc.dat")] == ["toc.dat"]
    assert [*bucket.rglob(SUMS)] == []


class Objects(PosixPath):
    """A store without folders, as S3: a folder is there once it has an object."""

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Make nothing."""

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:
        """Open an object."""
        if "w" in mode:
            Path(self.parent).mkdir(parents=True, exist_ok=True)
        return super().open(mode)

    def iterdir(self) -> Iterator[Objects]:  # type: ignore[override]
        """Yield the objects of a folder; ObjectStoragePath raises this error if there is none."""
        if not self.is_dir():
            raise NotADirectoryError(str(self))
        yield from super().iterdir()


def test_a_backup_goes_to_a_store_without_folders(run: Run, readings: Callable[[int], None], bucket: Path) -> None:
    readings(100)
    checks = named(back_up(run, PARAMS, lambda url: Objects(url.removeprefix("file://"))))
    assert checks["backup_stored"].outcome is Outcome.PASSED
    assert len([*bucket.rglob(SUMS)]) == 1


def test_a_url_that_can_be_used_passes_and_nothing_is_left(store: Any, bucket: Path) -> None:
    assert storage.artifacts_store(store).outcome is Outcome.PASSED
    assert [path for path in bucket.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("url", ["nope://bucket/path", "s3://aws_default@bucket/path"])
def test_a_url_that_cannot_be_used_is_refused_before_anything_runs(
    store: Any, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(artifacts.ARTIFACTS_VARIABLE, url)
    found = storage.artifacts_store(store)
    assert found.blocks
    assert "the object store can't be used from the worker" in found.actual
    assert artifacts.ARTIFACTS_VARIABLE in found.remedy
    assert artifacts.export("a run", {"report.html": b"x"}, store) == []
    assert "report.html are not exported" in caplog.text
    assert artifacts.exported("a run", "report.html") is None


def test_exports_go_to_the_store(store: Any, bucket: Path) -> None:
    made = artifacts.export("a run", {"report.html": b"x", "report.md": b"y"}, store)
    assert made == [f"file://{bucket}/{artifacts.run_name('a run')}/{name}" for name in ("report.html", "report.md")]
    assert [Path(each.removeprefix("file://")).read_bytes() for each in made] == [b"x", b"y"]
