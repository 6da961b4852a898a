"""Hosts in namespaces: a network address, a host name, processes and local folders of their own.

A host that is cut off or killed behaves as one that lost its link or its power.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

# The programs that the tests run, and the Debian packages that have them.
PROGRAMS = {
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
# A host ends with the process of the tests, however that ends.
END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
SPACES = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
# All that a host does which a container or a kernel may refuse.
PROBE = """
set -e
hostname probe
mount -t tmpfs none /run
mkdir -p /opt/airflow
ip link add probe type bridge
ip link add to-probe type veth peer name from-probe
"""
CLONE_NEWNET = 0x40000000
BRIDGE = "playbook"
SUBNET, OWN = "10.77.0", 1
# The folders that Airflow writes to, the secrets and the names are those of the Compose file. An ignored SIGCHLD
# outlives `exec`: the kernel reaps each process whose parent is gone.
BOOT = """
set -e
hostname "$1"
mount -t tmpfs none /run
mkdir /run/playbook
mount --bind "$2/secrets" /run/playbook
mount -o remount,bind,ro /run/playbook
mount --bind "$2/hosts" /etc/hosts
mount --bind "$3" /opt/airflow
trap '' CHLD
echo ready
exec sleep infinity
"""


def missing() -> str:
    """Return why this machine can't have hosts in namespaces; empty if it can."""
    if sys.platform != "linux":
        return "hosts in namespaces need Linux"
    if os.geteuid() != 0:
        return "hosts in namespaces need root"
    if absent := [each for each in PROGRAMS if not shutil.which(each)]:
        packages = sorted({PROGRAMS[each] for each in absent})
        return f"there is no {', '.join(absent)}; install {', '.join(packages)}"
    done = subprocess.run(["unshare", *SPACES, "sh", "-c", PROBE], capture_output=True, check=False, text=True)
    return f"this machine refuses namespaces: {done.stderr.strip()}" if done.returncode else ""


class Network:
    """A network of this process and its hosts, which nothing outside reaches; no port or name of it is taken.

    It is a namespace too: tests that run at once have the same names and addresses in a network each. It is gone with
    the last process in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._outside = -1
        self._libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self) -> Self:
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._succeed(self._libc.unshare(CLONE_NEWNET))
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{address(OWN)}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._succeed(self._libc.setns(self._outside, CLONE_NEWNET))
        os.close(self._outside)

    @staticmethod
    def _succeed(code: int) -> None:
        if code:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@dataclass
class Host:
    """A host of the network; ``fill`` writes what its disk has from the image."""

    name: str
    number: int
    network: Network
    environment: Mapping[str, str]
    fill: Callable[[Path], None]
    init: int = 0  # its first process, as seen from here; 0 while it is off
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def disk(self) -> Path:
        """Return what is /opt/airflow there."""
        return self.network.folder / self.name

    @property
    def log(self) -> Path:
        """Return the output of all of its services."""
        return self.network.folder / f"{self.name}.log"

    def boot(self) -> None:
        """Begin with an empty disk; the address and the name are those of an earlier host."""
        self.kill()
        shutil.rmtree(self.disk, ignore_errors=True)
        (self.disk / "tmp").mkdir(parents=True)
        self.fill(self.disk)
        Path("/opt/airflow").mkdir(parents=True, exist_ok=True)  # it is mounted there
        given = (self.name, self.network.folder, self.disk)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                [*END_WITH_PARENT, "unshare", *SPACES, "sh", "-c", BOOT, "boot", *given],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert started.stdout
        with started.stdout as told:
            assert told.readline() == b"ready\n", self.log.read_text()
        self._running = [started]
        (child,) = psutil.Process(started.pid).children()
        self.init = child.pid

        link = f"to-{self.number}"
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self.init))
        run("ip", "link", "set", link, "master", BRIDGE, "up")
        inside = ("nsenter", "--target", str(self.init), "--net", "ip")
        run(*inside, "addr", "add", f"{address(self.number)}/24", "dev", "eth0")
        for each in ("lo", "eth0"):
            run(*inside, "link", "set", each, "up")

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a service, which goes on until the host ends."""
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                self._inside(command),
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(started)
        return started

    def run(self, *command: str, seconds: float = 180, **environment: str) -> str:
        """Run a program to its end and return its output; fail with it if the program fails."""
        return run(*self._inside(command), seconds=seconds, env={**self.environment, **environment})

    def attempt(self, *command: str, seconds: float = 180) -> str:
        """Run a program to its end and return all that it says, whether it fails or not."""
        options: dict[str, Any] = {"env": self.environment, "timeout": seconds, "stderr": subprocess.STDOUT}
        return subprocess.run(self._inside(command), stdout=subprocess.PIPE, check=False, text=True, **options).stdout

    def _inside(self, command: Sequence[str]) -> list[str]:
        spaces = ("--net", "--mount", "--uts", "--pid")
        return [
            "nsenter",
            "--target",
            str(self.init),
            *spaces,
            "sh",
            "-c",
            'cd /opt/airflow; exec "$@"',
            "sh",
            *command,
        ]

    def cut_off(self) -> None:
        """Take its link down: no packet, not even an end of a connection, gets out or in."""
        run("ip", "link", "set", f"to-{self.number}", "down")

    def reconnect(self) -> None:
        """Bring its link up again."""
        run("ip", "link", "set", f"to-{self.number}", "up")

    def kill(self) -> None:
        """Kill all of its processes at once."""
        if self.init:
            os.kill(self.init, signal.SIGKILL)
            for each in self._running:
                each.wait()
            # The kernel takes the link away, but not at once.
            subprocess.run(["ip", "link", "delete", f"to-{self.number}"], capture_output=True, check=False)
        self.init = 0


def address(number: int) -> str:
    """Return the address of a host."""
    return f"{SUBNET}.{number}"


def run(*command: str, seconds: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its output; fail with it if the program fails."""
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=seconds, env=env)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
