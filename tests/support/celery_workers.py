"""A local Airflow whose tasks run in Celery workers, as far away as can be.

As root on Linux each worker is in a separate network under its own host name, from where it reaches
us at one address only, and nobody else; elsewhere it runs as we do.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from demo.airflow import processes
from demo.airflow.celery import BROKER, SLOTS, Broker, names_of, start_workers
from demo.airflow.local import LOOPBACK, LocalAirflow, Setup, sqlalchemy_url
from demo.airflow.processes import Group
from demo.airflow.settings import Sections
from windlass.demo import servers as embedded
from windlass.errors import WindlassError

log = logging.getLogger(__name__)

# Of networks as 10.213.7.0/24: ours is .1, that of worker 2 is .12. A name of an interface may
# have 15 characters.
_NETWORKS = "10.213.0.0/16"
_GUARD = (
    "sys.path.insert(0, sys.argv[3]); from pathlib import Path;"
    "from celery_workers import clean_up; clean_up(sys.argv[1], Path(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of one Airflow: 1, 2..."""

    airflow: LocalAirflow
    group: Group
    network: Network | None

    def start(self, numbers: Iterable[int]) -> None:
        """Return when they take tasks."""
        start_workers(self.group, names_of(numbers), self._inside)

    def _inside(self, name: str) -> list[str]:
        number = int(name.rpartition("-")[2])
        return self.network.inside(number) if self.network else []

    def kill(self, number: int) -> None:
        """End a worker and all that it has started, at once, as a power cut would."""
        self.group.kill(f"worker-{number}")

    @property
    def address(self) -> str:
        """Where workers reach what runs on this machine."""
        return self.network.address if self.network else LOOPBACK


@contextmanager
def celery_airflow(folder: Path, dags: Path, count: int, settings: Sections) -> Iterator[Workers]:
    """Airflow, Redis and so many workers in a folder; all of it is ended at the end."""
    token = secrets.token_hex(16)
    network = Network.make(token[:8], count)
    guard = processes.guard(token, _GUARD, token, folder, Path(__file__).parent)
    try:
        address = network.address if network else LOOPBACK
        database = _database(folder / "database", address)
        broker = Broker.make(folder / "celery", address)
        celery = broker.celery_settings(sqlalchemy_url(database))
        setup = Setup(
            pools={"windlass": SLOTS * count},
            settings={**settings, **celery},
            host=address,
            database=database,
            parallelism=SLOTS * count,
        )
        airflow = LocalAirflow(folder / "airflow", dags, setup)
        group = Group(token, airflow.folder / "logs" / "workers", airflow.variables())
        with airflow:
            group.start(BROKER, broker.command)
            workers = Workers(airflow, group, network)
            workers.start(range(1, count + 1))
            yield workers
            processes.end(token, servers=(BROKER,))
    finally:
        clean_up(token, folder)
        assert guard.stdin
        guard.stdin.close()
        guard.wait()


def clean_up(token: str, folder: Path) -> None:
    """End what `celery_airflow` has started; Airflow itself has its own guard."""
    processes.kill(token)
    remove_network(token[:8])
    embedded.stop(folder / "database")


def _database(folder: Path, address: str) -> str:
    """URL of Airflow's own database, as workers reach it."""
    listen = ",".join({LOOPBACK, address})
    settings = {"listen_addresses": listen, "shared_buffers": "64MB", "max_connections": "200"}
    server = embedded.server_in(folder, 16, settings)
    admit(server.data)
    server.start()
    return server.create_database("airflow").replace(f"@{LOOPBACK}:", f"@{address}:")


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge, and a network for each worker, connected to it by a cable that can be cut."""

    name: str
    address: str

    @classmethod
    def make(cls, name: str, workers: int) -> Network | None:
        """None where this machine or this user cannot make networks; nothing is left behind."""
        if os.geteuid() != 0 or sys.platform != "linux" or not _has("ip", "unshare", "hostname"):
            return None
        network = cls(name, _unused_address())
        try:
            network._build(workers)
        except WindlassError as error:
            log.warning("the workers share one network: %s", error)
            remove_network(name)
            return None
        return network

    def inside(self, worker: int) -> list[str]:
        """What to put before a command so that it runs in a worker's network, as one process."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"worker-{worker}"]
        return ["ip", "netns", "exec", _space(self.name, worker), *named]

    def cut(self, worker: int) -> None:
        """Pull the worker's cable."""
        _ip("link", "set", _cable(self.name, worker), "down")

    def mend(self, worker: int) -> None:
        _ip("link", "set", _cable(self.name, worker), "up")

    def _build(self, workers: int) -> None:
        bridge = _bridge(self.name)
        _ip("link", "add", bridge, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for worker in range(1, workers + 1):
            space, cable = _space(self.name, worker), _cable(self.name, worker)
            _ip("netns", "add", space)
            peer = ("peer", "name", "eth0", "netns", space)
            _ip("link", "add", cable, "type", "veth", *peer)
            _ip("link", "set", cable, "master", bridge, "up")
            theirs = f"{self.address.rpartition('.')[0]}.{10 + worker}/24"
            _ip("-n", space, "address", "add", theirs, "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")


def remove_network(name: str) -> None:
    """Remove all of a network, however far it was built."""
    if not _has("ip"):
        return
    spaces = [line.split()[0] for line in _ip("netns", "list").splitlines()]
    for space in spaces:
        if space.startswith(_space(name, "")):
            # otherwise the kernel would remove it some time later
            with suppress(WindlassError):
                _ip("link", "delete", _cable(name, space.rpartition("-")[2]))
            _ip("netns", "delete", space)
    with suppress(WindlassError):
        _ip("link", "delete", _bridge(name))


def admit(data: Path) -> None:
    """Let workers into the PostgreSQL server with that data folder, with a password.

    It must listen on the network's address too, and be started or reloaded after this.
    """
    line = f"host all all {_NETWORKS} scram-sha-256\n"
    with (data / "pg_hba.conf").open("r+") as file:
        if line not in file.read():
            file.write(line)


def _unused_address() -> str:
    taken = _ip("-brief", "address")
    for number in random.sample(range(1, 255), 254):
        address = _NETWORKS.replace("0.0/16", f"{number}.1")
        if f" {address}/" not in taken:
            return address
    raise WindlassError(f"all networks of {_NETWORKS} are taken")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WindlassError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _has(*programs: str) -> bool:
    return all(shutil.which(program) for program in programs)


def _bridge(name: str) -> str:
    return f"wl{name}"


def _cable(name: str, worker: int | str) -> str:
    return f"wl{name}-{worker}"


def _space(name: str, worker: int | str) -> str:
    return f"windlass-{name}-{worker}"
