"""The tests' Django project as a user has it: a folder with its own virtual environment, which has
Django, Windlass and what these need, and no Airflow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from django_project import PROJECT
from paths import ROOT

EXTRAS = ("django", "load")  # of Windlass
MORE = ("celery", "redis")  # of the project
_NOT_PYTHON = ("..", "__pycache__")


def make_project(folder: Path) -> Path:
    """The folder of a copy of the project, whose interpreter is ``venv/bin/python``."""
    project = folder / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3"))
    venv.create(project / "venv", symlinks=True, with_pip=False)
    library = project / "venv" / "library"
    library.mkdir()
    for one in _needed():
        for top in _tops(one):
            place = library / top.name
            if not place.exists():
                place.symlink_to(top)
    (site,) = (project / "venv" / "lib").glob("python*/site-packages")
    (site / "project.pth").write_text(f"{library}\n{ROOT / 'src'}\n")
    return project


def lacks(project: Path, module: str) -> bool:
    """Whether the project's interpreter cannot import it."""
    command = [str(project / "venv" / "bin" / "python"), "-c", f"import {module}"]
    kept = {key: one for key, one in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(command, env=kept, capture_output=True).returncode != 0


def _needed() -> Iterator[Distribution]:
    """What Windlass with these extras and the project require, as it is installed here."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    more = [text for extra in EXTRAS for text in ours["optional-dependencies"][extra]]
    left = [Requirement(one) for one in (*ours["dependencies"], *more, *MORE)]
    done: set[str] = set()
    while left:
        one = left.pop()
        for extra in ("", *one.extras):
            if f"{one.name}[{extra}]" in done:
                continue
            done.add(f"{one.name}[{extra}]")
            try:
                found = distribution(one.name)
            except PackageNotFoundError:  # of another platform, or optional
                continue
            if not extra:
                yield found
            for text in found.requires or ():
                wanted = Requirement(text)
                if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                    left.append(wanted)


def _tops(one: Distribution) -> Iterator[Path]:
    """The packages, modules and metadata of a distribution."""
    names = {file.parts[0] for file in one.files or () if file.parts[0] not in _NOT_PYTHON}
    for name in sorted(names):
        if not re.search(r"\.pth$", name):
            yield Path(str(one.locate_file(name)))


if __name__ == "__main__":
    sys.stdout.write(f"{make_project(Path(sys.argv[1]))}\n")
