"""Snowflake for tests: fakesnow's server in another process, which the vendor's connector asks."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from needs import needs
from paths import ROOT, SUPPORT
from servers import PASSWORD

PACKAGES = ROOT / ".venv" / "fakesnow"  # that `make` installs
DATABASE = "shop"
_number = itertools.count(1)


@dataclass(frozen=True)
class FakeSnowflake:
    """A schema that is this test's. SQL is Snowflake's, as far as fakesnow knows it."""

    port: int
    connection: Any
    schema: str

    @property
    def options(self) -> str:
        return f"warehouse=small&host=127.0.0.1&port={self.port}&protocol=http"

    @property
    def url(self) -> str:
        password = quote(PASSWORD, safe="")
        return f"snowflake://loader:{password}@local/{DATABASE}/{self.schema}?{self.options}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            return [tuple(row) for row in cursor.execute(query).fetchall()]

    def run(self, *statements: str) -> None:
        for one in statements:
            self.rows(one)

    def statements(self) -> list[str]:
        """Every text that any session has sent to the server."""
        with urlopen(f"http://127.0.0.1:{self.port}/statements") as answer:
            found: list[str] = json.load(answer)
        return found

    def end_transactions(self) -> int:
        """Roll back what killed processes have left open; how many transactions that were."""
        with urlopen(f"http://127.0.0.1:{self.port}/end_transactions") as answer:
            return int(json.load(answer))


@contextmanager
def serving() -> Iterator[tuple[int, Any]]:
    """Its port, and a session for tests."""
    needs(PACKAGES.exists(), "fakesnow is not installed: make .venv/.for-dev")
    import snowflake.connector

    program = SUPPORT / "fakes" / "snowflake_server.py"
    with subprocess.Popen(
        [sys.executable, str(program), str(PACKAGES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin and server.stdout
        try:
            port = int(server.stdout.readline())
            with snowflake.connector.connect(
                user="tests",
                password=PASSWORD,
                account="local",
                host="127.0.0.1",
                port=port,
                protocol="http",
                database=DATABASE,
            ) as connection:
                yield port, connection
        finally:
            server.stdin.close()


def new_schema(port: int, connection: Any) -> FakeSnowflake:
    made = FakeSnowflake(port, connection, f"raw_{next(_number)}")
    made.run(f"create schema {made.schema}")
    return made
