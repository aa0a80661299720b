"""The task for Celery, with a real Redis and a real worker, started by a view and by beat; and what
Flower has of it for Prometheus."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from awaiting import until
from django_project import PROJECT, Project, values
from monitoring import prometheus
from needs import needs_module, needs_program
from servers import PASSWORD, free_port

SEND = """
import json, sys
from project.celery import app
sent = app.send_task("windlass.django.tasks.run_quarterly_update", args=json.loads(sys.argv[1]))
print(json.dumps(sent.get(timeout=40, propagate=False), default=str))
"""


POST = """
import sys
import django
django.setup()
from django.test import Client
answer = Client().post(sys.argv[1])
print(answer.status_code, answer.content.decode())
"""
TASK = "windlass.django.tasks.run_quarterly_update"


@dataclass
class Worker:
    project: Project
    broker: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", "project.celery", "worker", "-c", "2",
                   "-l", "INFO", "--without-gossip", "--without-mingle"]  # fmt: skip
        before = self.log.read_text().count(" ready.") if self.log.exists() else 0
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=self.project.variables(PROJECT_BROKER=self.broker),
            stdout=self.log.open("a"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        until(lambda: self.log.read_text().count(" ready.") > before, "the worker is ready")

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @contextmanager
    def beside(self, *words: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Another of Celery's programs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "project.celery", *words], cwd=PROJECT,
            env=self.project.variables(PROJECT_BROKER=self.broker, **more),
            stdout=self.log.open("a"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def post(self, path: str) -> str:
        """Have the project's view at this path answer."""
        ran = subprocess.run(
            [sys.executable, "-c", POST, path], cwd=PROJECT, text=True, capture_output=True,
            env=self.project.variables(PROJECT_BROKER=self.broker), check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def send(self, arguments: str = "[]") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SEND, arguments], cwd=PROJECT, text=True,
            env=self.project.variables(PROJECT_BROKER=self.broker),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs_module("celery")
    needs_program("redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
               "--dir", str(folder)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture
def worker(broker: str, pg_project: Project, tmp_path: Path) -> Iterator[Worker]:
    found = Worker(pg_project, broker, tmp_path / "worker.log")
    pg_project.update("shop.Visit", "page,at", "/,2026-01-01 10:00")
    found.start()
    yield found
    found.kill()


def answer(sender: subprocess.Popen[str]) -> str:
    out, errors = sender.communicate(timeout=60)
    assert sender.returncode == 0, errors
    return out


def test_a_worker_refreshes_one_at_a_time(worker: Worker) -> None:
    both = [worker.send() for _ in range(2)]
    said = [answer(one) for one in both]
    assert all('"state": "done"' in one for one in said), said
    assert sorted('"unchanged": true' in one for one in said) == [False, True]
    assert len(values("Visit", "pk")) == 1
    failed = answer(worker.send('[[{"url": "x.csv", "table": "shop.Nobody"}]]'))
    assert "is neither a model nor the table of one" in failed
    assert PASSWORD not in worker.log.read_text()


@pytest.mark.full
def test_a_view_starts_a_refresh_which_flower_shows_to_prometheus(
    worker: Worker, tmp_path: Path
) -> None:
    needs_module("flower")
    place = f"127.0.0.1:{free_port()}"
    address, _, port = place.partition(":")
    done = f'flower_events_total{{task="{TASK}", type="task-succeeded"}}'
    flower = worker.beside("flower", f"--address={address}", f"--port={port}")
    with flower, prometheus(tmp_path, {"flower": place}) as monitoring:
        until(lambda: monitoring.value("sum(flower_worker_online)") == 1, "Flower sees the worker")
        assert worker.post("/refresh/").startswith("202 ")
        until(lambda: monitoring.value(f"sum({done})") == 1, "Prometheus has the task's end")
    assert values("Visit", "page") == ["/"]


@pytest.mark.full
def test_beat_starts_a_refresh(worker: Worker, tmp_path: Path) -> None:
    schedule = f"--schedule={tmp_path / 'beat'}"
    with worker.beside("beat", schedule, "--pidfile=", PROJECT_BEAT_SECONDS="1"):
        until(lambda: values("Visit", "page") == ["/"], "beat has started it")


def test_a_task_whose_process_dies_is_delivered_again_and_loads_once(worker: Worker) -> None:
    settings = worker.project.databases["default"]
    where = {"dbname": settings["NAME"], "user": "postgres", "password": PASSWORD,
             "host": "127.0.0.1", "port": settings["PORT"]}  # fmt: skip
    worker.project.update("shop.Country", "code,name", "DE,Germany")
    with psycopg.connect(**where) as holder:
        holder.execute("lock table shop_visit in access exclusive mode")
        sender = worker.send()

        def waits() -> bool:
            query = "select from pg_locks where relation = 'shop_visit'::regclass and not granted"
            with psycopg.connect(**where) as session:
                return session.execute(query).fetchone() is not None

        until(waits, "the task waits for the table")
        assert worker.process is not None
        for child in psutil.Process(worker.process.pid).children():
            child.kill()
    assert '"state": "done"' in answer(sender)
    assert len(values("Visit", "pk")) == 1


def test_the_task_is_a_plain_function_without_celery(tmp_path: Path, pg_project: Project) -> None:
    (tmp_path / "celery.py").write_text("raise ImportError('celery is not installed')\n")
    pg_project.update("shop.Country", "code,name", "DE,Germany")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import django; django.setup();"
        "from windlass.django.tasks import run_quarterly_update as run; print(run()['state'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, text=True, capture_output=True,
        env=pg_project.variables(), check=False,
    )  # fmt: skip
    assert ran.stdout.strip() == "done", ran.stderr
