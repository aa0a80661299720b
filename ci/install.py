"""Installs into this interpreter's environment, with the words of `pip install`.

uv does it, which takes a tenth of pip's CPU time; pip does where uv cannot be had, or fails. uv
reads none of pip's settings, so the indexes in them are passed on.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
PIP = (sys.executable, "-m", "pip")
INSTALL = (*PIP, "install", "--quiet", "--disable-pip-version-check", "--no-compile")
# in pip's order: what comes later is stronger
SETTING = re.compile(r"(?:global|install|:env:)\.(index-url|extra-index-url|find-links)=(.+)")


def main(words: list[str]) -> int:
    if _has_uv() and _with_uv(words) == 0:
        return 0
    return subprocess.run([*INSTALL, *words], check=False).returncode


def _has_uv() -> bool:
    if find_spec("uv") is not None:
        return True
    words = [*INSTALL, "-c", str(PINS), "uv"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def _with_uv(words: list[str]) -> int:
    listed = subprocess.run([*PIP, "config", "list"], check=False, capture_output=True, text=True)
    words = ["--quiet", "--python", sys.executable, *words]
    return subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", *words],
        check=False,
        env={**indexes(listed.stdout.splitlines()), **os.environ},
    ).returncode


def indexes(settings: Iterable[str]) -> Mapping[str, str]:
    """The variables by which uv searches the same indexes, from what `pip config list` prints."""
    found = {}
    for line in settings:
        if match := SETTING.fullmatch(line):
            found[match[1]] = str(ast.literal_eval(match[2])).split()
    variables = {
        "UV_DEFAULT_INDEX": " ".join(found.get("index-url", ())),
        "UV_INDEX": " ".join(found.get("extra-index-url", ())),
        "UV_FIND_LINKS": ",".join(found.get("find-links", ())),
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # as pip: the version decides, not the index
    }
    return {name: value for name, value in variables.items() if value}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
