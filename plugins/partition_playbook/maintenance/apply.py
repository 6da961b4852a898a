"""Apply a plan: each action looks at the catalog again before it does anything; one that fails stops no other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from partition_playbook.database import PATIENCE
from partition_playbook.errors import PlaybookError, RowsWait, TryAgain
from partition_playbook.maintenance.actions import (
    Abandon,
    Action,
    Analyze,
    Archive,
    Create,
    Detach,
    Drop,
    Finalize,
    Split,
    describe,
)
from partition_playbook.maintenance.archive import Store, archive
from partition_playbook.maintenance.create import create
from partition_playbook.maintenance.plan import Plan
from partition_playbook.maintenance.retire import detach, drop, finalize
from partition_playbook.maintenance.split import abandon, split
from partition_playbook.maintenance.waiting import MOVE_LIMIT
from partition_playbook.migration import settle
from partition_playbook.migration.run import Run

log = logging.getLogger(__name__)

# What an action may meet that concerns it alone; a lost connection or a lock that is not granted concerns them all.
ITS_OWN = (
    PlaybookError,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
)


class Ending(StrEnum):
    """How an action ended."""

    DONE = "done"
    NOT_NEEDED = "not needed"
    FAILED = "failed"
    SHOWN = "shown"


@dataclass(frozen=True)
class Done:
    """One action and how it ended."""

    action: Action
    ending: Ending
    detail: str = ""
    moved_rows: int = 0


def apply(
    run: Run, plan: Plan, *, dry_run: bool = False, move_limit: int = MOVE_LIMIT, store: Store | None = None
) -> list[Done]:
    """Do what the plan says, in its order; a dry run only logs it. Raises TryAgain where time alone can help."""
    done = []
    for action in plan.actions:
        log.info("%s%s", "would " if dry_run else "", describe(action))
        done.append(Done(action, Ending.SHOWN) if dry_run else _attempt(run, action, move_limit, store))
    for action in plan.proposed:
        log.info("would %s", describe(action))
        done.append(Done(action, Ending.SHOWN))
    return done


def _attempt(run: Run, action: Action, move_limit: int, store: Store | None) -> Done:
    try:
        return _do(run, action, move_limit, store)
    except TryAgain:
        raise
    except ITS_OWN as error:
        log.error("%s failed: %s", describe(action), error)
        return Done(action, Ending.FAILED, str(error).strip())


def _do(run: Run, action: Action, move_limit: int, store: Store | None) -> Done:
    match action:
        case Create():
            moved = _create(run, action, move_limit)
            return _done(action, moved is not None, moved or 0)
        case Split():
            moved = split(run, action.creates)
            return _done(action, moved is not None, moved or 0)
        case Abandon():
            return _done(action, abandon(run))
        case Detach():
            return _done(action, detach(run, action))
        case Finalize():
            return _done(action, finalize(run, action))
        case Archive():
            return _done(action, archive(run, action, store))
        case Drop():
            return _done(action, drop(run, action, store))
        case Analyze():
            return _done(action, _analyze(run))


def _done(action: Action, changed: bool, moved_rows: int = 0) -> Done:
    return Done(action, Ending.DONE if changed else Ending.NOT_NEEDED, moved_rows=moved_rows)


def _create(run: Run, action: Create, move_limit: int) -> int | None:
    try:
        return create(run, action, move_limit)
    except RowsWait as refused:
        log.info("%s", refused)
        return split(run, (action,))


def _analyze(run: Run) -> bool:
    settle.analyze_parent(run, run.table, PATIENCE)
    return True
