"""The environments of peers that are no dependencies of Windlass: made once, in a folder of the
checkout."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.machine import ROOT

log = logging.getLogger(__name__)

FOLDER = ROOT / ".bench"
DLT = "1.31.0"
# DuckDB of a version of which its extensions are wheels, too
DUCKDB = "1.5.5"
WITH_EXTENSIONS = (
    f"duckdb=={DUCKDB}",
    f"duckdb-extension-postgres-scanner=={DUCKDB}",
    f"duckdb-extension-sqlite-scanner=={DUCKDB}",
)
LOADERS = (
    f"dlt[postgres,duckdb,parquet,sql_database]=={DLT}",
    "connectorx==0.4.6",
    "pymysql",
    "sqlalchemy",
)
# the scanners' wheels are of one version of DuckDB
MOVERS = (
    f"dlt=={DLT}",
    "connectorx==0.4.6",
    "duckdb==1.5.5",
    "pandas==3.1.1",
)
_BESIDE = (
    "dlt[postgres,parquet,sql_database]",
    "adbc-driver-postgresql",
    "duckdb-extension-mysql-scanner==1.5.5",
    "duckdb-extension-postgres-scanner==1.5.5",
    "duckdb-extension-sqlite-scanner==1.5.5",
    "psycopg[binary]",
    "pymysql",
    "sqlalchemy",
)


def peers_python() -> Path:
    """The interpreter of an environment with dlt, which stays for the next run.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    return _python("peers", LOADERS)


def duckdb_python() -> Path:
    """The same with DuckDB and its extensions.

    Raises:
        subprocess.CalledProcessError: they cannot be installed.
    """
    return _python("duckdb", WITH_EXTENSIONS)


def movers_python() -> Path:
    """That of an environment with the tools that move tables between databases; raises as above."""
    return _python("movers", (*MOVERS, *_BESIDE))


def _python(name: str, wanted: Sequence[str]) -> Path:
    folder = FOLDER / name
    python, mark = folder / "bin" / "python", folder / "installed"
    said = " ".join(wanted)
    if not mark.exists() or mark.read_text() != said:
        log.info("installing peers=%s", said)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        mark.write_text(said)
    return python
