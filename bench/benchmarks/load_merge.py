"""New versions of a tenth of a table's rows, merged: by Windlass, dlt, Django and by hand, in turn.

Each begins with the same table and the same indexes, and gets the same file. At the end every row
of the table is compared with what it has to be. Slow peers get a tenth of the file, and what takes
longer than starting is multiplied by ten.
"""

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql

from bench.data import psql
from bench.loading import COLUMNS, Loader, make_files, run_loader, run_sql, scaled, to_csv
from bench.measure import RunFailed
from bench.peers import DLT
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns

log = logging.getLogger(__name__)

_MERGE = 'windlass load "{}" --target "$TARGET" --into public.events --load merge --key id -q'
WINDLASS = Loader("windlass", "windlass load, merge", _MERGE.format("$SHARE.csv"))
UNCHANGED = Loader(
    "unchanged", "windlass load, merge of equal rows", _MERGE.format("$FILES/equal.csv")
)
BY_HAND = Loader(
    "by-hand",
    "psql, COPY and one UPDATE",
    'psql -qX -v ON_ERROR_STOP=1 "$TARGET" -c "create unlogged table staged (like events)"'
    ' -c "\\copy staged from \'$SHARE.csv\' (format csv, header)" -c "analyze staged"'
    ' -c "update events t set happened_at = s.happened_at, account_id = s.account_id,'
    " kind = s.kind, amount = s.amount, details = s.details, billed = s.billed, score = s.score,"
    ' token = s.token from staged s where s.id = t.id" -c "drop table staged"',
)
_DLT = '"$PEERS" "$PROGRAMS/dlt_rows.py" "$TARGET" "$SHARE.csv" {}'
UPSERT = Loader("dlt-upsert", f"dlt {DLT}, upsert", _DLT.format("upsert"))
DELETE_INSERT = Loader(
    "dlt-delete-insert", f"dlt {DLT}, delete-insert", _DLT.format("delete-insert")
)
INSERTS = Loader(
    "dlt-inserts", f"dlt {DLT}, upsert, its default loader", _DLT.format("upsert insert_values")
)
_DJANGO = 'python "$PROGRAMS/django_rows.py" "$TARGET" "{}.csv" {}'
CREATE = Loader(
    "bulk-create",
    "Django, bulk_create(update_conflicts=True)",
    _DJANGO.format("$SHARE", "create"),
    scaled=True,
)
UPDATE = Loader(
    "bulk-update", "Django, bulk_update", _DJANGO.format("$SHARE", "update"), scaled=True
)
LOADERS = (WINDLASS, UNCHANGED, BY_HAND, UPSERT, DELETE_INSERT, INSERTS, CREATE, UPDATE)
STARTING = Loader("starting", "Django, without rows", _DJANGO.format("$FILES/none", "create"))

GOALS = (
    ratio(UPSERT.name, WINDLASS.name, Metric.SECONDS, at_least=3.0),
    ratio(DELETE_INSERT.name, WINDLASS.name, Metric.SECONDS, at_least=3.0),
    ratio(CREATE.name, WINDLASS.name, Metric.SECONDS, at_least=20.0),
    ratio(UPDATE.name, WINDLASS.name, Metric.SECONDS, at_least=30.0),
    Goal(subject=UNCHANGED.name, metric=Metric.DEAD_ROWS, at_most=0),
    ratio(UNCHANGED.name, WINDLASS.name, Metric.SECONDS, at_most=0.5),
)
BEFORE, BEFORE_DLT, TARGET = "before", "before_dlt", "target"

MAKE_FILES = "\n".join(
    (
        to_csv("all.csv", "changes"),
        to_csv("tenth.csv", "changes", "id % 100 = 0"),
        to_csv("none.csv", "changes", "id = 0"),
        to_csv("equal.csv", "original", "id % 10 = 0"),
    )
)
IN_DLT = """
create unique index on peer.events (id);
create index on peer.events (happened_at);
create index on peer.events (account_id, kind);
alter table peer.events set (autovacuum_enabled = off);
"""


@dataclass(frozen=True, slots=True)
class Merging:
    """The server with the databases that merges start from, and the files."""

    server: Server
    files: Path
    setup: Setup

    @property
    def pipelines(self) -> Path:
        """What dlt knows of its tables, as in the database `before_dlt`."""
        return self.setup.folder / "pipelines"

    def prepare(self, rows: int) -> None:
        fill = psql("events.sql", rows=rows) + "\n" + psql("load_merge.sql")
        analyze = 'vacuumdb -q --analyze "$SOURCE"'
        self.server.make_empty(BEFORE)
        run_sql(self.server, BEFORE, f"{fill}\n{analyze}\n{MAKE_FILES}", self.setup, self.files)
        self._copy(BEFORE, BEFORE_DLT)
        self._prepare_dlt()

    def _prepare_dlt(self) -> None:
        """A first load of dlt makes its tables; then they get all of the rows."""
        first = replace(
            UPSERT, script=_DLT.format("upsert") + f'\nmv "$PIPELINES" {self.pipelines}'
        )
        run_loader(first, self.server.url(BEFORE_DLT), self.files, self.setup)
        with self.server.connect(BEFORE_DLT) as connection:
            connection.execute("truncate peer.events")
            found = connection.execute(
                "select column_name from information_schema.columns"
                " where (table_schema, table_name) = ('peer', 'events')"
                " and column_name like '%\\_dlt\\_%'"
            ).fetchall()
            more = [str(name) for (name,) in found]
            connection.execute(
                sql.SQL("insert into peer.events ({}) select {} from original").format(
                    sql.SQL(", ").join(map(sql.Identifier, [*COLUMNS, *more])),
                    sql.SQL(", ").join(
                        [*map(sql.Identifier, COLUMNS), *[sql.SQL("'r' || id")] * len(more)]
                    ),
                )
            )
            connection.execute(IN_DLT)
            connection.execute("drop table events")
            connection.execute("vacuum analyze peer.events")

    def run(self, one: Loader) -> Figures:
        """Raises:
        RunFailed: it failed, or a row is not what it has to be.
        """
        is_dlt = "$PEERS" in one.script
        self._copy(BEFORE_DLT if is_dlt else BEFORE, TARGET)
        script = f'cp -r {self.pipelines} "$PIPELINES"\n{one.script}' if is_dlt else one.script
        figures = run_loader(
            replace(one, script=script), self.server.url(TARGET), self.files, self.setup
        )
        if one.scaled:
            starting = run_loader(STARTING, self.server.url(TARGET), self.files, self.setup)
            figures = scaled(figures, starting)
        table = "peer.events" if is_dlt else "public.events"
        figures[Metric.DEAD_ROWS] = self._dead(table)
        if wrong := self._wrong(one, table):
            raise RunFailed(f"{one.name}: {wrong} rows are not what they have to be")
        return figures

    def _copy(self, template: str, database: str) -> None:
        self.server.drop(database)
        with self.server.connect() as connection:
            connection.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(database), sql.Identifier(template)
                )
            )
        self.server.checkpoint()

    def _dead(self, table: str) -> float:
        with self.server.connect(TARGET) as connection:
            query = "select dead_tuple_count from pgstattuple(%s)"
            ((dead,),) = connection.execute(query, (table,)).fetchall()
        return float(dead)

    def _wrong(self, one: Loader, table: str) -> int:
        """How many rows differ from the original with the changes."""
        schema, _, name = table.partition(".")
        every = 0 if one is UNCHANGED else 10 * one.of
        with self.server.connect(TARGET) as connection:
            ((wrong,),) = connection.execute(
                COMPARED.format(table=sql.Identifier(schema, name), every=sql.Literal(every))
            ).fetchall()
        return int(wrong)


COMPARED = sql.SQL(
    "with changed as (select * from changes where id % nullif({every}, 0) = 0),"
    " expected as (select * from changed union all select * from original o"
    " where not exists (select from changed c where c.id = o.id))"
    " select count(*) from expected e full join {table} t using (id)"
    " where e.kind is null or t.kind is null or"
    " row(e.happened_at, e.account_id, e.kind, e.amount, e.details, e.billed, e.score, e.token)"
    " is distinct from row(t.happened_at, t.account_id, t.kind, t.amount, t.details::jsonb,"
    " t.billed, t.score, t.token::uuid)"
)


def measure_merge(setup: Setup) -> Measured:
    rows = setup.choose(5_000_000, 20_000)
    with running(setup.folder / "server", setup.programs) as server:
        merging = Merging(server, make_files(setup.folder), setup)
        merging.prepare(rows)
        found = take_turns(LOADERS, merging.run, setup.repeat)
        shutil.rmtree(merging.pipelines)
    cases = tuple(_titled(case) for case in found)
    data = f"`events`, {rows:,} rows with three indexes; {rows // 10:,} of them merged"
    return Measured(data=data, cases=cases, goals=judged(GOALS, cases))


def _titled(case: Case) -> Case:
    is_scaled = any(one.scaled for one in LOADERS if one.name == case.name)
    title = f"{case.title}, a tenth of the rows, times 10" if is_scaled else case.title
    return replace(case, title=title)
