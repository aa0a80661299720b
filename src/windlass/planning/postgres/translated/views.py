"""Views of another engine in PostgreSQL's SQL, in an order in which they can be created. Each is
tried on the target, and rolled back. Whether it means the same is shown by its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from windlass.engines.postgres.foreign.types import type_name
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Plan
from windlass.model.relation import Column, Kind, Name
from windlass.model.report import Loss, LossClass
from windlass.model.statement import Phase
from windlass.model.text import one_line
from windlass.model.translation import Sort, SourceView, Type
from windlass.planning.postgres.translated.archive import Archive, Fitted, of, quoted
from windlass.planning.postgres.translated.known import Known
from windlass.planning.postgres.translated.meaning import parsed, settle
from windlass.planning.postgres.translated.naming import folded, folded_name

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Query:
    """A view's query with names of the target, without schemas; and the names, in lower case, of
    what it reads."""

    tree: Any
    reads: frozenset[str]
    unlike: str = ""  # a part of it that would mean something else

    def text(self, schemas: Mapping[str, str]) -> str:
        """The query with the schemas of what it reads."""
        from sqlglot import ErrorLevel, exp

        tree = self.tree.copy()
        for table in _read_tables(tree):
            if schema := schemas.get(table.name):
                table.set("db", exp.to_identifier(schema, quoted=True))
        return str(tree.sql(dialect="postgres", pretty=True, unsupported_level=ErrorLevel.IGNORE))


def translated_query(text: str, dialect: str, tables: Collection[Fitted]) -> Query | None:
    """The query, translated; None if it cannot be read."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = parsed(text, dialect)
    except SqlglotError:
        return None
    if not isinstance(tree, exp.Query):
        return None
    for column in tree.find_all(exp.Column):
        column.set("db", None)
        column.set("catalog", None)
    for table in tree.find_all(exp.Table):
        table.set("db", None)
        table.set("catalog", None)
    for name in tree.find_all(exp.Identifier):
        name.set("this", folded(name.name))
        name.set("quoted", True)
    reads = frozenset(one.name for one in _read_tables(tree))
    types = _types([one for one in tables if one.name.name in reads])
    _adapt(tree, dialect, types)
    ignores = any(field.type.ignores_case for one in tables for field in one.fit.fields)
    tree, unlike = settle(tree, dialect, _known(tree, types, ignores))
    return Query(tree, reads, unlike)


def _known(tree: exp.Expr, types: Mapping[str, Type], ignores: bool) -> Known:
    """With the names that subqueries give: they hide columns of tables."""
    from sqlglot import exp

    if len(list(tree.find_all(exp.Select))) < 2:
        return Known(types, some_ignore_case=ignores)
    given = [one for one in tree.find_all(exp.Alias) if one.unalias().name != one.alias]
    hidden = {one.alias for one in given}
    hidden |= {name.name for one in tree.find_all(exp.TableAlias) for name in one.columns}
    left = Known({name: one for name, one in types.items() if name not in hidden})
    texts = {one.alias for one in given if left.is_text(one) is not False}
    columns = {name.name for one in tree.find_all(exp.TableAlias) for name in one.columns}
    return Known(left.types, (), hidden - texts - columns, ignores)


def _read_tables(tree: exp.Expr) -> list[exp.Table]:
    """Tables of the query that no WITH defines."""
    from sqlglot import exp

    own = {one.alias_or_name for one in tree.find_all(exp.CTE)}
    return [one for one in tree.find_all(exp.Table) if one.name and one.name not in own]


def _types(tables: Collection[Fitted]) -> dict[str, Type]:
    """Of the columns that are of one kind in every table that has them."""
    found: dict[str, list[Type]] = {}
    for one in tables:
        for field in one.fit.fields:
            found.setdefault(folded(field.name), []).append(field.type)
    return {
        name: all_[0]
        for name, all_ in found.items()
        if len({(one.sort, one.ignores_case, one.bits) for one in all_}) == 1
    }


def _adapt(tree: exp.Expr, dialect: str, types: Mapping[str, Type]) -> None:
    """Replace functions and operators that mean something else in PostgreSQL."""
    from sqlglot import exp

    from windlass.planning.postgres.translated.expressions import (
        change_case_of_ascii,
        compare_as_boolean,
    )

    for column in list(tree.find_all(exp.Column)):
        if column.name in types and types[column.name].sort is Sort.BOOLEAN:
            compare_as_boolean(column)
    if dialect == "duckdb":
        for call in list(tree.find_all(exp.Anonymous)):  # as DuckDB writes count(*)
            if str(call.this).lower() == "count_star":
                call.replace(exp.Count(this=exp.Star()))
    if dialect == "sqlite":
        change_case_of_ascii(tree)
    if dialect not in ("sqlite", "duckdb"):
        return
    for mean in list(tree.find_all(exp.Avg)):  # always a floating-point number in the source
        mean.set("this", exp.cast(mean.this.copy(), "double"))


def add_views(
    archive: Archive,
    views: Sequence[SourceView],
    tables: Sequence[Fitted],
    ids: Mapping[Name, int],
    default: str,
) -> None:
    """A view comes after those that it reads. One that cannot be made is a loss, with its text."""
    adding = _Adding(archive, tables, ids, default)
    left = list(views)
    while left:
        ready = [one for one in left if adding.is_ready(one, left)]
        for one in ready or left:
            adding.add(one)
        left = [one for one in left if one not in ready] if ready else []


class _Adding:
    def __init__(
        self,
        archive: Archive,
        tables: Sequence[Fitted],
        ids: Mapping[Name, int],
        default: str,
    ) -> None:
        self._archive, self._tables, self._default = archive, tables, default
        # the rows of a mapped table differ, so a view over it could not be proven
        self._mapped = {folded(one.table.name.name) for one in tables if one.table.mapping}
        tables = [one for one in tables if one.table.mapping is None]
        self._ids = {one.name.name: ids[one.table.name] for one in tables}
        self._scripts = {one.name.name: [_trial_table(one)] for one in tables}
        self._schemas = {one.name.name: one.name.schema for one in tables}
        self._queries: dict[Name, Query | None] = {}

    def is_ready(self, view: SourceView, left: Collection[SourceView]) -> bool:
        others = {folded(one.name.name) for one in left if one is not view}
        query = self._query(view)
        return query is None or not query.reads & others

    def _query(self, view: SourceView) -> Query | None:
        if view.name not in self._queries:
            found = translated_query(view.query, self._archive.dialect, self._tables)
            self._queries[view.name] = found
        return self._queries[view.name]

    def add(self, view: SourceView) -> None:
        query = self._query(view)
        if query is None:
            self._lose(view, "its query cannot be read")
            return
        if query.unlike:
            self._lose(view, f"{query.unlike} would mean something else there")
            return
        if unknown := sorted(query.reads - self._schemas.keys()):
            how = "mapped" if self._mapped.issuperset(unknown) else "not migrated"
            self._lose(view, f"it reads {', '.join(unknown)}, which is {how}")
            return
        name = folded_name(view.name, self._default)
        columns = ", ".join(quoted(folded(one)) for one in view.columns)
        trial = f"CREATE TEMP VIEW {quoted(name.name)} ({columns}) AS {query.text({})}"
        needed = dict.fromkeys(line for one in sorted(query.reads) for line in self._scripts[one])
        script = [*needed, trial]
        refused = self._archive.trials.try_out(["; ".join(script)])
        if refused:
            (why,) = refused.values()
            self._lose(view, f"the target refuses it: {why}")
            return
        self._ids[name.name] = self._archive.add(
            "VIEW",
            name,
            f"CREATE VIEW {of(name)} ({columns}) AS\n{query.text(self._schemas)}",
            f"DROP VIEW {of(name)}",
            depends_on=[self._ids[one] for one in sorted(query.reads)],
        )
        self._scripts[name.name], self._schemas[name.name] = script, name.schema
        self._archive.views[view.name] = name
        self._archive.losses += view.lost

    def _lose(self, view: SourceView, why: str) -> None:
        message = f"is not made on the target, as {why}: {one_line(view.query)}"
        self._archive.losses.append(Loss(f"view {view.name}", message, LossClass.OBJECTS))


def _trial_table(one: Fitted) -> str:
    columns = ", ".join(
        f"{quoted(folded(each.name))} {type_name(one.field(each.name).type)}"
        for each in one.table.columns
    )
    return f"CREATE TEMP TABLE {quoted(one.name.name)} ({columns})"


def relations_of(archive: Archive, views: Sequence[SourceView]) -> list[CatalogRelation]:
    """The views that will be created, as the catalog would show them."""
    return [
        CatalogRelation(
            name=archive.views[one.name],
            kind=Kind.VIEW,
            columns=tuple(Column(name=folded(each), type="text") for each in one.columns),
            identity=f"view {one.name}",
        )
        for one in views
        if one.name in archive.views
    ]


def after_rows(plan: Plan) -> Plan:
    """The plan with views created after the rows, which must prove them."""
    statements = tuple(
        replace(one, phase=Phase.REST) if one.kind == "VIEW" else one for one in plan.statements
    )
    return replace(plan, statements=statements)
