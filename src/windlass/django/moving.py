"""What a project reports about a database that is migrated into PostgreSQL: the tables and columns
of its models, and the migrations that create them there. The project need not have our
application."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connections, router, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

from windlass.django.databases import place_of
from windlass.django.locks import MIGRATE, alone
from windlass.django.needed import Needed, migrate_if_needed, read_needed
from windlass.django.replaced import REPLACED
from windlass.errors import Refused, Unreachable
from windlass.model.report import Problem

Request = Mapping[str, Any]
Answer = dict[str, Any]
MIGRATIONS = MigrationRecorder.Migration._meta.db_table
# a table that exists beside the table of migrations while they create the others: rows in these
# then come from migrations
MAKING = "windlass migrate is making the tables of this project"
WAIT_SECONDS, LOCK_SECONDS = 600.0, 5.0


def describe(request: Request) -> Answer:
    """The tables of all models as the target's database will have them. `applied` has the source's
    migrations, as pairs. Writes nothing.

    Raises:
        Refused: the models are ahead of the migrations, or these cannot be applied.
        Unreachable: the database cannot be reached.
    """
    alias = request.get("database") or "default"
    try:
        connections[alias].ensure_connection()
        needed = read_needed(alias)
    except DatabaseError as error:
        message = str(error).partition("\n")[0]
        raise Unreachable([Problem(f"database {place_of(alias)}", message)]) from error
    if needed.problems:
        raise Refused(needed.problems)
    applied = {(app, name) for app, name in request["applied"]}
    return {"state": "done", **_described(alias, applied, needed)}


def _described(alias: str, applied: Collection[tuple[str, str]], needed: Needed) -> Answer:
    return {
        "schema": _schema(alias),
        "zone": _zone(alias),
        "behind": list(_behind(applied)),
        "migrations": [one.label for one in needed.migrations],
        "is_making": _is_making(alias),
        "tables": [*_tables(alias), _table_of_migrations(alias)],
    }


def _schema(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("select pg_catalog.current_schema()")
        return str(cursor.fetchone()[0] or "")


def _zone(alias: str) -> str:
    """The zone of times without a zone on the source."""
    if not settings.USE_TZ:
        return str(settings.TIME_ZONE)
    return str(REPLACED.get(alias, {}).get("TIME_ZONE") or "UTC")


def _behind(applied: Collection[tuple[str, str]]) -> Iterator[str]:
    """Migrations that the database with these applied lacks."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for (app, name), migration in sorted(loader.graph.nodes.items()):
        parts = [tuple(one) for one in getattr(migration, "replaces", ())]
        is_replaced = bool(parts) and all(one in applied for one in parts)
        if (app, name) not in applied and not is_replaced:
            yield f"{app}.{name}"


def _tables(alias: str) -> Iterator[Answer]:
    """The tables of every model that has one in this database. `is_made`: a migration creates it.

    For an application with migrations, the tables are as the migrations leave them: the table of a
    many-to-many field can have another type of key than its model says, because an application's
    own default does not count there.
    """
    loader = MigrationLoader(None, ignore_no_migrations=True)
    state = loader.project_state()
    others = [one for one in apps.get_app_configs() if one.label not in loader.migrated_apps]
    unmade = [model for one in others for model in one.get_models(include_auto_created=True)]
    made = [model for model in state.apps.get_models(include_auto_created=True)
            if model._meta.app_label in loader.migrated_apps]  # fmt: skip
    connection = connections[alias]
    for model in [*made, *unmade]:
        meta = model._meta
        if meta.proxy or meta.swapped or not router.allow_migrate_model(alias, model):
            continue
        yield {
            "name": meta.db_table,
            "model": meta.label,
            "is_made": model in made and meta.can_migrate(connection),
            "columns": list(_columns(model, connection)),
        }


def _columns(model: Any, connection: Any) -> Iterator[Answer]:
    for field in model._meta.local_concrete_fields:
        type_ = field.db_type(connection)
        if type_ is None or field.column is None:  # it has several columns, each with its own field
            continue
        remote = field.remote_field
        refers = remote.model._meta.db_table if remote and field.db_constraint else ""
        yield {
            "name": field.column,
            "field": f"{model._meta.label}.{field.name}",
            "type": type_,
            "not_null": not field.null,
            "is_generated": bool(getattr(field, "generated", False)),
            "fills_itself": bool(field.db_type_suffix(connection)) or _has_default(field),
            "refers": refers,
        }


def _has_default(field: Any) -> bool:
    has = getattr(field, "has_db_default", None)
    return bool(has()) if has else False


def _table_of_migrations(alias: str) -> Answer:
    columns = _columns(MigrationRecorder.Migration, connections[alias])
    return {"name": MIGRATIONS, "model": "migrations", "is_made": True, "columns": list(columns)}


def _is_making(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "select pg_catalog.obj_description(pg_catalog.to_regclass(%s), 'pg_class')",
            [connections[alias].ops.quote_name(MIGRATIONS)],
        )
        return bool(cursor.fetchone()[0] == MAKING)


def make_tables(request: Request) -> Answer:
    """Apply the missing migrations, and describe the tables. If all tables were created by these
    migrations, the rows that they inserted are deleted: the source's rows include them, or what
    became of them.

    Raises:
        Refused: there are problems, or another process migrates for too long.
        WindlassError: a migration failed.
    """
    alias = request.get("database") or "default"
    names = [one["name"] for one in _tables(alias) if one["is_made"]]
    with alone(alias, MIGRATE, WAIT_SECONDS):
        present = set(connections[alias].introspection.table_names())
        makes_all = _is_making(alias) or present.isdisjoint([*names, MIGRATIONS])
        if makes_all:
            _begin_making(alias)
    migrate_if_needed(alias, wait_seconds=WAIT_SECONDS, lock_seconds=LOCK_SECONDS)
    if makes_all:
        _end_making(alias, names)
    applied = {(app, name) for app, name in request["applied"]}
    return {"state": "done", **_described(alias, applied, Needed())}


def _begin_making(alias: str) -> None:
    connection = connections[alias]
    with transaction.atomic(using=alias):
        MigrationRecorder(connection).ensure_schema()
        _comment(connection, MAKING)


def _end_making(alias: str, names: Sequence[str]) -> None:
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        made = [sql.Identifier(one) for one in names if one in present]
        if made:
            statement = sql.SQL("truncate {} restart identity").format(sql.SQL(", ").join(made))
            cursor.execute(statement.as_string(None))
        _comment(connection, None)


def _comment(connection: Any, text: str | None) -> None:
    statement = sql.SQL("comment on table {} is {}").format(
        sql.Identifier(MIGRATIONS), sql.Literal(text)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.as_string(None))
