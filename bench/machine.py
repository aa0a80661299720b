"""The machine that figures were measured on, described so that they can be compared elsewhere."""

import os
import platform
import re
import subprocess

from bench.servers import SETTINGS
from bench.shell import search_path
from windlass.version import __version__


def describe_machine() -> dict[str, str]:
    """Property to value; says nothing of the machine's name or its folders."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "Python": platform.python_version(),
        "PostgreSQL": _version("postgres"),
        "pgcopydb": _version("pgcopydb"),
        "windlass": __version__,
        "settings of both servers": ", ".join(f"{k}={v}" for k, v in SETTINGS.items()),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }


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
