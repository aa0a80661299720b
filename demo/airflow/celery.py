"""Celery beside a local Airflow: Redis, which speaks TLS only, and workers.

Decides how they are started and when they count as ready. Their folder has::

    folder/
      redis.conf      with the password; only the owner can read it
      certificates/   of Redis, and of the authority that signed it
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.airflow.processes import ROOT, Group, airflow_command
from demo.airflow.settings import Sections, private_file
from windlass.engines.postgres.embedded import free_port
from windlass.errors import WindlassError

BROKER = "redis"
SLOTS = 4  # of a worker
_CERTIFICATES = ROOT / "deploy" / "certificates.sh"
_WORKER = ("celery", "worker", "--skip-serve-logs", "--celery-hostname")


@dataclass(frozen=True, slots=True)
class Broker:
    """A Redis that keeps nothing on disk, and its address for workers."""

    folder: Path
    address: str
    port: int
    password: str

    @classmethod
    def make(cls, folder: Path, address: str) -> Broker:
        """Write its settings, with a new password.

        Raises:
            WindlassError: Redis or OpenSSL is not installed.
        """
        _check_installed()
        made = cls(folder, address, free_port(address), secrets.token_urlsafe(32))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        words: list[str | Path] = [_CERTIFICATES, made._certificates, address]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WindlassError(f"no certificate for Redis: {done.stderr.strip()}")
        with private_file(made._settings) as file:
            file.writelines(f"{line}\n" for line in made._lines())
        return made

    @property
    def command(self) -> list[str | Path]:
        return command_of(self.folder)

    def celery_settings(self, database: str) -> Sections:
        """Sections of airflow.cfg. `database` is a SQLAlchemy URL of Airflow's own database."""
        tls = f"ssl_cert_reqs=required&ssl_ca_certs={self._certificates / 'ca.crt'}"
        return {
            "core": {"executor": "CeleryExecutor"},
            "celery": {
                "broker_url": f"rediss://:{self.password}@{self.address}:{self.port}/0?{tls}",
                "result_backend": f"db+{database}",
                "worker_concurrency": SLOTS,
            },
        }

    def _lines(self) -> Sequence[str]:
        return (
            f"bind {self.address}",
            "port 0",  # nobody reaches it without TLS
            f"tls-port {self.port}",
            f"tls-cert-file {self._certificates / 'redis.crt'}",
            f"tls-key-file {self._certificates / 'redis.key'}",
            f"tls-ca-cert-file {self._certificates / 'ca.crt'}",
            "tls-auth-clients no",  # they have the password
            f"requirepass {self.password}",
            'save ""',
            "set-proc-title no",  # it would overwrite our mark
        )

    @property
    def _settings(self) -> Path:
        return self.folder / "redis.conf"

    @property
    def _certificates(self) -> Path:
        return self.folder / "certificates"


def command_of(folder: Path) -> list[str | Path]:
    """Starts the broker that was made in a folder."""
    return ["redis-server", folder / "redis.conf"]


def names_of(numbers: Iterable[int]) -> list[str]:
    """The names of workers, which are numbered from 1."""
    return [f"worker-{number}" for number in numbers]


def start_workers(
    group: Group, names: Sequence[str], inside: Callable[[str], Sequence[str]] = lambda _: ()
) -> None:
    """Return when they take tasks. `inside` is what to put before a worker's command."""
    for name in names:
        group.start(name, [*inside(name), *airflow_command(*_WORKER, name)])
    # Airflow's health does not cover workers; they log when they are ready
    group.wait(lambda: [name for name in names if f"{name} ready." not in group.output(name)])


def _check_installed() -> None:
    for program, package in (("redis-server", "redis-server"), ("openssl", "openssl")):
        if not shutil.which(program):
            hint = f"on Debian or Ubuntu: apt install {package}"
            raise WindlassError(f"{program} is not installed", hint=hint)
