"""Django's databases as Windlass addresses them, and which database a model's rows go to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import connections, router
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from windlass.errors import Refused
from windlass.model.report import Problem

ENGINES = ("postgresql", "sqlite")
# options that Django passes to the driver, and libpq does not know
_NOT_LIBPQ = ("cursor_factory", "context", "prepare_threshold", "autocommit", "row_factory")


def url_of(alias: str) -> str:
    """How Windlass connects to a database of the project's. May hold a password: never show it.

    Raises:
        Refused: it is of another engine, or in memory.
    """
    connection = connections[alias]
    if connection.vendor == "sqlite":
        return f"sqlite:///{_file(alias, connection.settings_dict)}"
    if connection.vendor != "postgresql":
        known = " and ".join(ENGINES)
        raise _refused(alias, f"is {connection.display_name}", f"it works with {known}")
    given = connection.get_connection_params()
    role = connection.settings_dict["OPTIONS"].get("assume_role")
    options = f"{given.get('options') or ''} -c role={role}" if role else given.get("options")
    words = {**given, "options": options}
    kept = {key: one for key, one in words.items() if one is not None and key not in _NOT_LIBPQ}
    kept.pop("pool", None)
    return make_conninfo(**kept)


def _file(alias: str, settings: Mapping[str, Any]) -> str:
    name = str(settings["NAME"])
    if ":memory:" in name or "mode=memory" in name or not name:
        hint = "give it a file; a database in memory is seen by one connection only"
        raise _refused(alias, "is in memory", hint)
    if name.startswith("file:"):
        raise _refused(alias, "is given as a URI", "give the path of the file as NAME")
    return str(Path(name).absolute())


def secret_of(alias: str) -> str:
    """The password of a database, to search texts for it; empty if it has none."""
    return str(connections[alias].settings_dict.get("PASSWORD") or "")


def place_of(alias: str) -> str:
    """For people, without secrets."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return str(connection.settings_dict["NAME"])
    found = conninfo_to_dict(url_of(alias))
    return f"{found.get('dbname', '')} on {found.get('host', 'the local socket')}"


def database_for(model: Any, asked: str) -> str:
    """The alias of the database that a model's rows are written to: the one that the routers name,
    or the requested one.

    Raises:
        Refused: these differ, or the routers keep the model's table out of it.
    """
    said = _routed(model)
    label = model._meta.label
    if said and asked and said != asked:
        hint = "leave out the database, or change the router"
        message = f"is written to database {said!r} by the routers, and {asked!r} was asked for"
        raise Refused([Problem(label, message, hint)])
    alias = said or asked or "default"
    if alias not in connections:
        known = ", ".join(connections)
        raise Refused([Problem(label, f"there is no database {alias!r}", f"there are {known}")])
    if model._meta.managed and not router.allow_migrate_model(alias, model):
        message = f"the routers do not allow its table in database {alias!r}"
        raise Refused([Problem(label, message, "load it where they do (database)")])
    return alias


def _routed(model: Any) -> str:
    """The routers' answer for a model; `router.db_for_write` does not distinguish it from its own
    default."""
    for one in router.routers:
        if (method := getattr(one, "db_for_write", None)) and (found := method(model)):
            return str(found)
    return ""


def refuse_within_transaction(alias: str) -> None:
    """Refuse to run inside a transaction.

    Raises:
        Refused: what this transaction has written is not seen by the load, and may block it.
    """
    if connections[alias].in_atomic_block:
        message = "is in a transaction, which the load would not see"
        raise _refused(alias, message, "refresh outside of transaction.atomic()")


def _refused(alias: str, message: str, hint: str) -> Refused:
    return Refused([Problem(f"database {alias!r}", message, hint)])
