"""Changes a table as its load says, in an open transaction, and keeps what is needed to undo that:
the rows as they were and as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from windlass.engines.incoming.matching import already_there, ambiguous
from windlass.engines.incoming.names import SIDE, WHAT, user_sql
from windlass.engines.incoming.shape import changeable, compared, is_scoped, matching_key
from windlass.engines.snowflake.landing.naming import (
    DELETED,
    INSERTED,
    NEW,
    OLD,
    UPDATED,
    itself,
    of,
    pairs,
    part,
    table_of,
)
from windlass.engines.snowflake.landing.staged import Arriving, undo_table
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import each, listed, statement, verbatim
from windlass.model.load import Counts, Load, TableColumn
from windlass.model.load_words import Matched, Missing


def make_undo(run: str, load: Load, columns: list[TableColumn]) -> str:
    """Defines a table: call it outside of transactions."""
    parts = [sql.SQL("{} VARCHAR").format(named(one)) for one in (WHAT, SIDE)] + [
        sql.SQL("{} {}").format(named(one.name), verbatim(one.type)) for one in columns
    ]
    return statement(
        "create table if not exists {table} ({parts})",
        table=undo_table(run, load), parts=listed(parts),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changing:
    """One load, whose arriving rows are made. `columns` are all that the table stores, `arrive`
    those that arriving rows have."""

    session: Session
    arriving: Arriving
    columns: tuple[str, ...]
    arrive: tuple[str, ...]

    @property
    def load(self) -> Load:
        return self.arriving.load

    def change(self) -> Counts:
        """What became of the rows.

        Raises:
            WindlassError: a key of the input is that of several rows of the table.
            Refused: rows exist that must not.
        """
        return self._by_key() if matching_key(self.load) else self._without_key()

    # without a key: all rows are new, and those that they replace are deleted

    def _without_key(self) -> Counts:
        deleted = 0
        if self.load.words.missing is Missing.DELETE:
            deleted = self._delete(self._slice() or sql.SQL("1 = 1"))
        return Counts(inserted=self._insert(self._from("{rows} as t")), deleted=deleted)

    def _insert(self, item: sql.Composable) -> int:
        """Insert arriving rows `t`, which are those that the table has afterwards."""
        kept = self._keep(INSERTED, NEW, item, self.arrive)
        self._run(
            "insert into {table} ({columns}) select {values} from {item}",
            columns=each("{}", map(named, self.arrive)), values=of("t", self.arrive), item=item,
        )  # fmt: skip
        return kept

    def _delete(self, which: sql.Composable) -> int:
        item = self._from("{table} where {which}", which=which)
        kept = self._keep(DELETED, OLD, item, alias=self._me)
        self._run("delete from {table} where {which}", which=which)
        return kept

    # by a key

    def _by_key(self) -> Counts:
        key, words = matching_key(self.load), self.load.words
        by_key = pairs("=", self._me, "s", key)
        self._check_matches(by_key)
        deleted = self._delete_missing(by_key)
        updates = words.matched is Matched.UPDATE or not words.key
        updated = self._update(by_key, key) if updates else 0
        known = self._number(
            "select count(*) from {rows} as s where exists"
            " (select 1 from {table} where {by_key} and {scope})",
            by_key=by_key, scope=self._scope(),
        )  # fmt: skip
        inserted = self._insert(self._from("({missing}) as t", missing=self._missing(key)))
        return Counts(
            inserted=inserted, updated=updated, unchanged=known - updated, deleted=deleted
        )

    def _missing(self, key: tuple[str, ...]) -> sql.Composable:
        """Arriving rows whose key the table does not have."""
        return sql.SQL(
            "select s.* from {rows} as s left join (select {bare} from {table} where {scope})"
            " as t on {by_key} where {first} is null"
        ).format(
            rows=self.arriving.table, bare=of(self._me, key), table=self._table,
            scope=self._scope(), by_key=pairs("=", "t", "s", key), first=part("t", key[0]),
        )  # fmt: skip

    def _check_matches(self, by_key: sql.Composable) -> None:
        key, words = matching_key(self.load), self.load.words
        parts = {"by_key": by_key, "scope": self._scope()}
        several = (
            "select count(*) from (select {key} from {table} join {rows} as s on {by_key}"
            " where {scope} group by {key} having count(*) > 1) as d"
        )
        if self._number(several, key=of(self._me, key), **parts):
            raise ambiguous(self.load)
        if words.key and words.matched is Matched.REFUSE:
            both = "select count(*) from {table} join {rows} as s on {by_key} where {scope}"
            if there := self._number(both, **parts):
                raise already_there(self.load, there)

    def _delete_missing(self, by_key: sql.Composable) -> int:
        if self.load.words.missing is not Missing.DELETE:
            return 0
        which = self._from(
            "{scope} and not exists (select 1 from {rows} as s where {by_key})",
            scope=self._slice() or sql.SQL("1 = 1"), by_key=by_key,
        )  # fmt: skip
        return self._delete(which)

    def _update(self, by_key: sql.Composable, key: tuple[str, ...]) -> int:
        """Update rows that differ. The rows before and after are kept."""
        columns, looked_at = changeable(self.load), compared(self.load)
        if not columns or not looked_at:
            return 0
        differs = pairs("is distinct from", self._me, "s", looked_at, " or ")
        parts = {"by_key": by_key, "scope": self._scope(), "differs": differs}
        item = self._from(
            "{table} join {rows} as s on {by_key} where {scope} and ({differs})", **parts
        )
        found = self._keep(UPDATED, OLD, item, alias=self._me)
        if not found:
            return 0
        self._run(
            "update {table} set {changes} from {rows} as s"
            " where {by_key} and {scope} and ({differs})",
            changes=listed(
                sql.SQL("{} = {}").format(named(one), part("s", one)) for one in columns
            ),
            **parts,
        )  # fmt: skip
        after = self._from(
            "{table} as t join {undo} as u on {same} where u.{what} = 'updated'"
            " and u.{side} = 'old'",
            same=pairs("=", "t", "u", key), what=named(WHAT), side=named(SIDE),
        )  # fmt: skip
        self._keep(UPDATED, NEW, after)
        return found

    # which rows

    def _scope(self) -> sql.Composable:
        """The condition for rows of the table that have a counterpart: those of the slice only, if
        the user has given no key."""
        found = self._slice() if is_scoped(self.load) else None
        return found or sql.SQL("1 = 1")

    def _slice(self) -> sql.Composable | None:
        """What the user writes names columns without an alias, which may be those of several tables
        in a join. So the slice is a set of keys, or the whole of what is asked."""
        if not self.load.words.slice:
            return None
        key = matching_key(self.load)
        if not key:
            return user_sql(self.load.words.slice)
        inside = sql.SQL("select {} from {} where {}").format(
            listed(map(named, key)), self._table, user_sql(self.load.words.slice)
        )
        return sql.SQL("({}) in ({})").format(of(self._me, key), inside)

    # statements

    def _keep(
        self,
        what: str,
        side: str,
        item: sql.Composable,
        columns: tuple[str, ...] = (),
        alias: str = "t",
    ) -> int:
        """Keep rows of a FROM clause, by their alias, in the before-image, and count them."""
        columns = columns or self.columns
        self._run(
            "insert into {undo} ({head}, {names}) select {kept_as}, {values} from {item}",
            head=each("{}", map(named, (WHAT, SIDE))), names=each("{}", map(named, columns)),
            kept_as=listed([sql.Literal(what), sql.Literal(side)]), values=of(alias, columns),
            item=item,
        )  # fmt: skip
        return self._number(
            "select count(*) from {undo} as u where u.{w} = {what} and u.{s} = {side}",
            w=named(WHAT), s=named(SIDE), what=sql.Literal(what), side=sql.Literal(side),
        )  # fmt: skip

    @property
    def _me(self) -> str:
        return itself(self.load.table.name)

    @property
    def _table(self) -> sql.Identifier:
        return table_of(self.load.table.name)

    def _from(self, template: LiteralString, **parts: sql.Composable) -> sql.Composed:
        known = {
            "table": self._table, "rows": self.arriving.table,
            "undo": undo_table(self.arriving.run, self.load),
        }  # fmt: skip
        return sql.SQL(template).format(**known, **parts)

    def _text(self, template: LiteralString, **parts: sql.Composable) -> str:
        return self._from(template, **parts).as_string(None)

    def _run(self, template: LiteralString, **parts: sql.Composable) -> None:
        self.session.run(self._text(template, **parts), doing=f"loading {self.load.name}")

    def _number(self, template: LiteralString, **parts: sql.Composable) -> int:
        text = self._text(template, **parts)
        return int(self.session.run(text, doing=f"loading {self.load.name}")[0][0])
