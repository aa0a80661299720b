"""Finds rows without a parent by the target's equality, which compares bytes; the source may ignore
case, accents or trailing blanks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from windlass.engines.mysql.forms import hashed, merges, short
from windlass.engines.mysql.quoting import Quoted, listed, part, rows_of, table
from windlass.engines.mysql.runs import beyond_runs
from windlass.engines.mysql.session import Session
from windlass.engines.mysql.types import charset_of
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Field, ForeignKey, SourceColumn, SourceSchema, SourceTable
from windlass.model.units import plural


def orphans(session: Session, found: SourceTable, schema: SourceSchema) -> dict[str, Loss]:
    """The names of the foreign keys that PostgreSQL could not validate."""
    losses = {}
    tables = {one.name: one for one in (*schema.tables, *found.parents)}
    for key in found.foreign_keys:
        parent = tables.get(key.refers_to)
        loss = parent and _orphans(session, found, parent, key)
        if loss:
            losses[key.name] = loss
    return losses


def _orphans(
    session: Session, child: SourceTable, parent: SourceTable, key: ForeignKey
) -> Loss | None:
    ours = [_column(child, one) for one in key.columns]
    theirs = [_column(parent, one) for one in key.referred]
    pairs = list(zip(ours, theirs, strict=True))
    alike = [part("p.{} = c.{}", Quoted(theirs.name), Quoted(ours.name)) for ours, theirs in pairs]
    exact = [_same(ours, theirs) for ours, theirs in pairs if not _is_sure(ours, theirs)]
    given = [part("c.{} is not null", Quoted(one.name)) for one in ours]
    if not exact and not _refers_to_none(session, child, parent, ours, theirs, alike):
        return None
    shown = [part("cast(c.{} as char)", Quoted(one.name)) for one in ours]
    first = part("min(concat_ws(', ', {}))", listed(shown))
    # A join, not a subquery: in `where not exists (... p.k = c.k and binary p.k = binary c.k)`
    # MariaDB 10.11 takes the second comparison as true, as the first is.
    there = part("p.{}", Quoted(theirs[0].name))
    query = part(
        "select count(*), coalesce(sum({there} is not null), 0), {first}"
        " from {child} as c left join {parent} as p on {alike}"
        " where {given} and ({there} is null or not ({same}))",
        there=there,
        parent=_rows(parent),
        child=_rows(child),
        alike=listed(alike, " and "),
        same=listed(exact or [part("1 = 1")], " and "),
        given=listed(given, " and "),
        first=first,
    )
    many, nearly, shortest = session.one(query)
    if not (count := int(many or 0)):
        return None
    example = (shortest or b"").decode("utf-8", "replace")
    to = f"{parent.name.name} ({', '.join(key.referred)})"
    why = f"refer{'s' if count == 1 else ''} to no row of {to} by PostgreSQL's equality"
    if near := int(nearly or 0):
        why += f"; {near} of them differ from a key by case, accents or trailing blanks"
    message = (
        f"{plural(count, 'row')} {why} (foreign key {key.name}; first: {example}): the key is not"
        " enforced for existing rows (NOT VALID)"
    )
    return Loss(str(child.name), message, LossClass.CONSTRAINTS)


def merged(session: Session, found: SourceTable, fields: Sequence[Field]) -> Iterator[Problem]:
    """The problems of rows with different keys that are the same ones on the target."""
    by_name = {one.name: one for one in fields}
    for key in [*([found.primary_key] if found.primary_key else []), *found.uniques]:
        columns = [by_name[one] for one in key.columns]
        if not any(map(merges, columns)):
            continue
        texts = [hashed(short(one)).expression for one in columns]
        query = part(
            "select coalesce(sum(many), 0) from (select count(*) as many from {} where {}"
            " group by {} having count(*) > 1) as alike",
            rows_of(found.name, found.selected),
            listed((part("{} is not null", one) for one in texts), " and "),
            listed(texts),
        )
        (many,) = session.one(query)
        if not (count := int(many or 0)):
            continue
        named = f"key {key.name} ({', '.join(key.columns)})"
        message = f"{named}: {plural(count, 'row')} have keys that differ only on the source, by"
        message += " what is left out or replaced, or by how a value is written"
        yield Problem(str(found.name), message, "correct them on the source")


def _rows(one: SourceTable) -> sql.Composable:
    if one.selected is None:
        return table(one.name)
    return part("(select * from {})", rows_of(one.name, one.selected))


def _refers_to_none(
    session: Session,
    child: SourceTable,
    parent: SourceTable,
    columns: Sequence[SourceColumn],
    referred: Sequence[SourceColumn],
    alike: Sequence[sql.Composable],
) -> bool:
    """Whether a key of the child is missing in the parent. Each key is looked up once, however many
    rows have it: the server reads only the first entry of each from an index."""
    given: list[sql.Composable] = [part("{} is not null", Quoted(one.name)) for one in columns]
    if len(columns) == 1 and (
        beyond := beyond_runs(session, child, parent, (columns[0], referred[0]))
    ):
        given.append(beyond)
    query = part(
        "select 1 from (select distinct {columns} from {child} as d where {given}) as c"
        " where not exists (select 1 from {parent} as p where {alike}) limit 1",
        columns=listed(Quoted(one.name) for one in columns),
        child=_rows(child),
        parent=_rows(parent),
        given=listed(given, " and "),
        alike=listed(alike, " and "),
    )
    return bool(session.run(query))


def _column(found: SourceTable, name: str) -> SourceColumn:
    return next(one for one in found.columns if one.name == name)


def _is_sure(ours: SourceColumn, theirs: SourceColumn) -> bool:
    """Whether values that are equal on the source are also equal on the target."""
    return not ours.collation or (ours.type.startswith("enum") and theirs.type.startswith("enum"))


def _same(ours: SourceColumn, theirs: SourceColumn) -> sql.Composable:
    """Compare bytes, even if the collation is exact: it may ignore trailing blanks."""
    return part("{} = {}", _bytes("p", theirs), _bytes("c", ours))


def _bytes(alias: str, column: SourceColumn) -> sql.Composable:
    value = part("{}", Quoted(alias, column.name))
    if charset_of(column.collation) not in ("utf8mb4", "binary"):
        value = part("convert({} using utf8mb4)", value)
    return part("cast({} as binary)", value)
