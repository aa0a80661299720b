"""A database copied by PostgreSQL's own programs."""

from __future__ import annotations

import subprocess

from servers import Pair, tool


def restore(pair: Pair) -> None:
    """pg_dump piped into psql."""
    dump = [tool("pg_dump"), "--no-subscriptions"]
    said = subprocess.run(dump, env=pair.source.variables, capture_output=True, check=True).stdout
    said = said.replace(b"SET transaction_timeout = 0;\n", b"")  # of 17, to older servers
    psql = [tool("psql"), "-Xq", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(psql, env=pair.target.variables, input=said, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
