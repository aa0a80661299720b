"""A local Airflow: what tests, benchmarks and the users of `make airflow` may rely on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from airflow_server import (
    AIRFLOW_PASSWORD,
    QUOTED_AIRFLOW_PASSWORD,
)
from celery_workers import Network, admit, remove_network
from demo.airflow import processes
from demo.airflow.local import LocalAirflow, Record, Setup, stop
from demo.airflow.settings import Keys
from needs import needs_airflow, needs_root
from rooms import make_room
from windlass.engines.postgres.embedded import EmbeddedServer
from windlass.errors import WindlassError

QUERY = "select host, password from connection where conn_id = 'ship'"


def processes_of(folder: Path) -> list[psutil.Process]:
    """All that have the folder in their environment or, as its servers, in their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("AIRFLOW_HOME", "")]
        except (psutil.Error, OSError):
            continue
        if any(word.startswith(str(folder)) for word in words):
            found.append(process)
    return found


def wait_for_process(folder: Path, words: list[str]) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in processes_of(folder):
            with suppress(psutil.Error):
                if process.cmdline() == words:
                    return process
        time.sleep(0.2)
    raise AssertionError(f"{words} does not run")


def test_all_components_are_healthy_once_it_has_started(running: LocalAirflow) -> None:
    health = running.client.api("GET", "/monitor/health")
    told = {name: health[name]["status"] for name in health if health[name]["status"]}
    names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    assert told == dict.fromkeys(names, "healthy")


def test_tasks_get_their_connection_and_hide_its_password_and_mapped_ones_are_distinguished(
    running: LocalAirflow,
) -> None:
    run = running.client.trigger("tell")
    assert running.client.wait_for("tell", run) == "success"

    length = len(AIRFLOW_PASSWORD)
    expected = ["ship.example", 5433, "captain", "log book", {"sslmode": "require"}, length]
    assert running.client.xcoms("tell", run, "told") == {"return_value": expected}
    log = running.client.log("tell", run, "told")
    assert "the password is ***" in log and AIRFLOW_PASSWORD not in log
    assert running.client.xcoms("tell", run, "loaded") == {"return_value": [True, True]}

    mapped = [t for t in running.client.task_instances("tell", run) if t["task_id"] == "doubled"]
    assert [(t["map_index"], t["state"]) for t in mapped] == [(0, "success"), (1, "success")]
    assert running.client.xcoms("tell", run, "doubled", 1) == {"return_value": 4}


def test_a_pool_and_an_encrypted_connection_are_in_airflows_database(running: LocalAirflow) -> None:
    assert running.client.api("GET", "/pools/windlass")["slots"] == 8
    with psycopg.connect(running.database) as connection:
        row = connection.execute(QUERY).fetchone()
    assert row is not None and row[0] == "ship.example"
    assert AIRFLOW_PASSWORD not in row[1]


def test_secrets_are_in_files_for_their_owner_only(running: LocalAirflow) -> None:
    names = ("airflow.cfg", "secrets.json", "passwords.json", "running.json")
    modes = {name: stat.S_IMODE((running.folder / name).stat().st_mode) for name in names}
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((running.folder / "logs").stat().st_mode) == 0o700


def test_no_secret_is_in_the_arguments_of_a_process(running: LocalAirflow) -> None:
    kept = json.loads((running.folder / "secrets.json").read_text())
    secrets = {str(word) for name, word in kept.items() if name != "port"}
    secrets |= {(running.folder / "metadata" / "password").read_text().strip()}
    secrets |= {AIRFLOW_PASSWORD, QUOTED_AIRFLOW_PASSWORD}
    arguments = "\n".join(" ".join(process.cmdline()) for process in processes_of(running.folder))
    assert "scheduler" in arguments
    assert not [secret for secret in secrets if secret in arguments]


def test_a_second_start_keeps_the_data_and_the_address(
    running: LocalAirflow,
) -> None:
    before, run = running.client, running.client.trigger("tell")
    before.wait_for("tell", run)
    running.stop()
    running.start()
    assert (running.client.url, running.client.password) == (before.url, before.password)
    assert running.client.api("GET", f"/dags/tell/dagRuns/{run}")["state"] == "success"


def test_a_component_that_has_died_is_reported_and_started_again(running: LocalAirflow) -> None:
    """Although the processes that it has started for tasks outlive it."""
    record = Record.read(running.folder)
    assert record is not None
    (scheduler,) = processes.leaders(record.token, "scheduler")
    scheduler.kill()
    scheduler.wait()
    children = processes.alive(record.token, "scheduler")
    assert children
    reported = local("status", running.folder)
    assert reported.returncode == 1
    assert re.search("scheduler +has ended", reported.stdout)
    again = local("start", running.folder)
    assert again.returncode == 0, again.stderr
    assert "Started again, as it had ended: scheduler" in again.stderr
    assert running.client.url in again.stdout
    assert local("status", running.folder).returncode == 0
    assert not any(child.is_running() for child in children)
    run = running.client.trigger("tell")
    assert running.client.wait_for("tell", run) == "success"


def test_another_process_ends_all_of_it_even_what_a_task_has_started(
    running: LocalAirflow,
) -> None:
    running.client.trigger("sleep")
    sleeping = wait_for_process(running.folder, ["sleep", "600"])

    done = local("stop", running.folder)
    assert (done.returncode, processes_of(running.folder)) == (0, [])
    assert not sleeping.is_running()


def test_a_component_that_does_not_come_up_is_named_with_its_log(
    stopped_airflow: LocalAirflow,
) -> None:
    stopped_airflow.stop()
    setup = Setup(settings={"logging": {"logging_level": "SILENCE"}})
    broken = LocalAirflow(stopped_airflow.folder, stopped_airflow.dags, setup)
    with pytest.raises(WindlassError, match=r"Airflow's [a-z-]+ has ended(.|\n)*SILENCE"):
        broken.start()
    assert processes_of(stopped_airflow.folder) == []


def test_a_stop_where_nothing_runs_does_no_harm(tmp_path: Path) -> None:
    stop(tmp_path)
    done = local("stop", tmp_path)
    assert done.returncode == 0 and "No Airflow runs" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    needs_airflow()
    (tmp_path / "airflow.cfg").write_text("mine")
    with pytest.raises(WindlassError, match="in use by something else"):
        LocalAirflow(tmp_path, tmp_path / "dags").start()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WindlassError, match=f"port {port} of 127.0.0.1 is taken"):
            Keys.of(tmp_path, "127.0.0.1", port)


def test_a_killed_process_takes_along_what_it_started(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from demo.airflow import processes;"
        "end = 'from demo.airflow import processes; processes.kill(sys.argv[1])';"
        "processes.guard('token-of-a-test', end, 'token-of-a-test');"
        "group = processes.Group('token-of-a-test', Path(sys.argv[1]), {});"
        "group.start('sh', ['sh', '-c', 'setsid sleep 600 & sleep 600']);"
        "print(flush=True); time.sleep(600)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "logs")]
    with subprocess.Popen(words, cwd=processes.ROOT, stdout=subprocess.PIPE) as maker:
        assert maker.stdout
        maker.stdout.readline()
        assert processes.alive("token-of-a-test")
        maker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes.alive("token-of-a-test") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes.alive("token-of-a-test") == []


def test_a_worker_reaches_our_server_from_a_separate_network_and_host_name() -> None:
    needs_root("makes networks")
    room = make_room()
    network = Network.make("test0000", 2)
    assert network is not None
    listen = {"listen_addresses": f"127.0.0.1,{network.address}"}
    server = EmbeddedServer.create(16, room / "server", listen)
    try:
        admit(server.data)
        server.start()
        code = "import sys, psycopg, socket; psycopg.connect(sys.stdin.read());"
        words = [sys.executable, "-c", code + "print(socket.gethostname())"]
        url = server.url().replace("127.0.0.1", network.address)
        done = subprocess.run(
            [*network.inside(2), *words], input=url, capture_output=True, text=True
        )
        assert (done.stdout, done.stderr) == ("worker-2\n", "")

        away = subprocess.run(
            [*network.inside(1), *words], input=server.url(), capture_output=True, text=True
        )
        assert away.returncode != 0
    finally:
        server.remove()
        remove_network("test0000")
        shutil.rmtree(room)
    left = subprocess.run("ip netns; ip link", shell=True, capture_output=True, text=True).stdout
    assert "test0000" not in left


def local(verb: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "demo.airflow", verb, "--folder", str(folder)]
    return subprocess.run(words, cwd=processes.ROOT, capture_output=True, text=True, check=False)
