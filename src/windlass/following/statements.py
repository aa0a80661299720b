"""The statements that apply changes to a relation. Composes only.

Parameters have no given type: the server takes those of the columns. A relation that is not
partitioned is named with ONLY, as changes of relations that inherit from it come separately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.replication.messages import Row, Value
from windlass.following.routes import Column, Route

Positions = tuple[int, ...]  # in the rows that the source sends
_AND, _COMMA = sql.SQL(" and "), sql.SQL(", ")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with the values that it takes: each from the new row, or from the old one."""

    query: bytes
    # for each value, whether it is from the new row, and its position
    takes: tuple[tuple[bool, int], ...] = ()

    def values(self, old: Row, new: Row) -> list[Value]:
        return [new[position] if is_new else old[position] for is_new, position in self.takes]


class _Taking:
    """Numbers parameters in the order in which they are asked for."""

    def __init__(self) -> None:
        self._takes: list[tuple[bool, int]] = []

    def new(self, column: Column) -> sql.Composable:
        return self._take(True, column)

    def old(self, column: Column) -> sql.Composable:
        return self._take(False, column)

    def _take(self, is_new: bool, column: Column) -> sql.Composable:
        self._takes.append((is_new, column.position))
        return sql.SQL("${}").format(sql.Literal(len(self._takes)))

    def statement(self, query: sql.Composable) -> Statement:
        return Statement(query.as_bytes(), tuple(self._takes))


_ValueOf = Callable[[Column], sql.Composable]


# one row by its key


def insert(route: Route) -> Statement:
    taking = _Taking()
    if not route.columns:
        return taking.statement(sql.SQL("insert into {} default values").format(_table(route)))
    values = _COMMA.join([taking.new(column) for column in route.columns])
    return taking.statement(
        sql.SQL("insert into {} ({}) overriding system value values ({})").format(
            _table(route), _names(route.columns), values
        )
    )


def update(route: Route, sent: Positions, *, with_key: bool) -> Statement:
    """Update the row with the old key to the values that were sent, the key among them."""
    taking = _Taking()
    return taking.statement(
        sql.SQL("update {} as t set {} where {}").format(
            _only(route),
            _assignments(route, sent, taking.new, with_key=with_key),
            _AND.join([*_by_key(route, taking.old), *_by_fixed(route, sent, taking.new)]),
        )
    )


def delete(route: Route) -> Statement:
    taking = _Taking()
    return taking.statement(
        sql.SQL("delete from {} as t where {}").format(
            _only(route), _AND.join(_by_key(route, taking.old))
        )
    )


def move(route: Route, sent: Positions) -> Statement:
    """Like `update`, where UPDATE may not set a column: the row is deleted and inserted again."""
    taking = _Taking()
    gone = sql.SQL("delete from {} as t where {} returning t.*").format(
        _only(route), _AND.join(_by_key(route, taking.old))
    )
    return taking.statement(_again(route, sent, sql.SQL("with gone as ({})").format(gone), taking))


# one of the rows with the same values


def update_one(route: Route, sent: Positions, nulls: Positions) -> Statement:
    """Update one of the rows with the old values, which are NULL at the positions `nulls`."""
    taking = _Taking()
    one = _one(route, nulls, taking)
    return taking.statement(
        sql.SQL("{} update {} as t set {} from one where {}").format(
            one, _only(route), _assignments(route, sent, taking.new, with_key=True), _AT_ONE
        )
    )


def delete_one(route: Route, nulls: Positions) -> Statement:
    """Delete one of the rows with the old values, which are NULL at the positions `nulls`."""
    taking = _Taking()
    one = _one(route, nulls, taking)
    query = sql.SQL("{} delete from {} as t using one where {}")
    return taking.statement(query.format(one, _only(route), _AT_ONE))


def move_one(route: Route, sent: Positions, nulls: Positions) -> Statement:
    """Like `update_one`, where UPDATE may not set a column."""
    taking = _Taking()
    first = sql.SQL("{}, gone as (delete from {} as t using one where {} returning t.*)").format(
        _one(route, nulls, taking), _only(route), _AT_ONE
    )
    return taking.statement(_again(route, sent, first, taking))


# whole relations


def truncate(routes: Iterable[Route], *, restarts_identity: bool) -> bytes:
    """Never with CASCADE: the source names every relation that it has emptied, and we must not
    empty one that only the target has."""
    words = "truncate {}"
    query: sql.Composable = sql.SQL(words).format(_COMMA.join(map(_only, routes)))
    if restarts_identity:
        query += sql.SQL(" restart identity")
    return query.as_bytes()


# many rows at once


def copy_into(route: Route) -> bytes:
    """Take rows of all columns into the relation."""
    query = sql.SQL("copy {} ({}) from stdin")
    return query.format(_table(route), _names(route.columns)).as_bytes()


@dataclass(frozen=True, slots=True)
class Staging:
    """A temporary relation that takes values of rows of one shape, and the statements around it."""

    positions: Positions  # of the values in a row
    create: bytes
    copy: bytes  # and a statement that changes one row for each that was copied
    empty: bytes
    drop: bytes


def stage_updates(route: Route, sent: Positions, name: str) -> Staging:
    columns = [column for column in route.columns if column.position in sent]
    apply = sql.SQL("update {} as t set {} from {} as s where {}").format(
        _only(route),
        _assignments(route, sent, _staged, with_key=False),
        _staging(name),
        _AND.join([*_by_key(route, _staged), *_by_fixed(route, sent, _staged)]),
    )
    return _stage(route, columns, name, apply)


def stage_deletes(route: Route, name: str) -> Staging:
    apply = sql.SQL("delete from {} as t using {} as s where {}").format(
        _only(route), _staging(name), _AND.join(_by_key(route, _staged))
    )
    return _stage(route, route.key, name, apply)


def _stage(route: Route, columns: Sequence[Column], name: str, apply: sql.Composable) -> Staging:
    staging = _staging(name)
    taken = [sql.SQL("{} as {}").format(_name(one), _staged_name(one)) for one in columns]
    create = sql.SQL(
        "drop table if exists {}; create temporary table {} on commit delete rows as"
        " select {} from {} with no data"
    ).format(staging, sql.Identifier(name), _COMMA.join(taken), _table(route))
    return Staging(
        positions=tuple(column.position for column in columns),
        create=create.as_bytes(),
        copy=sql.SQL("copy {} from stdin; {}").format(staging, apply).as_bytes(),
        empty=sql.SQL("truncate {}").format(staging).as_bytes(),
        drop=sql.SQL("drop table {}").format(staging).as_bytes(),
    )


def _staging(name: str) -> sql.Composable:
    return sql.Identifier("pg_temp", name)


def _staged_name(column: Column) -> sql.Composable:
    return sql.Identifier(f"v{column.position}")


def _staged(column: Column) -> sql.Composable:
    return sql.SQL("s.{}").format(_staged_name(column))


# parts


def _table(route: Route) -> sql.Composable:
    return sql.Identifier(route.target.schema, route.target.name)


def _only(route: Route) -> sql.Composable:
    """The relation without those that inherit from it, or a partitioned one with its partitions."""
    return _table(route) if route.is_partitioned else sql.SQL("only {}").format(_table(route))


def _name(column: Column) -> sql.Composable:
    return sql.Identifier(column.name)


def _names(columns: Iterable[Column]) -> sql.Composable:
    return _COMMA.join(map(_name, columns))


def _of_t(column: Column) -> sql.Composable:
    return sql.SQL("t.{}").format(_name(column))


def _assignments(
    route: Route, sent: Positions, value: _ValueOf, *, with_key: bool
) -> sql.Composable:
    """What an UPDATE sets. If no value was sent, it changes nothing, but must still find its
    row."""
    changed = [
        sql.SQL("{} = {}").format(_name(column), value(column))
        for column in route.columns
        if column.position in sent and column.is_settable and (with_key or column not in route.key)
    ]
    if not changed:
        column = next(column for column in route.columns if column.is_settable)
        changed = [sql.SQL("{} = {}").format(_name(column), _of_t(column))]
    return _COMMA.join(changed)


def _by_key(route: Route, value: _ValueOf) -> list[sql.Composable]:
    return [sql.SQL("{} = {}").format(_of_t(column), value(column)) for column in route.key]


def _by_fixed(route: Route, sent: Positions, value: _ValueOf) -> list[sql.Composable]:
    """Conditions for columns that UPDATE may not set: they must have the new value already."""
    return [
        sql.SQL("{} is not distinct from {}").format(_of_t(column), value(column))
        for column in route.columns
        if column.position in sent and not column.is_settable
    ]


# identifies the row that `one` found, in any partition
_AT_ONE = sql.SQL("t.ctid = one.ctid and t.tableoid = one.tableoid")


def _one(route: Route, nulls: Positions, taking: _Taking) -> sql.Composable:
    """One of the rows with all of the old values. If equal values of a type may have different
    texts, or the type has no equality, their output texts are compared."""
    conditions = []
    for column in route.columns:
        if column.position in nulls:
            condition = sql.SQL("{} is not distinct from null")
            conditions.append(condition.format(_of_t(column)))
        elif column.is_exact:
            conditions.append(sql.SQL("{} = {}").format(_of_t(column), taking.old(column)))
        else:
            condition = sql.SQL("{0} is distinct from null and format('%s', {0}) = {1}")
            conditions.append(condition.format(_of_t(column), taking.old(column)))
    return sql.SQL("with one as (select t.ctid, t.tableoid from {} as t where {} limit 1)").format(
        _only(route), _AND.join(conditions) if conditions else sql.SQL("true")
    )


def _again(route: Route, sent: Positions, first: sql.Composable, taking: _Taking) -> sql.Composable:
    """Insert the row that is `gone` again, with the values that were sent."""
    values = [
        taking.new(column) if column.position in sent else sql.SQL("gone.{}").format(_name(column))
        for column in route.columns
    ]
    kept = [sql.Identifier(name) for name in route.kept]
    values += [sql.SQL("gone.{}").format(name) for name in kept]
    return sql.SQL("{} insert into {} ({}) overriding system value select {} from gone").format(
        first,
        _table(route),
        _COMMA.join([*map(_name, route.columns), *kept]),
        _COMMA.join(values),
    )
