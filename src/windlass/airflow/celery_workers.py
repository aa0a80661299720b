"""What Celery needs beside Airflow: a broker, and workers that are as far away as can be.

Decides where a worker is: as root on Linux, in a separate network under its own host name, from
where it sees us at one address only, and nobody else; elsewhere beside us. Starting and ending
it is left to `windlass.airflow.local`.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from windlass.airflow.local_settings import private_file
from windlass.errors import WindlassError

log = logging.getLogger(__name__)

# Of networks as 10.213.7.0/24: ours is .1, that of worker 2 is .12. A name of an interface may
# have 15 characters.
_NETWORKS = "10.213.0.0/16"


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge, to which each worker's network is tied by its own cable."""

    name: str
    address: str

    @classmethod
    def make(cls, name: str, workers: int) -> Network | None:
        """None where this machine or this user cannot; then nothing is left behind."""
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
        """The words before a command that bring it into a worker's network, as the same process."""
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
    """Take away all of a network, however far it was built."""
    if not _has("ip"):
        return
    spaces = [line.split()[0] for line in _ip("netns", "list").splitlines()]
    for space in spaces:
        if space.startswith(_space(name, "")):
            # by itself the cable would follow some time later
            with suppress(WindlassError):
                _ip("link", "delete", _cable(name, space.rpartition("-")[2]))
            _ip("netns", "delete", space)
    with suppress(WindlassError):
        _ip("link", "delete", _bridge(name))


def admit(data: Path) -> None:
    """Let workers into the PostgreSQL server with that data folder, with a password.

    It has to listen on the network's address as well, and to be started after this, or reloaded.
    """
    line = f"host all all {_NETWORKS} scram-sha-256\n"
    with (data / "pg_hba.conf").open("r+") as file:
        if line not in file.read():
            file.write(line)


def broker_words(folder: Path, address: str, port: int, password: str) -> list[str | Path]:
    """The command that runs Redis, which keeps nothing on disk.

    Raises:
        WindlassError: there is no Redis.
    """
    if not _has("redis-server"):
        raise WindlassError("Celery needs redis-server", hint="apt install redis-server")
    lines = (
        f"bind {address}",
        f"port {port}",
        f"requirepass {password}",
        'save ""',
        "set-proc-title no",  # it would write over our mark
    )
    with private_file(folder / "redis.conf") as file:
        file.writelines(f"{line}\n" for line in lines)
    return ["redis-server", folder / "redis.conf"]


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
