"""Strike random steps with random faults at random requests while writers write, and count what was lost.

Beside the regular writers one names partitions, one calls nextval, one copies, one renames a column and back.

    python -m tests.faults.soak --minutes 10 --seed 7

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from staging import cluster
from tests.faults.odd_writers import SPARE_COLUMN
from tests.faults.strokes import Fault, Found, Stroke, strike_among_odd_writers
from tests.fixtures import stages
from tests.fixtures.stages import STEPS, Stages

WRITERS = 2
WRONG = ("lost", "resurrected", "stale", "doubled")
WRONG_LABELS = ("lost", "resurrected", "doubled")


@dataclass
class Tally:
    """The strokes so far and their outcomes."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    rows_checked: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    left_the_table: int = 0
    among_themselves: int = 0
    again: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)

    def strike(self, built: Stages, chance: random.Random) -> None:
        """Draw a stroke by lot and add what came of it."""
        name, fault = chance.choice(list(STEPS)), chance.choice(list(Fault))
        at, back = chance.randint(1, built.requests[name]), name != "finalize" and chance.random() < 0.5
        stroke = Stroke(name, fault, at, back)
        self.faults[fault] += 1
        self.steps[name] += 1
        try:
            found = strike_among_odd_writers(built, stroke, WRITERS)
        except Exception as error:
            self.failures.append(f"{stroke}: {type(error).__name__}: {error}")
            print(self.failures[-1], file=sys.stderr)
            return
        wrong = self.wrong.total() + self.refused.total()
        self.add(found, crashed=fault is Fault.CRASHED)
        if self.wrong.total() + self.refused.total() > wrong:
            rows = {kind: getattr(found.rows, kind) for kind in WRONG if getattr(found.rows, kind)}
            refused = {name: dict(odd.refused) for name, odd in found.odd.items() if odd.refused.total()}
            self.evidence.append(f"{stroke}: {rows} {found.labels} {dict(found.refused)} {refused}")
            print(self.evidence[-1], file=sys.stderr)

    def add(self, found: Found, *, crashed: bool) -> None:
        """Add what came of a stroke."""
        self.writes += found.rows.writes
        self.rows_checked += found.rows.rows_checked
        self.again += found.again
        self.wrong.update({kind: len(getattr(found.rows, kind)) for kind in WRONG})
        self.wrong.update({kind: len(getattr(found.labels, kind)) for kind in WRONG_LABELS})
        self.refused.update(found.refused)
        for name, odd in found.odd.items():
            self.odd[name] += len(odd.committed)
            self.left_the_table += odd.left_the_table
            self.among_themselves += odd.among_themselves
            if not crashed:
                self.refused.update({f"{name} {state}": count for state, count in odd.refused.items() if count})

    def __str__(self) -> str:
        counted = {**self.faults, **{f"in {name}": count for name, count in self.steps.items()}}
        counted |= {"row changes committed": self.writes, "rows compared": self.rows_checked}
        counted |= {f"transactions by {name}": count for name, count in self.odd.items()}
        counted |= {"writes to a partition after it left the table": self.left_the_table}
        counted |= {"deadlocks of the odd writers alone": self.among_themselves}
        counted |= {"steps begun again because the table changed": self.again}
        counted |= {f"rows {kind}": self.wrong[kind] for kind in WRONG}
        counted |= {"writes refused": self.refused.total(), "failures": len(self.failures)}
        return "\n".join(f"{count:>9}  {what}" for what, count in counted.items())


def main() -> None:
    """Strike for so many minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    tally, chance = Tally(given.seed), random.Random(given.seed)
    until = time.monotonic() + 60 * given.minutes
    with cluster.temporary() as server:
        built = stages.build(server.conninfo("postgres"), SPARE_COLUMN)
        while time.monotonic() < until:
            tally.strike(built, chance)
    print(tally)
    print(json.dumps(vars(tally) | {"minutes": given.minutes, "wrong": {kind: tally.wrong[kind] for kind in WRONG}}))
    sys.exit(bool(tally.failures or tally.wrong.total() or tally.refused.total()))


if __name__ == "__main__":
    main()
