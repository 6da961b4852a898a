"""The files beside the code: statements, templates, the worked example, the shipped alerts."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return a folder of the project: inside the package in a wheel, beside ``plugins`` in a checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parents[1] / name


def tables() -> Path:
    """Return the default folder of the table specs: ``include/tables`` beside ``plugins``, or in ``$AIRFLOW_HOME``.

    The worked example that a wheel contains is no table of its users.
    """
    include = folder("include")
    if include.parent == PACKAGE:
        include = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser() / "include"
    return include / "tables"
