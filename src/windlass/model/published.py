"""The manifest of a whole export, as it is published for readers of the files: every field is in
`docs/schemas/manifest.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from windlass.model.export import File
from windlass.version import __version__

FORMAT = 1  # changes when a reader of the earlier form would misread the new one


def _about(text: str) -> object:
    return Field(description=text)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    path: Annotated[str, _about("below the folder that `to` names")]
    rows: int
    bytes: int
    sha256: Annotated[str, _about("of the file's bytes, in hexadecimal digits")]

    @classmethod
    def of(cls, file: File) -> PublishedFile:
        return cls(file.path, file.rows, file.size_bytes, file.sha256)


@dataclass(frozen=True, slots=True)
class PublishedColumn:
    name: Annotated[str, _about("in the files")]
    type: Annotated[str, _about("in the source")]
    kind: Annotated[str, _about("in the files: int64, decimal(12,2), list of text, ...")]
    nullable: bool
    masked: Annotated[bool, _about("every value is ***")]
    hashed: Annotated[bool, _about("every value is an HMAC of it")]
    partition: Annotated[
        int, _about("its place in the paths of the files, which have its values; 0: in the files")
    ]


@dataclass(frozen=True, slots=True)
class PublishedRelation:
    name: Annotated[str, _about("of the relation in the source, or of the query")]
    format: Annotated[str, _about("parquet or csv")]
    compression: str
    rows: int
    bytes: int
    read_at: Annotated[str, _about("when the snapshot was taken that shows these rows")]
    since: Annotated[str, _about("the watermark that rows were read from; empty: all rows")]
    watermark: Annotated[str, _about("the highest watermark of these rows; empty: none")]
    columns: tuple[PublishedColumn, ...]
    files: tuple[PublishedFile, ...]
    losses: Annotated[dict[str, str], _about("by column: what the files cannot hold")]
    disposition: Annotated[
        str, _about("of a relation with a watermark: append or merge; else all: its rows are these")
    ]
    key: Annotated[tuple[str, ...], _about("by which merge replaces")]
    commits: Annotated[
        str, _about("where the commits of a relation with a watermark are, below `to`; else empty")
    ]


@dataclass(frozen=True, slots=True)
class Commit:
    """What one run has added to a relation by a watermark."""

    number: Annotated[int, _about("from 1, without gaps")]
    run: str
    id: Annotated[str, _about("of the extract")]
    relation: str
    disposition: Annotated[str, _about("append, or merge: a later row replaces that of its key")]
    key: Annotated[tuple[str, ...], _about("by which merge replaces")]
    since: Annotated[str, _about("the watermark that rows were read from; empty: all rows")]
    watermark: Annotated[str, _about("the highest one of all rows so far")]
    read_at: Annotated[str, _about("when the snapshot was taken")]
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True, slots=True)
class RunManifest:
    run: str
    source: Annotated[str, _about("for people, without secrets")]
    source_id: Annotated[str, _about("the same for every run that reads the same database")]
    read_at: Annotated[str, _about("when the run's last snapshot was taken")]
    finished_at: str
    rows: Annotated[int, _about("of all relations")]
    bytes: Annotated[int, _about("of all relations")]
    files: Annotated[int, _about("of all relations")]
    relations: Annotated[tuple[PublishedRelation, ...], _about("sorted by name")]
    format: Annotated[int, _about("of this document")] = FORMAT
    windlass: Annotated[str, _about("the version that wrote it")] = __version__
