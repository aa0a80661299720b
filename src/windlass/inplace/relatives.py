"""Whether a table's statements concern its own rows alone: without tables that inherit from it,
foreign partitions, and rules."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import read_relatives
from windlass.model.relation import Name
from windlass.model.report import Problem


def read_problems(
    connection: Connection, table: Name, oid: int, deletes: bool, *, inserts: bool = False
) -> list[Problem]:
    """Why rows of a table cannot be changed in place; `deletes`: or deleted, and inserted again."""
    return list(_problems(connection, table, oid, deletes, inserts or deletes))


def _problems(
    connection: Connection, table: Name, oid: int, deletes: bool, inserts: bool
) -> Iterator[Problem]:
    found = read_relatives(connection, oid)
    if found.children:
        yield Problem(
            str(table),
            f"shows rows of other tables, which its keys do not cover: {', '.join(found.children)}"
            f" {'inherits' if len(found.children) == 1 else 'inherit'} from it",
            "rewrite a table without such children, or detach them: ALTER TABLE ... NO INHERIT",
        )
    if found.foreign_partitions:
        yield Problem(
            str(table),
            f"has partitions that are foreign tables: {', '.join(found.foreign_partitions)}",
            "rewrite the other partitions, each by its name",
        )
    rules = [*found.update_rules]
    rules += found.delete_rules if deletes else ()
    rules += found.insert_rules if inserts else ()
    if rules:
        yield Problem(
            str(table),
            f"has rules, by which its statements do something else: {', '.join(rules)}",
            "disable them for the rewrite, or replace them by triggers",
        )
