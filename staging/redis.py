"""Find Redis and run it for the application's queue; `python -m staging.redis` checks or installs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from staging.debian import install

REMEDY = "Install it with `apt-get install redis-server`."
START_SECONDS = 30.0


class RedisError(RuntimeError):
    """There is no Redis, or it does not start."""


def program() -> str:
    """Return the path of Redis; RedisError with a remedy if there is none."""
    found = shutil.which("redis-server")
    if found is None:
        raise RedisError(f"There is no Redis. {REMEDY}")
    return found


@contextmanager
def redis(log: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a Redis that stores nothing on disk, on a free local port, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # BullMQ asks for noeviction: another policy could delete a job.
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--maxmemory-policy", "noeviction")
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program(), *options],
            cwd=log.parent,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await(server, port, log)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RedisError(f"Redis does not answer. The end of its log {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def main() -> None:
    """Install Redis as root with apt-get if there is none; RedisError if it is still missing."""
    try:
        program()
    except RedisError:
        install("redis-server")
        program()


if __name__ == "__main__":
    try:
        main()
    except (RedisError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The application's queue needs Redis. {error}") from None
