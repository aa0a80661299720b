"""The staging tables of a rewrite, in the schema `windlass`, and the statements over them.

======================  ==========================================================================
rewrite_RUN             selected rows: ordinal, place, and each column under its number
rewrite_RUN_set         by ordinal, what `set` and `add` make of them
rewrite_RUN_called      by ordinal, what the function has given; rewrite_RUN_batches on the way
rewrite_RUN_same        by ordinal, rows that the function has left as they were
rewrite_RUN_extra       by ordinal, rows that are equal to an earlier one
rewrite_RUN_others      rows with the key of a selected row; as the first, by ordinals below 0
rewrite_RUN_gone        by ordinal, rows that were deleted
rewrite_RUN_written     by ordinal, where a row that was written is now
======================  ==========================================================================

A row's place is (tableoid, ctid). It is used only together with the row's image: another row may
have taken the same place since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier, in_brackets
from windlass.model.rewrite import RewriteChange, RewritePlan

PARTS = ("", "_set", "_batches", "_called", "_same", "_extra", "_others", "_gone", "_written")


@dataclass(frozen=True)
class Staging:
    """Composes; runs in the transaction of the connection it is given.

    `called` names the columns that the function has given, `changed` those of them that differ in
    some row; `extras` says whether there are duplicates, `same` whether there are rows that
    are not written, as the function has left them as they were.
    """

    plan: RewritePlan
    called: Sequence[str] = field(default=())
    changed: Sequence[str] = field(default=())
    extras: bool = False
    same: bool = False

    def name(self, part: str = "") -> str:
        return f"rewrite_{self.plan.run}{part}"

    def table(self, part: str = "") -> sql.Identifier:
        return sql.Identifier("windlass", self.name(part))

    @property
    def target(self) -> sql.Identifier:
        return identifier(self.plan.table)

    # reading

    def any_selected(self) -> sql.Composed:
        query = sql.SQL("select exists (select from {} where {})")
        return query.format(self.target, in_brackets(self.plan.selection.condition))

    def count_selected(self) -> sql.Composed:
        query = sql.SQL("select count(*) from {} where {}")
        return query.format(self.target, in_brackets(self.plan.selection.condition))

    def read(self) -> sql.Composed:
        """Read the selected rows, in the order of their places in the table."""
        return sql.SQL(
            "create table {} as select row_number() over (order by tableoid, ctid) as ordinal,"
            " tableoid as place_in, ctid as place, {} from {}"
        ).format(self.table(), self._as_old(), self._picked(self.plan.selection.limit_rows))

    def _picked(self, most_rows: int | None = None) -> sql.Composed:
        """The selected rows, as many as the limit allows."""
        picked = sql.SQL("{} where {}").format(
            self.target, in_brackets(self.plan.selection.condition)
        )
        if most_rows is None:
            return picked
        names = comma_list(sql.Identifier(one.name) for one in self.plan.columns)
        most = sql.Literal(most_rows)
        return sql.SQL("(select tableoid, ctid, {} from {} limit {}) t").format(names, picked, most)

    def some_selected(self, most_rows: int) -> sql.Composed:
        return sql.SQL("select * from {} where {} limit {}").format(
            self.target, in_brackets(self.plan.selection.condition), sql.Literal(most_rows)
        )

    def _as_old(self) -> sql.Composed:
        return comma_list(
            sql.SQL("{} as {}").format(sql.Identifier(one.name), sql.Identifier(one.old))
            for one in self.plan.columns
        )

    # changing

    @property
    def given(self) -> list[RewriteChange]:
        """Changes that are computed for each row, and staged."""
        return [change for change in self.expressions if not change.is_constant]

    @property
    def expressions(self) -> list[RewriteChange]:
        return [change for change in self.plan.changes if change.expression]

    def make_set(self, given: Sequence[RewriteChange]) -> sql.Composed:
        types = [sql.SQL(one.type) for one in given]
        return self._typed("_set", types)

    def make_called(self, types: Sequence[str]) -> sql.Composed:
        return self._typed("_called", list(map(sql.SQL, types)))

    def find_same(self) -> sql.Composed:
        """Rows that the function has left as they were."""
        pairs = [[of(name) for name in self.called] for of in (self.current, self.before_call)]
        return sql.SQL("create table {} as select s.ordinal from {} where {}").format(
            self.table("_same"), self.joined(), same_image(*pairs)
        )

    def _typed(self, part: str, types: Sequence[sql.SQL]) -> sql.Composed:
        """Staged with the columns' own types: values are assigned, as by an UPDATE. A cast would
        truncate what is too long."""
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(_new(place)), type_)
            for place, type_ in enumerate(types)
        ]
        return sql.SQL("create table {} ({})").format(
            self.table(part), comma_list([sql.SQL("ordinal bigint"), *columns])
        )

    def set(self, given: Sequence[RewriteChange]) -> sql.Composed:
        """Every expression sees one row as it was read, under the table's own name, and nothing
        else at that level: a column may have any name."""
        return sql.SQL("insert into {} select s.ordinal, n.* from {}").format(
            self.table("_set"), self._computed(given, self.table())
        )

    def sample(self, most_rows: int) -> sql.Composed:
        """Some rows as they are, and what expressions make of them, as text."""
        shown = [one for one in self.plan.columns if one.name in self.sampled]
        given = self.expressions
        texts = [sql.SQL("s.{}::text").format(sql.Identifier(one.old)) for one in shown]
        texts += [
            sql.SQL("n.{}::text").format(sql.Identifier(_new(place))) for place in range(len(given))
        ]
        rows = sql.SQL("(select {} from {})").format(self._as_old(), self._picked(most_rows))
        return sql.SQL("select {} from {}").format(comma_list(texts), self._computed(given, rows))

    @property
    def sampled(self) -> list[str]:
        """Columns of the table that `sample` shows as they are."""
        wanted = {self.plan.id, *(one.column for one in self.expressions)}
        return [one.name for one in self.plan.columns if one.name in wanted]

    def _computed(self, given: Sequence[RewriteChange], rows: sql.Composable) -> sql.Composed:
        return sql.SQL(
            "{rows} s cross join lateral (select {expressions} from (select {columns}) as {name}) n"
        ).format(
            rows=rows,
            expressions=comma_list(
                sql.SQL("{} as {}").format(sql.SQL(one.expression), sql.Identifier(_new(place)))
                for place, one in enumerate(given)
            ),
            columns=comma_list(
                sql.SQL("s.{} as {}").format(sql.Identifier(one.old), sql.Identifier(one.name))
                for one in self.plan.columns
            ),
            name=sql.Identifier(self.plan.table.name),
        )

    def current(self, column: str) -> sql.Composed:
        """A column's value to write, for the rows of `joined`."""
        if column in self.called:
            return sql.SQL("c.{}").format(sql.Identifier(_new(list(self.called).index(column))))
        return self.before_call(column)

    def before_call(self, column: str) -> sql.Composed:
        constants = {one.column: one for one in self.expressions if one.is_constant}
        if column in constants:
            return sql.Composed([sql.SQL(constants[column].expression)])
        given = [change.column for change in self.given]
        if column in given:
            return sql.SQL("n.{}").format(sql.Identifier(_new(given.index(column))))
        if column in self.plan.missing:
            return sql.SQL("null::{}").format(sql.SQL(self.plan.type_of(column)))
        return sql.SQL("s.{}").format(sql.Identifier(self.plan.column(column).old))

    def joined(
        self, rows: sql.Composable | None = None, *, with_calls: bool = True
    ) -> sql.Composed:
        """The staged rows, or some `rows` with their ordinals, and what they become."""
        parts = [sql.SQL("{} s").format(rows or self.table())]
        for alias, part in self._joins(with_calls=with_calls).items():
            name = sql.Identifier(alias)
            parts.append(sql.SQL("join {} {} using (ordinal)").format(self.table(part), name))
        return sql.SQL(" ").join(parts)

    def joined_aliases(self) -> list[str]:
        """Of what `joined` joins with the rows, `s`."""
        return list(self._joins(with_calls=True))

    def _joins(self, *, with_calls: bool) -> dict[str, str]:
        sets = {"n": "_set"} if self.given else {}
        return {**sets, "c": "_called"} if self.called and with_calls else sets

    def find_extra(self) -> sql.Composed:
        """Rows that equal one with a lower ordinal, which is their `first`."""
        plan = self.plan
        assert plan.duplicates is not None
        grouped = {one.name for one in plan.columns if one.is_grouped} | set(plan.missing)
        by = comma_list(
            self.current(name)
            if name in grouped
            else sql.SQL("{}::text").format(self.current(name))
            for name in plan.duplicates
        )
        return sql.SQL(
            "create table {} as select * from (select ordinal,"
            " min(ordinal) over (partition by {}) as first from {}) q where first <> ordinal"
        ).format(self.table("_extra"), by, self.joined())

    # others with the same key

    def read_others(self) -> sql.Composed:
        """In the snapshot of `read`: in a later one, a selected row that somebody changed since
        would be among them."""
        key = self.plan.column(self.plan.key)
        return sql.SQL(
            "create table {others} as select -row_number() over () as ordinal,"
            " tableoid as place_in, ctid as place, {columns}"
            " from {table} t where {key} in (select {old} from {staged})"
            " and not exists (select from {staged} s where s.place_in = t.tableoid"
            " and s.place = t.ctid)"
        ).format(
            others=self.table("_others"),
            columns=self._as_old(),
            table=self.target,
            key=sql.SQL("t.{}").format(sql.Identifier(key.name)),
            old=sql.Identifier(key.old),
            staged=self.table(),
        )

    def make_gone(self) -> sql.Composed:
        return sql.SQL("create table {} (ordinal bigint)").format(self.table("_gone"))

    def is_the_very_row(self) -> sql.Composed:
        """Whether row `t` of the table is row `s` as it was read: same place, same bytes."""
        return sql.SQL("t.ctid = s.place and t.tableoid = s.place_in and {}").format(
            same_image(
                [sql.SQL("t.{}").format(sql.Identifier(one.name)) for one in self.plan.stored],
                [sql.SQL("s.{}").format(sql.Identifier(one.old)) for one in self.plan.stored],
            )
        )

    # writing

    @property
    def written_columns(self) -> list[str]:
        given = [change.column for change in self.expressions]
        return list(dict.fromkeys([*given, *self.changed]))

    def make_written(self) -> sql.Composed:
        return sql.SQL("create table {} (ordinal bigint, place_in oid, place tid)").format(
            self.table("_written")
        )

    def kept(self) -> sql.Composed:
        """A condition on `s`: the row is to be written. It is no duplicate, and not as it was."""
        parts = [part for part, there in (("_extra", self.extras), ("_same", self.same)) if there]
        return sql.SQL("").join(
            sql.SQL(" and not exists (select from {} e where e.ordinal = s.ordinal)").format(
                self.table(part)
            )
            for part in parts
        )

    def old_rows(self, wanted: sql.Composable, *, named: bool = False) -> sql.Composed:
        """Rows as they were read, by their ordinals: those that were selected, and those with
        their key; under their numbers, or under the names they have in the table."""
        parts = [self.table(), *([self.table("_others")] if self.plan.deletes_by_key else [])]
        columns = self._as_named() if named else sql.SQL("s.*")
        return sql.SQL(" union all ").join(
            sql.SQL("select {} from {} s where s.ordinal in ({})").format(columns, part, wanted)
            for part in parts
        )

    def _as_named(self) -> sql.Composed:
        return comma_list(
            sql.SQL("s.{} as {}").format(sql.Identifier(one.old), sql.Identifier(one.name))
            for one in self.plan.columns
        )

    def stray(self) -> sql.Composed:
        """Deleted duplicates of a row that was not written because somebody changed it since. They
        are restored."""
        return sql.SQL(
            "select g.ordinal from {gone} g join {extra} e using (ordinal) where not exists"
            " (select from {written} w where w.ordinal = e.first)"
        ).format(
            gone=self.table("_gone"), extra=self.table("_extra"), written=self.table("_written")
        )

    def forget_gone(self, ordinals: sql.Composable) -> sql.Composed:
        return sql.SQL("delete from {} where ordinal in ({})").format(self.table("_gone"), ordinals)

    def all_gone(self) -> sql.Composed:
        return sql.SQL("select ordinal from {}").format(self.table("_gone"))

    def exists(self, connection: Connection, part: str) -> bool:
        name = self.table(part).as_string(connection)
        row = connection.execute("select to_regclass(%s)", (name,)).fetchone()
        return bool(row and row[0])

    def count_kept(self) -> sql.Composed:
        return sql.SQL("select count(*) from {} s where true{}").format(self.table(), self.kept())

    def analyze(self, connection: Connection, part: str) -> None:
        """To be called once it is filled. Without statistics the planner joins two of them by
        nested loops: 60 s for 20,000 rows that take 1 s with them."""
        connection.execute(sql.SQL("analyze {}").format(self.table(part)))

    def index(self, connection: Connection, part: str) -> None:
        """To be called once it is filled: a span of its rows is then found by the index."""
        connection.execute(sql.SQL("create index on {} (ordinal)").format(self.table(part)))

    def drop(self, connection: Connection) -> None:
        for part in PARTS:
            connection.execute(sql.SQL("drop table if exists {}").format(self.table(part)))


def _new(place: int) -> str:
    return f"n{place}"


def same_image(left: Sequence[sql.Composable], right: Sequence[sql.Composable]) -> sql.Composed:
    """Whether two rows are the same, byte by byte; for every type, and NULL is NULL.

    Without the casts PostgreSQL would compare column by column, by each type's own operator.
    """
    return sql.SQL("row({})::record *= row({})::record").format(comma_list(left), comma_list(right))


def comma_list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
