"""Messages about the end of a run: by e-mail, and to a Slack-compatible webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from windlass.model.units import bytes_text, seconds_text

MOST_LINES = 30
SUBJECT = "{{ dag.dag_id }}: %(verdict)s"
TEXT = (
    "{{ dag.dag_id }} {{ run_id }}: %(verdict)s\n{{ windlass_%(verdict)s(ti | default(none)) }}"
    "{{ windlass_link(dag.dag_id, run_id) }}"
)
_READABLE: Mapping[str, Callable[[Any], str]] = {
    "seconds": seconds_text,
    "total_bytes": bytes_text,
}
_LATE = "{0} has not finished {1} after it was queued"


@dataclass(frozen=True, slots=True)
class Notices:
    """Who is notified. Addresses and secrets are in Airflow's connections; here are only the
    ids."""

    email: tuple[str, ...] = ()
    smtp_conn_id: str = "smtp_default"
    webhook_conn_id: str = ""  # of type Slack Incoming Webhook
    on_success: bool = True
    on_failure: bool = True

    def callbacks(self) -> dict[str, list[Any]]:
        """Callbacks for a DAG: what Airflow calls when a run has succeeded or failed."""
        return {
            "on_success_callback": self._notifiers_of("done") if self.on_success else [],
            "on_failure_callback": self._notifiers_of("failed") if self.on_failure else [],
        }

    def _notifiers_of(self, verdict: str) -> list[Any]:
        texts = (text % {"verdict": verdict} for text in (SUBJECT, TEXT))
        return list(self.notifiers(*texts))

    def notifiers(self, subject: str, text: str) -> Sequence[Any]:
        """Airflow's notifiers for these people; both texts are templates."""
        found: list[Any] = []
        if self.email:
            from airflow.providers.smtp.notifications.smtp import SmtpNotifier

            found.append(
                SmtpNotifier(
                    to=list(self.email),
                    smtp_conn_id=self.smtp_conn_id,
                    subject=subject,
                    html_content=f"<pre>{text.replace(' }}', ' | e }}')}</pre>",
                )
            )
        if self.webhook_conn_id:
            from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

            found.append(
                SlackWebhookNotifier(slack_webhook_conn_id=self.webhook_conn_id, text=text)
            )
        return found

    def deadline(self, dag_id: str, after: timedelta) -> Any:
        """An alert for a run that takes longer than this; sent to the webhook, or else by e-mail.

        Raises:
            ValueError: there is no recipient.
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
            raise ValueError("a deadline needs a recipient: give an e-mail address or a webhook")
        return DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=after, callback=callback
        )


def macros(summary_task: str) -> dict[str, Any]:
    """The functions that the messages' templates call. Airflow passes them the last task that ended
    in the run's state, or none."""
    return {
        "windlass_done": lambda ti: summary(ti, summary_task),
        "windlass_failed": problems,
        "windlass_link": link,
        "windlass_page": page,
    }


def link(dag_id: str, run_id: str) -> str:
    """A line with the address of a run in the web UI, if Airflow's `base_url` is set."""
    from windlass.airflow.web_ui import run_url

    url = run_url(dag_id, run_id)
    return f"\n{url}" if url else ""


def page(dag_id: str, run_id: str, place: str = "") -> str:
    """The address of the run on the page within Airflow; `place`: of its `plan` or its `report`."""
    from windlass.airflow.page_links import DAG_RUN, page_url

    return page_url(f"{DAG_RUN}/{place}" if place else DAG_RUN, dag_id, run_id)


def summary(ti: Any, summary_task: str) -> str:
    """The summary of a run that is done."""
    from windlass.airflow.board import Board

    result = Board(ti).result(summary_task) or {} if ti else {}
    short = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    lines = [f"{key}: {_READABLE.get(key, str)(value)}" for key, value in short.items()]
    lines += [f"loss: {loss}" for loss in result.get("losses", ())]
    lines += [f"notice: {notice}" for notice in result.get("notices", ())]
    return "\n".join(lines)


def problems(ti: Any) -> str:
    """The problems of the failed tasks of a run."""
    from windlass.airflow.board import Board

    if not ti:
        return "see the web UI"
    lines: list[str] = []
    for task in ti.task.dag.task_ids:
        pushed = ti.xcom_pull(task_ids=[task], key="problems") or []
        found = dict.fromkeys(line for some in pushed if some for line in some)
        lines += [f"{task}: {line}" for line in found]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
    if lines:
        return "\n".join(lines)
    failed = Board(ti).failed()
    return f"see the log of: {', '.join(failed[:10])}" if failed else "see the web UI"
