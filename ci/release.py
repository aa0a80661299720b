"""Build a release into dist/ and check it as its users get it. Publishes nothing.

    python ci/release.py

The wheel is built from the sdist, so that what the sdist lacks is missed here. Both are installed,
each into a virtual environment that has nothing else, with the versions of constraints.txt.
At the end it lists what is still to do before the two may be published: see docs/releasing.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
DIST, PINS = ROOT / "dist", ROOT / "constraints.txt"
PACKAGE = "src/windlass/"
VERSION = f"{PACKAGE}version.py"
LEFT_OUT = (".github/", ".pre-commit-config.yaml")  # of the sdist
NEEDED = ("windlass/py.typed", "windlass/journal/schema.sql", "windlass/version.py")

# in an installation, away from the sources
SMOKE = """
import importlib.metadata, importlib.resources, sys, windlass
assert "site-packages" in windlass.__file__, windlass.__file__
assert windlass.__version__ == importlib.metadata.version("windlass-db") == sys.argv[1]
for name in getattr(windlass, "__all__", ()):
    getattr(windlass, name)
assert importlib.resources.files("windlass").joinpath("py.typed").is_file()
"""


class Wrong(Exception):
    """What makes a release unfit for its users."""


def main() -> int:
    try:
        version = read_version()
        sdist, wheel = build(version)
        check_metadata(wheel, version)
        tracked = tracked_files()
        check_contents(wheel_names(wheel), sdist_names(sdist), tracked)
        for archive in (wheel, sdist):
            check_installed(archive, version)
    except Wrong as wrong:
        say(f"not a release: {wrong}")
        return 1
    say(f"built and checked: {sdist.relative_to(ROOT)}, {wheel.relative_to(ROOT)}")
    for line in to_do(version):
        say(f"before it is published: {line}")
    return 0


def read_version() -> str:
    """As hatch reads it: from the text, without an import."""
    text = (ROOT / VERSION).read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise Wrong(f"{VERSION} has no __version__")
    return found[1]


def build(version: str) -> tuple[Path, Path]:
    """The sdist and, from it, the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    pins = {"PIP_CONSTRAINT": str(PINS)}  # for hatchling, in the environment that build makes
    run(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT), env=pins)
    sdist = DIST / f"windlass_db-{version}.tar.gz"
    wheel = DIST / f"windlass_db-{version}-py3-none-any.whl"
    if {sdist, wheel} != set(DIST.iterdir()):
        raise Wrong(f"dist/ has {sorted(path.name for path in DIST.iterdir())}")
    return sdist, wheel


def check_metadata(wheel: Path, version: str) -> None:
    """By the standard's own rules, and the page that a package index would show."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"windlass_db-{version}.dist-info/METADATA")
    try:
        found = Metadata.from_email(text, validate=True)
    except ExceptionGroup as group:
        raise Wrong("; ".join(map(str, group.exceptions))) from None
    headers = HeaderParser().parsestr(text.decode())
    if headers["Description-Content-Type"] != "text/markdown" or not found.description:
        raise Wrong("the README is not the description")
    if str(found.version) != version:
        raise Wrong(f"the metadata are of version {found.version}")


def check_contents(wheel: set[str], sdist: set[str], tracked: set[str]) -> None:
    """Every file of the package is in the wheel, and of the project in the sdist; no other is."""
    package = {name.removeprefix("src/") for name in tracked if name.startswith(PACKAGE)}
    ours = {name for name in wheel if not name.startswith("windlass_db-")}
    if missing := package - ours:
        raise Wrong(f"the wheel lacks {sorted(missing)}")
    if extra := ours - package:
        raise Wrong(f"the wheel has {sorted(extra)}")
    if absent := set(NEEDED) - ours:
        raise Wrong(f"the wheel lacks {sorted(absent)}")
    project = {name for name in tracked if not name.startswith(LEFT_OUT)}
    if missing := project - sdist:
        raise Wrong(f"the sdist lacks {sorted(missing)}")
    if extra := sdist - tracked - {"PKG-INFO"}:
        raise Wrong(f"the sdist has {sorted(extra)}, which git does not know")


def check_installed(archive: Path, version: str) -> None:
    with tempfile.TemporaryDirectory(prefix="windlass-release-") as folder:
        venv.create(folder, with_pip=True)
        bin_ = Path(folder, "bin")
        python = str(bin_ / "python")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "-c", str(PINS), str(archive), cwd=folder)
        shown = run(str(bin_ / "windlass"), "--version", cwd=folder)
        if shown.strip() != f"windlass {version}":
            raise Wrong(f"{archive.name}: windlass --version prints {shown.strip()!r}")
        if "source:" not in run(str(bin_ / "windlass"), "spec", cwd=folder):
            raise Wrong(f"{archive.name}: windlass spec prints no spec")
        run(python, "-I", "-c", SMOKE, version, cwd=folder)
        run(python, "-m", "pip", "check", "--quiet", cwd=folder)


def to_do(version: str) -> Iterator[str]:
    """What only its maintainers can do, or have to decide."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if not project.get("urls"):
        yield "pyproject.toml has no [project.urls]"
    if not re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M):
        yield f"CHANGELOG.md has no section for {version}"
    if run("git", "status", "--porcelain"):
        yield "files differ from what is committed"
    if f"v{version}" not in run("git", "tag", "--points-at", "HEAD").split():
        yield f"the commit has no tag v{version}"


def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def sdist_names(sdist: Path) -> set[str]:
    """Without the folder that all of them are in."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def tracked_files() -> set[str]:
    return set(run("git", "ls-files").splitlines())


def run(*command: str, cwd: str | Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """What it prints on stdout.

    Raises:
        Wrong: it failed; what it printed is on the terminal.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise Wrong(f"{' '.join(command[:4])} ... ended with {done.returncode}")
    return done.stdout


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
