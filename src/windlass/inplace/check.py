"""Whether a rewrite is possible: reads the table and tries the user's SQL; reports every problem at
once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from psycopg import sql

from windlass.engines.postgres import table as tables
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.inplace import access
from windlass.inplace.backup import HINT, owner_of, whose
from windlass.inplace.relatives import read_problems
from windlass.inplace.standbys import may_read_lag
from windlass.inplace.triggers import RESETS, RESETS_HINT, read_resetting
from windlass.model.flow import resolve
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import (
    Call,
    Kept,
    RewriteChange,
    RewriteColumn,
    RewritePlan,
    Selection,
    Where,
)
from windlass.spec.choices import Backup, Delete, Order
from windlass.spec.rewrite import Addition, Change, RewriteSpec

FULL_BACKUP_BYTES = 64 << 20  # of a table that is backed up as a whole, unless the spec says so
_TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
_OF_A_LENGTH = {"character varying", "bpchar", '"bit"', "bit varying"}
_EXACT = {"smallint", "integer", "bigint", "numeric"}
_TYPES = (
    (bool, "boolean"),
    (int, "bigint"),
    (float, "double precision"),
    (datetime, "timestamp with time zone"),
    (date, "date"),
    (str, "text"),
)


def find_table(connection: Connection, spec: RewriteSpec) -> tables.Table:
    """Raises:
    Refused: there is no such table, or it is something else.
    """
    name = Name(spec.schema_, spec.table)
    found = tables.read_table(connection, name)
    if found is None:
        hint = _where_it_may_be(name, tables.list_tables(connection))
        raise Refused([Problem(str(name), "there is no such table", hint)])
    kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
    if found.kind not in ("r", "p"):
        what = kinds.get(found.kind, "something else")
        raise Refused([Problem(str(name), f"is {what}", "name the table under it")])
    return found


def _where_it_may_be(name: Name, known: Sequence[str]) -> str:
    if name.name in known:  # given as `table: schema.table`
        schema, _, table = name.name.partition(".")
        return f"give its schema separately: `schema: {schema}`, `table: {table}`"
    near = difflib.get_close_matches(name.plain, known, n=1)
    return f"did you mean {near[0]}?" if near else "check schema and table"


def plan_rewrite(connection: Connection, spec: RewriteSpec, run: str) -> RewritePlan:
    """What would be done. Writes nothing.

    Raises:
        Refused: with every problem.
    """
    table = find_table(connection, spec)
    checking = _Checking(connection, spec, Name(spec.schema_, spec.table), table)
    plan = checking.plan(run)
    if checking.problems:
        raise Refused(checking.problems)
    return plan


@dataclass
class _Checking:
    connection: Connection
    spec: RewriteSpec
    name: Name
    table: tables.Table
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.columns = {
            one.name: one for one in tables.read_columns(self.connection, self.table.oid)
        }

    def refuse(self, what: object, message: str, hint: str = "") -> None:
        self.problems.append(Problem(str(what), message, hint))

    def plan(self, run: str) -> RewritePlan:
        spec = self.spec
        if not self._rights():  # what a session may not read, it cannot try
            return self._empty(run)
        self.problems += read_problems(self.connection, self.name, self.table.oid, spec.deletes)
        self._named_columns()
        said = tables.try_condition(self.connection, self.name, spec.select)
        if said:
            self.refuse("select", said, "a condition, as after WHERE")
        changes = [*self._set(), *self._added()]
        columns = [one.column for one in changes]
        if keys := read_resetting(self.connection, self.table.oid, columns):
            self.refuse(self.name, f"{RESETS}: {', '.join(keys)}", RESETS_HINT)
        self._function()
        self._backup_schema()
        missing = tuple(name for name in spec.add if name not in self.columns)
        duplicates = self._duplicates(missing)
        kept = self._kept()
        return self._empty(
            run,
            columns=tuple(self._columns(duplicates)),
            changes=tuple(changes),
            missing=missing,
            kept=Kept(kept.value, spec.backup_schema, spec.keep_backups),
            duplicates=duplicates,
        )

    def _empty(self, run: str, **known: Any) -> RewritePlan:
        spec, info = self.spec, self.connection.info
        words: dict[str, Any] = {
            "columns": (),
            "changes": (),
            "missing": (),
            "kept": Kept(Backup.NONE.value, spec.backup_schema),
            "duplicates": None,
            **known,
        }
        return RewritePlan(
            run=run,
            table=self.name,
            number=self.table.oid,
            where=Where(f"{info.host}:{info.port}", info.dbname),
            selection=Selection(spec.select, spec.limit_rows),
            key=spec.key or "",
            id=spec.id or "",
            stamp=spec.stamp or "",
            deletes_by_key=spec.delete is Delete.ALL_WITH_KEY,
            call=Call(
                spec.function or "",
                spec.frame.value,
                spec.batch_rows,
                spec.order is Order.TRUSTED,
            ),
            **words,
        )

    def _kept(self) -> Backup:
        spec = self.spec
        if spec.delete is Delete.ALL_WITH_KEY and spec.backup is Backup.NONE:
            return Backup.TOUCHED
        if spec.backup is not Backup.AUTO:
            return spec.backup
        size_bytes = tables.read_size(self.connection, self.table.oid)
        return Backup.FULL if size_bytes <= FULL_BACKUP_BYTES else Backup.TOUCHED

    def _columns(self, duplicates: Sequence[str] | None) -> Iterator[RewriteColumn]:
        for one in self.columns.values():
            grouped = one.name not in (*(duplicates or ()), self.spec.id) or tables.groups(
                self.connection, self.name, one.name
            )
            yield RewriteColumn(
                one.number, one.name, one.type, one.generated, one.identity == "a", grouped
            )

    # what this session may do

    def _rights(self) -> bool:
        table, spec = self.table, self.spec
        if not table.may_select:
            self.refuse(self.name, "this user may not read it", "grant select on it")
        if not table.may_update:
            self.refuse(self.name, "this user may not change it", "grant update on it")
        deletes = spec.deletes
        if deletes and not table.may_delete:
            self.refuse(self.name, "this user may not delete from it", "grant delete on it")
        if deletes and not table.may_insert:
            self.refuse(
                self.name,
                "this user may not insert into it",
                "grant insert on it: what is deleted comes back if the rest cannot be written",
            )
        if deletes and table.cascades:
            keys = ", ".join(table.cascades)
            self.refuse(
                self.name,
                f"deleting its rows would change other tables' rows too: {keys}",
                "the backup would not have those rows; drop the ON DELETE action, or do not delete",
            )
        if spec.max_lag_seconds is not None and not may_read_lag(self.connection):
            self.refuse(
                "max-lag-seconds",
                "this user may not see how far standbys are behind",
                "grant pg_read_all_stats",
            )
        missing = [name for name in spec.add if name not in self.columns]
        if missing and not table.owns:
            names = ", ".join(missing)
            self.refuse(self.name, f"only its owner may add {names}", "run as the owner")
        if table.hides_rows:
            self.refuse(
                self.name,
                "row security hides rows from this user",
                "run as the owner, or as a role with BYPASSRLS",
            )
        may_create = tables.may_create_in(self.connection, "windlass")
        if may_create is False:
            self.refuse("schema windlass", "this user may not write to it", "grant create, usage")
        if may_create is None and not tables.may_create_schemas(self.connection):
            self.refuse(
                "schema windlass",
                "is missing, and this user may not create schemas",
                "grant create on the database, or make it for this user",
            )
        return table.may_select

    def _backup_schema(self) -> None:
        spec = self.spec
        if spec.backup is Backup.NONE and spec.delete is Delete.SELECTED:
            return
        what = f"schema {spec.backup_schema}"
        self.problems += access.read_problems(
            self.connection, self.name, spec.backup_schema, self.name.name
        )
        if spec.backup_schema == self.name.schema:
            self.refuse(what, "is the table's own", "name another backup-schema")
            return
        may_create = tables.may_create_in(self.connection, spec.backup_schema)
        if may_create is False:
            self.refuse(what, "this user may not create tables in it", "grant create, usage")
        if may_create is None and not tables.may_create_schemas(self.connection):
            self.refuse(what, "is missing, and this user may not create schemas", "make it")
        backup = Name(spec.backup_schema, self.name.name)
        found = tables.read_table(self.connection, backup)
        if found is not None:
            said = whose(owner_of(self.connection, backup), self.name)
            if said:
                self.refuse(backup, said, HINT)
            elif not found.owns:
                self.refuse(backup, "the previous backup belongs to another role", HINT)

    # what its columns allow

    def _named_columns(self) -> None:
        spec = self.spec
        id_, stamp_ = (spec.id or "", spec.stamp) if spec.stamp else ("", "")
        roles = {"id": id_, "stamp": stamp_}
        if spec.delete is Delete.ALL_WITH_KEY:
            roles["key"] = spec.key or ""
        for role, name in roles.items():
            if name and name not in self.columns:
                self._no_column(role, name)
        if id_ in self.columns and not tables.groups(self.connection, self.name, id_):
            self.refuse(
                f"id {id_}",
                f"is of type {self.columns[id_].type}, which has no equality",
                "name a column that can be compared, or leave out stamp",
            )
        stamp = self.columns.get(stamp_)
        if stamp is not None and stamp.generated:
            self.refuse(f"stamp {stamp.name}", "is a generated column", "name another column")
        elif stamp is not None and stamp.base not in _TIMES:
            self.refuse(
                f"stamp {stamp.name}",
                f"is of type {stamp.type}, which takes no time",
                "name a timestamp or a date, or leave out stamp",
            )

    def _no_column(self, role: str, name: str) -> None:
        near = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.columns)}"
        self.refuse(f"{role} {name}", f"{self.name} has no such column", hint)

    def _set(self) -> Iterator[RewriteChange]:
        for name, change in self.spec.set_.items():
            column = self.columns.get(name)
            if column is None:
                self._no_column("set", name)
            elif self._may_be_set("set", column):
                yield from self._change("set", name, change, column.type)

    def _added(self) -> Iterator[RewriteChange]:
        for name, addition in self.spec.add.items():
            column = self.columns.get(name)
            if column is not None and not self._may_be_set("add", column):
                continue
            type_ = self._type_of_addition(name, addition, column)
            if type_:
                yield from self._change("add", name, addition, type_)

    def _may_be_set(self, word: str, column: tables.Column) -> bool:
        if column.generated:
            self.refuse(f"{word} {column.name}", "is a generated column", "set what it is made of")
        elif column.identity == "a":
            self.refuse(f"{word} {column.name}", "is an identity column, GENERATED ALWAYS")
        else:
            return True
        return False

    def _type_of_addition(self, name: str, addition: Addition, column: tables.Column | None) -> str:
        given = addition.type
        if given is not None:
            said = tables.try_casts(self.connection, [_cast(sql.NULL, given)])
            if said:
                self.refuse(f"add {name}", f"type {given}: {said}")
                return ""
            types, _ = tables.try_expressions(self.connection, self.name, [f"null::{given}"])
            given = types[0] if types else given
        if column is not None:
            if given is not None and given != column.type:
                self.refuse(f"add {name}", f"is there already, as {column.type}", "leave out type")
            return column.type
        if given is not None:
            return given
        if addition.sql is not None:
            types, said = tables.try_expressions(self.connection, self.name, [addition.sql])
            if said:
                self.refuse(f"add {name}", said, "an SQL expression over a row of the table")
            return types[0] if types else ""
        return next(type_ for kind, type_ in _TYPES if isinstance(addition.value, kind))

    def _change(
        self, word: str, name: str, change: Change | Addition, type_: str
    ) -> Iterator[RewriteChange]:
        if isinstance(change, Addition) and not change.is_given:
            yield RewriteChange(name, type_)
            return
        if change.sql is not None:
            text = f"({change.sql}\n)"
            open_ = tables.open_type(self.connection, type_)
            _, said = tables.try_expressions(self.connection, self.name, [f"{text}::{open_}"])
            said = said or tables.try_expression(self.connection, self.name, change.sql)
        else:
            text = literal(change.value, type_).as_string(self.connection)
            said = tables.try_casts(self.connection, [_cast(sql.SQL(text), type_)])
            open_ = "" if said else tables.open_type(self.connection, type_)
            if open_ in _OF_A_LENGTH:
                said = tables.try_value(self.connection, _cast(sql.SQL(text), open_), type_)
            said = said or _rounding(self.connection, change.value, text, type_)
        if said:
            self.refuse(f"{word} {name}", said)
            return
        is_constant = change.sql is None and open_ == type_
        yield RewriteChange(name, type_, f"{text}::{open_}", is_constant)

    def _function(self) -> None:
        spec = self.spec
        if spec.function is None:
            return
        try:
            found: object = resolve(spec.function)
        except (Exception, SystemExit) as error:  # whatever its module raises when it is imported
            message = f"cannot be imported: {type(error).__name__}: {error}"
            is_away = isinstance(error, ModuleNotFoundError)
            hint = "its folder has to be in PYTHONPATH" if is_away else "see the function's module"
            self.refuse(f"function {spec.function}", message, hint)
        else:
            if not callable(found):
                self.refuse(f"function {spec.function}", "is not a function")
        from windlass.inplace.frames import missing_libraries

        lacking = missing_libraries(spec.frame.value)
        if lacking:
            hint = "pip install 'windlass-db[frames]'"
            self.refuse(f"frame {spec.frame}", f"needs {', '.join(lacking)}", hint)

    def _duplicates(self, missing: Sequence[str]) -> tuple[str, ...] | None:
        wanted = self.spec.drop_duplicates
        if wanted is False:
            return None
        if wanted is True:
            return (*self.columns, *missing)
        for name in wanted:
            if name not in self.columns and name not in missing:
                self._no_column("drop-duplicates", name)
        return tuple(wanted)


def _cast(value: sql.Composable, type_: str) -> sql.Composed:
    return sql.SQL("{}::{}").format(value, sql.SQL(type_))


def _rounding(connection: Connection, value: Any, text: str, type_: str) -> str:
    """Why the column would change a constant's value; empty if it would not."""
    opened = tables.open_type(connection, type_)
    if isinstance(value, bool) and opened == "integer":
        return f"true or false, where the column is {type_}"
    if not isinstance(value, int | float) or opened not in _EXACT:
        return ""
    number = sql.SQL(text)
    query = sql.SQL("select {}::numeric is distinct from {}::numeric")
    row = connection.execute(query.format(_cast(number, type_), number)).fetchone()
    return f"more digits than {type_} keeps" if row and row[0] else ""


def literal(value: Any, type_: str) -> sql.Composable:
    """A constant as the server reads it for a column of this type."""
    if type_ in ("json", "jsonb") and value is not None:
        return sql.Literal(_document(value))
    if isinstance(value, dict):
        return sql.Literal(_document(value))
    if isinstance(value, list):
        return sql.SQL("array[{}]").format(sql.SQL(", ").join(literal(one, "") for one in value))
    if value is None or isinstance(value, bool | int | float):
        return sql.Literal(value)
    return sql.Literal(str(value))


def _document(value: Any) -> str:
    """As JSON; YAML's dates and times, which JSON does not have, become text."""
    return json.dumps(value, ensure_ascii=False, default=str)
