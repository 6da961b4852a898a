"""Apply a plan: each action reads the catalog again first, and a failed action stops no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import psycopg

from partition_playbook.engine import vacuum
from partition_playbook.errors import PlaybookError, RowsWait, TryAgain
from partition_playbook.lock_retry import PATIENCE
from partition_playbook.maintenance import exclusion
from partition_playbook.maintenance.actions import (
    Abandon,
    Action,
    Analyze,
    Archive,
    Create,
    Detach,
    Drop,
    Finalize,
    Merge,
    Split,
    describe,
)
from partition_playbook.maintenance.archive import archive
from partition_playbook.maintenance.copies import abandon
from partition_playbook.maintenance.create import create
from partition_playbook.maintenance.merge import merge
from partition_playbook.maintenance.plan import Plan
from partition_playbook.maintenance.retire import detach, drop, finalize
from partition_playbook.maintenance.split import split
from partition_playbook.maintenance.waiting import MOVE_LIMIT
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run

log = logging.getLogger(__name__)

# Errors of one action alone. A lost connection or a lock that is not granted ends the run instead.
FAILS_ALONE = (
    PlaybookError,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
)


class Ending(StrEnum):
    """The result of an action."""

    DONE = "done"
    NOT_NEEDED = "not needed"
    FAILED = "failed"
    SHOWN = "shown"


@dataclass(frozen=True)
class Done:
    """One action and its result."""

    action: Action
    ending: Ending
    detail: str = ""
    moved_rows: int = 0


def apply(
    run: Run, plan: Plan, *, dry_run: bool = False, move_limit: int = MOVE_LIMIT, store: OpenStore | None = None
) -> list[Done]:
    """Apply the actions of a plan in their order; a dry run only logs them.

    Return one result per action, then one per proposed action. TryAgain ends the run, because a retry can succeed.
    """
    done: list[Done] = []

    if not dry_run:
        exclusion.remove(run)  # the remains of an interrupted run

    for _, group in groupby(plan.actions, key=lambda each: isinstance(each, Create)):
        done += _apply(run, tuple(group), dry_run, move_limit, store)

    for action in plan.proposed:
        log.info("would %s", describe(action))
        done.append(Done(action, Ending.SHOWN))

    return done


def _apply(run: Run, actions: Sequence[Action], dry_run: bool, move_limit: int, store: OpenStore | None) -> list[Done]:
    for action in actions:
        log.info("%s%s", "would " if dry_run else "", describe(action))
    if dry_run:
        return [Done(action, Ending.SHOWN) for action in actions]

    ranges = [each.bounds for each in actions if isinstance(each, Create)]
    with exclusion.prepared(run, ranges) if ranges else nullcontext():
        return [attempt(run, action, store, move_limit=move_limit) for action in actions]


def attempt(run: Run, action: Action, store: OpenStore | None = None, *, move_limit: int = MOVE_LIMIT) -> Done:
    """Apply one action; an error of this action alone is its result, any other is raised."""
    try:
        return _do(run, action, move_limit, store)
    except TryAgain:
        raise
    except FAILS_ALONE as error:
        log.error("%s failed: %s", describe(action), error)
        return Done(action, Ending.FAILED, str(error).strip())


def _do(run: Run, action: Action, move_limit: int, store: OpenStore | None) -> Done:
    match action:
        case Create():
            moved = _create(run, action, move_limit)
            return _done(action, moved is not None, moved or 0)
        case Split():
            moved = split(run, action.creates)
            return _done(action, moved is not None, moved or 0)
        case Merge():
            moved = merge(run, action)
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
        exclusion.remove(run)  # a split copies the indexes of the default partition
        return split(run, (action,))


def _analyze(run: Run) -> bool:
    vacuum.analyze_parent(run, run.table, PATIENCE)
    return True
