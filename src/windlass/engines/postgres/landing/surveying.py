"""Asks the server what would prevent a load. What is created to find out is rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from windlass.engines.landing import other_type
from windlass.engines.postgres.errors import without_values
from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import (
    Column,
    find_oid,
    listed,
    read_columns,
    read_columns_of_types,
)
from windlass.engines.postgres.landing.describing import Facts, read_facts
from windlass.engines.postgres.landing.expecting import check_rows
from windlass.engines.postgres.landing.locking import needs_lock
from windlass.engines.postgres.landing.narrowing import certain_loss
from windlass.engines.postgres.landing.rows import (
    StagedInput,
    definitions,
    of_table,
    rows_of,
    shaping,
)
from windlass.engines.postgres.landing.sessions import Sessions
from windlass.engines.postgres.landing.staged_columns import Staging, plan_staged
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.load import Load
from windlass.model.load_words import Matched, Missing
from windlass.model.relation import Name
from windlass.model.report import Problem

_LIKE, _STAGED = Name("pg_temp", "windlass_like"), Name("pg_temp", "windlass_staged")
_SHAPED = Name("pg_temp", "windlass_shaped")
_MARKS = ("bool", "timestamp", "timestamptz", "date")
_STAMPS = ("timestamp", "timestamptz", "date")


def survey_load(sessions: Sessions, connection: Connection, load: Load) -> list[Problem]:
    """Every problem of one load."""
    name = load.table.name
    try:
        settings = sessions.settings(connection, name.schema, name.name)
    except Refused as error:
        return list(error.problems)
    problems = list(_creating(connection, load)) if load.creates else []
    oid = find_oid(connection, name)
    columns: tuple[Column, ...] = ()
    if not load.creates and oid is not None:
        facts = read_facts(connection, oid)
        columns = read_columns(connection, oid)
        problems += _rights(load, facts, columns)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(settings.encode())
            problems += _claimed(connection, load, columns)
            problems += _compiled(connection, load, columns)
    except psycopg.Error as error:
        problems.append(_problem(load, "cannot be prepared", error))
    return problems


def _creating(connection: Connection, load: Load) -> Iterator[Problem]:
    schema = load.table.name.schema
    row = connection.execute(
        "select pg_catalog.has_schema_privilege(oid, 'create') from pg_catalog.pg_namespace"
        " where nspname = %s",
        (schema,),
    ).fetchone()
    if row is None:
        yield Problem(load.name, f"there is no schema {schema}", f"CREATE SCHEMA {schema}")
    elif not row[0]:
        yield Problem(load.name, f"may not create in schema {schema}", "grant CREATE on it")


def journal_problems(connection: Connection) -> list[Problem]:
    """Why the journal cannot be made, where there is none."""
    row = connection.execute(
        "select pg_catalog.to_regnamespace('windlass') is null"
        " and not pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),"
        " pg_catalog.quote_ident(pg_catalog.current_database()),"
        " not pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temporary')"
    ).fetchone()
    assert row is not None
    cannot_create, database, has_no_temporary = row
    found = []
    if cannot_create:
        message = "the schema windlass, with the journal of loads, cannot be created"
        found.append(Problem("target", message, f"GRANT CREATE ON DATABASE {database}"))
    if has_no_temporary:
        message = "temporary tables may not be created"
        found.append(Problem("target", message, f"GRANT TEMPORARY ON DATABASE {database}"))
    return found


def _rights(load: Load, facts: Facts, columns: Sequence[Column]) -> Iterator[Problem]:
    words, what = load.words, load.name
    given = {one.column for one in load.assigned}
    updates = words.key and words.matched is Matched.UPDATE
    deletes = words.missing is Missing.DELETE and not words.history
    if deletes and not facts.can_delete:
        yield Problem(what, "may not be deleted from", f"GRANT DELETE ON {what}")
    if needs_lock(load) and not facts.can_lock:
        yield Problem(what, "may not be locked", f"GRANT UPDATE ON {what}")
    if load.adds and not facts.is_owner:
        yield Problem(what, "only its owner can add columns", "load as its owner")
    if deletes and facts.carries_deletes:
        for one in facts.carries_deletes:
            message = f"deleting its rows would change those of {one}, which no undo puts back"
            yield Problem(what, message, "drop the ON DELETE action, or keep missing rows")
    for column in columns:
        if column.name in given and "i" not in column.rights:
            yield Problem(f"{what}.{column.name}", "may not be inserted", f"GRANT INSERT ON {what}")
        if updates and column.name in given and column.is_settable and "u" not in column.rights:
            yield Problem(f"{what}.{column.name}", "may not be updated", f"GRANT UPDATE ON {what}")
        if column.name in given and column.sequence and "s" not in column.rights:
            message = (
                f"its sequence {column.sequence} may not be set past the values that are loaded"
            )
            yield Problem(f"{what}.{column.name}", message, f"GRANT UPDATE ON {column.sequence}")
        if column.name in given and column.generated:
            yield Problem(f"{what}.{column.name}", "is generated: the server computes it")
        has_value = column.has_default or column.identity or column.generated
        is_stamped = words.history and column.name == words.valid_from
        if column.name not in given and column.not_null and not has_value and not is_stamped:
            message = "is NOT NULL without a default, and gets no value"
            yield Problem(f"{what}.{column.name}", message, "give it a field, or SQL")
    yield from _fitting(load, {one.name: one for one in columns})


def _fitting(load: Load, columns: dict[str, Column]) -> Iterator[Problem]:
    words, what = load.words, load.name
    needed: list[tuple[str, tuple[str, ...]]] = (
        [(words.mark, _MARKS)] if words.missing is Missing.MARK else []
    )
    if words.history:
        needed += [(words.valid_from, _STAMPS), (words.valid_to, _STAMPS)]
    for name, types in needed:
        column = columns.get(name)
        if column is None:
            yield Problem(what, f"has no column {name}", "add it, or name another")
        elif column.plain not in types:
            yield Problem(f"{what}.{name}", f"is {column.type}, expected one of {', '.join(types)}")
    if words.history and (end := columns.get(words.valid_to)) and end.not_null:
        yield Problem(f"{what}.{end.name}", "is NOT NULL: rows that are still valid have no value")
    given = {one.column for one in load.assigned}
    for name in words.key:
        if name in columns and name not in given:
            yield Problem(f"{what}.{name}", "is in the key, and gets no value", "give it a field")
        if name not in columns and not any(one.name == name for one in load.adds):
            yield Problem(what, f"has no column {name}, which is in the key")
        elif name in columns and not columns[name].equality:
            yield Problem(
                f"{what}.{name}",
                f"is {columns[name].type}, which has no equality",
                "name another key",
            )


def _claimed(connection: Connection, load: Load, columns: Sequence[Column]) -> Iterator[Problem]:
    """Problems with types that the user gives for existing columns. A collation only counts if one
    is given."""
    there = {one.name: one for one in columns}
    for one in load.claimed:
        try:
            with connection.transaction():
                (given,) = read_columns_of_types(connection, [(one.name, one.type)], _LIKE)
        except psycopg.Error as error:
            yield _problem(load, f"the type of {one.name} is unknown", error)
            continue
        found = there[one.name]
        if given.type != found.type:
            yield other_type(load, one.name, one.type, found.type)
        elif " collate " in one.type.casefold() and given.collation != found.collation:
            collated = f"{found.type} collate {found.collation}"
            yield other_type(load, one.name, one.type, collated)


def _compiled(connection: Connection, load: Load, columns: tuple[Column, ...]) -> Iterator[Problem]:
    """Try every expression on empty tables."""
    there = {one.name for one in columns}
    types = [(one.column, one.type) for one in load.assigned if one.column not in there]
    if types and not load.creates and {name for name, _ in types} - {one.name for one in load.adds}:
        return  # the plan reports these first
    try:
        with connection.transaction():
            known = (*columns, *(read_columns_of_types(connection, types, _LIKE) if types else ()))
    except psycopg.Error as error:
        yield _problem(load, "a type is unknown", error)
        return
    by_name = {one.name: one for one in known}
    given = tuple(by_name[one.column] for one in load.assigned)
    staging = Staging(plan_staged(load, given, by_name), given)
    if set(load.words.key) - {one.name for one in given}:
        return  # reported with the words
    _create(connection, _STAGED, [one.defined for one in staging.columns])
    _create(connection, _SHAPED, list(definitions(load, staging)))
    is_broken = False
    for one in load.assigned:
        if not one.sql:
            continue
        query = shaping(load, staging, _STAGED, 0, only=one)
        if fault := _error(connection, query):
            is_broken = True
            yield _problem(load, f"{one.column} cannot be computed", fault)
        elif lost := certain_loss(connection, query, by_name[one.column]):
            hint = f"write a cast to {by_name[one.column].type} if that is meant"
            yield Problem(f"{load.name}.{one.column}", f"is computed with {lost}", hint)
    whole = sql.SQL("insert into {} {}").format(
        names.identifier(_SHAPED), shaping(load, staging, _STAGED, 0)
    )
    if not is_broken and (fault := _error(connection, whole)):
        yield _problem(load, "the columns do not get values of their types", fault)
    if load.words.slice and not load.creates:
        query = sql.SQL("select from {} where ({}\n) limit 0").format(
            names.identifier(load.table.name), sql.SQL(load.words.slice)
        )
        if fault := _error(connection, query):
            yield _problem(load, "the slice is not a condition of the table", fault)
    yield from _expected(connection, load, staging)


def _expected(connection: Connection, load: Load, staging: Staging) -> Iterator[Problem]:
    inputs = [StagedInput(0, _SHAPED, "", 0, 0)]
    rows = replace(
        rows_of("", load, staging, inputs, computed=True), source=of_table(_SHAPED, staging)
    )
    for one in load.expectations:
        try:
            with connection.transaction():
                check_rows(connection, "", replace(load, expectations=(one,)), rows)
        except KeyError as error:
            yield Problem(load.name, f"{one.described}: there is no column {error.args[0]}")
        except psycopg.Error as error:
            yield _problem(load, f"{one.described} cannot be checked", error)


def _create(connection: Connection, name: Name, columns: Sequence[sql.Composable]) -> None:
    connection.execute(
        sql.SQL("create temporary table {} ({}) on commit drop").format(
            sql.Identifier(name.name), listed(columns)
        )
    )


def _error(connection: Connection, query: sql.Composed) -> psycopg.Error | None:
    try:
        with connection.transaction():
            connection.execute(query)
    except psycopg.Error as error:
        return error
    return None


def _problem(load: Load, what: str, error: psycopg.Error) -> Problem:
    said = without_values(error.sqlstate, error.diag.message_primary or str(error))
    hint = error.diag.message_hint or ""
    return Problem(load.name, f"{what}: {said}", hint)
