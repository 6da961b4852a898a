"""Run the application's own tests: programs with a time limit, and an environment without the playbook's secrets."""

from __future__ import annotations

import logging
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from partition_playbook import figures
from partition_playbook.checks import Check, Verdict, check, skipped
from partition_playbook.spec import Application, Command

log = logging.getLogger(__name__)

# The last characters of the output, kept as evidence.
OUTPUT_LENGTH, LINE_LENGTH = 4096, 200
STOP_SECONDS, POLL_SECONDS = 5.0, 0.1
SHORTEST_SECRET = 6
MASK = "***"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\n\t\x20-\x7e\x80-\U0010ffff]|[\x80-\x9f]")


@dataclass(frozen=True)
class Ended:
    """The end of a program: its exit code, none after the time limit, or the problem of its start."""

    exit_code: int | None
    seconds: float
    output: str
    problem: str = ""
    remedy: str = ""


def command_checks(application: Application, *, before: bool = False) -> list[Check]:
    """Run every command of the spec, one after the other; ``before`` the migration a failure proves nothing."""
    return [_command_check(each, run(each), before) for each in application.commands]


def skipped_commands(application: Application, reason: str) -> list[Check]:
    """Return a skipped check for every command of the spec."""
    return [skipped(f"command_{each.name}", reason) for each in application.commands]


def commands_after(application: Application, others: Verdict) -> list[Check]:
    """Run every command after the cutover, unless a no-go without a waiver is certain: it would delay a rollback."""
    if others.go or others.waivable:
        return command_checks(application)
    names = ", ".join(each.name for each in others.reasons)
    return skipped_commands(application, f"not run, because other checks are a no-go: {names}")


def _command_check(command: Command, ended: Ended, before: bool) -> Check:
    useless = "it fails before the migration already, so it could prove nothing after it: "
    passed = ended.exit_code == 0
    log.info("command %s: %s", command.name, _told(command, ended).splitlines()[0])
    return check(
        f"command_{command.name}",
        passed,
        expected=f"{_shown(command)} ends with exit code 0 within {figures.seconds(command.max_seconds)}",
        actual=f"{'' if passed or not before else useless}{_told(command, ended)}",
        remedy=ended.remedy or _remedy(ended, before),
        evidence={
            "command": list(command.command),
            "exit_code": ended.exit_code,
            "seconds": round(ended.seconds, 3),
            "output": ended.output,
        },
    )


def _shown(command: Command) -> str:
    return shlex.join(command.command)[:LINE_LENGTH]


def _remedy(ended: Ended, before: bool) -> str:
    longer = " If it needs longer, raise its `max_seconds`" if ended.exit_code is None else ""
    if before:
        return f"Run it on the worker as the user of Airflow, and correct it, the application, or the spec.{longer}"
    return f"Read the end of its output in the evidence of this check, and search the log of the application.{longer}"


def _told(command: Command, ended: Ended) -> str:
    if ended.problem:
        return ended.problem
    took = figures.seconds(ended.seconds)
    if ended.exit_code == 0:
        return f"exit code 0 after {took}"

    code = ended.exit_code or 0
    told = f"signal {-code}" if code < 0 else f"exit code {code}"
    told = f"stopped after {took}" if ended.exit_code is None else f"{told} after {took}"
    unset = [name for name in command.environment if name not in os.environ]
    missing = f"; the worker has no variable {', '.join(unset)}" if unset else ""
    last = next((line for line in reversed(ended.output.splitlines()) if line.strip()), "no output")
    return f"{told}{missing}; its last line: {last.strip()[:LINE_LENGTH]}"


def run(command: Command) -> Ended:
    """Run a program without a shell; end its process group after it, and at its time limit."""
    environment = _environment(command.environment)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=command.folder,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return _not_started(command, environment, error)

    assert process.stdout is not None
    secrets = [environment[name] for name in command.environment if name in environment]
    tail = Tail(process.stdout, secrets)
    with process.stdout:
        try:
            is_over = _follow(process, tail, started + command.max_seconds)
        finally:
            _end(process)
        tail.drain()
    return Ended(process.returncode if is_over else None, time.monotonic() - started, tail.text())


def _environment(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", *names) if name in os.environ}


def _not_started(command: Command, environment: dict[str, str], error: Exception) -> Ended:
    program = command.command[0]
    reason = getattr(error, "strerror", None) or type(error).__name__
    if command.folder and not Path(command.folder).is_dir():
        problem = f"the folder {command.folder} is no folder on this worker"
        return Ended(None, 0.0, "", problem, "Create the folder on each worker, or correct `folder` in the spec")

    path = environment.get("PATH", os.defpath)
    absent = "/" not in program and not shutil.which(program, path=path)
    problem = f"the program {program} is not on the PATH of this worker: {path}" if absent else f"{program}: {reason}"
    remedy = f"Install {program} on each worker, or begin `command` in the spec with its absolute path"
    return Ended(None, 0.0, "", problem, remedy)


def _follow(process: subprocess.Popen[bytes], tail: Tail, deadline: float) -> bool:
    """Read the output until the program ends; return False if its time is over first."""
    with selectors.DefaultSelector() as selector:
        selector.register(tail.output, selectors.EVENT_READ)
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if selector.select(min(left, POLL_SECONDS)) and not tail.read():
                selector.unregister(tail.output)  # it closed its output and goes on
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all processes of the group: SIGTERM first, and SIGKILL after STOP_SECONDS or the end of the program."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


class Tail:
    """The last part of an output, without secrets; memory is bounded whatever the program prints."""

    def __init__(self, output: IO[bytes], secrets: Iterable[str]) -> None:
        self.output = output
        self._secrets = sorted((each for each in secrets if len(each) >= SHORTEST_SECRET), key=len, reverse=True)
        # A secret may begin before the part that is kept; what is left of it is cut off after masking.
        self._margin = max((len(each.encode()) for each in self._secrets), default=0)
        self._most = 4 * OUTPUT_LENGTH + self._margin
        self._kept = b""
        self._is_cut = False
        os.set_blocking(output.fileno(), False)

    def read(self) -> bool:
        """Read a part; return False at the end of the output."""
        try:
            part = os.read(self.output.fileno(), 65_536)
        except BlockingIOError:
            return True
        kept = self._kept + part
        self._is_cut = self._is_cut or len(kept) > self._most
        self._kept = kept[-self._most :]
        return bool(part)

    def drain(self) -> None:
        """Read what is left in the pipe; a process that escaped its group may hold it open and print for ever."""
        for _ in range(16):
            if not self.read():
                return

    def text(self) -> str:
        """Return the last OUTPUT_LENGTH characters, with masked secrets and without colours and control characters."""
        text = ESCAPES.sub("", self._kept.decode(errors="replace"))
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text[self._margin if self._is_cut else 0 :][-OUTPUT_LENGTH:]
