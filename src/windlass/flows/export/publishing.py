"""Publishes a run whose files are complete: its manifest, and `latest.json`, which readers of the
newest files look at.

The manifest is written before `latest.json`, and each is one object that is replaced as a whole. So
readers see all files of a run, or those of the run before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from windlass.engines.objects.store import ObjectStore
from windlass.model.digest import digest
from windlass.model.export import Column, Export, Manifest
from windlass.model.published import (
    FORMAT,
    PublishedColumn,
    PublishedFile,
    PublishedRelation,
    RunManifest,
)
from windlass.model.report import Problem

FOLDER, LATEST = "_windlass_manifests", "latest.json"
# Between a run's manifest and its turn as the latest are three requests, each tried for half a
# minute. Earlier manifests were there when `latest.json` was read.
_AT_ONCE = timedelta(minutes=5)
_RUN_MANIFEST = TypeAdapter(RunManifest)


def schema() -> dict[str, Any]:
    """The JSON schema of what is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The manifest of an export",
        **_RUN_MANIFEST.json_schema(mode="serialization"),
    }


def run_manifest(run: str, source: str, found: Sequence[tuple[Export, Manifest]]) -> RunManifest:
    """Of all relations of a run."""
    relations = tuple(sorted((_relation(*one) for one in found), key=lambda one: one.name))
    return RunManifest(
        run,
        source,
        source_id(found[0][0].source),
        read_at=max(one.read_at for one in relations),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=sum(one.rows for one in relations),
        bytes=sum(one.bytes for one in relations),
        files=sum(len(one.files) for one in relations),
        relations=relations,
    )


def source_id(identity: str) -> str:
    return digest(identity)[:16]


def _relation(export: Export, manifest: Manifest) -> PublishedRelation:
    return PublishedRelation(
        export.name,
        manifest.format,
        manifest.compression,
        manifest.rows,
        manifest.size_bytes,
        manifest.read_at,
        manifest.since,
        manifest.watermark,
        tuple(map(_column, manifest.columns)),
        tuple(map(PublishedFile.of, manifest.files)),
        manifest.losses,
        export.disposition if manifest.commit else "all",
        export.key if manifest.commit else (),
        str(PurePosixPath(manifest.commit).parent) if manifest.commit else "",
    )


def _column(column: Column) -> PublishedColumn:
    return PublishedColumn(
        column.name,
        column.type,
        column.described,
        not column.not_null,
        column.mask,
        bool(column.hash),
        column.partition,
    )


@dataclass(frozen=True, slots=True)
class Published:
    """What is published in one store."""

    store: ObjectStore

    def publish(self, manifest: RunManifest) -> bool:
        """Returns whether it is the latest: there may be a run of a later snapshot, or of another
        source."""
        text = _text(manifest)
        self.store.put(_path(manifest.run), text)
        newest = self._latest()
        if newest and newest.source_id != manifest.source_id:
            return False
        if newest and newest.run != manifest.run and newest.read_at > manifest.read_at:
            return False
        self.store.put(LATEST, text)
        return self._put_later(manifest) is manifest

    def _put_later(self, shown: RunManifest) -> RunManifest:
        """Two runs that end together may both read `latest.json` before either replaces it. So the
        one that replaces it checks whether a run with a later snapshot has been published."""
        while later := self._later(shown):
            self.store.put(LATEST, _text(later))
            shown = later
        return shown

    def _later(self, than: RunManifest) -> RunManifest | None:
        beside = self.store.list_beside(_path(than.run), _AT_ONCE)
        found = filter(None, (_parsed(self.store.get(path)) for path in beside))
        later = [
            one for one in found if one.source_id == than.source_id and one.read_at > than.read_at
        ]
        return max(later, key=lambda one: one.read_at, default=None)

    def problems(self, source: str) -> Iterator[Problem]:
        """`source` identifies the source of the run that is about to begin."""
        there = self.store.get(LATEST)
        found = _parsed(there)
        if there and (found is None or found.format != FORMAT):
            hint = "give `to` another folder, or move the file away"
            yield Problem(self.store.place(LATEST), "is not a manifest of this version", hint)
        elif found and found.source_id != source_id(source):
            message = f"shows the newest export of another source, {found.source}"
            yield Problem(self.store.place(LATEST), message, "give `to` another folder")

    def has(self, run: str) -> bool:
        return self.store.size(_path(run)) is not None

    def withdraw(self, run: str) -> None:
        """Make the newest of the other runs the latest again, before a run's files are removed."""
        newest = self._latest()
        self.store.delete([_path(run)])
        if newest is None or newest.run != run:
            return
        others = [_parsed(self.store.get(path)) for path in self.store.list(f"{FOLDER}/")]
        left = sorted(filter(None, others), key=lambda one: one.read_at)
        if left:
            self.store.put(LATEST, _text(left[-1]))
        else:
            self.store.delete([LATEST])

    def _latest(self) -> RunManifest | None:
        return _parsed(self.store.get(LATEST))


def _text(manifest: RunManifest) -> bytes:
    return json.dumps(asdict(manifest), indent=1).encode()


def _parsed(text: bytes | None) -> RunManifest | None:
    try:
        return _RUN_MANIFEST.validate_json(text or b"")
    except ValidationError:
        return None


def _path(run: str) -> str:
    return f"{FOLDER}/{run}.json"
