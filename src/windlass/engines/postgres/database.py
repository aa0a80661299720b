"""Properties of a database itself, and the statements that set them.

pg_dump writes them for `pg_restore --create` only, under the name of the dumped database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Properties:
    """By kind (setting, limit, comment, label, grant, option), role ("" for everybody) and name."""

    values: Mapping[Key, str] = field(default_factory=dict)


def read_properties(connection: Connection) -> Properties:
    """Of the database that this session is in."""
    try:
        rows = connection.execute(load("database")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the properties of the database", side="database") from error
    return Properties({(str(k), str(r), str(n)): str(value) for k, r, n, value in rows})


def describe_property(key: Key) -> str:
    """For people: ``setting search_path of the database``."""
    kind, role, name = key
    match kind:
        case "setting":
            return f"setting {name} of {f'role {role} in ' if role else ''}the database"
        case "limit":
            return "connection limit of the database"
        case "comment":
            return "comment on the database"
        case "label":
            return f"security label of {name} on the database"
        case _:
            option = ", with grant option," if kind == "option" else ""
            return f"grant of {name}{option} on the database to {role or 'PUBLIC'}"


def give_property(database: str, key: Key, value: str | None) -> str:
    """The statement that sets a property to this value; with None, the one that removes it."""
    kind, role, name = key
    place = sql.Identifier(database)
    match kind:
        case "setting":
            whose = (
                sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), place)
                if role
                else sql.SQL("DATABASE {}").format(place)
            )
            what = sql.SQL("RESET {}").format(sql.Identifier(name))
            if value is not None:
                what = sql.SQL("SET {} TO {}").format(sql.Identifier(name), _setting(name, value))
            text = sql.SQL("ALTER {} {}").format(whose, what)
        case "limit":
            text = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
                place, sql.Literal(int(value) if value is not None else -1)
            )
        case "comment":
            text = sql.SQL("COMMENT ON DATABASE {} IS {}").format(place, sql.Literal(value))
        case "label":
            text = sql.SQL("SECURITY LABEL FOR {} ON DATABASE {} IS {}").format(
                sql.Identifier(name), place, sql.Literal(value)
            )
        case _:
            text = _grant(place, key, is_held=value is not None)
    return f"{text.as_string(None)};\n"


def _grant(place: sql.Identifier, key: Key, *, is_held: bool) -> sql.Composed:
    kind, role, privilege = key
    to = sql.Identifier(role) if role else sql.SQL("PUBLIC")
    form = sql.SQL("GRANT {} ON DATABASE {} TO {}{}")
    if not is_held:
        form = sql.SQL("REVOKE {} ON DATABASE {} FROM {}{}")
    option = sql.SQL(" WITH GRANT OPTION" if is_held and kind == "option" else "")
    return form.format(_PRIVILEGES[privilege], place, to, option)


_PRIVILEGES = {
    "CONNECT": sql.SQL("CONNECT"),
    "CREATE": sql.SQL("CREATE"),
    "TEMPORARY": sql.SQL("TEMPORARY"),
}
# GUC_LIST_QUOTE: their values are lists of identifiers, each a separate literal (pg_dump's
# variable_is_guc_list_quote)
_LISTS = {
    "local_preload_libraries", "search_path", "session_preload_libraries",
    "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
}  # fmt: skip
_IDENTIFIER = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*?))\s*(?:,|$)')


def _setting(name: str, value: str) -> sql.Composable:
    if name.lower() not in _LISTS or not value.strip():
        return sql.Literal(value)
    return sql.SQL(", ").join(map(sql.Literal, _identifiers(value)))


def _identifiers(text: str) -> list[str]:
    """The names in a list such as ``"$user", public``."""
    found, at = [], 0
    while at < len(text) and (match := _IDENTIFIER.match(text, at)):
        quoted, plain = match.groups()
        found.append(plain.strip().lower() if quoted is None else quoted.replace('""', '"'))
        at = match.end()
    return found
