"""Notifications about a run: by mail and through Apprise, each if its connection is configured.

A message has the event, the next step and the URL of the run. The ledger keeps the sent ones, so a cleared or retried
task does not send the same message twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import psycopg
from airflow.configuration import conf
from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from markupsafe import escape

from partition_playbook import figures
from partition_playbook.airflow.forms import table_param
from partition_playbook.airflow.last_line import told
from partition_playbook.airflow.runs import current_run, run_params, standing_run
from partition_playbook.engine import way_back
from partition_playbook.engine.way_back import State
from partition_playbook.errors import LoginRefused, PlaybookError, Unreachable
from partition_playbook.run import Run
from partition_playbook.sections.decision.record import RunRecord

log = logging.getLogger(__name__)

SMTP = "partition_playbook_smtp"
APPRISE = "partition_playbook_apprise"
# The XCom with the error of a failed task.
FAILURE = "failure"

Context = Mapping[str, Any]
Send = Callable[["Message", Any], None]


@dataclass(frozen=True)
class Message:
    """One notification; two of one subject and ``kind`` are one event, without a kind two of one text."""

    subject: str
    happened: str
    next_step: str
    address: str
    kind: str = ""

    @property
    def text(self) -> str:
        """Return the body: everything but the subject."""
        return f"{self.happened}\n\nNext: {self.next_step}\n\n{self.address}"


class Announce(BaseNotifier):
    """Send the message composed from a task's context, once for a run, unless it is None; an error is only logged."""

    def __init__(
        self,
        compose: Callable[[Context], Message | None],
        run: Callable[[Context], Run] = current_run,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.compose = compose
        self.run = run

    def notify(self, context: Any) -> None:
        """Send the message through every configured channel."""
        try:
            channels = _configured()
            message = self.compose(context) if channels else None
            if message is None or not self._is_new(context, message):
                return
        except (PlaybookError, psycopg.Error) as error:
            log.warning("no notification was sent: %s", told(error))
            return
        except Exception:
            log.exception("no notification was sent")
            return
        _send(message, channels, context)

    def _is_new(self, context: Context, message: Message) -> bool:
        """Record the message in the ledger; True if it is new, or if the ledger does not answer."""
        try:
            return self.run(context).ledger.announce_once(message.subject, message.text, message.kind)
        except Exception as error:
            log.warning("the ledger does not answer, so this notification may be a repetition: %s", told(error))
            return True


class AnnounceFailure(Announce):
    """Keep the error of a failed task in its run's ledger and as an XCom, and send the message about it."""

    def notify(self, context: Any) -> None:
        """Record the failure unless it is a verdict, then send the message."""
        error = context.get("exception")
        if error is not None and not isinstance(error, AirflowFailException):
            self._record(context, told(error))
        super().notify(context)

    def _record(self, context: Any, reason: str) -> None:
        ti = context["ti"]
        try:
            ti.xcom_push(FAILURE, reason)
            self.run(context).ledger.add_note(f"{ti.task_id} failed: {reason}"[:8000], failed=ti.task_id)
        except Exception as error:
            log.warning("the failure of this task is only in its log: %s", told(error))


async def late_rollback_alert(context: Context) -> None:
    """Send the alert about a rollback past its deadline; the triggerer calls it once, with a run and without a task."""
    await asyncio.to_thread(lambda: _send(_late_message(context), _configured(), context))


def _late_message(context: Context) -> Message:
    dag_run, deadline = context["dag_run"], context["deadline"]
    dag_id, run_id = dag_run["dag_id"], dag_run["dag_run_id"]
    table = (dag_run["conf"] or {}).get("table") or table_param().value
    return Message(
        f"[{dag_id}] {table}: not done by its deadline",
        f"The deadline was {deadline['deadline_time']}.",
        "look in the task log for the sessions that hold a lock; the rollback continues, and so does the application",
        f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='')}",
    )


def _configured() -> dict[str, Send]:
    return {name: send for name, send in CHANNELS.items() if _is_configured(name)}


def _send(message: Message, channels: Mapping[str, Send], context: Context) -> None:
    for name, send in channels.items():
        try:
            send(message, context)
        except Exception:
            log.exception("%s: could not send %s", name, message.subject)


def _is_configured(connection_id: str) -> bool:
    try:
        BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return False
    return True


def _mail(message: Message, context: Any) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    to = BaseHook.get_connection(SMTP).extra_dejson["to"]
    content = f'<div style="white-space: pre-wrap">{escape(message.text)}</div>'
    # notify() instead of a call: a call would render values from the database as a template.
    notifier: BaseNotifier = SmtpNotifier(to=to, subject=message.subject, html_content=content, smtp_conn_id=SMTP)
    notifier.notify(context)


def _apprise(message: Message, context: Any) -> None:
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier

    notifier: BaseNotifier = AppriseNotifier(body=message.text, title=message.subject, apprise_conn_id=APPRISE)
    notifier.notify(context)


CHANNELS: dict[str, Send] = {SMTP: _mail, APPRISE: _apprise}


def started_message(context: Context) -> Message:
    """Return the message about the start of a run."""
    params, user = run_params(context), context["dag_run"].triggering_user_name
    step = "answer its questions under Required Actions" if params.asks_people else "nothing, the run asks no questions"
    return _message(context, "started", f"Mode {params.mode}, triggered by {user or 'no user'}.", step)


def gate_message(context: Context) -> Message:
    """Return the message about the verdict of a gate."""
    run = current_run(context)
    verdict = run.ledger.verdict(run.ledger.section)
    event = f"{'GO' if verdict.go else 'NO-GO'} after {verdict.section}"
    if stay := RunRecord.read(run).stay(verdict.section):
        step = f"clear {context['ti'].task_id} to be asked again, or trigger partition_rollback"
        return _message(context, f"{event}: the partitioned table stays live", f"{verdict}\n\n{stay}.", step)
    undone = "read the reasons; the run undoes its changes, then reports its verdict"
    step = "nothing, the run continues" if verdict.go else undone
    return _message(context, event, str(verdict), step)


def question_message(context: Context) -> Message:
    """Return the message about a question: its evidence, the options, and the default without an answer."""
    task = context["task"]
    checks = list(task.evidence(task.run_of(context), run_params(context)))
    short = [str(each) for each in checks if each.fell_short]
    waived = ", ".join(each.name for each in task.waives(checks))
    marked = [f"{task.options[0]} waives: {waived}"] if waived else []
    happened = "\n".join([task.body.partition("\n\n|")[0], *marked, *short])
    timeout = figures.seconds(task.response_timeout.total_seconds())
    # The link of HITLOperator itself needs the setting api.base_url.
    link = f"{context['ti'].log_url.partition('?')[0]}/required_actions"
    step = f"answer {' or '.join(task.options)} within {timeout}, else it is {task.options[-1]}: {link}"
    return _message(context, f"a person is asked: {task.subject.partition(': ')[2]}", happened, step)


def failure_message(context: Context) -> Message:
    """Return the message about a task that failed without a retry left.

    A hundred mapped loads that fail for one cause are one event.
    """
    ti, error = context["ti"], context.get("exception")
    step = (
        "fix the cause and clear the task; it resumes from the state in the ledger. "
        "To undo a migration instead, trigger partition_rollback"
    )
    message = _message(context, f"{ti.task_id} failed", _reason(context), step)
    return replace(message, kind=type(error).__name__) if ti.map_index >= 0 else message


def red_message(context: Context) -> Message:
    """Return the message about a table that needs a person after maintenance."""
    step = (
        "follow the remedies of the failed checks before the next run, then clear the task; "
        "the view partition_playbook.health has the figures"
    )
    return _message(context, "maintenance is red", _reason(context), step)


def standby_message(context: Context) -> Message | None:
    """Return the message about a way back that needs a person; the same one as long as its state lasts.

    None without an answer of the database: its own monitoring tells that it is down.
    """
    error = context.get("exception")
    if isinstance(error, psycopg.OperationalError | LoginRefused | Unreachable):
        return None
    found = way_back.recorded(standing_run({**context, "params": {"table": context["maintained_table"]}}))
    if found is None or found["state"] == State.IN_STEP:
        return _message(context, "could not look at the way back", _reason(context), "read the log of the task")

    step = (error.remedy if isinstance(error, PlaybookError) else "") or "read the log of the task"
    happened = f"The way back of the migration is {found['state']} since {found['since']}."
    return _message(context, f"the way back is {found['state']}", happened, step)


def verdict_message(context: Context) -> Message:
    """Return the message about the verdict of the whole run, or about the failure of its task."""
    error = context.get("exception")
    if error and not isinstance(error, AirflowFailException):
        return failure_message(context)
    if error:
        return _message(context, "done: NO-GO", str(error), "read the report and make the adjustments named in it")
    step = "read the report and its next steps; until partition_finalize, partition_rollback undoes the migration"
    waivers = current_run(context).ledger.verdict("decision").waivers
    head = "No criterion failed, but some are waived:" if waivers else "Every criterion is met."
    return _message(context, "done: GO", "\n".join([head, *map(str, waivers)]), step)


def finished_message(context: Context) -> Message:
    """Return the message about the success of a DAG with one task."""
    return _message(context, "done", f"{context['dag'].dag_id} succeeded.", "nothing")


def _reason(context: Context) -> str:
    error = context.get("exception")
    return str(error) if isinstance(error, AirflowFailException) else told(error)


def _message(context: Context, event: str, happened: str, step: str) -> Message:
    ti = context["ti"]
    table = context.get("maintained_table") or context["params"].get("table", "all tables")
    address = ti.log_url.partition("/tasks/")[0]
    return Message(f"[{ti.dag_id}] {table}: {event}", happened, step, address)
