"""Finds which rows of the input and of the table are the same, and so what happens to each."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from windlass.engines.embedded.arriving import arriving
from windlass.engines.embedded.dialect import by_key, of
from windlass.engines.embedded.names import staged_rows
from windlass.engines.embedded.work import Work
from windlass.engines.incoming.matching import already_there, ambiguous
from windlass.engines.incoming.names import NUMBER
from windlass.engines.incoming.shape import (
    assigned,
    column_of,
    compared,
    covers,
    is_scoped,
    matching_key,
)
from windlass.engines.statements import each, listed, names
from windlass.model.export import Kind
from windlass.model.load_words import Matched, Missing


@dataclass(frozen=True, slots=True)
class Matching(Work):
    """Fills the table `windlass_change`: what, the staged row, the table's row."""

    def match(self) -> None:
        """Raises:
        WindlassError: a key of the input is that of several rows of the table.
        Refused: rows exist that must not.
        """
        self._classify()
        self._check_matches()

    def _classify(self) -> None:
        numbered = [
            sql.SQL("{} as {}").format(names("t", one), names(f"t{at}"))
            for at, one in enumerate(self.positions)
        ]
        self.run(
            "create temp table windlass_change as select cast('' as text) as what,"
            " s.{number} as s, {positions} from {staged} as s, {table} as t where 1 = 0",
            number=names(NUMBER), staged=staged_rows(), positions=listed(numbered),
        )  # fmt: skip
        if matching_key(self.load):
            self._match_by_key()
        elif self.load.words.missing is not Missing.KEEP and covers(self.load):
            self._match_by_value()
        self.run(
            "insert into {change} select 'inserted', s.{number}, {none} from {arriving} as s"
            " where s.{number} not in (select s from {change} where what <> 'closed')",
            number=names(NUMBER), none=each("{}", [sql.SQL("null")] * len(self.positions)),
            arriving=arriving(self.load),
        )  # fmt: skip
        if self.load.words.missing is not Missing.KEEP:
            self._find_missing()

    def _match_by_key(self) -> None:
        words = self.load.words
        what: sql.Composable = sql.SQL("'unchanged'")
        if words.matched is not Matched.SKIP or words.history or not words.key:
            what = sql.SQL("case when {} then {} else 'unchanged' end").format(
                self._is_changed(), sql.SQL("'closed'" if words.history else "'updated'")
            )
        self.run(
            "insert into {change} select {what}, s.{number}, {positions} from {arriving} as s"
            " join {table} as t on {same} where {scope}",
            what=what, number=names(NUMBER), positions=of("t", self.positions),
            arriving=arriving(self.load), same=by_key("t", "s", matching_key(self.load)),
            scope=self.scope(scoped=is_scoped(self.load)),
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

    def _match_by_value(self) -> None:
        """Match rows without a key: as many stay as are equal on both sides."""
        columns = assigned(self.load)
        numbered = "row_number() over (partition by {columns}) as _windlass_copy"
        self.run(
            "insert into {change} select 'unchanged', s.{number}, {positions}"
            " from (select s.*, {s_copy} from {staged} as s) as s"
            " join (select {t_all}, {t_positions}, {t_copy} from {table} as t where {scope}) as t"
            " on s._windlass_copy = t._windlass_copy and {same}",
            number=names(NUMBER), staged=staged_rows(),
            positions=of("t", [f"_windlass_t{at}" for at in range(len(self.positions))]),
            s_copy=sql.SQL(numbered).format(columns=of("s", columns)),
            t_copy=sql.SQL(numbered).format(columns=of("t", columns)),
            t_all=of("t", columns),
            t_positions=listed([
                sql.SQL("{} as {}").format(names("t", one), names(f"_windlass_t{at}"))
                for at, one in enumerate(self.positions)
            ]),
            scope=self.scope(scoped=True), same=self.dialect.equal("s", "t", columns),
        )  # fmt: skip

    def _find_missing(self) -> None:
        words = self.load.words
        what = "'closed'" if words.history else "'deleted'"
        scope = self.scope(scoped=True)
        if words.missing is Missing.MARK:
            what = "'marked'"
            scope = sql.SQL("{} and not {}").format(scope, self._is_marked())
        self.run(
            "insert into {change} select {what}, null, {positions} from {table} as t"
            " where {scope} and {row} not in (select {found} from {change} where t0 is not null)",
            what=sql.SQL(what), positions=of("t", self.positions), scope=scope,
            row=self.row(), found=self.found(),
        )  # fmt: skip

    # what is refused

    def _check_matches(self) -> None:
        several = (
            "select count(*) from (select 1 from {change} where {first} is not null"
            " and what <> 'inserted' group by {by} having count(*) > 1) as d"
        )
        staged = self.number(several, first=sql.SQL("s"), by=sql.SQL("s"))
        found = self.number(several, first=sql.SQL("t0"), by=self.found())
        if staged or found:
            raise ambiguous(self.load)
        words = self.load.words
        if words.key and words.matched is Matched.REFUSE and not words.history:
            both = "select count(*) from {change} where s is not null and t0 is not null"
            if there := self.number(both):
                raise already_there(self.load, there)
