"""A machine that can't have hosts in namespaces says why, and passes tests/distributed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from staging import image
from tests.distributed import hosts, install

REFUSAL = "unshare: unshare failed: Operation not permitted"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let root find every program, of which unshare is refused."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in hosts.PROGRAMS:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{REFUSAL}' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_without_root(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert hosts.missing() == "hosts in namespaces need root"


def test_on_another_system(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hosts.missing() == "hosts in namespaces need Linux"


def test_without_a_program(programs: Path) -> None:
    (programs / "ip").unlink()
    (programs / "unshare").unlink()
    assert hosts.missing() == "there is no ip, unshare; install iproute2, util-linux"


def test_where_namespaces_are_refused(programs: Path) -> None:
    assert hosts.missing() == f"this machine refuses namespaces: {REFUSAL}"


def test_nothing_is_installed_and_it_is_said(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image, "install", lambda: pytest.fail("the image is of no use"))
    (programs / "redis-server").unlink()  # nor is there an apt-get
    install.main()
    assert capsys.readouterr().out == (
        "tests/distributed is passed over: there is no redis-server; install redis-server.\n"
    )


def test_a_package_that_cannot_be_installed_is_said(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (programs / "ip").unlink()
    (programs / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (programs / "apt-get").chmod(0o755)
    install.main()
    assert "The package iproute2 can't be installed" in capsys.readouterr().out


def test_pytest_passes_the_folder_over() -> None:
    """Run it without the right to make namespaces, also where this process is root."""
    privileged = os.geteuid() == 0 and shutil.which("setpriv")
    without = ("setpriv", "--bounding-set", "-sys_admin") if privileged else ()
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/distributed")
    done = subprocess.run([*without, *command], cwd=image.PROJECT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" in done.stdout
    assert any(reason in done.stdout for reason in ("need root", "need Linux", "there is no", "refuses namespaces"))
