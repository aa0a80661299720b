"""Changes a table to what its load says, in the caller's transaction, and keeps what is needed to
undo that: the rows as they were and as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.embedded.arriving import arriving, user_sql
from windlass.engines.embedded.dialect import Dialect, Session, by_key, fetch, number, of
from windlass.engines.embedded.names import NUMBER, SIDE, WHAT, staged_rows, table_of, undo_table
from windlass.engines.embedded.shape import (
    all_columns,
    assigned,
    column_of,
    compared,
    covers,
    is_scoped,
    lasting_key,
    matching_key,
)
from windlass.engines.statements import each, listed, names, statement
from windlass.errors import Refused, WindlassError
from windlass.model.export import Kind
from windlass.model.load import Counts, Load, Matched, Missing
from windlass.model.report import Problem

_CHANGE = sql.SQL("temp.windlass_change")


@dataclass(frozen=True, slots=True)
class Changing:
    """One load in one transaction. `at` is when it happens, as the target writes it."""

    session: Session
    dialect: Dialect
    run: str
    load: Load
    at: str

    def apply(self) -> Counts:
        """What became of the rows.

        Raises:
            WindlassError: a key of the input is that of several rows of the table.
            Refused: rows are there already that must not be.
        """
        positions = self._positions()
        self._classify(positions)
        self._check_matches(positions)
        counts = self._counts()
        self._keep_old(positions)
        self._delete(positions)
        self._mark_or_close(positions)
        self._update(positions)
        self._keep_new_of_known()
        self._insert()
        self._run("drop table temp.windlass_change")
        return counts

    # which row is what

    def _positions(self) -> tuple[str, ...]:
        """Columns that tell the table's rows apart while the transaction lasts."""
        return self.dialect.by_position(self.session, self.load.table)

    def _classify(self, positions: tuple[str, ...]) -> None:
        numbered = [
            sql.SQL("{} as {}").format(names("t", one), names(f"t{at}"))
            for at, one in enumerate(positions)
        ]
        self._run(
            "create temp table windlass_change as select cast('' as text) as what,"
            " s.{number} as s, {positions} from {staged} as s, {table} as t where 1 = 0",
            number=names(NUMBER), staged=staged_rows(), positions=listed(numbered),
        )  # fmt: skip
        if matching_key(self.load):
            self._match_by_key(positions)
        elif self.load.words.missing is not Missing.KEEP and covers(self.load):
            self._match_by_value(positions)
        self._run(
            "insert into {change} select 'inserted', s.{number}, {none} from {arriving} as s"
            " where s.{number} not in (select s from {change} where what <> 'closed')",
            number=names(NUMBER), none=each("{}", [sql.SQL("null")] * len(positions)),
            arriving=arriving(self.load),
        )  # fmt: skip
        if self.load.words.missing is not Missing.KEEP:
            self._find_missing(positions)

    def _match_by_key(self, positions: tuple[str, ...]) -> None:
        words = self.load.words
        what: sql.Composable = sql.SQL("'unchanged'")
        if words.matched is not Matched.SKIP or words.history or not words.key:
            what = sql.SQL("case when {} then {} else 'unchanged' end").format(
                self._is_changed(), sql.SQL("'closed'" if words.history else "'updated'")
            )
        self._run(
            "insert into {change} select {what}, s.{number}, {positions} from {arriving} as s"
            " join {table} as t on {same} where {scope}",
            what=what, number=names(NUMBER), positions=of("t", positions),
            arriving=arriving(self.load), same=by_key("t", "s", matching_key(self.load)),
            scope=self._scope(scoped=is_scoped(self.load)),
        )  # fmt: skip

    def _is_changed(self) -> sql.Composable:
        distinct = self.dialect.distinct("s", "t", compared(self.load))
        if self.load.words.missing is not Missing.MARK:
            return distinct
        return sql.SQL("({} or {})").format(distinct, self._is_marked())

    def _is_marked(self) -> sql.Composable:
        mark = names("t", self.load.words.mark)
        boolean = column_of(self.load, self.load.words.mark).kind is Kind.BOOLEAN
        if self.load.words.mark in assigned(self.load):
            return sql.SQL("1 = 0")
        return sql.SQL("coalesce({}, false)" if boolean else "{} is not null").format(mark)

    def _match_by_value(self, positions: tuple[str, ...]) -> None:
        """Rows without a key: as many as are the same on both sides stay."""
        columns = assigned(self.load)
        numbered = "row_number() over (partition by {columns}) as _windlass_copy"
        self._run(
            "insert into {change} select 'unchanged', s.{number}, {positions}"
            " from (select s.*, {s_copy} from {staged} as s) as s"
            " join (select {t_all}, {t_positions}, {t_copy} from {table} as t where {scope}) as t"
            " on s._windlass_copy = t._windlass_copy and {same}",
            number=names(NUMBER), staged=staged_rows(),
            positions=each("{}", [names("t", f"_windlass_t{at}") for at in range(len(positions))]),
            s_copy=sql.SQL(numbered).format(columns=of("s", columns)),
            t_copy=sql.SQL(numbered).format(columns=of("t", columns)),
            t_all=of("t", columns),
            t_positions=listed([
                sql.SQL("{} as {}").format(names("t", one), names(f"_windlass_t{at}"))
                for at, one in enumerate(positions)
            ]),
            scope=self._scope(scoped=True), same=self.dialect.equal("s", "t", columns),
        )  # fmt: skip

    def _find_missing(self, positions: tuple[str, ...]) -> None:
        words = self.load.words
        what = "'closed'" if words.history else "'deleted'"
        scope = self._scope(scoped=True)
        if words.missing is Missing.MARK:
            what = "'marked'"
            scope = sql.SQL("{} and not {}").format(scope, self._is_marked())
        self._run(
            "insert into {change} select {what}, null, {positions} from {table} as t"
            " where {scope} and {row} not in (select {found} from {change} where t0 is not null)",
            what=sql.SQL(what), positions=of("t", positions), scope=scope,
            row=self._row(positions), found=self._found(positions),
        )  # fmt: skip

    def _scope(self, *, scoped: bool) -> sql.Composable:
        """The rows of the table that the load is about."""
        parts: list[sql.Composable] = [sql.SQL("1 = 1")]
        if self.load.words.history:
            parts.append(sql.SQL("{} is null").format(names("t", self.load.words.valid_to)))
        if scoped and self.load.words.slice:
            parts.append(user_sql(self.dialect.own_sql(self.load.words.slice)))
        return listed(parts, " and ")

    def _row(self, positions: tuple[str, ...]) -> sql.Composable:
        return sql.SQL("({})").format(of("t", positions))

    def _found(self, positions: tuple[str, ...]) -> sql.Composable:
        return each("{}", [names(f"t{at}") for at in range(len(positions))])

    # what must not be

    def _check_matches(self, positions: tuple[str, ...]) -> None:
        several = (
            "select count(*) from (select 1 from {change} where {first} is not null"
            " and what <> 'inserted' group by {by} having count(*) > 1) as d"
        )
        staged = self._number(several, first=sql.SQL("s"), by=sql.SQL("s"))
        found = self._number(several, first=sql.SQL("t0"), by=self._found(positions))
        if staged or found:
            raise ambiguous(self.load)
        words = self.load.words
        if words.key and words.matched is Matched.REFUSE and not words.history:
            both = "select count(*) from {change} where s is not null and t0 is not null"
            if there := self._number(both):
                raise already_there(self.load, there)

    def _counts(self) -> Counts:
        found = dict(
            fetch(self.session, self._text("select what, count(*) from {change} group by what"))
        )
        gone = sum(found.get(one, 0) for one in ("deleted", "marked", "closed"))
        again = self._number(
            "select count(*) from {change} where what = 'closed' and s is not null"
        )
        return Counts(
            inserted=found.get("inserted", 0) - again,  # of a history: without new versions
            updated=found.get("updated", 0) + again,
            unchanged=found.get("unchanged", 0),
            deleted=gone - again,
        )

    # the change

    def _keep_old(self, positions: tuple[str, ...]) -> None:
        columns = [one.name for one in all_columns(self.load)]
        self._run(
            "create table {undo} as select c.what as {what}, 'old' as {side}, {columns}"
            " from {change} as c join {table} as t on {same}"
            " where c.what not in ('inserted', 'unchanged')",
            what=names(WHAT), side=names(SIDE), columns=of("t", columns),
            same=self._at(positions),
        )  # fmt: skip

    def _at(self, positions: tuple[str, ...]) -> sql.Composable:
        pairs = [
            sql.SQL("{} = {}").format(names("t", one), names("c", f"t{at}"))
            for at, one in enumerate(positions)
        ]
        return listed(pairs, " and ")

    def _delete(self, positions: tuple[str, ...]) -> None:
        if self.load.words.missing is not Missing.DELETE or self.load.words.history:
            return
        self._run(
            "delete from {table} as t where {row} in (select {found} from {change}"
            " where what = 'deleted')",
            row=self._row(positions), found=self._found(positions),
        )  # fmt: skip

    def _mark_or_close(self, positions: tuple[str, ...]) -> None:
        words = self.load.words
        if words.missing is Missing.MARK:
            boolean = column_of(self.load, words.mark).kind is Kind.BOOLEAN
            self._set(positions, "marked", words.mark, "true" if boolean else self.at)
        if not words.history:
            return
        if words.valid_from in assigned(self.load):  # the input knows since when a row is true
            self._run(
                "update {table} as t set {column} = s.{since} from {change} as c"
                " join {staged} as s on s.{number} = c.s where {same} and c.what = 'closed'",
                column=names(words.valid_to), since=names(words.valid_from),
                staged=staged_rows(), number=names(NUMBER), same=self._at(positions),
            )  # fmt: skip
            self._set(positions, "closed", words.valid_to, self.at, only="and c.s is null")
        else:
            self._set(positions, "closed", words.valid_to, self.at)

    def _set(
        self,
        positions: tuple[str, ...],
        what: str,
        column: str,
        value: str,
        only: LiteralString = "",
    ) -> None:
        self._run(
            "update {table} as t set {column} = {value} from {change} as c"
            " where {same} and c.what = {what} {only}",
            [self.dialect.given(column_of(self.load, column), value)],
            column=names(column), value=self._moment(column), what=sql.Literal(what),
            same=self._at(positions), only=sql.SQL(only),
        )  # fmt: skip

    def _moment(self, column: str) -> sql.Composable:
        return self.dialect.typed(column_of(self.load, column))

    def _update(self, positions: tuple[str, ...]) -> None:
        words = self.load.words
        changes = [
            sql.SQL("{} = {}").format(names(one), names("s", one)) for one in compared(self.load)
        ]
        if words.missing is Missing.MARK and words.mark not in assigned(self.load):
            boolean = column_of(self.load, words.mark).kind is Kind.BOOLEAN
            off = sql.SQL("false" if boolean else "null")
            changes.append(sql.SQL("{} = {}").format(names(words.mark), off))
        if not changes or not matching_key(self.load):
            return
        self._run(
            "update {table} as t set {changes} from {change} as c join {staged} as s"
            " on s.{number} = c.s where {same} and c.what = 'updated'",
            changes=listed(changes), staged=staged_rows(), number=names(NUMBER),
            same=self._at(positions),
        )  # fmt: skip

    def _insert(self) -> None:
        words, columns = self.load.words, assigned(self.load)
        values: list[sql.Composable] = [names("s", one) for one in columns]
        given = []
        if words.history and words.valid_from not in columns:
            columns = [*columns, words.valid_from]
            values.append(self._moment(words.valid_from))
            given.append(self.dialect.given(column_of(self.load, words.valid_from), self.at))
        highest = self._highest()
        self._run(
            "insert into {table} ({columns}) select {values} from {change} as c"
            " join {staged} as s on s.{number} = c.s where c.what = 'inserted' order by c.s",
            given, columns=each("{}", map(names, columns)), values=listed(values),
            staged=staged_rows(), number=names(NUMBER),
        )  # fmt: skip
        self._keep_new(highest)

    # the rows as they are now

    def _keep_new_of_known(self) -> None:
        """Of those that were there before, by the key that has not changed."""
        columns = [one.name for one in all_columns(self.load)]
        if not matching_key(self.load):
            return
        self._run(
            "insert into {undo} select u.{what}, 'new', {columns} from {undo} as u"
            " join {table} as t on {same} where u.{side} = 'old' and u.{what} <> 'deleted'",
            what=names(WHAT), side=names(SIDE), columns=of("t", columns),
            same=by_key("t", "u", lasting_key(self.load)),
        )  # fmt: skip

    def _keep_new(self, highest: int) -> None:
        columns = [one.name for one in all_columns(self.load)]
        parts: dict[str, Any] = {"columns": of("t", columns)}
        key = matching_key(self.load) or self._given_primary()
        if not key:
            self._run(
                "insert into {undo} select 'inserted', 'new', {columns} from {table} as t"
                " where t.rowid > ?", [highest], **parts,
            )  # fmt: skip
            return
        self._run(
            "insert into {undo} select 'inserted', 'new', {columns} from {change} as c"
            " join {staged} as s on s.{number} = c.s join {table} as t on {same}"
            " where c.what = 'inserted' and {open}",
            staged=staged_rows(), number=names(NUMBER), same=by_key("t", "s", key),
            open=self._scope(scoped=False), **parts,
        )  # fmt: skip

    def _given_primary(self) -> tuple[str, ...]:
        primary = self.load.table.primary
        return primary if set(primary) <= set(assigned(self.load)) else ()

    def _highest(self) -> int:
        """The last row's position before rows are inserted, where nothing else tells them."""
        if matching_key(self.load) or self._given_primary():
            return 0
        return self._number("select coalesce(max(t.rowid), -1) from {table} as t")

    # statements

    def _text(self, template: LiteralString, **parts: sql.Composable) -> str:
        name = self.load.table.name
        undo = names(name.schema, undo_table(self.run, self.load.name))
        return statement(template, table=table_of(name), undo=undo, change=_CHANGE, **parts)

    def _run(
        self, template: LiteralString, given: list[Any] | None = None, **parts: sql.Composable
    ) -> None:
        self.session.execute(self._text(template, **parts), given or [])

    def _number(self, template: LiteralString, **parts: sql.Composable) -> int:
        return number(self.session, self._text(template, **parts))


def ambiguous(load: Load) -> WindlassError:
    key = ", ".join(matching_key(load))
    return WindlassError(
        f"{load.name}: several rows of the table have the same key ({key})",
        hint="nothing was loaded; keep one row of each key, or load by another key",
    )


def already_there(load: Load, rows: int) -> Refused:
    key = ", ".join(load.words.key)
    message = f"{rows:,} of the input's rows are in the table already, by their key ({key})"
    hint = "nothing was loaded; `merge` updates such rows, `insert` leaves them as they are"
    return Refused([Problem(load.name, message, hint)])
