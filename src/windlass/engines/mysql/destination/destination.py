"""A database of MySQL or MariaDB that a PostgreSQL database is migrated into. See
`windlass.engines.destination.Destination`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

from windlass.engines.converting.expressions import is_constant
from windlass.engines.converting.lacking import lacking
from windlass.engines.destination import CHUNK, Columns, Destination, Lost, Note, Rows, Session
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.destination import asides, carrying, proof, proving, statements
from windlass.engines.mysql.destination.expressions import TRANSLATOR
from windlass.engines.mysql.destination.journal import Journal
from windlass.engines.mysql.destination.rows import add_rows
from windlass.engines.mysql.destination.server import Server
from windlass.engines.mysql.destination.undoing import Undoing
from windlass.engines.mysql.destination.writing import Writing
from windlass.engines.mysql.quoting import Quoted, Text, Whole, listed, part
from windlass.errors import ConnectionLost, Interrupted, Refused, WindlassError
from windlass.model.conversion import (
    Carried,
    ConversionPlan,
    Made,
    PgColumn,
    Replacing,
    Standing,
    TableConversion,
    TableDraft,
    Tried,
    ViewConversion,
    chunk_ids,
)
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.translation import Digest, Index, Row


class MysqlDestination:
    has_schemas = False
    has_comments = True
    enforces_keys = False
    writes_beside = True
    floats = "digits"
    is_doubtful = False  # after a crash, commits are recovered in order

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL cannot be understood.
        """
        address = read_address(url, "target")
        self._server = Server(address)
        self._journal = Journal(self._server)
        self._writing = Writing(self._server, self._journal)
        self._keys: frozenset[str] = frozenset()  # names of foreign keys, in lower case
        self.engine = "MariaDB" if url.lower().startswith("mariadb") else "MySQL"
        self.place = f"{self.engine} {self._server.place}"
        self.identity = f"mysql:{address.place}/{address.database}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._server.close()

    # what it would be made of

    def same(self, name: str) -> str:
        return name.lower()

    def quoted(self, name: str) -> str:
        return Quoted(name).as_string(None)

    def named(self, source: Name, schemas: Mapping[str, str]) -> Name:
        return Name(self._server.database, source.name)

    def name_problem(self, name: str) -> str:
        return statements.name_problem(name)

    def carry(self, column: PgColumn, answer: str) -> Carried | str:
        return carrying.carry(column, answer, self._server.facts)

    def translated(self, text: str, columns: Columns) -> str | None:
        return TRANSLATOR.translated(text, columns)

    def default(self, text: str, column: PgColumn, carried: Carried) -> str | None:
        return statements.default(text, column.type.base, carried.type, self._server.facts)

    def is_constant(self, text: str, carried: Carried) -> bool:
        return is_constant(text, carried.enum)

    def literal(self, value: Any, carried: Carried) -> str:
        return statements.default_literal(value)

    def counts_up(self, carried: Carried, *, is_key: bool) -> bool:
        return is_key and statements.can_count(carried.type)

    def fitted(
        self, draft: TableDraft, known: Mapping[Name, TableDraft]
    ) -> tuple[TableDraft, Lost]:
        return statements.fitted(draft, known)

    def create(self, draft: TableDraft) -> str:
        return statements.create(draft, self._server.facts)

    def beside(self, draft: TableDraft) -> tuple[Sequence[Made], Sequence[Made]]:
        return (), ()

    def late_key(self, draft: TableDraft) -> Made | None:
        """Always None: InnoDB keeps rows in the order of it."""
        return None

    def foreign_keys(self, draft: TableDraft) -> Sequence[Made]:
        return statements.foreign_keys(draft, self._keys)

    def index(self, draft: TableDraft, index: Index) -> Made | str:
        return statements.index(draft, index, self._server.facts)

    def view(
        self,
        name: Name,
        columns: Sequence[str],
        query: str,
        tables: Mapping[Name, Columns],
        names: Mapping[Name, Name],
    ) -> str | None:
        paths = {one: (names[one].name,) for one in tables}
        made = TRANSLATOR.translated_query(query, tables, paths)
        return None if made is None else statements.view(name, columns, made)

    def proving(
        self, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> AbstractContextManager[proving.Trial]:
        return proving.proving(self._server, columns, tried)

    def tried(self, plan: ConversionPlan) -> Mapping[str, str]:
        return proving.try_plan(self._server, plan)

    # the target

    def replacing(self, run: str, names: Collection[Name], standing: Standing) -> Replacing:
        wanted = {self.same(one.name) for one in names}
        with self._server.session() as session:
            return asides.replacing(self._server, session, run, wanted, standing)

    def set_aside(self, session: Any, run: str, plan: ConversionPlan) -> None:
        asides.asides_of(self._server, self._journal, run, plan).set_aside(session.session)

    def kept(self, run: str, plan: ConversionPlan) -> Sequence[str]:
        if not plan.set_aside:
            return []
        with self._server.session() as session:
            found = asides.asides_of(self._server, self._journal, run, plan).kept(session)
        return [one.aside for one in found]

    def clean(self, run: str, plan: ConversionPlan) -> None:
        with self._server.working(run), self._server.session() as session:
            asides.asides_of(self._server, self._journal, run, plan).drop(session)
            with session.transaction():
                self._journal.forget(session, run)

    def notices(self) -> Sequence[str]:
        facts = self._server.facts
        how = "rows go in by LOAD DATA LOCAL"
        if not facts.loads:
            how = "rows go in by INSERT, many at once, which takes longer: the server does not"
            how += " allow LOAD DATA LOCAL (local_infile is off)"
        return [
            f"{facts.engine} {facts.version}: {how}",
            "a definition commits by itself there: others see tables of an unfinished run",
        ]

    def standing(self) -> Standing:
        with self._server.session() as session:
            query = part(
                "select table_name from information_schema.tables where table_schema = {}",
                Text(self._server.database),
            )
            names = frozenset(self.same((one or b"").decode()) for (one,) in session.run(query))
            rights = self._server.missing_rights(session)
            self._keys = self._server.keys(session)
        facts = self._server.facts
        self.engine = facts.engine
        problems = [Problem("target", facts.problem)] if facts.problem else []
        if rights:  # without them nothing can be tried
            name, listed_ = facts.user.rpartition("@")[0], ", ".join(rights)
            hint = "grant the user ALL PRIVILEGES on the database"
            problems.append(Problem("target", f"{name} lacks rights on it: {listed_}", hint))
        if problems:
            raise Refused(problems)
        return Standing(False, names)

    def runs(self) -> Sequence[LoadRun]:
        with self._server.session() as session:
            return self._journal.runs(session)

    def read(self, run: str) -> LoadRun | None:
        with self._server.session() as session:
            return self._journal.read(session, run)

    def is_active(self, run: str) -> bool:
        return self._server.is_worked_on

    def working(self, run: str) -> AbstractContextManager[None]:
        return self._server.working(run)

    def begin(self, run: LoadRun, *, is_new: bool) -> LoadRun:
        return self._writing.begin(run)

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        return self._writing.once(run, step, item, work)

    def insert(self, session: Any, table: TableConversion, rows: Rows) -> None:
        columns = [one.target for one in table.columns if not one.is_generated]
        add_rows(session.session, self._server.facts, table.target.name, columns, rows)

    def clear(self, run: str, table: TableConversion, snapshot: int) -> None:
        def delete(making: Any) -> Note:
            making.session.run(part("delete from {}", Quoted(table.target.name)))
            self._journal.forget_lines(making.session, run, CHUNK, chunk_ids(table))
            return {}

        self._writing.once(run, "clear_table", f"{table.source} {snapshot}", delete)

    def inserted(self, session: Any, table: TableConversion) -> None:
        """Nothing is left to do."""

    def build(self, session: Session, table: TableConversion, made: Made) -> None:
        session.execute(made.statement)

    def broken(
        self, session: Any, tables: Sequence[TableConversion]
    ) -> Iterable[tuple[str, str, int]]:
        by_name = {one.target.name: one for one in tables}
        for table in tables:
            for child, parent in statements.referring(table.keys):
                if count := self._orphans(session.session, table, child, parent):
                    there = by_name.get(parent[0])
                    yield str(table.source), str(there.source if there else parent[0]), count

    def _orphans(
        self,
        session: Any,
        table: TableConversion,
        columns: Sequence[str],
        parent: tuple[str, Sequence[str]],
    ) -> int:
        pairs = zip(columns, parent[1], strict=True)
        same = [part("p.{} = c.{}", Quoted(theirs), Quoted(ours)) for ours, theirs in pairs]
        given = [part("c.{} is not null", Quoted(one)) for one in columns]
        query = part(
            "select count(*) from {} as c where {} and not exists"
            " (select 1 from {} as p where {})",
            Quoted(table.target.name), listed(given, " and "), Quoted(parent[0]),
            listed(same, " and "),
        )  # fmt: skip
        return int(session.one(query)[0] or 0)

    def set_counter(self, session: Any, table: TableConversion, number: int) -> None:
        """Set the next number, which is at least 1. InnoDB takes at least one more than the highest
        value."""
        name = table.target.name
        query = part("alter table {} auto_increment = {}", Quoted(name), Whole(max(number, 0) + 1))
        session.settle(query, name)

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self._server.session() as session:
            self._journal.set_state(session, run, state, outcome)

    def settle(self) -> LoadRun | None:
        return None

    def drop_view(self, view: ViewConversion) -> str:
        return part("drop view {}", Quoted(view.target.name)).as_string(None)

    # the proof

    def count(self, table: TableConversion) -> int:
        with self._server.session() as session:
            return proof.count_rows(session, table.target.name)

    def digest(self, table: TableConversion) -> Digest:
        with self._server.session() as session:
            return proof.digest(session, table)

    def digest_of_view(self, view: ViewConversion) -> Digest | None:
        try:
            with self._server.session() as session:
                return proof.digest(session, view)
        except (ConnectionLost, Interrupted):
            raise
        except WindlassError:
            return None

    def buckets(self, table: TableConversion) -> Mapping[int, Digest]:
        with self._server.session() as session:
            return proof.buckets(session, table)

    def rows_of(self, table: TableConversion, buckets: Sequence[int]) -> Iterator[Row]:
        with self._server.session() as session:
            yield from proof.rows(session, table, buckets)

    def missing(self, plan: ConversionPlan) -> Mapping[str, str]:
        query = part(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = {}",
            Text(self._server.database),
        )
        have: dict[str, set[str]] = {}
        with self._server.session() as session:
            for table, column in session.run(query):
                names = have.setdefault(self.same((table or b"").decode()), set())
                names.add(self.same((column or b"").decode()))
        return lacking(plan, lambda one: have.get(self.same(one.name), ()), self.same)

    # the way back

    def foresee(self, run: str, plan: ConversionPlan) -> Foreseen:
        return Undoing(self._server, self._journal, run, plan, proof.digest).foresee()

    def undo(self, run: str, plan: ConversionPlan, others: Others) -> Undone:
        return Undoing(self._server, self._journal, run, plan, proof.digest).undo(others)

    def cancel(self) -> None:
        self._server.cancel()


_A_DESTINATION: type[Destination] = MysqlDestination
