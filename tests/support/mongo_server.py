"""A server that speaks MongoDB's protocol, in its own process: SecantusDB, with MongoDB's storage
engine. It is no mongod: its reads with a time are of the present, and what it lacks is in
docs/engines.md."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from needs import needs
from rooms import make_room
from servers import PASSWORD, _die_with_parent

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

_SERVE = """
import sys
from secantus import SecantusDBServer
made = SecantusDBServer(
    port=int(sys.argv[2]), storage_path=sys.argv[1], replica_set_name=sys.argv[3] or None,
    require_auth=sys.argv[4] == "auth", ttl_sweep_seconds=3600,
)
with made as server:
    print(server.uri.rstrip("/").rpartition(":")[2], flush=True)
    sys.stdin.read()
"""


class MongoServer:
    """`set_name`: of the replica set; empty: none, so it has no snapshots."""

    def __init__(self, set_name: str = "secantus") -> None:
        needs(find_spec("secantus"), "secantusdb is not installed")
        self.folder = make_room()
        self.set_name, self.needs_login = set_name, False
        self.port, self._number = 0, 0
        self.process: subprocess.Popen[str] | None = None
        self._clients: list[MongoClient[Any]] = []

    def start(self) -> MongoServer:
        """On a free port, which stays the server's. Returns once it listens."""
        login = "auth" if self.needs_login else ""
        words = [str(self.folder), str(self.port), self.set_name, login]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, (self.folder / "log").read_text(errors="replace")[-3000:]
        self.port = int(said)
        return self

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, database: str, user: str = "", password: str = PASSWORD, query: str = "") -> str:
        login = f"{user}:{quote_plus(password)}@" if user else ""
        return f"mongodb://{login}{self.host}/{database}{query}"

    def database(self, name: str = "") -> Database[Any]:
        """Its client, which may write; an empty one unless it is named."""
        from pymongo import MongoClient

        if not name:
            self._number += 1
            name = f"shop_{self._number}"
        client: MongoClient[Any] = MongoClient(f"mongodb://{self.host}/", directConnection=True)
        self._clients.append(client)
        return client[name]

    def stop(self) -> None:
        """Everything is on disk afterwards."""
        self._close_clients()
        if self.process is not None:
            self.process.communicate(timeout=60)  # the end of its input
        self.process = None

    def _close_clients(self) -> None:
        """While the server is there to tell."""
        for client in self._clients:
            client.close()
        self._clients = []

    def remove(self) -> None:
        self._close_clients()
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)
