"""Sequences of a pair that follows: no stream carries them, but they are set exactly during the
freeze."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from windlass.engines.postgres import queries
from windlass.engines.postgres.sequences import read_sequences, set_sequences
from windlass.model.relation import Name
from windlass.model.relation import Sequence as State
from windlass.model.report import Problem

Session = Connection[Any]
Pairs = Sequence[tuple[Name, Name]]  # where it is read, where it is set
PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Definition:
    """What limits a sequence's values."""

    type: str
    least: int
    most: int
    increment: int
    cycles: bool
    is_readable: bool
    is_settable: bool

    @property
    def clauses(self) -> str:
        """The clauses for ALTER SEQUENCE."""
        cycle = "CYCLE" if self.cycles else "NO CYCLE"
        return (
            f"AS {self.type} INCREMENT {self.increment} MINVALUE {self.least}"
            f" MAXVALUE {self.most} {cycle}"
        )


def read_definitions(connection: Session) -> dict[Name, Definition]:
    rows = connection.execute(queries.load("sequence_definitions")).fetchall()
    return {Name(schema, name): Definition(*more) for schema, name, *more in rows}


def sequence_problems(old: Session, new: Session, pairs: Pairs) -> Iterator[Problem]:
    """Why values of `old` cannot be set exactly on `new`."""
    here, there = read_definitions(old), read_definitions(new)
    for name, to in pairs:
        read, set_ = here.get(name), there.get(to)
        if read is None or set_ is None:
            missing = name if read is None else to
            yield Problem(str(missing), "no longer exists", "create the sequence again")
        elif read.clauses != set_.clauses:
            yield Problem(
                str(to),
                f"has other limits than {name}",
                f"ALTER SEQUENCE {to} {read.clauses}",
            )
        elif not read.is_readable:
            yield Problem(str(name), "may not be read", f"GRANT SELECT ON SEQUENCE {name}")
        elif not set_.is_settable:
            yield Problem(str(to), "may not be set", f"GRANT UPDATE ON SEQUENCE {to}")


def copy_sequences(old: Session, new: Session, pairs: Pairs) -> int:
    """Set the sequences of `new` to the exact values of `old`, in one round trip each; returns how
    many."""
    states = read_sequences(old, [name for name, _ in pairs], side="source", per_query=PER_QUERY)
    named = dict(pairs)
    set_sequences(new, [State(named[one.name], one.last_value, one.is_called) for one in states])
    return len(states)


def turned(pairs: Pairs) -> list[tuple[Name, Name]]:
    """The pairs for the other direction."""
    return [(to, name) for name, to in pairs]
