"""Find Prometheus and promtool; `python -m staging.prometheus` checks or installs them."""

from __future__ import annotations

import shutil
import subprocess

from staging.debian import install

REMEDY = "Install Prometheus with `apt-get install prometheus`, or put its release in the PATH."


class PrometheusError(RuntimeError):
    """There is no Prometheus."""


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; PrometheusError with a remedy if it is absent."""
    found = shutil.which(name)
    if found is None:
        raise PrometheusError(f"There is no {name}. {REMEDY}")
    return found


def main() -> None:
    """Install Prometheus as root with apt-get if there is none; PrometheusError if it is still missing."""
    try:
        program("prometheus")
    except PrometheusError:
        install("prometheus")
    for name in ("prometheus", "promtool"):
        program(name)


if __name__ == "__main__":
    try:
        main()
    except (PrometheusError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The tests need Prometheus. {error}") from None
