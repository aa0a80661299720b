"""The surroundings of a measurement: the machine, the versions, the servers' settings."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from bench.result import Surroundings
from bench.servers import SETTINGS
from bench.shell import search_path
from windlass.version import __version__

ROOT = Path(__file__).parent.parent


def read_surroundings(programs: Path, *, with_servers: bool) -> Surroundings:
    """Names neither the machine nor its folders. `programs` are those of the servers."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {"Python": platform.python_version()}
    if with_servers:
        versions["PostgreSQL"] = _version(str(programs / "postgres"))
        if find_program("pgcopydb"):
            versions["pgcopydb"] = _version("pgcopydb")
    versions["windlass"] = __version__
    return Surroundings(
        machine={
            "cores": str(os.cpu_count()),
            "memory": f"{memory_bytes / 2**30:.0f} GiB",
            "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        },
        versions=versions,
        server_settings=SETTINGS if with_servers else {},
    )


def read_load() -> float:
    """How many processes wanted a core over the last minute."""
    return round(os.getloadavg()[0], 2)


def read_revision() -> str | None:
    """The commit, with a plus sign if `src` or `bench` differ from it; None outside a checkout."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return commit + ("+" if _git("status", "--porcelain", "src", "bench/*.py") else "")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=search_path())


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def _version(program: str) -> str:
    """The first version number that `program --version` prints."""
    ran = subprocess.run(
        [program, "--version"],
        env={"PATH": search_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"\d+\.[\w.-]+", ran.stdout)
    return found[0] if found else "unknown"
