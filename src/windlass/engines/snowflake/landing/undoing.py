"""Restores the rows of a load that are still as the load left them; rows that others changed
stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from windlass.engines.incoming.checking import key_text
from windlass.engines.incoming.names import SIDE, WHAT
from windlass.engines.incoming.past import Made
from windlass.engines.snowflake.landing.naming import itself, of, part, same, table_of
from windlass.engines.snowflake.names import named, stored
from windlass.engines.snowflake.session import Fetched, Session
from windlass.engines.statements import each, listed, names
from windlass.model.past import Others
from windlass.model.report import Problem
from windlass.model.units import plural

_STATES, _BACK = names("_WINDLASS_STATES"), names("_WINDLASS_BACK")  # temporary tables


@dataclass(frozen=True, slots=True)
class Undoing:
    """One load of a run. `look` defines tables, so it comes before the transaction of `undo`."""

    session: Session
    made: Made

    def look(self) -> list[Problem]:
        """What others have changed since: rows that are neither as the load left them nor as they
        were before. An inserted row that others have deleted counts too."""
        query = self._seen() if self.made.key else self._counted()
        self._run("create or replace temporary table {states} as {query}", query=query)
        self._run(
            "create or replace temporary table {back} as select {columns} from {undo} as u"
            " where 1 = 0", columns=of("u", self._columns),
        )  # fmt: skip
        return self._changed()

    def look_again(self) -> list[Problem]:
        """The same within the transaction that then undoes it."""
        query = self._seen() if self.made.key else self._counted()
        self._run("delete from {states}")
        self._run("insert into {states} {query}", query=query)
        return self._changed()

    def _changed(self) -> list[Problem]:
        if not self.made.key:
            gone = self._number(
                "select coalesce(sum(greatest(made - there, 0)), 0) from {states} where made > 0"
            )
            return [self._problem(plural(gone, "row"))] if gone else []
        found = self._rows(
            "select {keys} from {states} as k where k.state = 'others' order by {keys}",
            keys=of("k", self.made.key),
        )
        return [self._problem(key_text(self.made.key, row)) for row in found]

    def _problem(self, which: str) -> Problem:
        return Problem(str(self.made.table), f"{which}: changed or deleted by others since")

    def _seen(self) -> sql.Composable:
        """The keys that the load touched, and what their rows are now: as it made them, as they
        were before, or others'."""
        key = self.made.key
        text = (
            "select {keys}, max(o.there) as was, count(t.there) as now,"
            " case when count(t.there) > 1 then 'others'"
            " when max(case when t.there = 1 and n.there = 1 and {as_made} then 1"
            " when t.there is null and n.there is null then 1 else 0 end) = 1 then 'made'"
            " when max(case when t.there = 1 and o.there = 1 and {as_it_was} then 1"
            " else 0 end) = 1 then 'back' else 'others' end as state"
            " from (select distinct {bare} from {undo} as u) as k"
            " left join (select u.*, 1 as there from {undo} as u where u.{side} = 'old') as o"
            " on {by_old} left join (select u.*, 1 as there from {undo} as u"
            " where u.{side} = 'new') as n on {by_new}"
            " left join (select t.*, 1 as there from {table} as t) as t on {by_key}"
            " group by {keys}"
        )
        return self._composed(
            text, keys=of("k", key), bare=of("u", key), side=named(SIDE),
            by_old=same("o", "k", key), by_new=same("n", "k", key), by_key=same("t", "k", key),
            as_made=same("t", "n", self._columns), as_it_was=same("t", "o", self._columns),
        )  # fmt: skip

    def _counted(self) -> sql.Composable:
        """The different rows that the load inserted and deleted: how many of each, and how many the
        table has."""
        text = (
            "select {columns}, u.made, count(t.there) as there from (select {columns},"
            " sum(case when u.{what} = 'inserted' then 1 else 0 end) as made"
            " from {undo} as u group by {columns}) as u"
            " left join (select t.*, 1 as there from {table} as t) as t on {same}"
            " group by {columns}, u.made"
        )
        return self._composed(
            text, columns=of("u", self._columns), what=named(WHAT),
            same=same("t", "u", self._columns),
        )  # fmt: skip

    def undo(self, others: Others) -> None:
        """In a transaction, after `look_again`."""
        if self.made.key:
            self._by_key(loses=others is Others.LOSE)
        else:
            self._by_value()

    def _by_key(self, *, loses: bool) -> None:
        key, me = self.made.key, itself(self.made.table)
        chosen = "k.state in ('made', 'others')" if loses else "k.state = 'made'"
        parts: dict[str, sql.Composable] = {
            "chosen": sql.SQL(chosen), "by_key": same(me, "k", key), "side": named(SIDE),
            "by_undo": same("u", "k", key),
        }  # fmt: skip
        self._run(
            "delete from {table} using {states} as k where {by_key} and {chosen}"
            " and k.was is null and k.now > 0",
            **parts,
        )
        changes = [one for one in self._columns if one not in key]
        if changes:
            self._run(
                "update {table} set {changes} from (select u.* from {undo} as u"
                " join {states} as k on {by_undo} and {chosen} and k.now > 0"
                " where u.{side} = 'old') as u where {same}",
                same=same(me, "u", key),
                changes=listed(
                    sql.SQL("{} = {}").format(named(one), part("u", one)) for one in changes
                ),
                **parts,
            )  # fmt: skip
        self._run(
            "insert into {table} ({names}) select {values} from {undo} as u join {states} as k"
            " on {by_undo} and {chosen} and k.now = 0 where u.{side} = 'old'",
            names=each("{}", map(named, self._columns)), values=of("u", self._columns), **parts,
        )  # fmt: skip

    def _by_value(self) -> None:
        """Of rows that are the same, as many are deleted as were inserted: all of them, and those
        that stay come back."""
        columns = {
            "columns": each("{}", map(named, self._columns)),
            "same": same("t", "c", self._columns), "values": of("t", self._columns),
        }  # fmt: skip
        self._run(
            "insert into {back} select {values} from (select {values}, c.made, row_number() over"
            " (partition by {values} order by c.made) as copy from {table} as t join {states} as c"
            " on {same} where c.made > 0) as t where t.copy > t.made", **columns,
        )  # fmt: skip
        self._run(
            "delete from {table} using {states} as c where {mine} and c.made > 0",
            mine=same(itself(self.made.table), "c", self._columns),
        )  # fmt: skip
        self._run("insert into {table} ({columns}) select {values} from {back} as t", **columns)
        self._run(
            "insert into {table} ({columns}) select {values} from {undo} as t"
            " where t.{what} = 'deleted'", what=named(WHAT), **columns,
        )  # fmt: skip

    # statements

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.made.columns

    @property
    def _undo(self) -> sql.Identifier:
        return names(stored(self.made.table.schema), self.made.undo)

    def _text(self, template: LiteralString, **parts: sql.Composable) -> str:
        return self._composed(template, **parts).as_string(None)

    def _composed(self, template: LiteralString, **parts: sql.Composable) -> sql.Composed:
        known = {"table": table_of(self.made.table), "undo": self._undo, "states": _STATES,
                 "back": _BACK}  # fmt: skip
        return sql.SQL(template).format(**known, **parts)

    def _run(self, template: LiteralString, **parts: sql.Composable) -> None:
        self._rows(template, **parts)

    def _rows(self, template: LiteralString, **parts: sql.Composable) -> Fetched:
        doing = f"undoing the load of {self.made.table}"
        return self.session.run(self._text(template, **parts), doing=doing)

    def _number(self, template: LiteralString, **parts: sql.Composable) -> int:
        return int(self._rows(template, **parts)[0][0])
