"""What a test needs of the machine it runs on."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest


def needs(is_so: object, lacking: str) -> None:
    """Skip where something is lacking; on CI nothing may be, so there it is a failure."""
    if is_so:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(lacking)
    pytest.skip(lacking)


def needs_airflow() -> None:
    needs(find_spec("airflow"), "Airflow is not installed")


def needs_module(name: str) -> None:
    try:
        found = find_spec(name)
    except ModuleNotFoundError:  # not even what it is within
        found = None
    needs(found, f"the module {name} is not installed")


def needs_program(name: str) -> None:
    needs(shutil.which(name), f"{name} is not installed")


def needs_root(why: str) -> None:
    needs(os.geteuid() == 0, f"only root {why}")


def needs_version(version: int) -> None:
    from servers import bin_folder  # here, as a test looks at what reading DAG files imports

    needs(bin_folder(version), f"PostgreSQL {version} is not installed")


def needs_no_other_pg_dump(version: int) -> None:
    """Debian's programs, which windlass finds by itself."""
    there = Path(f"/usr/lib/postgresql/{version}")
    needs(not there.exists(), f"a pg_dump of {version} is installed where every windlass finds it")
