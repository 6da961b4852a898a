"""Airflow and names that others chose: in paths it keeps runs apart, in templates it evaluates nothing."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

RUN_IDS = (
    *("..", ".", "", "/", "../../etc/cron.d/x", "/etc/passwd", "a.b", "a:b", "a+b", "a_b", "A_B", "a b", "a\0b"),
    *("ü", "é" * 250, "x" * 250, "x" * 249 + "y", "{{ var.value.secret }}", "a\nb", "~", "-rf", "a/b", "a\\b", "%2e"),
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTITION_PLAYBOOK_ARTIFACTS", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


def test_every_run_has_a_folder_of_its_own_below_the_root(root: Path) -> None:
    from partition_playbook.artifacts import artifacts_folder

    folders = [artifacts_folder(run_id) for run_id in RUN_IDS]
    assert {folder.resolve().parent for folder in folders} == {root.resolve()}
    assert len({folder.name.lower() for folder in folders}) == len(RUN_IDS)
    assert [artifacts_folder(run_id) for run_id in RUN_IDS] == folders


def test_nobody_else_looks_into_the_folder(root: Path) -> None:
    from partition_playbook.artifacts import artifacts_folder

    open_to_all = os.umask(0)
    try:
        folder = artifacts_folder("run")
        folder.chmod(0o777)  # as an earlier version left it
        artifacts_folder("run")
    finally:
        os.umask(open_to_all)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_the_way_is_not_followed(root: Path, tmp_path: Path) -> None:
    from partition_playbook.artifacts import artifacts_folder
    from partition_playbook.errors import PreconditionFailed

    folder = artifacts_folder("run")
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(PreconditionFailed, match="symbolic link or belongs to another user"):
        artifacts_folder("run")


def test_a_folder_that_cannot_be_made_is_named_with_the_worker_and_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partition_playbook.artifacts import ARTIFACTS_VARIABLE, artifacts_folder
    from partition_playbook.errors import PreconditionFailed

    (tmp_path / "a file").touch()
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path / "a file"))
    with pytest.raises(PreconditionFailed) as raised:
        artifacts_folder("run")
    assert raised.value.where.startswith(f"{tmp_path}/a file/run_")
    assert raised.value.problem == f"the folder can't be written on the worker {socket.gethostname()}: Not a directory"
    assert f"let the account {pwd.getpwuid(os.geteuid()).pw_name} write there" in raised.value.remedy


def test_a_full_disk_is_told_with_the_folder(root: Path) -> None:
    from partition_playbook.artifacts import artifacts_folder, writing
    from partition_playbook.errors import PreconditionFailed

    folder = artifacts_folder("run")
    with pytest.raises(PreconditionFailed, match="No space left on device") as raised, writing(folder):
        Path("/dev/full").write_text("a report")
    assert raised.value.where == str(folder)
    assert raised.value.remedy.startswith("Free space there")
