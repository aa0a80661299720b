"""The steps of `translate` that `migrate` does in another way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from psycopg import sql

from windlass.aside.refilled import ROWS, take_rows
from windlass.engines.postgres.ddl import run_statements, try_statements
from windlass.engines.postgres.referrers import Referrer, count_orphans, read_referrers
from windlass.engines.postgres.session import Connection
from windlass.flows.migrate import steps as migrate
from windlass.flows.migrate.maintenance import with_losses
from windlass.flows.migrate.portions import CREATE_TABLES, IN_ORDER, SET_SEQUENCES
from windlass.flows.translate.context import Translation
from windlass.flows.translate.views import VIEW, make_view
from windlass.flows.validate.steps import reported
from windlass.model.flow import Item, Result
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.model.statement import Phase, Statement
from windlass.model.units import plural
from windlass.planning.postgres.translated.modelled import REFILLED
from windlass.planning.postgres.translated.naming import folded

CHECK = "CHECK CONSTRAINT"


def create_target_tables(run: Translation, item: Item) -> Result:
    """Like `migrate`. The tables of a Django project exist already; rows that its migrations put
    into some of them are replaced by the source's."""
    if run.spec.django and run.plan.how.copies_rows:
        names = [one.target for one in run.plan.relations if one.target.name in REFILLED]
        run.once(CREATE_TABLES, ROWS, lambda target: {"rows": take_rows(target, names)})
    return migrate.create_target_tables(run, item)


def set_sequences(run: Translation, _: Item) -> Result:
    """The next number of each column that counts up, from the source's catalog."""
    if not run.plan.how.copies_rows:
        return {}
    numbers = list(_numbers(run))

    def set_them(target: Connection) -> Result:
        done = [
            (str(name), number)
            for name, column, number in numbers
            if _set(target, name, column, number)
        ]
        return {"numbers": dict(done)}

    return run.once(SET_SEQUENCES, "", set_them)


def _numbers(run: Translation) -> Iterator[tuple[Name, str, int]]:
    tables = {one.name: one for one in run.hold.schema().tables}
    for item in run.plan.relations:
        assert item.reading is not None, "planned by another flow"
        table = tables[item.reading.table]
        for column in table.columns:
            name = _arrives_as(item, column.name)
            if name and column.counts_up and table.next_number:
                yield item.target, folded(name), table.next_number


def _arrives_as(item: RelationPlan, column: str) -> str:
    """The column that gets a column's values; empty if there is none."""
    if item.mapping is None:
        return column
    name = item.mapping.names.get(column, "")
    return "" if column in item.mapping.changed else name


def _set(target: Connection, name: Name, column: str, number: int) -> bool:
    """Set the column's sequence; returns whether it has one. Past its last value, no more values
    are given, as on the source."""
    table = sql.Identifier(name.schema, name.name).as_string(None)
    row = target.execute(
        "select pg_catalog.setval(q.seqrelid, least(n.number, q.seqmax)::bigint, number > q.seqmax)"
        " from (select %s::numeric) as n (number), pg_catalog.pg_sequence as q"
        " where q.seqrelid = pg_catalog.pg_get_serial_sequence(%s, %s)::regclass",
        (number, table, column),
    ).fetchone()
    return row is not None


def create_triggers_and_rules(run: Translation, _: Item) -> Result:
    """Create checks first: they may mean something else on the target, and one that rows violate is
    a loss. Views come last, because they must show the source's rows."""
    portions = run.portions[IN_ORDER[Phase.REST]]
    for portion in portions:
        work = partial(_rest, portion.statements)
        run.once(IN_ORDER[Phase.REST], portion.item.id, work)
    for view in [each for one in portions for each in one.statements if each.kind == VIEW]:
        run.once(IN_ORDER[Phase.REST], str(view), partial(make_view, run, view))
    return {"statements": sum(len(portion.statements) for portion in portions)}


def _rest(statements: Sequence[Statement], target: Connection) -> Result:
    checks = [one for one in statements if one.kind == CHECK]
    losses = try_statements(target, checks, "is left out, as the rows violate it")
    run_statements(target, [one for one in statements if one.kind not in (CHECK, VIEW)])
    return with_losses(losses)


def validate_schema(run: Translation, _: Item) -> Result:
    """Definitions of two engines are not compared: the plan shows what was made. Only foreign keys
    of a project's tables are checked: they existed before the rows, which were copied unchecked."""
    if not run.spec.django or not run.plan.how.copies_rows:
        return {}
    target = run.sessions().target()
    filled = {one.target for one in run.plan.relations}
    found = [
        Difference(DifferenceKind.SCHEMA, str(one), _strayed(rows, one), relation=str(one.relation))
        for one in read_referrers(target)
        if one.relation in filled and one.is_valid and (rows := count_orphans(target, one))
    ]
    return reported(found)


def _strayed(rows: int, one: Referrer) -> str:
    return f"{plural(rows, 'row')} refer{'s' if rows == 1 else ''} to no row of {one.to}"


def validate_sequences(run: Translation, _: Item) -> Result:
    return {}
