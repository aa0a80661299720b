"""Changes a table as its staged rows say, in the caller's transaction, which holds the table's
lock. What changes is kept in the load's table of before-images.

Each row of it has a kind: i, inserted: its identifying columns; u, updated, or d, deleted: the
whole row as it was. `windlass_made` is a hash of the row as the load left it, from which undoing
can see whether others have changed it since. Rows without identifying columns are recognised by
their transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import Column, listed, named
from windlass.engines.postgres.landing.found import Found
from windlass.engines.postgres.landing.images import creating, hash_of, saving
from windlass.engines.postgres.landing.merging import ADDED, Merge
from windlass.engines.postgres.landing.rows import Rows
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused, WindlassError
from windlass.model.load import Counts, Load
from windlass.model.load_words import LoadWords, Matched, Missing
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import plural

_TRUE = sql.SQL("true")


def same_key(left: str, right: str, columns: Sequence[Column]) -> sql.Composed:
    """A condition: two rows have equal keys."""
    return sql.SQL(" and ").join(
        one.equals(
            sql.SQL("{}.{}").format(sql.Identifier(left), one.identifier),
            sql.SQL("{}.{}").format(sql.Identifier(right), one.identifier),
        )
        for one in columns
    )


@dataclass(slots=True)
class Change:
    """One load's change of one table. `columns` are all of the table's, `ident` those that identify
    a row for undoing it."""

    connection: Connection
    load: Load
    table: Name
    columns: tuple[Column, ...]
    rows: Rows
    undo: Name
    ident: tuple[Column, ...]
    is_plain: bool = False  # nothing changes a row on its way
    done: dict[str, int] = field(default_factory=dict)

    # what the words mean

    def apply(self) -> Counts:
        """Raises:
        Refused: the table has rows that the words refuse.
        """
        words = self.effective
        if not self._merges_plainly(words):
            self._run(creating(self.undo, self.columns))
        if words.history:
            self._history()
        elif words.key:
            self._keyed(words)
        else:
            if words.missing is Missing.DELETE:
                self._delete(self._sliced("t"))
            self._insert(_TRUE)
        inserted, updated = self.done.get("inserted", 0), self.done.get("updated", 0)
        matched = self.done.get("matched", 0)
        return Counts(
            read=self.rows.read,
            inserted=inserted,
            updated=updated,
            unchanged=max(matched - updated, 0),
            deleted=self.done.get("deleted", 0),
            refused=self.rows.refused,
        )

    @property
    def effective(self) -> LoadWords:
        """The words that take effect. If all columns are given, a table with a key is replaced by
        changing only the rows that differ: the result is the same, without touching the others."""
        return effective_words(self.load, self.columns, self.rows)

    def _keyed(self, words: LoadWords) -> None:
        self._check_ambiguous()
        total = self._staged()
        if words.matched is Matched.REFUSE:
            self._refuse_matched()
        if self._merges_plainly(words):
            self._merge_plainly()
        elif words.matched is Matched.UPDATE:
            self._merge(words)
        else:
            self._insert(self._unmatched())
        self.done["matched"] = total - self.done["inserted"]
        if words.missing is Missing.DELETE:
            self._delete(sql.SQL("{} and {}").format(self._sliced("t"), self._missing()))
        elif words.missing is Missing.MARK:
            self._mark(words.mark)

    # conditions

    @property
    def _key(self) -> tuple[Column, ...]:
        return named(self.columns, self.effective.key)

    def _joined(self) -> sql.Composed:
        return same_key("t", "s", self._key)

    def _unmatched(self) -> sql.Composed:
        return sql.SQL("not exists (select from {} t where {})").format(
            self._target, self._joined()
        )

    def _missing(self) -> sql.Composed:
        return sql.SQL("not exists (select from {} s where {})").format(
            self.rows.source, self._joined()
        )

    def _sliced(self, alias: str) -> sql.Composable:
        """A condition for the rows that the load may delete. It uses column names only."""
        if not self.load.words.slice:
            return _TRUE
        return sql.SQL(
            "({alias}.tableoid, {alias}.ctid) in"
            " (select tableoid, ctid from {table} where ({slice}\n))"
        ).format(
            alias=sql.Identifier(alias), table=self._target, slice=sql.SQL(self.load.words.slice)
        )

    def _differs(self, given: Sequence[Column]) -> sql.Composed:
        compared = {one.column for one in self.load.assigned if one.compared}
        return _differs([one for one in given if one.name in compared])

    @property
    def _target(self) -> sql.Identifier:
        return names.identifier(self.table)

    # statements

    def _run(self, statement: sql.Composed) -> int:
        return self.connection.execute(statement, prepare=False).rowcount

    def _staged(self) -> int:
        query = sql.SQL("select pg_catalog.count(*) from {} s").format(self.rows.source)
        row = self.connection.execute(query).fetchone()
        return int(str(row[0])) if row else 0

    def _merges_plainly(self, words: LoadWords) -> bool:
        is_merge = bool(words.key) and words.matched is Matched.UPDATE and not words.history
        is_set = any(one.is_settable for one in self.rows.columns)
        return self.is_plain and is_merge and is_set and not words.mark

    def _merge_plainly(self) -> None:
        merge = Merge(
            self.connection,
            self.table,
            names.identifier(self.undo),
            self.columns,
            self.rows,
            self._joined(),
        )
        given = [one for one in self.rows.columns if one.is_settable]
        kept = merge.keep(self._differs(given))
        added = merge.find_added()
        self.done["updated"] = merge.update(kept)
        self.done["inserted"] = 0
        if added:
            self._insert(_TRUE, source=ADDED)

    def _merge(self, words: LoadWords) -> None:
        """Update rows that differ, and add the others."""
        given = list(self.rows.columns)
        values = {one.name: sql.SQL("s.{}").format(one.identifier) for one in given}
        differs: sql.Composable = self._differs([one for one in given if one.is_settable])
        if words.mark and words.mark not in values:
            mark = named(self.columns, [words.mark])[0]
            given.append(mark)
            unmarked = "false::{}" if mark.plain == "bool" else "null::{}"
            values[mark.name] = sql.SQL(unmarked).format(mark.cast)
            differs = sql.SQL("({} or {})").format(differs, _is_marked(mark))
        found = self._found(given)
        found.find(
            sql.SQL("{} s left join {} t on {}").format(
                self.rows.source, self._target, self._joined()
            ),
            values,
            sql.SQL("(t.ctid is null or {})").format(differs),
        )
        self.done["updated"] = self._update(found)
        self._insert(_TRUE, source=found.added)

    def _found(self, given: Sequence[Column]) -> Found:
        return Found(self.connection, self._target, self.columns, given)

    def _update(self, found: Found) -> int:
        return found.update(saving(self.undo, "u", self.columns), hash_of("t", self.columns))

    def _replace(
        self,
        given: Sequence[Column],
        values: dict[str, sql.Composed],
        condition: sql.Composable,
        *,
        joined: bool = True,
    ) -> int:
        """Set columns of rows; the rows are searched once."""
        source = sql.SQL("{} t").format(self._target)
        if joined:
            source = sql.SQL("{} join {} s on {}").format(source, self.rows.source, self._joined())
        found = self._found(given)
        found.find(source, values, condition)
        return self._update(found)

    def _insert(
        self,
        condition: sql.Composable,
        more: Sequence[tuple[Column, sql.Composable]] = (),
        source: sql.Composable | None = None,
    ) -> None:
        columns = listed(one.identifier for one in (*self.rows.columns, *(one for one, _ in more)))
        values = listed(
            [
                *(sql.SQL("s.{}").format(one.identifier) for one in self.rows.columns),
                *(value for _, value in more),
            ]
        )
        insert = sql.SQL(
            "insert into {} as t ({}) overriding system value select {} from {} s where {}"
        ).format(self._target, columns, values, source or self.rows.source, condition)
        if not self.ident:
            self.done["inserted"] = self._run(insert)
            return
        ident = listed(sql.SQL("t.{}").format(one.identifier) for one in self.ident)
        self.done["inserted"] = self._run(
            sql.SQL(
                "with added as ({} returning {} as made, {}) {}, made, null, {} from added"
            ).format(
                insert,
                hash_of("t", self.columns),
                ident,
                saving(self.undo, "i", self.ident),
                listed(one.identifier for one in self.ident),
            )
        )

    def _delete(self, condition: sql.Composable) -> None:
        olds = listed(sql.SQL("t.{}").format(one.identifier) for one in self.columns)
        self.done["deleted"] = self._run(
            sql.SQL(
                "with gone as (delete from {} t where {} returning t.xmin as wrote, {})"
                " {}, null, wrote, {} from gone"
            ).format(
                self._target,
                condition,
                olds,
                saving(self.undo, "d", self.columns),
                listed(one.identifier for one in self.columns),
            )
        )

    def _mark(self, name: str) -> None:
        (mark,) = named(self.columns, [name])
        value = sql.SQL("true" if mark.plain == "bool" else "now()")
        values = {name: sql.SQL("{}::{}").format(value, mark.cast)}
        condition = sql.SQL("{} and {} and not {}").format(
            self._sliced("t"), self._missing(), _is_marked(mark)
        )
        self.done["deleted"] = self._replace([mark], values, condition, joined=False)

    def _history(self) -> None:
        """Close rows that have changed or are missing, and add new ones. A row is valid from
        `valid_from` until before `valid_to`; NULL means that it is still valid."""
        words = self.load.words
        start, end = named(self.columns, [words.valid_from, words.valid_to])
        is_open = sql.SQL("t.{} is null").format(end.identifier)
        self._check_ambiguous(is_open)
        total = self._staged()
        given = [one for one in self.rows.columns if one.name not in (start.name, end.name)]
        closes = {end.name: sql.SQL("now()::{}").format(end.cast)}
        changed = sql.SQL("{} and {}").format(is_open, self._differs(given))
        self.done["updated"] = self._replace([end], closes, changed)
        unknown = sql.SQL("not exists (select from {} t where {} and {})").format(
            self._target, self._joined(), is_open
        )
        is_given = any(one.name == start.name for one in self.rows.columns)
        since = [] if is_given else [(start, sql.SQL("now()::{}").format(start.cast))]
        self._insert(unknown, since)
        self.done["inserted"] -= self.done["updated"]
        self.done["matched"] = total - self.done["inserted"]
        if words.missing is not Missing.KEEP:
            gone = sql.SQL("{} and {} and {}").format(is_open, self._sliced("t"), self._missing())
            self.done["deleted"] = self._replace([end], closes, gone, joined=False)

    # refusals

    def _check_ambiguous(self, condition: sql.Composable = _TRUE) -> None:
        """Raises:
        Refused: several rows of the table have one key.
        """
        key = set(self.effective.key)
        if any(set(one) <= key for one in self.load.table.keys) and condition is _TRUE:
            return
        keys = listed(sql.SQL("t.{}").format(one.identifier) for one in self._key)
        query = sql.SQL(
            "select 1 from {} t where {} and exists (select from {} s where {})"
            " group by {} having pg_catalog.count(*) > 1 limit 1"
        ).format(self._target, condition, self.rows.source, self._joined(), keys)
        if self.connection.execute(query).fetchone():
            named_key = ", ".join(self.effective.key)
            message = (
                f"has several rows with one key ({named_key}): which of them is meant is unknown"
            )
            raise Refused([Problem(str(self.table), message, "name another key")])

    def _refuse_matched(self) -> None:
        query = sql.SQL("select pg_catalog.count(*) from {} s where not {}").format(
            self.rows.source, self._unmatched()
        )
        row = self.connection.execute(query).fetchone()
        if row and (count := int(str(row[0]))):
            message = f"has {plural(count, 'row')} of the input already"
            hint = "matched: skip, or update"
            raise Refused([Problem(str(self.table), message, hint)])


def _differs(given: Sequence[Column]) -> sql.Composed:
    """Compares bytes (record_image_ne): 1.0 differs from 1.00, and the type needs no equality."""
    if not given:
        return sql.SQL("false") + sql.SQL("")
    return sql.SQL(
        "row({})::pg_catalog.record operator(pg_catalog.*<>) row({})::pg_catalog.record"
    ).format(
        listed(sql.SQL("t.{}").format(one.identifier) for one in given),
        listed(sql.SQL("s.{}").format(one.identifier) for one in given),
    )


def _is_marked(mark: Column) -> sql.Composed:
    if mark.plain == "bool":
        return sql.SQL("t.{} is true").format(mark.identifier)
    return sql.SQL("(t.{} is not null)").format(mark.identifier)


def effective_words(load: Load, columns: Sequence[Column], rows: Rows) -> LoadWords:
    """See `Change.effective`."""
    words = load.words
    if words.key or words.history or words.missing is not Missing.DELETE or words.slice:
        return words
    given = {one.name for one in rows.columns}
    is_whole = all(one.generated or one.name in given for one in columns)
    not_null = {one.name for one in columns if one.not_null}
    for key in load.table.keys:
        if is_whole and set(key) <= not_null & given:
            return replace(words, key=key, matched=Matched.UPDATE)
    return words


def identifying(load: Load, columns: Sequence[Column], rows: Rows) -> tuple[Column, ...]:
    """Columns by which a loaded row is found again: those of the load's key, or of a key of the
    table without NULLs; empty if there is none."""
    words = load.words
    if words.history:
        return named(columns, [*words.key, words.valid_from])
    key = effective_words(load, columns, rows).key
    not_null = {one.name for one in columns if one.not_null}
    known = [one for one in load.table.keys if set(one) <= not_null]
    chosen = key or (known[0] if known else ())
    if load.creates and not key:
        return ()
    return named(columns, chosen)


def check_columns(load: Load, columns: Sequence[Column]) -> None:
    """Raises:
    WindlassError: the table no longer has what the plan has seen.
    """
    there = {one.name for one in columns}
    needed = {one.column for one in load.assigned} | set(load.words.key)
    if lost := sorted(needed - there):
        raise WindlassError(
            f"{load.name} no longer has the column(s) {', '.join(lost)}", hint="plan the load again"
        )
