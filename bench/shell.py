"""The environment of every script: equal for all, without the user's settings."""

import os
import sys
from pathlib import Path

from bench.data import SQL
from bench.servers import POSTGRES_BIN


def search_path() -> str:
    """This Python's commands, then PostgreSQL's own, ahead of Debian's slower wrappers in Perl."""
    return os.pathsep.join([str(Path(sys.executable).parent), str(POSTGRES_BIN), os.defpath])


def environment(home: Path) -> dict[str, str]:
    return {"PATH": search_path(), "HOME": str(home), "LANG": "C.UTF-8", "SQL": str(SQL)}
