"""Changes a table as its load says, in the caller's transaction, and keeps what is needed to undo
that: the rows as they were and as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.embedded.dialect import by_key, changed, fetch, of
from windlass.engines.embedded.names import staged_rows
from windlass.engines.embedded.work import Work
from windlass.engines.incoming.names import NUMBER, SIDE, WHAT
from windlass.engines.incoming.shape import (
    all_columns,
    assigned,
    changeable,
    column_of,
    lasting_key,
    matching_key,
)
from windlass.engines.statements import each, listed, names
from windlass.model.export import Kind
from windlass.model.load import Counts
from windlass.model.load_words import Missing


@dataclass(frozen=True, slots=True)
class Changing(Work):
    """One load, whose rows are matched."""

    moment: str  # when it happens, as the target writes it

    def change(self) -> Counts:
        """What became of the rows."""
        counts = self._counts()
        self._keep_old()
        self._delete()
        self._mark_or_close()
        self._update()
        self._keep_new_of_known()
        self._insert()
        self.run("drop table temp.windlass_change")
        return counts

    def _counts(self) -> Counts:
        found = dict(
            fetch(self.session, self.text("select what, count(*) from {change} group by what"))
        )
        gone = sum(found.get(one, 0) for one in ("deleted", "marked", "closed"))
        again = self.number("select count(*) from {change} where what = 'closed' and s is not null")
        return Counts(
            inserted=found.get("inserted", 0) - again,  # in a history: without new versions
            updated=found.get("updated", 0) + again,
            unchanged=found.get("unchanged", 0),
            deleted=gone - again,
        )

    def add(self) -> Counts:
        """Add all staged rows without comparing them. No list of them is made, no join and no sort,
        so the memory does not grow with their number."""
        columns = [one.name for one in all_columns(self.load)]
        self.run(
            "create table {undo} as select cast('inserted' as text) as {what},"
            " cast('new' as text) as {side}, {columns} from {table} as t where 1 = 0",
            what=names(WHAT), side=names(SIDE), columns=of("t", columns),
        )  # fmt: skip
        highest = self._highest()
        filled = assigned(self.load)
        self.run(
            "insert into {table} ({columns}) select {values} from {staged} as s {order}",
            columns=each("{}", map(names, filled)), values=of("s", filled), staged=staged_rows(),
            order=self._as_staged(),
        )  # fmt: skip
        rows = self.number("select count(*) from {staged}", staged=staged_rows())
        if self._given_primary():
            self.run(
                "insert into {undo} select 'inserted', 'new', {columns} from {staged} as s"
                " join {table} as t on {same}",
                columns=of("t", columns), staged=staged_rows(),
                same=by_key("t", "s", self._given_primary()),
            )  # fmt: skip
        else:
            self._keep_new(highest)
        return Counts(inserted=rows)

    def _as_staged(self) -> sql.Composable:
        """Keep the order of the input, where that needs no sorting."""
        if not self.dialect.indexes:
            return sql.SQL("")
        return sql.SQL("order by s.{}").format(names(NUMBER))

    # the change

    def _keep_old(self) -> None:
        columns = [one.name for one in all_columns(self.load)]
        self.run(
            "create table {undo} as select c.what as {what}, 'old' as {side}, {columns}"
            " from {change} as c join {table} as t on {same}"
            " where c.what not in ('inserted', 'unchanged')",
            what=names(WHAT), side=names(SIDE), columns=of("t", columns),
            same=self.at(),
        )  # fmt: skip

    def _delete(self) -> None:
        if self.load.words.missing is not Missing.DELETE or self.load.words.history:
            return
        self.run(
            "delete from {table} as t where {row} in (select {found} from {change}"
            " where what = 'deleted')",
            row=self.row(), found=self.found(),
        )  # fmt: skip

    def _mark_or_close(self) -> None:
        words = self.load.words
        if words.missing is Missing.MARK:
            boolean = column_of(self.load, words.mark).kind is Kind.BOOLEAN
            self._set("marked", words.mark, "true" if boolean else self.moment)
        if not words.history:
            return
        # the input has the time from which a row is true
        if words.valid_from in assigned(self.load):
            self.run(
                "update {table} as t set {column} = s.{since} from {change} as c"
                " join {staged} as s on s.{number} = c.s where {same} and c.what = 'closed'",
                column=names(words.valid_to), since=names(words.valid_from),
                staged=staged_rows(), number=names(NUMBER), same=self.at(),
            )  # fmt: skip
            self._set("closed", words.valid_to, self.moment, only="and c.s is null")
        else:
            self._set("closed", words.valid_to, self.moment)

    def _set(
        self,
        what: str,
        column: str,
        value: str,
        only: LiteralString = "",
    ) -> None:
        self.run(
            "update {table} as t set {column} = {value} from {change} as c"
            " where {same} and c.what = {what} {only}",
            [self.dialect.given(column_of(self.load, column), value)],
            column=names(column), value=self._moment(column), what=sql.Literal(what),
            same=self.at(), only=sql.SQL(only),
        )  # fmt: skip

    def _moment(self, column: str) -> sql.Composable:
        return self.dialect.typed(column_of(self.load, column))

    def _update(self) -> None:
        words = self.load.words
        changes = [
            sql.SQL("{} = {}").format(names(one), names("s", one)) for one in self._changed()
        ]
        if words.missing is Missing.MARK and words.mark not in assigned(self.load):
            boolean = column_of(self.load, words.mark).kind is Kind.BOOLEAN
            off = sql.SQL("false" if boolean else "null")
            changes.append(sql.SQL("{} = {}").format(names(words.mark), off))
        if not changes or not matching_key(self.load):
            return
        self.run(
            "update {table} as t set {changes} from {change} as c join {staged} as s"
            " on s.{number} = c.s where {same} and c.what = 'updated'",
            changes=listed(changes), staged=staged_rows(), number=names(NUMBER),
            same=self.at(),
        )  # fmt: skip

    def _changed(self) -> list[str]:
        """The columns that differ in any row. If an indexed column is set, even to its present
        value, DuckDB deletes and inserts the row, which breaks references to it."""
        columns = changeable(self.load)
        if not columns or not matching_key(self.load):
            return []
        query = self.text(
            "select {tests} from {change} as c join {staged} as s on s.{number} = c.s"
            " join {table} as t on {same} where c.what = 'updated'",
            tests=self.dialect.changes("s", "t", columns), staged=staged_rows(),
            number=names(NUMBER), same=self.at(),
        )  # fmt: skip
        return changed(self.session, query, columns)

    def _insert(self) -> None:
        words, columns = self.load.words, assigned(self.load)
        values: list[sql.Composable] = [names("s", one) for one in columns]
        given = []
        if words.history and words.valid_from not in columns:
            columns = [*columns, words.valid_from]
            values.append(self._moment(words.valid_from))
            given.append(self.dialect.given(column_of(self.load, words.valid_from), self.moment))
        highest = self._highest()
        self.run(
            "insert into {table} ({columns}) select {values} from {change} as c"
            " join {staged} as s on s.{number} = c.s where c.what = 'inserted' order by c.s",
            given, columns=each("{}", map(names, columns)), values=listed(values),
            staged=staged_rows(), number=names(NUMBER),
        )  # fmt: skip
        self._keep_new(highest)

    # the rows as they are now

    def _keep_new_of_known(self) -> None:
        """Keep the new rows that existed before, found by their key, which has not changed."""
        columns = [one.name for one in all_columns(self.load)]
        if not matching_key(self.load):
            return
        self.run(
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
            self.run(
                "insert into {undo} select 'inserted', 'new', {columns} from {table} as t"
                " where t.rowid > ?", [highest], **parts,
            )  # fmt: skip
            return
        self.run(
            "insert into {undo} select 'inserted', 'new', {columns} from {change} as c"
            " join {staged} as s on s.{number} = c.s join {table} as t on {same}"
            " where c.what = 'inserted' and {open}",
            staged=staged_rows(), number=names(NUMBER), same=by_key("t", "s", key),
            open=self.scope(scoped=False), **parts,
        )  # fmt: skip

    def _given_primary(self) -> tuple[str, ...]:
        primary = self.load.table.primary
        return primary if set(primary) <= set(assigned(self.load)) else ()

    def _highest(self) -> int:
        """The position of the last row before rows are inserted, if nothing else will identify
        them."""
        if matching_key(self.load) or self._given_primary():
            return 0
        return self.number("select coalesce(max(t.rowid), -1) from {table} as t")
