"""Digests of the source's rows, noted as they were copied: in the same reading, and in the commit
that brings the rows in. So a table whose every chunk has one is not read again to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from windlass.engines.hashed_lines import LineDigest
from windlass.journal.records import Line
from windlass.model.plan import RelationPlan
from windlass.model.translation import Digest
from windlass.version import __version__

_LINES = "lines"  # in the note of a chunk's line


def note_of(lines: LineDigest | None) -> dict[str, Any] | None:
    found = lines.digest if lines else None
    return {_LINES: asdict(found), "version": __version__} if found else None


def noted_digests(
    lines: Iterable[Mapping[str, Line]], relation: RelationPlan
) -> Mapping[str, Digest]:
    """By chunk; empty unless all of the relation's chunks have one, of this version: another may
    hash in another way."""
    notes = {id_: line.note or {} for some in lines for id_, line in some.items()}
    found = {
        chunk.id: Digest(**note[_LINES])
        for chunk in relation.chunks
        if (note := notes.get(chunk.id, {})).get("version") == __version__ and _LINES in note
    }
    return found if len(found) == len(relation.chunks) else {}
