"""Prove an external backup by pgBackRest's own list: a complete and young backup of this server."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pendulum

from partition_playbook import figures
from partition_playbook.checks import Check, check
from partition_playbook.errors import PlaybookError, ToolMissing
from partition_playbook.spec import PgBackRest

BACKUP_HOURS = 24
NAME = "backup_pgbackrest"
PROGRAM = "pgbackrest"
# It asks each repository, also one in object storage.
INFO_SECONDS = 120
OUTPUT_LENGTH = 500


@dataclass(frozen=True)
class Listed:
    """A complete backup of the list: its label, its kind, its end, and the system identifier of its server."""

    label: str
    kind: str
    ended: pendulum.DateTime
    system: int | None

    @property
    def hours(self) -> float:
        """Return the hours since its end."""
        return float((pendulum.now("UTC") - self.ended).total_hours())


@dataclass(frozen=True)
class Stanza:
    """A stanza of the list: its complete backups, and its problem as pgBackRest says it."""

    backups: tuple[Listed, ...]
    problem: str = ""


def pgbackrest_check(wanted: PgBackRest, label: str | None, system: int | None) -> Check:
    """Check the newest complete backup of the server with this system identifier, or the one with a label.

    Without a system identifier, because the role may not read it, the servers are not compared.
    """
    try:
        stanza = _stanza(_info(wanted), wanted)
    except PlaybookError as error:
        return _check(wanted, label, None, error.problem, error.remedy)

    found, problem = _choose(stanza.backups, label, system), stanza.problem
    if not problem and found is None:
        problem = _absent(stanza.backups, label, system)
    if not problem and found is not None and not 0 <= found.hours < BACKUP_HOURS:
        problem = f"backup {found.label} ended {figures.seconds(3600 * found.hours)} ago"
    remedy = f"Run {PROGRAM} --stanza={wanted.stanza} backup, set external_backup_id to its label or leave it empty"
    return _check(wanted, label, found, problem, remedy)


def _check(wanted: PgBackRest, label: str | None, found: Listed | None, problem: str, remedy: str) -> Check:
    named = f"with the label {label}, " if label else ""
    shown = ""
    if found is not None:
        server = f"of the server {found.system}" if found.system else "of a server that it does not name"
        shown = f"{found.kind} backup {found.label} {server}, ended at {found.ended:%Y-%m-%d %H:%M:%S %Z}"
    return check(
        NAME,
        not problem,
        expected=f"a complete backup of this server in the stanza {wanted.stanza}, {named}from the last "
        f"{figures.count(BACKUP_HOURS, 'hour')}",
        actual=problem or shown,
        remedy=remedy,
        evidence={"label": found.label, "ended": found.ended.isoformat(), "system": found.system} if found else {},
    )


def _info(wanted: PgBackRest) -> str:
    """Return the list as JSON, of a file or from the program; PlaybookError with a remedy without one."""
    here = f"the worker {socket.gethostname()}"
    if wanted.info:
        try:
            return Path(wanted.info).read_text()
        except (OSError, UnicodeDecodeError) as error:
            remedy = f"On the host of the repository write there: {PROGRAM} --output=json info"
            raise PlaybookError(f"{here} cannot read {wanted.info}: {error}", where=here, remedy=remedy) from error

    install = f"Install {PROGRAM} with its configuration on {here}, or let `pgbackrest.info` of the spec name a file"
    command = [PROGRAM, f"--stanza={wanted.stanza}", "--output=json", "info"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INFO_SECONDS)
    except FileNotFoundError as error:
        raise ToolMissing(f"{here} has no {PROGRAM}", where=here, remedy=install) from error
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise PlaybookError(f"{PROGRAM} info on {here}: {error}", where=here, remedy=install) from error
    if done.returncode:
        printed = (done.stderr or done.stdout).strip()[-OUTPUT_LENGTH:]
        problem = f"{PROGRAM} info on {here} ended with status {done.returncode}: {printed}"
        raise PlaybookError(problem, where=here, remedy=f"Correct the cause that it names. {install}")
    return done.stdout


def _stanza(text: str, wanted: PgBackRest) -> Stanza:
    where = wanted.info or PROGRAM
    try:
        listed = {each["name"]: each for each in json.loads(text)}
        found = listed.get(wanted.stanza)
        if found is not None:
            status = found["status"]
            problem = f"pgBackRest says of the stanza: {status['message']}" if status["code"] else ""
            return Stanza(tuple(_complete(found)), problem)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise _strange(where, error) from error

    known = ", ".join(sorted(listed)) or "none"
    remedy = "Correct `pgbackrest.stanza` in the spec"
    raise PlaybookError(f"there is no stanza {wanted.stanza}; known: {known}", where=where, remedy=remedy)


def _strange(where: str, error: Exception) -> PlaybookError:
    remedy = f"Write it with: {PROGRAM} --output=json info"
    problem = f"{where} has no list of pgBackRest: {type(error).__name__} {error}"
    return PlaybookError(problem, where=where, remedy=remedy)


def _complete(stanza: dict[str, Any]) -> Iterator[Listed]:
    """Yield the backups without an error; a list before version 2.36 has no such field."""
    systems = {(each["id"], each.get("repo-key", 1)): each["system-id"] for each in stanza["db"]}
    for each in stanza["backup"]:
        if each.get("error"):
            continue
        database = each["database"]["id"], each["database"].get("repo-key", 1)
        ended = pendulum.from_timestamp(each["timestamp"]["stop"])
        yield Listed(each["label"], each["type"], ended, systems.get(database))


def _choose(listed: tuple[Listed, ...], label: str | None, system: int | None) -> Listed | None:
    fitting = [each for each in listed if label in (None, each.label)]
    if system is not None:
        fitting = [each for each in fitting if each.system == system]
    return max(fitting, key=lambda each: each.ended, default=None)


def _absent(listed: tuple[Listed, ...], label: str | None, system: int | None) -> str:
    if label and label not in {each.label for each in listed}:
        known = ", ".join(each.label for each in listed[-3:]) or "none"
        return f"no complete backup has the label {label}; the last ones: {known}"
    servers = ", ".join(sorted({str(each.system) for each in listed})) or "none"
    return f"no complete backup is of this server, system {system}; the systems of the backups: {servers}"
