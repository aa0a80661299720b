"""Publications: the relations whose changes a server hands out. Always an explicit list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.model.relation import Name

if TYPE_CHECKING:
    from windlass.engines.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Published:
    """A relation to publish. Since 15 only rows of which `condition` is true."""

    name: Name
    condition: sql.Composable | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication as its server has it."""

    name: str
    owner: str
    has_all_tables: bool
    via_root: bool
    relations: tuple[Name, ...]


def create(
    connection: Connection,
    name: str,
    relations: Sequence[Published],
    *,
    side: str,
    via_root: bool = True,
) -> None:
    """Publish all changes of `relations`, in one statement.

    With `via_root` (13 and newer), changes of partitions are sent as their root's; a TRUNCATE of a
    single partition is then not sent. From now on, UPDATE and DELETE fail in applications for a
    relation without replica identity: there should be none among these.

    Raises:
        WindlassError: it is there, a right is missing, or a lock was not granted in the session's
            lock_timeout.
    """
    version = connection.info.server_version
    options: list[sql.Composable] = [sql.SQL("publish = 'insert, update, delete, truncate'")]
    if version >= 130000:
        options.append(sql.SQL("publish_via_partition_root = {}").format(sql.Literal(via_root)))
    tables = [_published(one, with_condition=version >= 150000) for one in relations]
    statement = sql.SQL("create publication {} for table {} with ({})").format(
        sql.Identifier(name), sql.SQL(", ").join(tables), sql.SQL(", ").join(options)
    )
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise explain(error, f"creating publication {name}", side=side) from error


def read(connection: Connection, names: str, *, side: str) -> list[Publication]:
    """Publications of this database whose name is LIKE `names`."""
    query = sql.SQL("select * from ({}) as found where name like {} order by name").format(
        load("publications"), sql.Literal(names)
    )
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading publications", side=side) from error
    return [_publication(row) for row in rows]


def drop(connection: Connection, name: str, *, side: str) -> None:
    """Drop a publication, if it is there."""
    statement = sql.SQL("drop publication if exists {}").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise explain(error, f"dropping publication {name}", side=side) from error


def _published(one: Published, *, with_condition: bool) -> sql.Composable:
    table = sql.Identifier(one.name.schema, one.name.name)
    if one.condition is None or not with_condition:
        return table
    return sql.SQL("{} where ({})").format(table, one.condition)


def _publication(row: dict[str, Any]) -> Publication:
    relations = tuple(Name(schema, name) for schema, name in row.pop("relations"))
    return Publication(relations=relations, **row)
