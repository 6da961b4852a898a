"""Strike random steps with random faults at random requests while writers write, and count what was lost.

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
from tests.faults.strokes import Fault, strike
from tests.fixtures import stages
from tests.fixtures.stages import STEPS, Stages

WRITERS = 2
WRONG = ("lost", "resurrected", "stale", "doubled")


@dataclass
class Tally:
    """What was tried and what came of it."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    rows_checked: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def strike(self, built: Stages, chance: random.Random) -> None:
        """Draw a stroke by lot and add what came of it."""
        name, fault = chance.choice(list(STEPS)), chance.choice(list(Fault))
        at, back = chance.randint(1, built.requests[name]), name != "finalize" and chance.random() < 0.5
        self.faults[fault] += 1
        self.steps[name] += 1
        try:
            found = strike(built, name, fault, at, back=back, writers=WRITERS)
        except Exception as error:
            self.failures.append(f"{name}, {fault}, request {at}, back {back}: {type(error).__name__}: {error}")
            print(self.failures[-1], file=sys.stderr)
            return
        self.writes += found.writes
        self.rows_checked += found.rows_checked
        self.wrong.update({kind: len(getattr(found, kind)) for kind in WRONG})

    def __str__(self) -> str:
        counted = {**self.faults, **{f"in {name}": count for name, count in self.steps.items()}}
        counted |= {"row changes committed": self.writes, "rows compared": self.rows_checked}
        counted |= {f"rows {kind}": self.wrong[kind] for kind in WRONG} | {"failures": len(self.failures)}
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
        built = stages.build(server.conninfo("postgres"))
        while time.monotonic() < until:
            tally.strike(built, chance)
    print(tally)
    print(json.dumps(vars(tally) | {"minutes": given.minutes, "wrong": {kind: tally.wrong[kind] for kind in WRONG}}))
    sys.exit(bool(tally.failures or tally.wrong.total()))


if __name__ == "__main__":
    main()
