"""Each piece of work on one load, and the journal line that it commits with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.landing import Input
from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.applying import Change, check_columns, identifying
from windlass.engines.postgres.landing.bad import refuse_more
from windlass.engines.postgres.landing.books import APPLY, SHAPE, STAGE, Books, Journal
from windlass.engines.postgres.landing.columns import (
    Column,
    find_oid,
    listed,
    named,
    read_columns,
    read_columns_of_types,
)
from windlass.engines.postgres.landing.direct import Direct, can_be_direct
from windlass.engines.postgres.landing.expecting import check_rows, refuse_bad_keys
from windlass.engines.postgres.landing.locking import lock_patiently, needs_lock
from windlass.engines.postgres.landing.merging import is_plain
from windlass.engines.postgres.landing.rows import (
    Rows,
    StagedInput,
    is_computed,
    rows_of,
    shape,
    staged_inputs,
)
from windlass.engines.postgres.landing.sessions import Sessions
from windlass.engines.postgres.landing.staged_columns import Staging, ordered_mark, plan_staged
from windlass.engines.postgres.landing.staging import Misfit, stage_texts, stage_typed
from windlass.engines.postgres.landing.watching import Suspicious
from windlass.engines.postgres.session import Connection
from windlass.errors import RunLost, WindlassError
from windlass.model.flow import Result
from windlass.model.load import BadValue, Counts, Finding, Load, Staged
from windlass.model.relation import Name

_HIGHEST: LiteralString = (
    "select marks.mark::text from ({}) marks where marks.mark is not null"
    " and (pg_catalog.pg_typeof(marks.mark) = 'pg_catalog.text'::pg_catalog.regtype"
    "   or pg_catalog.lower(marks.mark::text) not in ('nan', 'infinity', '-infinity'))"
    " order by marks.mark desc limit 1"
)


@dataclass(frozen=True, slots=True)
class LoadWork:
    """Of a run, in one session."""

    connection: Connection
    sessions: Sessions
    books: Books
    journal: Journal
    run: str
    load: Load

    # staging

    def stage(self, number: int, source: Input) -> Staged:
        if (APPLY, self.load.name) in self.journal or self._load_at_once(source):
            counts = _counts(self.journal.note(APPLY, self.load.name))
            return Staged(counts.read, counts.refused)
        item = names.item(self.load.name, number)
        self.sessions.checked.discard((self.run, self.load.name))
        self._forget_lost(item)
        try:
            note = self._once(STAGE, item, lambda: self._stage(stage_typed, number, source))
        except Misfit:
            note = self._once(STAGE, item, lambda: self._stage(stage_texts, number, source))
        bad = tuple(BadValue(**one) for one in note.get("bad", ()))
        return Staged(int(note["rows"]), int(note["refused"]), bad)

    def _load_at_once(self, source: Input) -> bool:
        """Load without staging if that is possible; returns whether it was done."""
        with self.connection.transaction(force_rollback=True):
            known = self._known()
        given = named(known, [one.column for one in self.load.assigned])
        if not can_be_direct(self.load, given):
            return False
        try:
            self._once(APPLY, self.load.name, lambda: self._copy(given, known, source))
        except Suspicious:
            return False
        return True

    def _copy(self, given: Sequence[Column], known: Sequence[Column], source: Input) -> Result:
        by_field = dict(zip((one.field for one in self.load.assigned), given, strict=True))
        ordered = [by_field[one.name] for one in self.load.fields]
        rows = Direct(self.connection, self.load.table.name, ordered, source).copy()
        self._set_sequences(known, given)
        return self._note(Counts(read=rows, inserted=rows), known, (), None)

    def _stage(self, way: Callable[..., Result], number: int, source: Input) -> Result:
        result = way(self.connection, self.run, self.load, number, source, self._staging())
        if result["refused"]:
            self._refuse_together(names.item(self.load.name, number), result)
        self.books.keep_private(self.connection)
        return result

    def _refuse_together(self, item: str, result: Result) -> None:
        """Check the limit for this input together with those that were staged in parallel. Only one
        at a time gets here.

        Raises:
            BadRecord: it is more than may be.
        """
        found = self.books.read(self.connection, self.run)
        lines = {**(found.lines.get(STAGE, {}) if found else {}), item: result}
        refuse_more(self.load, sum(one.refused for one in staged_inputs(self.load, lines)), result)

    def _once(self, step: str, item: str, work: Callable[[], Result]) -> Result:
        table = self.load.table.name
        settings = self.sessions.settings(self.connection, table.schema, table.name)
        return self.journal.once(self.connection, step, item, lambda _: work(), first=(settings,))

    def _forget_lost(self, item: str) -> bool:
        """Forget that an input is staged if a crash of the server has emptied its table."""
        note = self.journal.note(STAGE, item)
        if not note or self._is_there(Name.read(note["table"]), int(note["rows"])):
            return False
        self.journal.fenced(
            self.connection,
            STAGE,
            lambda connection: self.journal.forget(connection, [STAGE], [item]),
        )
        return True

    def _is_there(self, table: Name, rows: int) -> bool:
        """Whether the table still has its rows: after a crash, an unlogged table has no blocks."""
        row = self.connection.execute(
            "select pg_catalog.pg_relation_size(c.oid) from pg_catalog.pg_class c"
            " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s",
            (table.schema, table.name),
        ).fetchone()
        return row is not None and (not rows or int(str(row[0])) > 0)

    # what is known of the load

    def _staging(self) -> Staging:
        """How the inputs are staged. Call inside a transaction."""
        load, known = self.load, self._known()
        given = named(known, [one.column for one in load.assigned])
        return Staging(plan_staged(load, given, {one.name: one for one in known}), given, known)

    def _known(self) -> tuple[Column, ...]:
        """The table's columns, with those that it will have."""
        load = self.load
        oid = None if load.creates else find_oid(self.connection, load.table.name)
        there = read_columns(self.connection, oid) if oid else ()
        names_there = {one.name for one in there}
        types = [(one.column, one.type) for one in load.assigned if one.column not in names_there]
        if not load.creates:
            added = {one.name for one in load.adds}
            if lost := [name for name, _ in types if name not in added]:
                raise WindlassError(
                    f"{load.name} has no column {', '.join(lost)}", hint="plan the load again"
                )
        if not types:
            return there
        like = names.like(self.run, load.name)
        return (*there, *read_columns_of_types(self.connection, types, like))

    def _inputs(self) -> list[StagedInput]:
        """Raises:
        RunLost: a crash of the server has emptied a staging table.
        """
        found = staged_inputs(self.load, self._notes())
        lost = [one for one in found if self._forget_lost(names.item(self.load.name, one.number))]
        if lost:
            places = ", ".join(one.place for one in lost)
            raise RunLost(f"{self.load.name}: the staged rows of {places} are lost in a crash")
        if not found or len(found) < len(self.load.inputs):
            raise RunLost(f"{self.load.name}: not all of its inputs are staged")
        return found

    def _notes(self) -> Mapping[str, Mapping[str, Any]]:
        return {item: line.note or {} for item, line in self.journal.lines(STAGE).items()}

    def rows(self) -> Rows:
        """The staged rows. Computed rows are made now, unless they exist."""
        inputs = self._inputs()
        with self.connection.transaction(force_rollback=True):
            staging = self._staging()
        computed = is_computed(self.load, staging)
        if computed:
            table = names.shaped(self.run, self.load.name)
            note = self.journal.note(SHAPE, self.load.name)
            if note and not self._is_there(table, int(note["rows"])):
                self.journal.fenced(
                    self.connection,
                    SHAPE,
                    lambda connection: self.journal.forget(connection, [SHAPE], [self.load.name]),
                )
            self._once(SHAPE, self.load.name, lambda: self._shape(staging, inputs))
        return rows_of(self.run, self.load, staging, inputs, computed=computed)

    def _shape(self, staging: Staging, inputs: Sequence[StagedInput]) -> Result:
        rows = shape(self.connection, self.run, self.load, staging, inputs)
        self.books.keep_private(self.connection)
        return {"rows": rows}

    # checking and applying

    def check(self) -> Sequence[Finding]:
        if (APPLY, self.load.name) in self.journal:
            return ()
        rows = self.rows()
        table = self.load.table.name
        settings = self.sessions.settings(self.connection, table.schema, table.name)
        with self.connection.transaction():
            self.connection.execute(settings.encode())
            found = check_rows(self.connection, self.run, self.load, rows)
            self.books.keep_private(self.connection)
        if not found:
            self.sessions.checked.add((self.run, self.load.name))
        return found

    def apply(self) -> Counts:
        load = self.load
        if (APPLY, load.name) in self.journal:
            return _counts(self.journal.note(APPLY, load.name))
        rows = self.rows()
        tables = [load.table.name] if needs_lock(load) else []
        note = lock_patiently(
            tables,
            self.sessions.stops,
            lambda lock: self._once(APPLY, load.name, lambda: self._apply(rows, lock)),
        )
        return _counts(note)

    def _apply(self, rows: Rows, lock: Callable[[Connection], None]) -> Result:
        load = self.load
        if (self.run, load.name) not in self.sessions.checked:
            refuse_bad_keys(self.connection, load, rows)
        if load.creates:
            self._create(rows)
        lock(self.connection)
        if load.adds and not load.creates:
            self._add()
        oid = find_oid(self.connection, load.table.name)
        if oid is None:
            raise WindlassError(f"{load.name} is gone", hint="plan the load again")
        columns = read_columns(self.connection, oid)
        check_columns(load, columns)
        undo = names.undo(self.run, load.name)
        ident = identifying(load, columns, rows)
        plain = is_plain(self.connection, oid)
        change = Change(self.connection, load, load.table.name, columns, rows, undo, ident, plain)
        counts = change.apply()
        self._set_sequences(columns, rows.columns)
        self.books.keep_private(self.connection)
        return self._note(counts, columns, ident, rows)

    def _note(
        self,
        counts: Counts,
        columns: Sequence[Column],
        ident: Sequence[Column],
        rows: Rows | None,
    ) -> Result:
        load, table = self.load, self.load.table.name
        row = self.connection.execute("select pg_catalog.txid_current()").fetchone()
        assert row is not None
        return {
            **counts.as_dict(),
            "table": str(table),
            "undo": str(names.undo(self.run, load.name)) if rows else "",
            "ident": [one.name for one in ident],
            "columns": [one.name for one in columns],
            "xid": str(row[0]),
            "settings": self.sessions.settings(self.connection, table.schema, table.name),
            "created": load.creates,
            "added": [one.name for one in load.adds],
            "from": list(load.inputs),
            "by": load.watermark,
            "watermark": self._watermark(rows) if rows else "",
        }

    def _watermark(self, rows: Rows) -> str:
        """The highest staged watermark, as its type writes it. Not NaN or infinity, after which no
        later row would be found."""
        if not self.load.watermark:
            return ""
        value = ordered_mark(self.load, self._staging())
        parts = [
            sql.SQL("select {} as mark from {}").format(value, names.identifier(one.table))
            for one in rows.inputs
        ]
        query = sql.SQL(_HIGHEST).format(sql.SQL(" union all ").join(parts))
        row = self.connection.execute(query).fetchone()
        return str(row[0]) if row else ""

    def _create(self, rows: Rows) -> None:
        """Create the table, with the key that identifies its rows from then on."""
        columns = [sql.SQL("{} {}").format(one.identifier, one.cast) for one in rows.columns]
        words = self.load.words
        if words.history:
            stamps = [one for one in (words.valid_from, words.valid_to)
                      if one not in {column.name for column in rows.columns}]  # fmt: skip
            columns += [sql.SQL("{} timestamptz").format(sql.Identifier(one)) for one in stamps]
        elif words.key:
            key = listed(sql.Identifier(one) for one in words.key)
            columns.append(sql.SQL("primary key ({})").format(key))
        table = names.identifier(self.load.table.name)
        self.connection.execute(sql.SQL("create table {} ({})").format(table, listed(columns)))

    def _add(self) -> None:
        added = listed(
            sql.SQL("add column {} {}").format(sql.Identifier(one.name), sql.SQL(one.type))
            for one in self.load.adds
        )
        table = names.identifier(self.load.table.name)
        self.connection.execute(sql.SQL("alter table {} {}").format(table, added))

    def _set_sequences(self, columns: Sequence[Column], given: Sequence[Column]) -> None:
        """Move sequences past the loaded values, so that the next row that an application inserts
        gets another one. They are never lowered, and this is not undone."""
        filled = {one.name for one in given}
        for column in columns:
            if column.sequence and column.name in filled:
                self.connection.execute(
                    sql.SQL(
                        "select pg_catalog.setval({sequence}, top) from"
                        " (select pg_catalog.max({column}) as top from {table}) t,"
                        " (select last_value, is_called from {relation}) s"
                        " where top > last_value or (top = last_value and not is_called)"
                    ).format(
                        sequence=sql.Literal(column.sequence),
                        column=column.identifier,
                        table=names.identifier(self.load.table.name),
                        relation=sql.SQL(column.sequence),
                    )
                )

    def clean_up(self) -> None:
        """Drop only what staging made: before-images and refused rows stay."""
        tables = [names.shaped(self.run, self.load.name)]
        tables += [one.table for one in staged_inputs(self.load, self._notes())]
        if tables:
            drop = sql.SQL("drop table if exists {}").format(listed(map(names.identifier, tables)))
            self.journal.fenced(
                self.connection, "clean_up", lambda connection: _drop(connection, drop)
            )


def _drop(connection: Any, statement: sql.Composed) -> None:
    connection.execute(statement)


def _counts(note: Mapping[str, Any]) -> Counts:
    return Counts(**{word: int(note.get(word, 0)) for word in Counts().as_dict()})
