"""Settings of a local Airflow: its keys, its port and airflow.cfg.

Decides how Airflow is tuned for a small machine, and that secrets are in files of mode 0600 only.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from demo.airflow.client import USER
from windlass.engines.postgres.embedded import free_port, is_free
from windlass.errors import WindlassError

Sections = Mapping[str, Mapping[str, object]]

_LOCAL_SETTINGS = """\
import gc

from windlass.airflow.preload import install

gc.set_threshold(50_000, 20, 20)  # with the default a start spends a fifth on collecting garbage
install()
"""

_TUNED: Sections = {
    "core": {
        "load_examples": False,
        "dagbag_import_timeout": 120,  # two busy cores are no reason to fail
        "hostname_callable": "socket.gethostname",  # does not ask a name server
        "simple_auth_manager_users": f"{USER}:admin",
    },
    "api": {"workers": 1},
    "logging": {
        "colored_console_log": False,
        "file_task_handler_new_folder_permissions": "0o700",
        "file_task_handler_new_file_permissions": "0o600",
    },
    "scheduler": {
        "scheduler_idle_sleep_time": 0.25,
        "orphaned_tasks_check_interval": 30,  # tasks that a stop has killed run again
    },
    "workers": {
        # A finished task gives back its slot only after this interval: by default 5 s for
        # tasks of 0.3 s (ActivitySubprocess._monitor_subprocess in Airflow 3.3).
        "min_heartbeat_interval": 1,
        "max_failed_heartbeats": 15,  # 15 s in all, as with the defaults
        "execution_api_timeout": 30,
    },
    # A new file is seen after the first two intervals, a changed one at once.
    "dag_processor": {
        "refresh_interval": 2,
        "bundle_refresh_check_interval": 1,
        "min_file_process_interval": 300,
        "dag_file_processor_timeout": 150,
    },
    "usage_data_collection": {"enabled": False},  # before 3.3
}


@dataclass(frozen=True, slots=True)
class Keys:
    """An Airflow's signing and encryption keys, and its port. They last as long as its data."""

    fernet: str
    jwt: str
    cookie: str
    password: str
    port: int

    @classmethod
    def of(cls, folder: Path, host: str, port: int) -> Keys:
        """The keys of the folder's last start, else new ones. Port 0: any free port.

        Raises:
            WindlassError: the requested port is taken.
        """
        path = folder / "secrets.json"
        kept: dict[str, Any] = {}
        with suppress(FileNotFoundError):
            kept = json.loads(path.read_text())
        if port and not is_free(host, port):
            raise WindlassError(f"port {port} of {host} is taken", hint="choose another --port")
        keys = cls(
            fernet=kept.get("fernet") or base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt=kept.get("jwt") or secrets.token_urlsafe(64),
            cookie=kept.get("cookie") or secrets.token_urlsafe(32),
            password=kept.get("password") or secrets.token_urlsafe(12),
            port=port or free_port(host, kept.get("port")),
        )
        with private_file(path) as file:
            json.dump(asdict(keys), file)
        # for Airflow, which would generate a password and log it
        with private_file(folder / "passwords.json") as file:
            json.dump({USER: keys.password}, file)
        return keys


def write_settings(folder: Path, keys: Keys, *more: Sections) -> None:
    """Write them to airflow.cfg, where Airflow's own commands find them too; the last one wins."""
    own: Sections = {
        "core": {
            "fernet_key": keys.fernet,
            "simple_auth_manager_passwords_file": folder / "passwords.json",
        },
        "api": {"port": keys.port, "secret_key": keys.cookie},
        "api_auth": {"jwt_secret": keys.jwt},
        "logging": {"base_log_folder": folder / "logs"},
    }
    parser = configparser.ConfigParser(interpolation=None)
    for sections in (_TUNED, own, *more):
        for section, values in sections.items():
            texts = {name: str(value).replace("%", "%%") for name, value in values.items()}
            parser.read_dict({section: texts})
    with private_file(folder / "airflow.cfg") as file:
        parser.write(file)
    (folder / "config").mkdir(mode=0o700, exist_ok=True)
    with private_file(folder / "config" / "airflow_local_settings.py") as file:
        file.write(_LOCAL_SETTINGS)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """Write it completely or not at all; only its owner can read it."""
    unfinished = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(unfinished, flags, 0o600), "w") as file:
        yield file
    unfinished.replace(path)
