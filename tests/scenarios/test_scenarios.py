"""Every folder beside this file: forward, back and forward again under a live writer, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from partition_playbook.checks import Outcome as CheckOutcome
from partition_playbook.engine.cutover import swap
from partition_playbook.engine.rollback import roll_back
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from partition_playbook.sections.validation.checks import validation_checks
from tests.fixtures import footprint
from tests.fixtures.migration import migrate
from tests.fixtures.scenario import Outcome, Stage

WRITES = 40
# Each leg: what it does, and whether the table is partitioned at its end.
LEGS: dict[str, tuple[Callable[[Run], object], bool]] = {
    "forward": (migrate, True),
    "back": (roll_back, False),
    "forward again": (lambda run: swap(run, Direction.FORWARD), True),
}


def test_the_folder_is_the_specification(stage: Stage) -> None:
    if stage.expected.outcome is Outcome.REFUSED:
        is_refused_by_name(stage)
    else:
        is_carried_there_and_back(stage)


@contextmanager
def told(where: str) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(where)
        raise


def is_carried_there_and_back(stage: Stage) -> None:
    stage.look()
    stage.keep_promises()
    blocking = [str(each) for each in stage.checks() if each.blocks]
    assert not blocking, "\n".join(blocking)
    stage.writer.start()
    stage.writer.let_write(WRITES)
    for name, (leg, partitioned) in LEGS.items():
        leg(stage.run)
        written = stage.writer.writes
        with told(f"after {name}"):
            if partitioned:
                is_valid(stage)
            stage.writer.let_write(WRITES, since=written)
            stage.agree(partitioned)


def is_valid(stage: Stage) -> None:
    """Make every check of the section validation while the application writes."""
    failed = [each for each in validation_checks(stage.run) if each.outcome is CheckOutcome.FAILED]
    unexpected = [str(each) for each in failed if each.blocks or each.name not in stage.expected.warned]
    assert not unexpected, "\n".join(unexpected)


def is_refused_by_name(stage: Stage) -> None:
    objects, rows = footprint.objects(stage.connection), footprint.catalog_rows(stage.connection)
    blocking = {each.name: each for each in stage.checks() if each.blocks}
    assert blocking.keys() == stage.expected.refused.keys(), "\n".join(map(str, blocking.values()))
    for name, named in stage.expected.refused.items():
        assert blocking[name].remedy, name
        assert named in f"{blocking[name].actual} {blocking[name].remedy}"
    assert footprint.objects(stage.connection) == objects
    assert footprint.catalog_rows(stage.connection) == rows
