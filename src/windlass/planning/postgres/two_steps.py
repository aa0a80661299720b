"""Constraints created in two steps: index, then constraint; or constraint, then validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from psycopg import sql

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import ForeignKey, KeyConstraint
from windlass.engines.postgres.syntax import split

VALIDATION = "FK VALIDATION"


def in_steps(
    entry: Entry, apart: Mapping[int, KeyConstraint], foreign_keys: Mapping[int, ForeignKey]
) -> Iterable[Entry]:
    if entry.kind == "CONSTRAINT" and (constraint := apart.get(entry.oid)):
        return _apart(entry, constraint)
    if entry.kind == "FK CONSTRAINT" and (foreign_key := foreign_keys.get(entry.oid)):
        return _validated_later(entry, foreign_key)
    return (entry,)


def _validated_later(entry: Entry, foreign_key: ForeignKey) -> Iterable[Entry]:
    """NOT VALID first: that takes no time under its lock, and validations run side by side.

    A partitioned relation takes no NOT VALID foreign key before version 18.
    """
    if not foreign_key.validated or foreign_key.is_partitioned:
        yield entry
        return
    yield replace(entry, definition=entry.definition.rstrip().removesuffix(";") + " NOT VALID;\n")
    validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {};\n").format(
        sql.Identifier(foreign_key.relation.schema, foreign_key.relation.name),
        sql.Identifier(foreign_key.name),
    )
    yield replace(entry, kind=VALIDATION, definition=validate.as_string(None), drop="")


def _apart(entry: Entry, constraint: KeyConstraint) -> Iterable[Entry]:
    """The unique index, then the constraint that takes it over, with everything else in the entry.

    ALTER TABLE ... ADD CONSTRAINT holds the relation exclusively while it builds; CREATE INDEX
    does not, so a relation's indexes are built side by side.
    """
    _, *rest = split(entry.definition)
    add = sql.SQL("ALTER TABLE ONLY {} ADD CONSTRAINT {} {} USING INDEX {}").format(
        sql.Identifier(constraint.relation.schema, constraint.relation.name),
        sql.Identifier(constraint.name),
        sql.SQL("PRIMARY KEY" if constraint.is_primary else "UNIQUE"),
        sql.Identifier(constraint.name),
    )
    lines = [f"{add.as_string(None)}{constraint.timing}", *rest]
    yield replace(entry, kind="UNIQUE INDEX", definition=f"{constraint.definition};\n", drop="")
    yield replace(entry, definition="".join(f"{line};\n" for line in lines), tablespace="")
