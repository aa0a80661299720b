"""Which runs' files make up a relation that each run adds to: append or merge by a watermark,
without a warehouse.

Each run that has new rows adds a commit, an object whose name is the next number: a store creates a
name only once. So of two runs that began after the same commit only one is counted, and no row is
there twice. A run whose files are complete but that has no commit is not part of the relation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

from pydantic import TypeAdapter

from windlass.engines.base import Source
from windlass.engines.objects.store import ObjectStore
from windlass.errors import WindlassError
from windlass.flows.export.manifests import read_manifest, remove_files, slug
from windlass.model.digest import digest
from windlass.model.export import Export, Manifest
from windlass.model.published import Commit, PublishedFile

_NUMBERED = re.compile(r"\d{8}\.json")
_COMMIT = TypeAdapter(Commit)


@dataclass(frozen=True, slots=True)
class Commits:
    """Those of one store."""

    store: ObjectStore

    def planned(self, source: Source, export: Export) -> Export:
        """The export, planned to read from the last commit on, with the path of the next one."""
        folder = self.folder(export)
        last = self.last(folder)
        span = source.span(export, last.watermark if last else "")
        return replace(export, span=replace(span, commit=_path(folder, last.number if last else 0)))

    def folder(self, export: Export) -> str:
        """The folder of the commits for the same source, condition, columns and key."""
        mark = digest(export.mark, export.disposition, export.key)[:20]
        return f"{slug(export.name)}/commits-{mark}"

    def last(self, folder: str) -> Commit | None:
        found = [path for path in self.store.list(f"{folder}/") if _is_commit(path)]
        return self._read(found[-1]) if found else None

    def _read(self, path: str) -> Commit | None:
        found = self.store.get(path)
        return _COMMIT.validate_json(found) if found else None

    def has(self, manifest: Manifest) -> bool:
        """Whether this extract is part of the relation."""
        found = self._read(manifest.commit) if manifest.commit else None
        return found is not None and (found.run, found.id) == (manifest.run, manifest.id)

    def add(self, export: Export, manifest: Manifest) -> None:
        """Make the rows of an extract part of the relation, once.

        Raises:
            WindlassError: another run has added rows since this one began.
        """
        number = int(PurePosixPath(manifest.commit).stem)
        if not manifest.rows and number > 1:
            return
        commit = Commit(
            number,
            manifest.run,
            manifest.id,
            export.name,
            export.disposition,
            export.key,
            manifest.since,
            manifest.watermark,
            manifest.read_at,
            tuple(PublishedFile.of(one) for one in manifest.files),
        )
        text = json.dumps(asdict(commit), indent=1).encode()
        if not self.store.create(manifest.commit, text) and not self.has(manifest):
            raise WindlassError(
                f"{export.name}: another run has added rows since this one read its watermark",
                hint="run the same command again: it reads from where that one ended",
            )

    def followers(self, manifest: Manifest) -> Iterator[str]:
        """The path of the commit after that of an extract, if there is one."""
        if not manifest.commit:
            return
        path = PurePosixPath(manifest.commit)
        following = _path(str(path.parent), int(path.stem))
        if self.has(manifest) and self.store.size(following) is not None:
            yield following

    def withdraw(self, manifest: Manifest) -> None:
        """Before an extract's files are removed."""
        if self.has(manifest):
            self.store.delete([manifest.commit])


def remove_uncommitted(store: ObjectStore, folders: Iterable[str]) -> None:
    """Remove what a run has written into folders, except where it is part of a relation."""
    for folder in folders:
        manifest = read_manifest(store, folder)
        if manifest is None or not Commits(store).has(manifest):
            remove_files(store, folder)


def _path(folder: str, before: int) -> str:
    """The path of the commit after number `before`."""
    return f"{folder}/{before + 1:08}.json"


def _is_commit(path: str) -> bool:
    return bool(_NUMBERED.fullmatch(PurePosixPath(path).name))
