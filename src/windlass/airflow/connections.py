"""Airflow's connections and Variables as libpq connection strings, or as URLs of other engines.

They are resolved in the worker, and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from windlass.airflow.others import MYSQL, SQLITE, url_of
from windlass.errors import Refused, WindlassError
from windlass.model.report import Problem

if TYPE_CHECKING:
    from airflow.sdk import Connection

_POSTGRES = {"postgres", "postgresql", "pgsql"}
# Extras for Airflow's own Postgres hook: its `ignored_extra_options`, and others that it reads.
_NOT_LIBPQ = {
    "aws_conn_id", "azure_conn_id", "client_log_level", "cluster-identifier",
    "cursor", "iam", "redshift", "redshift-serverless", "region_name", "sqlalchemy_query",
    "sqlalchemy_scheme", "workgroup-name",
}  # fmt: skip
_TOKENS = ("iam", "azure_conn_id")  # a cloud's token instead of a password


VARIABLE = "variable:"  # prefix of the name of a Variable that holds a connection string
ADDRESS = "an address was given in place of a connection"
BY_ID = "give the id of an Airflow connection, or variable: and the name of a Variable"


def is_address(reference: str) -> bool:
    """Whether it is a connection string, rather than an id or ``variable:NAME``."""
    return "://" in reference or "=" in reference


def address_of(reference: str) -> str:
    """The connection string for a connection's id, or for ``variable:NAME``.

    Raises:
        WindlassError: there is no such connection or Variable, or it is an address itself.
    """
    if is_address(reference):  # not shown, as it may hold a password
        raise WindlassError(ADDRESS, hint=BY_ID)
    if reference.startswith(VARIABLE):
        return _variable(reference.removeprefix(VARIABLE))
    found = connection_of(reference, "Postgres, MySQL or SQLite")
    if (found.conn_type or "").lower() in (*MYSQL, *SQLITE):
        return url_of(reference, found)
    return _checked(reference, found, "Postgres, MySQL or SQLite")


def addresses(references: Mapping[str, str]) -> dict[str, str]:
    """The connection string for each reference.

    Raises:
        WindlassError: there is none for one.
        Refused: there is none for several, with all of them.
    """
    found: dict[str, str] = {}
    faults: dict[str, WindlassError] = {}
    for key, reference in references.items():
        try:
            found[key] = address_of(reference)
        except WindlassError as error:
            faults[key] = error
    if len(faults) == 1:
        raise next(iter(faults.values()))
    if faults:
        raise Refused([Problem(key, str(one), one.hint) for key, one in faults.items()])
    return found


def _variable(name: str) -> str:
    from airflow.sdk import Variable
    from airflow.sdk.log import mask_secret

    found = Variable.get(name, default=None)
    if not found:
        raise WindlassError(
            f"there is no Airflow variable {name!r}",
            hint="make it under Admin, Variables: a SQLAlchemy or libpq URL of the database",
        )
    text = str(found)
    # Airflow masks Variables by name only, and this name does not look like a secret's
    for secret in (text, *_passwords(text)):
        mask_secret(secret)
    return text


def _passwords(url: str) -> set[str]:
    """The password as written, and percent-decoded."""
    written = urlsplit(url).password if "://" in url else None
    return {form for form in (written, unquote(written or "")) if form}


def conninfo_of(conn_id: str) -> str:
    """A libpq conninfo string for a connection's id; its extras are libpq's parameters.

    Raises:
        WindlassError: there is no such connection, or it is not of type Postgres.
    """
    return _checked(conn_id, connection_of(conn_id, "Postgres"), "Postgres")


def _checked(conn_id: str, found: Connection, kinds: str) -> str:
    if (found.conn_type or "").lower() not in _POSTGRES:
        raise WindlassError(
            f"connection {conn_id!r} is of type {found.conn_type}",
            hint=f"use a connection of type {kinds}",
        )
    return _conninfo(conn_id, found)


def connection_of(conn_id: str, kind: str) -> Connection:
    """The connection with this id.

    Raises:
        WindlassError: there is none; the hint says of which `kind` to make it.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found: Connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise WindlassError(
            f"there is no Airflow connection {conn_id!r}",
            hint=f"make it under Admin, Connections, of type {kind}",
        ) from None
    return found


def _conninfo(conn_id: str, connection: Connection) -> str:
    import psycopg
    from psycopg.conninfo import make_conninfo

    words = {
        "host": connection.host,
        "port": connection.port,
        "dbname": connection.schema,
        "user": connection.login,
        "password": connection.password,
    }
    given = {key: value for key, value in words.items() if value not in (None, "")}
    extra = dict(connection.extra_dejson)
    for key in _TOKENS:
        if extra.get(key) and "password" not in given:
            raise WindlassError(
                f"connection {conn_id!r} asks for a cloud token, with its extra {key!r}",
                hint="give it a password: Windlass does not fetch tokens",
            )
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    own = {key: value for key, value in extra.items() if key not in _NOT_LIBPQ}
    if unknown := sorted(set(own) - known):
        raise WindlassError(
            f"connection {conn_id!r} has extras that libpq does not know: {', '.join(unknown)}",
            hint="use libpq's parameters, such as sslmode",
        )
    try:
        return make_conninfo("", **{**own, **given})
    except psycopg.Error:  # its message repeats values
        raise WindlassError(
            f"connection {conn_id!r} is not accepted by libpq",
            hint=f"check its extras: {', '.join(sorted(own))}" if own else "",
        ) from None
