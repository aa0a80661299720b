"""The corpora: files of SQL, one per family of objects, that every supported server can load.

A file's name says where it cannot: `pg18_*` needs 18, `*_embedded` an extension (or a fix) that
the embedded servers have, `*_debian` Debian's contrib packages. Each file makes its own schemas,
so that all of them can be loaded into one database.
"""

from __future__ import annotations

from pathlib import Path

from paths import CORPUS

EMBEDDED = {16, 18}
LAST = ["publication_of_all", "event_triggers", "event_trigger_refuses_all"]  # they refuse things


def corpora(family: str, *versions: int) -> list[Path]:
    """The files of a family (`objects`, `types`, `identifiers`, `*`) that all versions can load."""
    found = [path for path in sorted(CORPUS.glob(f"{family}/*.sql")) if _fits(path.stem, versions)]
    return sorted(found, key=lambda path: LAST.index(path.stem) if path.stem in LAST else -1)


def corpus(name: str) -> Path:
    """One file by its name without the ending."""
    (path,) = CORPUS.glob(f"*/{name}.sql")
    return path


def _fits(name: str, versions: tuple[int, ...]) -> bool:
    if name.startswith("pg18_"):
        return min(versions) >= 18
    if name.endswith("_debian"):
        return set(versions) == {15}
    return not name.endswith("_embedded") or EMBEDDED.issuperset(versions)
