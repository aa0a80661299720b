"""Notifiers of anybody's choice: given in a file or in Python, and received by a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from reading_dags import Shelf, party_dag
from servers import free_port

FILE = """
    notifiers:
      - use: airflow.providers.smtp.notifications.smtp.SmtpNotifier
        when: failure
        with:
          to: crew@ship.example
          from_email: airflow@ship.example
          subject: "{{ windlass_subject }}"
          html_content: "<b>{{ windlass_text }}</b>"
"""


@pytest.fixture
def shelf(tmp_path: Path, process: Executor) -> Shelf:
    return Shelf(tmp_path, process)


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """One that keeps what it receives."""
    from aiosmtpd.controller import Controller

    received: list[str] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(envelope.content.decode())
            return "250 OK"

    controller = Controller(Keep(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port, received
    finally:
        controller.stop()


def fail(folder: Path, port: int) -> None:
    """What Airflow does with the notifiers of a DAG when a run has failed."""
    from windlass.airflow import load_specs

    host = f"smtp://127.0.0.1:{port}?disable_ssl=true&disable_tls=true&ssl_context=none"
    os.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = host
    os.environ["AIRFLOW__API__BASE_URL"] = "http://airflow.example/"
    try:
        (dag,) = load_specs(folder).values()
        assert not dag.has_on_success_callback
        notifiers: Any = dag.on_failure_callback
        for notifier in notifiers:
            notifier({"dag": dag, "run_id": "tonight"})
    finally:
        del os.environ["AIRFLOW_CONN_SMTP_DEFAULT"], os.environ["AIRFLOW__API__BASE_URL"]


def test_a_notifier_that_a_file_names_says_how_a_run_ended_and_where_it_is(shelf: Shelf) -> None:
    shelf.put(shop=FILE)
    with mail_server() as (port, received):
        shelf.process.submit(fail, shelf.folder, port).result()
    (mail,) = map(message_from_string, received)
    assert (mail["Subject"], mail["To"]) == ("shop: failed", "crew@ship.example")
    (body,) = [one.get_payload(decode=True) for one in mail.walk() if not one.is_multipart()]
    assert b"<b>shop tonight: failed" in body
    assert b"http://airflow.example/dags/shop/runs/tonight" in body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{use: ship.Bell}", "ship.Bell: cannot be imported: No module named 'ship'"),
        ("{use: bell}", "bell: cannot be imported"),
        ("{use: pathlib.Path}", "pathlib.Path: is no subclass of airflow.sdk.BaseNotifier"),
        ("{use: smtp, with: {too: me}}", "smtp: with: "),
        ("{use: slack, with: {token: abc}}", "slack: token: holds a secret"),
        (
            "{use: slack, with: {extra_options: [{headers: {Authorization: Bearer abc}}]}}",
            "slack: Authorization: holds a secret",
        ),
    ],
)
def test_a_notifier_that_cannot_be_made_is_a_fault(shelf: Shelf, text: str, said: str) -> None:
    ((file, reported),) = shelf.faults(shop=f"notifiers: [{text}]")
    assert file == "shop.yaml"
    assert reported.startswith(f"notifiers.0: {said}")


def callbacks_of_party() -> list[int]:
    from windlass.airflow import Ending, Notices

    notices = Notices(email=("a@example.com",))
    ending = Ending(notices, on_failure=[print], on_success=[print])
    dag: Any = party_dag(ending=ending, on_failure_callback=repr)
    return [len(dag.on_success_callback), len(dag.on_failure_callback)]


def test_what_is_given_to_a_dag_comes_beside_its_notices(process: Executor) -> None:
    assert process.submit(callbacks_of_party).result() == [2, 3]
