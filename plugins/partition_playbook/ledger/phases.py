"""The phases of a migration, and the way on from each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """The phase of a migration; the catalog, not the phase, decides which table is live."""

    OPENED = "opened"
    SHADOWED = "shadowed"
    ATTACHED = "attached"
    LIVE = "live"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"
    FINALIZED = "finalized"


RESUME = "Clear the failed task of that run to resume it, or trigger partition_rollback to undo it"
WAYS_ON: Mapping[Phase, str] = {
    Phase.OPENED: "Answer its questions under Required Actions, or wait for its end. To give it up, mark it as failed "
    "in Airflow, then trigger this DAG again",
    Phase.SHADOWED: RESUME,
    Phase.ATTACHED: RESUME,
    Phase.LIVE: "Trigger partition_rollback to undo it, or partition_finalize to drop its retired table",
    Phase.ROLLED_BACK: RESUME,
}
