"""The DAG partition_finalize: ask, then drop the retired table, the capture and the change log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import Param, get_current_context, task_group

from partition_playbook import engine, figures, gates
from partition_playbook.airflow.approvals import Ask, reason_param
from partition_playbook.airflow.forms import table_param
from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import Announce, AnnounceFailure, failure_message, finished_message
from partition_playbook.airflow.runs import standing_run, tell_trigger
from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.checks import Check
from partition_playbook.errors import InvalidSpec
from partition_playbook.gates import Facts
from partition_playbook.markdown import escape
from partition_playbook.people import Answer, Question
from partition_playbook.run import Run
from partition_playbook.spec import Backup, RunParams

A_DAY = timedelta(days=1)
OVERRIDE = "override_reason"


@task_group
def finalize() -> None:
    """Ask a person if the run asks people, then drop the retired table."""
    approve_finalize() >> drop_retired()


def confirmed_run(context: Any) -> Run:
    """Return the standing run of the table; InvalidSpec unless ``confirm`` repeats the name of the spec."""
    table, confirm = context["params"]["table"], context["params"]["confirm"]
    if confirm != table:
        raise InvalidSpec(
            f"confirm is {confirm!r}, not {table!r}",
            where="params",
            remedy="To drop the retired table, trigger the DAG again with the name of the table spec in `confirm`",
        )
    return standing_run(context)


def _facts(run: Run) -> Facts:
    with run.database.session() as session:
        return gates.read_facts(session, run)


class FinalizeAsk(Ask):
    """Ask to drop the retired table; for a run with approvals `auto`, only record the param ``override_reason``."""

    def execute(self, context: Any) -> None:
        """Ask, or record the reason given by hand."""
        run = self.run_of(context)
        reason = (context["params"].get(OVERRIDE) or "").strip()
        if _facts(run).params.asks_people:
            if reason:
                raise InvalidSpec(
                    f"{OVERRIDE} is for a run with approvals auto; an approver gives the reason in the answer",
                    where="params",
                    remedy=f"Trigger the DAG again without {OVERRIDE}, and answer its question",
                )
            super().execute(context)
        elif reason:
            run.ledger.record_answer(_override(run, context, reason))

    def details(self, run: Run) -> Iterator[str]:
        """Yield the end of the way back, the verdict of the run, and the objects to drop."""
        facts, lacking = _facts(run), self.lacking(run)
        yield (
            "Until you approve, `partition_rollback` makes the original table live again with every write since the "
            f"cutover{_cutover(run)}. Afterwards {_backup(run, facts.params)}."
        )
        yield f"Verdict of run {escape(run.ledger.run_id)}: **{facts.run['verdict'] or 'none'}**."
        if lacking:
            listed = "\n".join(f"- {escape(each)}" for each in lacking)
            yield f"**The run is not signed off.** A yes needs a reason:\n\n{listed}"
        yield _disposables(run)

    def lacking(self, run: Run) -> list[str]:
        """Return what the run lacks for a sign-off."""
        return gates.shortfalls(_facts(run))

    def needs_reason(self, run: Run) -> bool:
        """Return True for a run that is not signed off."""
        return bool(self.lacking(run))


def _override(run: Run, context: Mapping[str, Any], reason: str) -> Answer:
    by = context["dag_run"].triggering_user_name or "an unknown user"
    now = f"{pendulum.now('UTC'):%Y-%m-%d %H:%M:%S %Z}"
    return Answer(Question.FINALIZE, run.ledger.section, OVERRIDE, True, by, now, reason)


def _disposables(run: Run) -> str:
    rows = [
        f"| {each.kind} | {escape(each.name)} | {figures.size(each.bytes) if each.bytes else ''} |"
        for each in engine.finalize.disposables(run)
    ]
    return "\n".join(["| dropped for good | name | size |", "|---|---|---|", *rows])


def _cutover(run: Run) -> str:
    measured = run.ledger.measurements("migration")
    swaps = [row["taken_at"] for name, row in measured.items() if name.endswith("cutover_held_ms")]
    return f" of {max(swaps):%Y-%m-%d %H:%M:%S %Z}" if swaps else ""


def _backup(run: Run, params: RunParams) -> str:
    if params.backup is Backup.SKIP:
        return "nothing leads back: the run has no backup"
    if params.backup is Backup.EXTERNAL:
        named = f" {params.external_backup_id}" if params.external_backup_id else ""
        return f"only your own backup{named} of {params.external_backup_at} leads back"
    taken = run.ledger.measurements("snapshot").get("backup")
    when = f" of {taken['taken_at']:%Y-%m-%d %H:%M:%S %Z}" if taken else ""
    return f"only the backup{when} leads back"


def _fell_short(run: Run, params: object) -> list[Check]:
    facts = _facts(run)
    return [each for section in gates.SECTIONS for each in facts.verdict(section).checks if each.fell_short]


def approve_finalize() -> FinalizeAsk:
    """Return the task for the approval by a person."""
    return FinalizeAsk(
        task_id="approve_finalize",
        question=Question.FINALIZE,
        find_run=confirmed_run,
        evidence=_fell_short,
        response_timeout=A_DAY,
        subject="{{ params.table }}: drop the retired table?",
        body="**Approve** compares every row once more, then drops the objects below. **Reject**, or no answer in a "
        "day, drops nothing. Then clear this task to be asked again.",
        fail_on_reject=True,
        params={"reason": reason_param("The reason to finalize. A run without a sign-off needs one.")},
        on_failure_callback=[AnnounceFailure(failure_message, run=standing_run), tell_failure],
    )


@playbook_task(
    run=confirmed_run,
    on_success_callback=Announce(finished_message, run=standing_run),
    on_failure_callback=[AnnounceFailure(failure_message, run=standing_run), tell_failure],
)
def drop_retired(run: Run) -> None:
    """Drop the retired table, the capture and the change log, if the ledger permits it."""
    tell_trigger(run, get_current_context())
    engine.finalize.finalize(run)


def trigger_form() -> dict[str, Param]:
    """Return the trigger form."""
    return {
        "table": table_param(),
        "confirm": Param(
            "",
            type="string",
            title="Confirm",
            description_md="The name of the table spec once more. The retired table is dropped; this cannot be undone.",
        ),
        OVERRIDE: Param(
            None,
            type=["string", "null"],
            title="Reason to finalize without a go",
            description_md="Only for a run with approvals **auto** without a verdict of go: the reason to drop its way "
            "back anyway. The ledger keeps it with your name. Any other run asks its approvers.",
        ),
    }
