"""The server crashes, or somebody terminates the playbook's sessions, in each step: nothing is lost.

One stroke a step at a request drawn by lot; `make soak` tries others for as long as it is let.
"""

from __future__ import annotations

import random

import pytest

from tests.faults.strokes import Fault, strike
from tests.fixtures.stages import STEPS, Stages

SEED = 3


@pytest.mark.parametrize("fault", [Fault.TERMINATED, Fault.HELD_UP, Fault.CRASHED])
@pytest.mark.parametrize("name", STEPS)
def test_a_stroke_is_survived(stages: Stages, name: str, fault: Fault) -> None:
    chance = random.Random(f"{SEED} {name} {fault}")
    back = name != "finalize" and chance.random() < 0.5
    found = strike(stages, name, fault, chance.randint(1, stages.requests[name]), back=back)
    assert found.exact, found
