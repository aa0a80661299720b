"""Messages about the end of a run: by e-mail, and to a Slack-compatible webhook. Off by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

MOST_LINES = 30
_SUBJECT = "{{ dag.dag_id }}: {{ windlass_verdict(ti) }}"
_TEXT = "{{ dag.dag_id }} {{ run_id }}: {{ windlass_verdict(ti) }}\n{{ windlass_story(ti) }}"
_LATE = "{0} is not done {1} after it was queued"


@dataclass(frozen=True, slots=True)
class Notices:
    """Who is told. Addresses and secrets are in Airflow's connections, named here by their ids."""

    email: tuple[str, ...] = ()
    smtp_conn_id: str = "smtp_default"
    webhook_conn_id: str = ""  # of type Slack Incoming Webhook
    on_success: bool = True
    on_failure: bool = True

    def callbacks(self) -> dict[str, list[Any]]:
        """For a DAG: what Airflow calls when a run ends."""
        notifiers = list(self._notifiers(_SUBJECT, _TEXT))
        return {
            "on_success_callback": notifiers if self.on_success else [],
            "on_failure_callback": notifiers if self.on_failure else [],
        }

    def _notifiers(self, subject: str, text: str) -> Sequence[Any]:
        found: list[Any] = []
        if self.email:
            from airflow.providers.smtp.notifications.smtp import SmtpNotifier

            found.append(
                SmtpNotifier(
                    to=list(self.email),
                    smtp_conn_id=self.smtp_conn_id,
                    subject=subject,
                    html_content=f"<pre>{text}</pre>",
                )
            )
        if self.webhook_conn_id:
            from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

            found.append(
                SlackWebhookNotifier(slack_webhook_conn_id=self.webhook_conn_id, text=text)
            )
        return found

    def deadline(self, dag_id: str, after: timedelta) -> Any:
        """An alert for a run that takes longer; to the webhook, else by e-mail.

        Raises:
            ValueError: nobody is to be told.
        """
        from airflow.sdk.definitions.callback import AsyncCallback
        from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

        text = _LATE.format(dag_id, after)
        if self.webhook_conn_id:
            callback = AsyncCallback(
                "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
                {"slack_webhook_conn_id": self.webhook_conn_id, "text": text},
            )
        elif self.email:
            callback = AsyncCallback(
                "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
                {
                    "to": list(self.email),
                    "smtp_conn_id": self.smtp_conn_id,
                    "subject": text,
                    "html_content": text,
                },
            )
        else:
            raise ValueError("a deadline needs somebody to tell: give an e-mail or a webhook")
        return DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=after, callback=callback
        )


def macros(summary_task: str) -> dict[str, Any]:
    """What the messages' templates call."""
    return {
        "windlass_verdict": verdict,
        "windlass_story": lambda ti: story(ti, summary_task),
    }


def verdict(ti: Any) -> str:
    from windlass.airflow.board import Board

    return "failed" if Board(ti).failed() else "done"


def story(ti: Any, summary_task: str) -> str:
    """The summary of a run that is done; else what its failed tasks have said."""
    from windlass.airflow.board import Board

    board = Board(ti)
    if not board.failed():
        summary = board.result(summary_task) or {}
        short = {key: value for key, value in summary.items() if not isinstance(value, list | dict)}
        told = [f"{key}: {value}" for key, value in short.items()]
        told += [f"loss: {loss}" for loss in summary.get("losses", ())]
        told += [f"notice: {notice}" for notice in summary.get("notices", ())]
        return "\n".join(told)
    lines: list[str] = []
    for task in ti.task.dag.task_ids:
        told = ti.xcom_pull(task_ids=[task], key="problems") or []
        problems = dict.fromkeys(line for some in told if some for line in some)
        lines += [f"{task}: {problem}" for problem in problems]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
    return "\n".join(lines) or "see the log of: " + ", ".join(board.failed()[:10])
