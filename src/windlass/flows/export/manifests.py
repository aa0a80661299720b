"""The files of a run, and the manifest of an extract, which is its last object."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from windlass.engines.objects.store import ObjectStore
from windlass.model.digest import digest
from windlass.model.export import Export, Manifest
from windlass.model.flow import Result

MANIFEST = "manifest.json"
PART = re.compile(r"([^/]+=[^/]*/)*part-\d+\.(parquet|csv|csv\.gz)")
_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one run. `destination` identifies the warehouse; empty for files only."""

    store: ObjectStore
    run: str
    destination: str

    def folder(self, export: Export) -> str:
        """The folder of one relation and run, separate even if runs of other sources or warehouses
        have the same name."""
        return f"{slug(export.name)}/{self.run}-{digest(export.source, self.destination)[:8]}"

    def place(self, export: Export) -> str:
        """For people."""
        return self.store.place(self.folder(export))

    def read(self, export: Export) -> Manifest | None:
        """The extract's manifest, if it has finished."""
        return read_manifest(self.store, self.folder(export))

    def write(self, export: Export, manifest: Manifest) -> None:
        text = json.dumps(asdict(manifest), indent=1).encode()
        self.store.put(f"{self.folder(export)}/{MANIFEST}", text)

    def clear(self, export: Export) -> int:
        """Remove all files of the run and relation; returns how many."""
        return self.store.clear(self.folder(export))


def written(manifest: Manifest) -> Result:
    """The result of an extract."""
    return {
        "rows": manifest.rows,
        "bytes": manifest.size_bytes,
        "files": len(manifest.files),
        "snapshot": manifest.snapshot,
        **({"losses": manifest.losses} if manifest.losses else {}),
    }


def shows_the_same(export: Export, found: Manifest) -> bool:
    """Whether the files mask, hash and leave out the same columns as the export does now."""
    now = {one.name: one.treatment for one in export.columns}
    return all(now.get(one.name) == one.treatment for one in found.columns)


def read_manifest(store: ObjectStore, folder: str) -> Manifest | None:
    """The manifest of one relation and run, if its extract has finished."""
    found = store.get(f"{folder}/{MANIFEST}")
    return _MANIFEST.validate_json(found) if found else None


def own_files(store: ObjectStore, folder: str) -> Callable[[str], bool]:
    """A test whether the run has written a path in its folder: by the manifest, or, if the run was
    killed before it wrote one, by the file's name."""
    manifest = read_manifest(store, folder)
    listed = {one.path for one in manifest.files} if manifest else set()

    def is_own(path: str) -> bool:
        name = path.removeprefix(f"{folder}/")
        return name == MANIFEST or (path in listed if manifest else bool(PART.fullmatch(name)))

    return is_own


def remove_files(store: ObjectStore, folder: str) -> None:
    """Remove what a run has written into a folder, and nothing else. The manifest goes first: then
    the files are incomplete."""
    is_own = own_files(store, folder)
    store.delete([f"{folder}/{MANIFEST}"])
    store.clear(folder, is_own)


def run_of(external_run: str, destination: str) -> str:
    """The run id for an external run: always the same, so that a retry finds finished work. It
    depends on the destination as well, because two schedulers may have runs of the same name."""
    return f"run_{digest(external_run, destination)[:16]}"


def slug(name: str) -> str:
    """A relation's name as a folder name, unique even if characters had to be replaced."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    mark = hashlib.sha256(name.encode()).hexdigest()[:6]
    return plain if plain == name else f"{plain}-{mark}"
