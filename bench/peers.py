"""The environment of peers that are no dependencies of Windlass: made once, in a folder of the
checkout."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from bench.machine import ROOT

log = logging.getLogger(__name__)

FOLDER = ROOT / ".bench" / "peers"
DLT = "1.31.0"
WANTED = f"dlt[postgres,duckdb,parquet]=={DLT}"


def peers_python() -> Path:
    """The interpreter of an environment with dlt, which stays for the next run.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    python, mark = FOLDER / "bin" / "python", FOLDER / "installed"
    if not mark.exists() or mark.read_text() != WANTED:
        log.info("installing peers=%s", WANTED)
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", WANTED], check=True)
        mark.write_text(WANTED)
    return python
