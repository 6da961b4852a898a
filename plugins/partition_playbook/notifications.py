"""Who is told what of a run: by mail and through Apprise, each where its connection is configured.

A message says what happened, what to do next, and where the run is. Each is told once for a run: the ledger knows what
was told, so that a task that is cleared or tried again does not tell it twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pendulum
from airflow.configuration import conf
from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from markupsafe import escape

from partition_playbook.migration.run import Run
from partition_playbook.operators import current_run, run_params, table_param

log = logging.getLogger(__name__)

SMTP = "partition_playbook_smtp"
APPRISE = "partition_playbook_apprise"

Context = Mapping[str, Any]
Send = Callable[["Message", Any], None]


@dataclass(frozen=True)
class Message:
    """What is told."""

    subject: str
    happened: str
    next_step: str
    address: str

    @property
    def text(self) -> str:
        """Return all but the subject."""
        return f"{self.happened}\n\nNext: {self.next_step}\n\n{self.address}"


class Announce(BaseNotifier):
    """Tell what ``compose`` makes of a task's context, once; whatever stands in the way of telling is only logged."""

    def __init__(
        self, compose: Callable[[Context], Message], run: Callable[[Context], Run] = current_run, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.compose = compose
        self.run = run

    def notify(self, context: Any) -> None:
        """Tell it through every channel that is configured."""
        try:
            channels = _configured()
            message = self.compose(context) if channels else None
            if message is None or not self._is_new(context, message):
                return
        except Exception:
            log.exception("nobody is told")
            return
        _send(message, channels, context)

    def _is_new(self, context: Context, message: Message) -> bool:
        """Write down that it is told; what can't be written down, where the ledger does not answer, is told as well."""
        try:
            return self.run(context).ledger.announce(message.subject, message.text)
        except Exception as error:
            log.warning("the ledger cannot say whether this was told before: %s", error)
            return True


async def late(context: Context) -> None:
    """Tell that a rollback is not done by its deadline; the triggerer calls it once, with a run and without a task."""
    await asyncio.to_thread(lambda: _send(_late(context), _configured(), context))


def _late(context: Context) -> Message:
    dag_run, deadline = context["dag_run"], context["deadline"]
    dag_id, run_id = dag_run["dag_id"], dag_run["dag_run_id"]
    table = (dag_run["conf"] or {}).get("table") or table_param().value
    return Message(
        f"[{dag_id}] {table}: not done by its deadline",
        f"It was to be done by {deadline['deadline_time']}.",
        "see in its log what it waits for, and who holds a lock; it goes on meanwhile, and so does the application",
        f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='')}",
    )


def _configured() -> dict[str, Send]:
    return {name: send for name, send in CHANNELS.items() if _is_configured(name)}


def _send(message: Message, channels: Mapping[str, Send], context: Context) -> None:
    for name, send in channels.items():
        try:
            send(message, context)
        except Exception:
            log.exception("%s: nobody was told %s", name, message.subject)


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
    # Not called, which would render as a template what comes from the database.
    notifier: BaseNotifier = SmtpNotifier(to=to, subject=message.subject, html_content=content, smtp_conn_id=SMTP)
    notifier.notify(context)


def _apprise(message: Message, context: Any) -> None:
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier

    notifier: BaseNotifier = AppriseNotifier(body=message.text, title=message.subject, apprise_conn_id=APPRISE)
    notifier.notify(context)


CHANNELS: dict[str, Send] = {SMTP: _mail, APPRISE: _apprise}


def started(context: Context) -> Message:
    """Tell that a run began."""
    params, who = run_params(context), context["dag_run"].triggering_user_name
    asks = "It asks a person where one has to decide" if params.asks_people else "Nothing: it asks nobody"
    return _message(context, "started", f"Mode {params.mode}, triggered by {who or 'nobody'}.", asks)


def gated(context: Context) -> Message:
    """Tell what a gate found."""
    run = current_run(context)
    verdict = run.ledger.verdict(run.ledger.section)
    what = f"{'GO' if verdict.go else 'NO-GO'} after {verdict.section}"
    step = "nothing, the run goes on" if verdict.go else "read the reasons; the run undoes what it began, then says so"
    return _message(context, what, str(verdict), step)


def asked(context: Context) -> Message:
    """Tell that a person is asked, what, and what silence means."""
    task = context["task"]
    reasons = [str(each) for each in task.evidence(current_run(context), run_params(context)) if each.blocks]
    happened = "\n".join([task.body.partition("\n\n|")[0], *reasons])
    patience = pendulum.duration(seconds=task.response_timeout.total_seconds()).in_words()
    link = f"{context['ti'].log_url.partition('?')[0]}/required_actions"  # the operator's own needs api.base_url
    step = f"answer {' or '.join(task.options)} within {patience}, else it is {task.options[-1]}: {link}"
    return _message(context, f"a person is asked: {task.subject.partition(': ')[2]}", happened, step)


def failed(context: Context) -> Message:
    """Tell that a task failed for good."""
    ti = context["ti"]
    step = "mend it and clear the task, which goes on where the ledger says it stands; or trigger partition_rollback"
    return _message(context, f"{ti.task_id} failed", str(context.get("exception") or "no reason is known"), step)


def red(context: Context) -> Message:
    """Tell that maintenance left a table that needs a person."""
    step = "do what the checks say before the next run, then clear the task; partition_playbook.health has the figures"
    return _message(context, "maintenance is red", str(context.get("exception") or "no reason is known"), step)


def ended(context: Context) -> Message:
    """Tell the verdict of the whole run."""
    error = context.get("exception")
    if error and not isinstance(error, AirflowFailException):
        return failed(context)
    if error:
        return _message(context, "done: NO-GO", str(error), "read the report and make the adjustments that it names")
    step = "read the report and its next steps; partition_rollback leads back until partition_finalize has run"
    return _message(context, "done: GO", "Every criterion is met.", step)


def finished(context: Context) -> Message:
    """Tell that a DAG of one task did its work."""
    return _message(context, "done", f"{context['dag'].dag_id} ended well.", "nothing")


def _message(context: Context, what: str, happened: str, step: str) -> Message:
    ti = context["ti"]
    table = context.get("maintained_table") or context["params"]["table"]
    address = ti.log_url.partition("/tasks/")[0]
    return Message(f"[{ti.dag_id}] {table}: {what}", happened, step, address)
