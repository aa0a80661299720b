"""A server that speaks TLS, and what somebody in the middle could change of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo

from certificates import Authority, Certified
from servers import PASSWORD, Server

SCRAM = "hostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass
class Tls:
    """A server that speaks TLS, and what a man in the middle could change of it."""

    server: Server
    authority: Authority
    strangers: Authority
    certified: Certified
    lists: Path  # a folder of revocations

    def conninfo(self, **given: str) -> str:
        usual = {
            "host": "localhost",
            "hostaddr": "127.0.0.1",
            "port": str(self.server.port),
            "user": "postgres",
            "password": PASSWORD,
            "dbname": "postgres",
            "sslmode": "require",
            "connect_timeout": "20",
        }
        found = {name: value for name, value in {**usual, **given}.items() if value}
        return conninfo.make_conninfo("", **found)

    def asks(self, rules: str) -> None:
        """How it lets people in from now on."""
        (self.server.data / "pg_hba.conf").write_text(f"local all all trust\n{rules}")
        self.reload()

    def shows(self, certified: Certified) -> None:
        """Its certificate from now on."""
        for name, path in (("crt", certified.certificate), ("key", certified.key)):
            place = self.server.data / f"server.{name}"
            place.write_bytes(path.read_bytes())
            self.server._hand_over(place)
            place.chmod(0o600)
        self.reload()

    def sets(self, setting: str, value: str) -> None:
        self.execute(f"alter system set {setting} = '{value}'")
        self.reload()

    def reload(self) -> None:
        """The postmaster reads its files after the signal; a new session knows which it has."""
        before = self.execute("select pg_conf_load_time()")
        self.execute("select pg_reload_conf()")
        deadline = time.monotonic() + 30
        while self.execute("select pg_conf_load_time()") == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def execute(self, statement: str, database: str = "postgres") -> object:
        """Through its socket, where it asks for nothing. The first row, if there are rows."""
        folder = f"host={self.server.folder} port={self.server.port}"
        with psycopg.connect(f"{folder} user=postgres dbname={database}", autocommit=True) as one:
            cursor = one.execute(statement.encode())
            return cursor.fetchone() if cursor.description else None

    def reset(self) -> None:
        self.execute("alter system reset all")
        self.authority.revoke(self.lists / "list.crl")
        self.authority.revoke(self.lists / f"{self.authority.hashed_name}.r0")
        self.shows(self.certified)
        self.asks(SCRAM)
