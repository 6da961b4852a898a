"""The decisions of people: waivers at the gates, and approvals. Every answer is kept in the ledger.

Only the spec's approvers may answer. No answer in time is the safe option: it never swaps the names of the tables. The
steps themselves read the answers from the ledger, see ``gates``: a task marked as success by hand passes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.bases.branch import BranchMixIn

from partition_playbook import figures
from partition_playbook.airflow.notifications import Announce, gate_message, question_message
from partition_playbook.airflow.runs import current_run, run_params
from partition_playbook.airflow.tasks import SHORT
from partition_playbook.checks import Check
from partition_playbook.errors import TryAgain
from partition_playbook.markdown import checks_table
from partition_playbook.people import STAY, Answer, Question, objection
from partition_playbook.run import Run
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"
WAIVE, STOP, ROLL_BACK = "Waive", "Stop", "Roll back"
A_WEEK = timedelta(days=7)
# The section to which a no-go after the cutover leads.
ROLLBACK = "rollback"


class Ask(HITLOperator):
    """Ask the spec's approvers, show them the evidence, and keep the answer in the ledger.

    Airflow's own record is lost when its metadata is cleaned up. The last option is the safe one, and the default if
    there is no answer in time.
    """

    def __init__(
        self,
        *,
        question: Question,
        evidence: Callable[[Run, RunParams], Iterable[Check]],
        find_run: Callable[[Mapping[str, Any]], Run] | None = None,
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
            notifiers=Announce(question_message, run=find_run or current_run),
            **{"execution_timeout": SHORT} | arguments,
        )
        self.question = question
        self.evidence = evidence
        self.find_run = find_run
        self.fail_on_reject = fail_on_reject

    def run_of(self, context: Mapping[str, Any]) -> Run:
        """Return the run in question, by default that of the DAG run."""
        return (self.find_run or current_run)(context)

    def execute(self, context: Any) -> None:
        """Ask, with the evidence as a table below the body."""
        run, params = self.run_of(context), run_params(context)
        # Added only now, after Airflow rendered the templates: values from the database must not be rendered.
        self.body = "\n\n".join([str(self.body), *self.details(run), self._table(run, params)])
        self.assigned_users = [{"id": name, "name": name} for name in run.spec.approvers]
        super().execute(context)

    def _table(self, run: Run, params: RunParams) -> str:
        checks = list(self.evidence(run, params))
        return checks_table(checks, self.waives(checks))

    def details(self, run: Run) -> Iterable[str]:
        """Return more paragraphs for the body, as Markdown."""
        return ()

    def waives(self, checks: Iterable[Check]) -> list[Check]:
        """Return the checks that a yes waives."""
        return []

    def needs_reason(self, run: Run) -> bool:
        """Return True if a yes without a reason is asked again."""
        return False

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer and follow it.

        TryAgain for a yes without a necessary reason, or by no approver. HITLRejectException for a no if
        ``fail_on_reject``.
        """
        given = super().execute_complete(context, event)
        run = self.run_of(context)
        answer = self._answer(run, given)

        if answer.agreed and not answer.reason and self.needs_reason(run):
            remedy = "The task asks again: answer with a reason"
            raise TryAgain(f"a yes to the {self.question} needs a reason", where=run.spec.table, remedy=remedy)

        run.ledger.record_answer(answer)
        if answer.agreed and (problem := objection(answer, run.spec.approvers, since=None)):
            remedy = "The task asks again: one of the approvers answers"
            raise TryAgain(f"the {self.question} {problem}", where=run.spec.table, remedy=remedy)
        if self.fail_on_reject and not answer.agreed:
            raise HITLRejectException(str(answer))
        return self.follow(context, run, answer)

    def _answer(self, run: Run, given: Mapping[str, Any]) -> Answer:
        (chosen,) = given["chosen_options"]
        user = given["responded_by_user"]
        return Answer(
            self.question,
            run.ledger.section,
            chosen,
            chosen == self.options[0],
            _name(user),
            f"{given['responded_at']:%Y-%m-%d %H:%M:%S %Z}",
            (given["params_input"].get("reason") or "").strip(),
            user["id"] if user else None,
        )

    def follow(self, context: Any, run: Run, answer: Answer) -> Any:
        """Return the result of the task for an answer; a subclass may branch."""
        return answer.chosen


def _name(user: Mapping[str, str] | None) -> str | None:
    """Return the person's name in Airflow's auth manager, followed by the id if it differs."""
    if not user:
        return None
    return user["name"] if user["name"] == user["id"] else f"{user['name']} ({user['id']})"


def reason_param(description: str) -> Param:
    """Return the form field for the reason of an answer."""
    return Param(None, type=["string", "null"], title="Reason", description=description)


class Gate(Ask, BranchMixIn):
    """Branch on a section's verdict; ask first about a waiver, if people decide and the no-go is waivable.

    After the cutover nobody's silence rolls back: the run goes on, and its verdict is a no-go until a person waives the
    failed checks. `answer_within` of the spec is the time for an answer.
    """

    inherits_from_skipmixin = True

    def __init__(self, *, section: str, go: str | Callable[[RunParams], str], no_go: str, **arguments: Any) -> None:
        super().__init__(
            question=Question.WAIVER,
            evidence=lambda run, params: run.ledger.verdict(section).checks,
            options=[WAIVE, ROLL_BACK, STAY] if no_go == ROLLBACK else [WAIVE, STOP],
            subject=f"{{{{ params.table }}}}: waive the no-go after {section}?",
            body="Ignoring the failed checks loses no row. "
            f"**{WAIVE}** with a reason waives the marked checks and continues the run. Report, console and ledger "
            "show them as waived by you. ",
            **arguments,
        )
        self.section, self.go, self.no_go = section, go, no_go

    def waives(self, checks: Iterable[Check]) -> list[Check]:
        """Return the reasons of the no-go."""
        return [each for each in checks if each.blocks]

    def needs_reason(self, run: Run) -> bool:
        """Return True: an auditor reads it."""
        return True

    def execute(self, context: Any) -> Any:
        """Branch on the verdict, or ask about a waiver."""
        run, params = self.run_of(context), run_params(context)
        verdict = run.ledger.verdict(self.section)
        log.info("%s", verdict)
        if verdict.waivable and params.asks_people:
            self.response_timeout = run.spec.answer_within
            self.body = f"{self.body}{self._otherwise(run.spec.answer_within)}"
            return super().execute(context)
        return self.do_branch(context, self._next_section(params) if verdict.go else self.no_go)

    def _otherwise(self, time: timedelta) -> str:
        """Describe the other options, and what happens without an answer in time."""
        silence = f"no answer within {figures.seconds(time.total_seconds())}"
        if STAY not in self.options:
            return f"**{STOP}**, or {silence}, continues with `{self.no_go}`."
        return (
            f"**{ROLL_BACK}** makes the original table live again, with every write since the cutover. **{STAY}**, or "
            f"{silence}, keeps the partitioned table live and continues the run, which ends as a NO-GO. Clear "
            f"`{self.task_id}` then to be asked again."
        )

    def follow(self, context: Any, run: Run, answer: Answer) -> Any:
        """Record the waived checks, or the stay, and branch to the next section; else branch to the no-go."""
        if answer.stays:
            log.warning("%s", RunRecord.read(run).stay(self.section))
        elif answer.agreed:
            reasons = run.ledger.verdict(self.section).reasons
            run.ledger.record_checks([each.waived(str(answer.by), answer.at, answer.reason) for each in reasons])
        else:
            return self.do_branch(context, self.no_go)
        return self.do_branch(context, self._next_section(run_params(context)))

    def _next_section(self, params: RunParams) -> str:
        return self.go(params) if callable(self.go) else self.go


def go_no_go(section: str, go: str | Callable[[RunParams], str], no_go: str) -> Gate:
    """Return the gate after a section."""
    return Gate(
        task_id=f"go_no_go_{section}",
        section=section,
        go=go,
        no_go=no_go,
        params={"reason": reason_param("The reason for the waiver, for an auditor. A waiver needs one.")},
        on_success_callback=Announce(gate_message),
        doc_md=f"Branch on the verdict of {section}, from its checks in the ledger.",
    )
