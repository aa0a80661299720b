"""The environment of peers that are no dependencies of Windlass: made once, in a folder of the
checkout."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from bench.machine import ROOT

log = logging.getLogger(__name__)

FOLDER = ROOT / ".bench"
DLT = "1.31.0"
WANTED = (f"dlt[postgres,duckdb,parquet]=={DLT}",)
# DuckDB of a version of which its extensions are wheels, too
DUCKDB = "1.5.5"
WITH_EXTENSIONS = (
    f"duckdb=={DUCKDB}",
    f"duckdb-extension-postgres-scanner=={DUCKDB}",
    f"duckdb-extension-sqlite-scanner=={DUCKDB}",
)


def peers_python() -> Path:
    """The interpreter of an environment with dlt, which stays for the next run.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    return _python("peers", WANTED)


def duckdb_python() -> Path:
    """The same with DuckDB and its extensions.

    Raises:
        subprocess.CalledProcessError: they cannot be installed.
    """
    return _python("duckdb", WITH_EXTENSIONS)


def _python(name: str, wanted: tuple[str, ...]) -> Path:
    folder = FOLDER / name
    python, mark, words = folder / "bin" / "python", folder / "installed", " ".join(wanted)
    if not mark.exists() or mark.read_text() != words:
        log.info("installing peers=%s", words)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        mark.write_text(words)
    return python
