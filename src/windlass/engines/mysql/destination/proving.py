"""Tries what a plan would make, on the server in temporary tables: expressions by the values of all
rows, statements by running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from psycopg import sql

from windlass.engines.destination import Rows
from windlass.engines.mysql.destination.rows import add_rows
from windlass.engines.mysql.destination.server import Facts, Server
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.errors import number_of
from windlass.engines.mysql.quoting import Quoted, listed, part
from windlass.engines.statements import verbatim
from windlass.errors import ConnectionLost, Interrupted, WindlassError
from windlass.model.conversion import Carried, ConversionPlan, TableConversion, Tried

_SCRATCH = "_windlass_scratch"
# errors of temporary tables alone: MySQL cannot read one twice in a query
_UNTRIABLE = {1137}


class Trial:
    """See `windlass.engines.destination.Proving`."""

    def __init__(
        self, session: TargetSession, facts: Facts, columns: Sequence[str], tried: Sequence[Tried]
    ) -> None:
        self._session, self._facts, self._tried = session, facts, tried
        self._columns = [*columns, *map(_expected, range(len(tried)))]
        self._found = [0] * len(tried)

    def add(self, rows: Rows) -> None:
        add_rows(self._session, self._facts, _SCRATCH, self._columns, rows)
        for at, one in enumerate(self._tried):
            if self._found[at] < 0:
                continue
            made: sql.Composable = verbatim(one.expression)
            if not one.column and not one.is_condition:
                made = part("cast({} as char)", made)
            query = part(
                "select count(*) from {} where not ({}) <=> {}",
                Quoted(_SCRATCH), sql.Composed([made]), Quoted(_expected(at)),
            )  # fmt: skip
            try:
                self._found[at] += int(self._session.one(query)[0] or 0)
            except (ConnectionLost, Interrupted):
                raise
            except WindlassError:
                self._found[at] = -1
        self._session.run(part("delete from {}", Quoted(_SCRATCH)))

    def wrong(self) -> Sequence[int]:
        return self._found


def _expected(at: int) -> str:
    return f"windlass_expected_{at}"


@contextmanager
def proving(
    server: Server, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
) -> Iterator[Trial]:
    """Columns have their types and collations, so they compare as they will on the target."""
    facts = server.facts
    kinds = dict(columns)
    parts = [_column(name, carried) for name, carried in columns]
    for at, one in enumerate(tried):
        carried = kinds.get(one.column) or one.carried
        if carried is not None and one.column:
            parts.append(_column(_expected(at), carried))
        elif one.is_condition:
            parts.append(part("{} int null", Quoted(_expected(at))))
        else:
            text = verbatim(f"longtext collate {facts.collation} null")
            parts.append(part("{} {}", Quoted(_expected(at)), text))
    with server.session() as session:
        session.run(part("drop temporary table if exists {}", Quoted(_SCRATCH)))
        session.run(
            part(
                "create temporary table {} ({}) engine = InnoDB default character set utf8mb4"
                " collate {}",
                Quoted(_SCRATCH), listed(parts), verbatim(facts.collation),
            )
        )  # fmt: skip
        try:
            yield Trial(session, facts, [name for name, _ in columns], tried)
        finally:
            with suppress(WindlassError):
                session.run(part("drop temporary table if exists {}", Quoted(_SCRATCH)))


def _column(name: str, carried: Carried) -> sql.Composable:
    collation = f" collate {carried.collation}" if carried.collation else ""
    return part("{} {} null", Quoted(name), verbatim(f"{carried.type}{collation}"))


def try_plan(server: Server, plan: ConversionPlan) -> Mapping[str, str]:
    """What could not be made, by name, and why. Foreign keys need permanent tables, and are not
    tried."""
    found: dict[str, str] = {}
    made: list[TableConversion] = []
    with server.session() as session:
        try:
            for table in plan.tables:
                text = table.create.replace("create table", "create temporary table", 1)
                _try(session, str(table.target), text, found)
                if str(table.target) in found:
                    continue
                made.append(table)
                for one in table.indexes:
                    _try(session, f"{table.target} {one.name}", one.statement, found)
            for view in plan.views:
                query = view.statement[view.statement.index(") as ") + 5 :]
                tried = part("select * from ({}) as windlass_tried limit 0", verbatim(query))
                _try(session, str(view.target), tried, found)
        finally:
            with suppress(WindlassError):
                for table in made:
                    session.run(
                        part("drop temporary table if exists {}", Quoted(table.target.name))
                    )
    return found


def _try(
    session: TargetSession, name: str, text: str | sql.Composable, found: dict[str, str]
) -> None:
    try:
        session.run(text)
    except (ConnectionLost, Interrupted):
        raise
    except WindlassError as error:
        if number_of(error.__cause__ or error) not in _UNTRIABLE:
            found[name] = str(error).removeprefix(f"{session.place}: {session.doing}: ")
