"""Where a person decides: what is asked, who may answer, what silence means. Every answer is kept in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.bases.branch import BranchMixIn

from partition_playbook.checks import Check
from partition_playbook.errors import TryAgain
from partition_playbook.evidence.record import ANSWERED, Answer, Question
from partition_playbook.evidence.report import checks_table
from partition_playbook.migration.run import Run
from partition_playbook.notifications import Announce, asked, gated
from partition_playbook.operators import current_run, run_params
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"
WAIVE, STOP = "Waive", "Stop"
A_WEEK = timedelta(days=7)
# The table is live meanwhile, and what was found wrong with it is felt.
WAIVER_TIME = timedelta(hours=1)


class Ask(HITLOperator):
    """Ask the spec's approvers with the evidence before them, and keep the answer.

    The ledger keeps it because Airflow's own record goes when its metadata is cleaned up. The last option is the safe
    one: it is taken where nobody answers in time.
    """

    def __init__(
        self,
        *,
        question: Question,
        evidence: Callable[[Run, RunParams], Iterable[Check]],
        options: list[str] | None = None,
        response_timeout: timedelta = A_WEEK,
        fail_on_reject: bool = False,
        **arguments: Any,
    ) -> None:
        options = options or [APPROVE, REJECT]
        super().__init__(
            options=options,
            defaults=options[-1],
            response_timeout=response_timeout,
            notifiers=Announce(asked),
            **arguments,
        )
        self.question = question
        self.evidence = evidence
        self.fail_on_reject = fail_on_reject

    def execute(self, context: Any) -> None:
        """Ask."""
        run, params = current_run(context), run_params(context)
        # Not a template any more: what comes from the database is not rendered.
        self.body = f"{self.body}\n\n{checks_table(self.evidence(run, params))}"
        self.assigned_users = [{"id": name, "name": name} for name in run.spec.approvers]
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer, and fail where a no is to stop the run."""
        given = super().execute_complete(context, event)
        run = current_run(context)
        answer = self._answer(run, given)
        if answer.agreed and self.params and not answer.reason:
            raise TryAgain("a waiver needs a reason", where=run.spec.table, remedy="You are asked again: give it there")
        run.ledger.tell(ANSWERED, **asdict(answer))
        if self.fail_on_reject and not answer.agreed:
            raise HITLRejectException(str(answer))
        return self.follow(context, run, answer)

    def _answer(self, run: Run, given: Mapping[str, Any]) -> Answer:
        (chosen,) = given["chosen_options"]
        return Answer(
            self.question,
            run.ledger.section,
            chosen,
            chosen != self.options[-1],
            _name(given["responded_by_user"]),
            f"{given['responded_at']:%Y-%m-%d %H:%M:%S %Z}",
            (given["params_input"].get("reason") or "").strip(),
        )

    def follow(self, context: Any, run: Run, answer: Answer) -> Any:
        """Do what follows from the answer."""
        return answer.chosen


def _name(user: Mapping[str, str] | None) -> str | None:
    """Name a person as Airflow's auth manager does, with the id where that is another."""
    if not user:
        return None
    return user["name"] if user["name"] == user["id"] else f"{user['name']} ({user['id']})"


class Gate(Ask, BranchMixIn):
    """Follow a section's verdict; where people decide and a no-go loses nothing, ask first whether it is waived."""

    inherits_from_skipmixin = True

    def __init__(self, *, section: str, go: str | Callable[[RunParams], str], no_go: str, **arguments: Any) -> None:
        super().__init__(
            question=Question.WAIVER,
            evidence=lambda run, params: run.ledger.verdict(section).checks,
            options=[WAIVE, STOP],
            response_timeout=WAIVER_TIME,
            subject=f"{{{{ params.table }}}}: waive the no-go after {section}?",
            body=f"None of what failed loses a row when it is passed over. **{WAIVE}** with a reason goes on, and the "
            f"report names what was waived and by whom. **{STOP}**, or no answer in an hour, goes to `{no_go}`.",
            **arguments,
        )
        self.section, self.go, self.no_go = section, go, no_go

    def execute(self, context: Any) -> Any:
        """Follow the verdict, or ask."""
        verdict, params = current_run(context).ledger.verdict(self.section), run_params(context)
        log.info("%s", verdict)
        if verdict.waivable and params.asks_people:
            return super().execute(context)
        return self.do_branch(context, self._way_on(params) if verdict.go else self.no_go)

    def follow(self, context: Any, run: Run, answer: Answer) -> Any:
        """Waive what failed and go on, or go where a no-go leads."""
        if not answer.agreed:
            return self.do_branch(context, self.no_go)
        reasons = run.ledger.verdict(self.section).reasons
        run.ledger.record([each.waived(str(answer.by), answer.at, answer.reason) for each in reasons])
        return self.do_branch(context, self._way_on(run_params(context)))

    def _way_on(self, params: RunParams) -> str:
        return self.go(params) if callable(self.go) else self.go


def go_no_go(section: str, go: str | Callable[[RunParams], str], no_go: str) -> Gate:
    """Return the gate after a section."""
    reason = Param(
        None,
        type=["string", "null"],
        title="Reason",
        description="Why it may be passed over, for an auditor to read. A waiver needs one.",
    )
    return Gate(
        task_id=f"go_no_go_{section}",
        section=section,
        go=go,
        no_go=no_go,
        params={"reason": reason},
        on_success_callback=Announce(gated),
        doc_md=f"Go on or not after {section}: the verdict over its checks in the ledger.",
    )
