"""Digests of the source's rows, noted as they were copied: in the same reading, and in the commit
that brings the rows in. So a table whose every chunk has one is not read again to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from windlass.journal.records import Line
from windlass.model.plan import RelationPlan
from windlass.model.translation import Digest, Hashed
from windlass.version import __version__

_LINES = "lines"  # in the note of a chunk's line
_BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Noted:
    """Of a relation; empty unless all of its chunks were hashed. `blocks` are those of all chunks,
    if the lines were hashed in blocks."""

    digests: Mapping[str, Digest] = field(default_factory=dict)  # by chunk
    blocks: Hashed | None = None


NOTHING = Noted()


def note_of(hashed: Hashed | None) -> dict[str, Any] | None:
    if hashed is None:
        return None
    note = {_LINES: asdict(hashed.digest), "version": __version__}
    if hashed.by:
        note[_BLOCKS] = {"by": hashed.by, "lows": hashed.lows, "rows": hashed.rows}
    return note


def noted_digests(lines: Iterable[Mapping[str, Line]], relation: RelationPlan) -> Noted:
    """Empty unless all of the relation's chunks have digests of the same kind, and of this version:
    another may hash in another way."""
    notes = {id_: line.note or {} for some in lines for id_, line in some.items()}
    found = [
        note
        for chunk in relation.chunks
        if (note := notes.get(chunk.id, {})).get("version") == __version__ and _LINES in note
    ]
    if len(found) < len(relation.chunks):
        return NOTHING
    ids = [chunk.id for chunk in relation.chunks]
    digests = {id_: Digest(**note[_LINES]) for id_, note in zip(ids, found, strict=True)}
    blocks = [note[_BLOCKS] for note in found if _BLOCKS in note]
    if not blocks:
        return Noted(digests)
    if len(blocks) < len(found) or len({one["by"] for one in blocks}) > 1:
        return NOTHING
    return Noted(digests, _together(blocks))


def _together(blocks: list[dict[str, Any]]) -> Hashed:
    pairs = sorted(pair for one in blocks for pair in zip(one["lows"], one["rows"], strict=True))
    lows, rows = zip(*pairs, strict=True) if pairs else ((), ())
    return Hashed(Digest(), blocks[0]["by"], tuple(lows), tuple(rows))
