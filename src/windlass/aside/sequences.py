"""Notes the states of sequences that existed before a run, and restores them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from windlass.engines.postgres.catalog import read_sequence_owners
from windlass.engines.postgres.sequences import read_sequences, set_sequences
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name
from windlass.model.relation import Sequence as SequenceState


def read_states(connection: Connection, names: Collection[Name]) -> list[list[Any]]:
    """For the journal: the states of those that exist."""
    there = [one.name for one in read_sequence_owners(connection) if one.name in names]
    return [
        [one.name.schema, one.name.name, one.last_value, one.is_called]
        for one in read_sequences(connection, there, side="target")
    ]


def restore_states(connection: Connection, noted: Iterable[Sequence[Any]]) -> None:
    """Restore those that still exist, inside the caller's transaction."""
    there = {one.name for one in read_sequence_owners(connection)}
    states = [SequenceState(Name(schema, name), *state) for schema, name, *state in noted]
    set_sequences(connection, [one for one in states if one.name in there])
