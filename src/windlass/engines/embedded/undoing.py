"""Restores the rows of a load that are still as the load left them; rows that others changed
stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from windlass.engines.embedded.dialect import (
    Dialect,
    Session,
    by_key,
    changed,
    fetch,
    number,
    of,
)
from windlass.engines.incoming.checking import key_text
from windlass.engines.incoming.names import SIDE, WHAT
from windlass.engines.incoming.past import Made
from windlass.engines.statements import each, listed, names, statement
from windlass.model.load import Table
from windlass.model.past import Others
from windlass.model.report import Problem
from windlass.model.units import plural

_KNOWN = sql.SQL("('updated', 'marked', 'closed')")


@dataclass(frozen=True, slots=True)
class Undoing:
    """One load of a run, in the caller's transaction."""

    session: Session
    dialect: Dialect
    made: Made
    table: Table  # as it is now

    def changed_by_others(self) -> list[Problem]:
        """Rows that are neither as the load left them nor as they were before. An inserted row that
        others have deleted counts too."""
        if not self.made.key:
            missing = self._gone()
            return [self._problem(plural(missing, "row"))] if missing else []
        self._look()
        found = [
            *self._conflicts(
                "select {key} from {undo} as u where u.{what} = 'inserted'"
                " and not exists (select 1 from {now} as t where {same} and ({as_made}))"
            ),
            *self._conflicts(
                "select {key} from {undo} as u where u.{side} = 'new' and u.{what} in {known}"
                " and not exists (select 1 from {now} as t where {same} and ({as_made}))"
                " and not exists (select 1 from {now} as t join {undo} as o on {same_old}"
                " and o.{side} = 'old' where {same} and {as_it_was})"
            ),
            *self._conflicts(
                "select {key} from {undo} as u where u.{what} = 'deleted'"
                " and exists (select 1 from {now} as t where {same} and not ({as_made}))"
                " and not exists (select 1 from {undo} as n where n.{what} = 'inserted'"
                " and {same_new})"
            ),
        ]
        shown = [self._problem(one) for one in dict.fromkeys(found)]
        return shown

    def _look(self) -> None:
        """Copy what is to be undone, and the same rows as they are now, by key: the table itself
        may have no index for that."""
        for name in ("windlass_undo", "windlass_now"):
            self.session.execute(statement("drop table if exists temp.{n}", n=names(name)))
        key = self.made.key
        self.session.execute(
            statement("create temp table windlass_undo as select * from {t}", t=self._kept)
        )
        parts = {"key": each("{}", map(names, key))}
        if self.dialect.indexes:
            self.session.execute(statement(
                "create index temp.windlass_by_undo on windlass_undo ({key})", **parts
            ))  # fmt: skip
        self._run(
            "create temp table windlass_now as select t.* from {table} as t"
            " where exists (select 1 from {undo} as u where {same})",
            same=by_key("t", "u", key),
        )
        if self.dialect.indexes:
            self.session.execute(statement(
                "create index temp.windlass_by_now on windlass_now ({key})", **parts
            ))  # fmt: skip

    def _conflicts(self, template: LiteralString) -> list[str]:
        key = self.made.key
        query = self._text(
            template, now=sql.SQL("temp.windlass_now"), key=of("u", key),
            same=by_key("t", "u", key), same_old=by_key("t", "o", key),
            same_new=by_key("n", "u", key),
            as_made=self.dialect.equal("u", "t", self._all), known=_KNOWN,
            as_it_was=self.dialect.equal("o", "t", self._all),
        )  # fmt: skip
        return [key_text(key, row) for row in fetch(self.session, query)]

    def _problem(self, which: str) -> Problem:
        message = f"{which}: changed or deleted by others since"
        return Problem(str(self.made.table), message)

    @property
    def _all(self) -> Sequence[str]:
        return self.made.columns

    def undo(self, others: Others) -> list[str]:
        """Restore the rows. Returns what stays because others have changed it."""
        problems = [one.text for one in self.changed_by_others()]
        positions = self.dialect.by_position(self.session, self.table)
        if self.made.key:
            self._undo_by_key(positions, loses=others is Others.LOSE)
        else:
            self._undo_by_value(positions)
        self.session.execute(statement("drop table {t}", t=self._kept))
        keeps = others is Others.SKIP or not self.made.key
        return [] if not keeps else problems

    def _undo_by_key(self, positions: tuple[str, ...], *, loses: bool) -> None:
        key = self.made.key
        same = by_key("t", "u", key)
        as_made = sql.SQL("1 = 1") if loses else self.dialect.equal("u", "t", self._all)
        self._run(
            "delete from {table} as t where ({row}) in (select {row} from {table} as t"
            " join {undo} as u on {same} where u.{what} = 'inserted' and {as_made})",
            row=of("t", positions), same=same, as_made=as_made,
        )  # fmt: skip
        changes = self._changed(loses=loses)
        if changes:
            self._run(
                "update {table} as t set {changes} from {undo} as u, {undo} as o"
                " where {same} and u.{side} = 'new' and u.{what} in {known} and {as_made}"
                " and o.{side} = 'old' and o.{what} = u.{what} and {same_old}",
                changes=listed(
                    sql.SQL("{} = {}").format(names(one), names("o", one)) for one in changes
                ),
                same=same, same_old=by_key("t", "o", key), as_made=as_made, known=_KNOWN,
            )  # fmt: skip
        if loses and changes:  # others have inserted rows in the place of deleted ones
            self._run(
                "update {table} as t set {changes} from {undo} as u"
                " where {same} and u.{what} = 'deleted'",
                changes=listed(
                    sql.SQL("{} = {}").format(names(one), names("u", one)) for one in changes
                ),
                same=same,
            )  # fmt: skip
        self._run(
            "insert into {table} ({columns}) select {values} from {undo} as u"
            " left join {table} as t on {same} where u.{side} = 'old' and ({which})"
            " and {none} is null",
            none=names("t", key[0]),
            columns=each("{}", map(names, self.made.columns)), values=of("u", self.made.columns),
            which=sql.SQL("1 = 1") if loses else sql.SQL("u.{} = 'deleted'").format(names(WHAT)),
            same=same,
        )  # fmt: skip

    def _changed(self, *, loses: bool) -> list[str]:
        """The columns to restore: see `windlass.engines.embedded.changing`."""
        columns = [one for one in self.made.columns if one not in self.made.key]
        if loses or not columns:
            return columns
        query = self._text(
            "select {tests} from {undo} as u join {undo} as o on {same} and o.{what} = u.{what}"
            " where u.{side} = 'new' and o.{side} = 'old'",
            tests=self.dialect.changes("u", "o", columns), same=by_key("u", "o", self.made.key),
        )  # fmt: skip
        return changed(self.session, query, columns)

    # rows without a key: as many as are the same

    def _copies(self, alias: str) -> sql.Composable:
        return sql.SQL("row_number() over (partition by {}) as _windlass_copy").format(
            of(alias, self._all)
        )

    def _matched(self, what: sql.Composable, positions: tuple[str, ...]) -> sql.Composable:
        return sql.SQL(
            "select {what} from (select {u_all}, {u_copy} from {undo} as u"
            " where u.{kind} = 'inserted') as u join (select {t_all}, {positions}, {t_copy}"
            " from {table} as t) as t on u._windlass_copy = t._windlass_copy and {same}"
        ).format(
            what=what, u_all=of("u", self._all), u_copy=self._copies("u"), undo=self._undo,
            kind=names(WHAT), t_all=of("t", self._all), t_copy=self._copies("t"),
            positions=listed([
                sql.SQL("{} as {}").format(names("t", one), names(f"_windlass_t{at}"))
                for at, one in enumerate(positions)
            ]),
            table=names(self.made.table.schema, self.made.table.name),
            same=self.dialect.equal("u", "t", self._all),
        )  # fmt: skip

    def _gone(self) -> int:
        """How many of the rows that the load inserted no longer exist."""
        positions = self.dialect.by_position(self.session, self.table)
        made = self._number("select count(*) from {undo} where {what} = 'inserted'")
        found = number(
            self.session,
            statement("select count(*) from ({m}) as m", m=self._matched(sql.SQL("1"), positions)),
        )
        return made - found

    def _undo_by_value(self, positions: tuple[str, ...]) -> None:
        found = each("{}", [names("t", f"_windlass_t{at}") for at in range(len(positions))])
        self._run(
            "delete from {table} as t where ({row}) in ({matched})",
            row=of("t", positions), matched=self._matched(found, positions),
        )  # fmt: skip
        self._run(
            "insert into {table} ({columns}) select {columns} from {undo} where {what} = 'deleted'",
            columns=each("{}", map(names, self.made.columns)),
        )  # fmt: skip

    # statements

    @property
    def _kept(self) -> sql.Identifier:
        return names(self.made.table.schema, self.made.undo)

    @property
    def _undo(self) -> sql.Composable:
        return sql.SQL("temp.windlass_undo") if self.made.key else self._kept

    def _text(self, template: LiteralString, **parts: sql.Composable) -> str:
        table = names(self.made.table.schema, self.made.table.name)
        words: dict[str, sql.Composable] = {
            "undo": self._undo,
            "table": table,
            "what": names(WHAT),
            "side": names(SIDE),
        }
        return statement(template, **words, **parts)

    def _run(self, template: LiteralString, **parts: sql.Composable) -> None:
        self.session.execute(self._text(template, **parts))

    def _number(self, template: LiteralString, **parts: sql.Composable) -> int:
        return number(self.session, self._text(template, **parts))
