"""Views that were translated: made once the rows are in, and kept if both sides show the same
rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from psycopg import sql

from windlass.engines.answers import read_type
from windlass.engines.origin import Origin
from windlass.engines.postgres.ddl import run_statements, try_statement
from windlass.engines.postgres.foreign.digests import Proven, read_digest
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import BadSpec, WindlassError
from windlass.flows.migrate.maintenance import with_losses
from windlass.flows.translate.hold import TranslateHold
from windlass.model.chunk import Whole
from windlass.model.flow import Result
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind, Loss, LossClass
from windlass.model.statement import Statement
from windlass.model.text import one_line
from windlass.model.translation import Answers, Reading, SourceTable, SourceView
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import wanted
from windlass.planning.postgres.select import is_wanted
from windlass.planning.postgres.translated.naming import folded, folded_name
from windlass.spec.migrate import Spec

VIEW = "VIEW"


class Reads(Protocol):
    """What is used of a context."""

    hold: TranslateHold

    @property
    def spec(self) -> Spec: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def origin(self) -> Origin: ...

    def sessions(self) -> Sessions: ...


def views_of(run: Reads) -> Iterator[tuple[Name, SourceView]]:
    """The source's views by their names on the target."""
    for one in run.hold.schema().views:
        name = folded_name(one.name, run.origin.schema)
        if name.schema in run.plan.schemas:
            yield target_name(name, run.plan.schemas), one


def make_view(run: Reads, statement: Statement, target: Connection) -> Result:
    """Make it, and drop it again unless its rows are the source's. Inside the caller's
    transaction."""
    if refused := try_statement(target, statement, "is not made"):
        return with_losses([Loss(refused.object, refused.message, LossClass.OBJECTS)])
    if not run.plan.how.copies_rows:
        return {}
    view = dict(views_of(run))[statement.name]
    why = unlike(run, statement.name, view, target)
    if not why:
        return {}
    drop = Statement(
        statement.id, VIEW, statement.name, statement.drop, statement.drop, statement.phase
    )
    run_statements(target, [drop])
    message = f"is not kept on the target, as {why}: {one_line(view.query)}"
    return with_losses([Loss(str(statement), message, LossClass.OBJECTS)])


def unlike(run: Reads, name: Name, view: SourceView, target: Connection) -> str:
    """What shows that a view has different rows on the two sides, in any order; empty if nothing
    does."""
    types = _types(target, name)
    columns = {folded(one): one for one in view.columns}
    if [*types] != [*columns]:
        return "it has other columns"
    words = {columns[one]: _words(type_) for one, type_ in types.items()}
    table = SourceTable(view.name, view.described)
    try:
        fit = run.origin.fit(table, Answers(words))
        if fit.problems:
            problem = fit.problems[0]
            return f"its rows cannot be compared ({problem.object}: {problem.message})"
        here = run.origin.digest(Reading(view.name, fit.fields), Whole())
        proven = Proven(name, tuple(types), fit.fields, (), run.origin.floats, trims=True)
        with target.transaction():  # a savepoint
            there = read_digest(target, proven)
    except WindlassError as error:
        if error.retryable:
            raise
        return f"its rows cannot be compared ({error})"
    if here == there:
        return ""
    if here.rows != there.rows:
        return f"it shows {there.rows:,} rows there, and {here.rows:,} on the source"
    return "it shows other values there"


def _types(target: Connection, name: Name) -> dict[str, str]:
    rows = target.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 order by attnum",
        (sql.Identifier(name.schema, name.name).as_string(None),),
    ).fetchall()
    return {str(column): str(type_) for column, type_ in rows}


def _words(type_: str) -> str:
    """The type in which values of the source are compared; text if the type is not known."""
    try:
        read_type(type_, "")
    except BadSpec:
        return "text"
    return type_


def differing_views(run: Reads) -> Iterator[Difference]:
    """Compare every view that the target has under the name of a selected view of the source."""
    target, chosen = run.sessions().target(), wanted(run.spec)
    for name, view in views_of(run):
        if not is_wanted(folded_name(view.name, run.origin.schema), chosen):
            continue
        if not _is_view(target, name):
            if LossClass.OBJECTS not in run.spec.accept:
                message = "is missing on the target"
                yield Difference(DifferenceKind.SCHEMA, f"view {name}", message, relation=str(name))
        elif why := unlike(run, name, view, target):
            message = f"differs: {why}"
            yield Difference(DifferenceKind.CONTENT, f"view {name}", message, relation=str(name))


def _is_view(target: Connection, name: Name) -> bool:
    row = target.execute(
        "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s and c.relkind in ('v', 'm')",
        (name.schema, name.name),
    ).fetchone()
    return row is not None
