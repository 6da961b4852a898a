"""Install a program from Debian's packages, where this process may."""

from __future__ import annotations

import os
import shutil
import subprocess

INSTALL = ("apt-get", "install", "-q", "-y", "--no-install-recommends")


def install(package: str) -> None:
    """Install a package as root with apt-get; do nothing without either. CalledProcessError if it fails."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    for command in (("apt-get", "update", "-q"), (*INSTALL, package)):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
