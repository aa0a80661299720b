"""Tables, indexes and views as SQLite's statements. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg import sql

from windlass.engines.converting.defaults import Call, call_of
from windlass.engines.destination import Lost
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.conversion import ConversionPlan, DraftColumn, Made, TableDraft
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import Check, ForeignKey, Index, Sort

MAIN = "main"
_RESERVED = ("sqlite_", "_windlass_")


def name_problem(name: str) -> str:
    for one in _RESERVED:
        if name.lower().startswith(one):
            return f"names that begin with {one} are not free in SQLite"
    return "a name without characters" if not name else ""


def create(draft: TableDraft) -> str:
    alias = _alias(draft)
    parts = [_column(one, is_alias=one.plan.target == alias) for one in draft.columns]
    if draft.primary_key is not None and not alias:
        key = listed(map(names, draft.primary_key.columns))
        parts.append(sql.SQL("constraint {} primary key ({})").format(
            names(draft.primary_key.name), key))  # fmt: skip
    parts += map(_check, draft.checks)
    parts += map(_foreign_key, draft.foreign_keys)
    return statement(
        "create table {table} (\n  {parts}\n) strict",
        table=names(draft.name.name),
        parts=listed(parts, ",\n  "),
    )


def _alias(draft: TableDraft) -> str:
    """The column that is the rowid: a primary key of one INTEGER column."""
    key = draft.primary_key.columns if draft.primary_key is not None else ()
    if len(key) != 1:
        return ""
    column = draft.column(key[0])
    return key[0] if column.plan.type == "INTEGER" and not column.generated else ""


def fitted(draft: TableDraft) -> tuple[TableDraft, Lost]:
    """A table as SQLite can have it, and what is lost. One column counts up, by one."""
    lost = []
    able = _alias(draft)
    columns = []
    for one in draft.columns:
        if one.counts_up and one.increment != 1:
            by = f"column {one.plan.target} counts up by 1, not by {one.increment}"
            lost.append((by, LossClass.BEHAVIOUR))
        if one.counts_up and one.plan.target != able:
            message = (
                f"column {one.plan.target} does not count up: only an INTEGER that is the primary"
                " key does in SQLite"
            )
            lost.append((message, LossClass.BEHAVIOUR))
        columns.append(replace(one, increment=1))
    return replace(draft, columns=tuple(columns)), lost


def definitions(plan: ConversionPlan) -> Mapping[str, str]:
    """What a plan makes, as SQLite keeps it."""
    found = {one.target.name: _kept(one.create) for one in plan.tables}
    found |= {one.target.name: one.statement for one in plan.views}
    return found | {one.name: one.statement for table in plan.tables for one in table.indexes}


def _kept(create: str) -> str:
    return re.sub(r"^create table", "CREATE TABLE", create)


def drops(plan: ConversionPlan) -> Iterator[str]:
    """The tables and views of a plan that exist."""
    for view in reversed(plan.views):
        yield statement("drop view if exists {v}", v=names(view.target.name))
    for table in reversed(plan.tables):
        yield statement("drop table if exists {t}", t=names(table.target.name))


def _column(column: DraftColumn, *, is_alias: bool) -> sql.Composable:
    plan = column.plan
    name = names(plan.target)
    parts: list[sql.Composable] = [name, verbatim(plan.type)]
    if is_alias:
        parts.append(verbatim("primary key"))
        if column.counts_up:
            parts.append(verbatim("autoincrement"))
    elif plan.not_null:
        parts.append(verbatim("not null"))
    if plan.carried.collation:
        parts.append(verbatim(f"collate {plan.carried.collation}"))
    if column.generated:
        kind = "stored" if column.is_stored else "virtual"
        made = [
            verbatim("generated always as ("),
            verbatim(column.generated),
            verbatim(f") {kind}"),
        ]
        parts.append(sql.Composed(made))
    elif column.default:
        made = [verbatim("default ("), verbatim(column.default), verbatim(")")]
        parts.append(sql.Composed(made))
    if plan.carried.check:
        parts.append(sql.SQL("check ({})").format(verbatim(plan.carried.check).format(name)))
    return listed(parts, " ")


def _check(check: Check) -> sql.Composable:
    return sql.Composed(
        [sql.SQL("constraint {} check (").format(names(check.name)), verbatim(check.expression),
         sql.SQL(")")]
    )  # fmt: skip


def _foreign_key(key: ForeignKey) -> sql.Composable:
    made = sql.SQL(
        "constraint {name} foreign key ({columns}) references {table} ({referred})"
        " on update {update} on delete {delete}{deferred}"
    )
    deferred = ""
    if key.is_deferrable:
        deferred = f" deferrable initially {'deferred' if key.is_deferred else 'immediate'}"
    return made.format(
        name=names(key.name),
        columns=listed(map(names, key.columns)),
        table=names(key.refers_to.name),
        referred=listed(map(names, key.referred)),
        update=verbatim(key.on_update.lower()),
        delete=verbatim(key.on_delete.lower()),
        deferred=verbatim(deferred),
    )


def index(table: Name, one: Index) -> Made:
    parts: list[sql.Composable] = []
    for part in one.parts:
        made: list[sql.Composable] = (
            [names(part.column)]
            if part.column
            else [verbatim("("), verbatim(part.expression), verbatim(")")]
        )
        parts.append(sql.Composed([*made, *([verbatim(" desc")] if part.descends else [])]))
    where: list[sql.Composable] = []
    if one.where:
        where = [verbatim(" where "), verbatim(one.where)]
    text = sql.Composed(
        [
            verbatim("create unique index " if one.is_unique else "create index "),
            names(one.name),
            sql.SQL(" on {} (").format(names(table.name)),
            listed(parts),
            verbatim(")"),
            *where,
        ]
    )
    return Made(one.name, "index", text.as_string(None), is_unique=one.is_unique)


def view(name: Name, columns: Sequence[str], query: str) -> str:
    head = sql.SQL("create view {} ({}) as ").format(names(name.name), listed(map(names, columns)))
    return sql.Composed([head, verbatim(query)]).as_string(None)


def literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case float():
            if math.isinf(value):
                return "9e999" if value > 0 else "-9e999"
            return repr(value)
        case bytes():
            return f"x'{value.hex()}'"
    return "'{}'".format(str(value).replace("'", "''"))


def insert(table: Name, columns: Sequence[str]) -> str:
    return statement(
        "insert into {table} ({columns}) values ({values})",
        table=names(MAIN, table.name),
        columns=listed(map(names, columns)),
        values=listed([verbatim("?")] * len(columns)),
    )


_NOW = {
    "timestamptz": "strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')",
    "timestamp": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "date": "date('now')",
    "time": "strftime('%H:%M:%f000', 'now')",
}
_UUID = (Call.RANDOM_UUID, Call.RANDOM_UUID_AS_TEXT)
# a UUID of version 4: https://www.rfc-editor.org/rfc/rfc9562#section-5.4
_RANDOM = (
    "lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4'"
    " || substr(lower(hex(randomblob(2))), 2) || '-'"
    " || substr('89ab', abs(random()) % 4 + 1, 1) || substr(lower(hex(randomblob(2))), 2)"
    " || '-' || lower(hex(randomblob(6)))"
)


def default(text: str, base: str, sort: Sort) -> str | None:
    """A default that calls a function with a counterpart: for the current time in UTC, or a random
    UUID."""
    call = call_of(text)
    if sort is not Sort.TEXT:
        return None
    if base in _NOW and call is Call.NOW:
        return _NOW[base]
    if base in ("uuid", "text", "varchar") and call in _UUID:
        return _RANDOM
    return None
