"""One piece of DDL, ready to run on the target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from windlass.model.relation import Name


class Phase(StrEnum):
    """When a statement runs. The order of the members is the order of a run."""

    SCHEMA = "schema"  # schemas, extensions, types, functions before the first relation
    TABLES = "tables"  # relations, and what comes between and after them
    LOGGED = "logged"  # relations that were filled unlogged, as soon as the rows are in
    KEYS = "keys"  # indexes, primary keys, unique, exclusion: as soon as the rows are in
    ATTACH = "attach"  # partitions' indexes to their parents'
    FOREIGN_KEYS = "foreign keys"
    VALIDATE = "validate"  # the foreign keys, side by side
    REST = "rest"  # triggers, rules, policies, statistics, publications
    GRANTS = "grants"
    LAST = "last"  # event triggers, which would fire on our DDL


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql` is complete: definition, then owner. Names are the target's; `relation` is the relation
    it creates or belongs to."""

    id: int  # the same for all statements made from one definition of the source
    kind: str  # TABLE, FK CONSTRAINT, COMMENT ...
    name: Name  # schema is "" for objects that live in none
    sql: str
    drop: str
    phase: Phase
    relation: Name | None = None
    component: int = 0  # those of other components may run before it or in parallel; 0's may not

    @property
    def excludes(self) -> bool:
        """Whether it is an exclusion constraint, which builds its own index."""
        return self.kind == "CONSTRAINT" and " EXCLUDE " in self.sql

    def __str__(self) -> str:
        where = f"{self.name.schema}." if self.name.schema else ""
        return f"{self.kind.lower()} {where}{self.name.name.removeprefix(self.kind).strip()}"
