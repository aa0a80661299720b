"""Airflow's connections and variables as addresses of ours. Resolved in the worker; nothing of
them is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Connection

_POSTGRES = {"postgres", "postgresql", "pgsql"}
# what Airflow's own Postgres hook keeps among the extras for itself
_NOT_LIBPQ = {"cursor", "iam", "redshift", "aws_conn_id", "region_name", "client_log_level"}


VARIABLE = "variable:"  # before the name of one that holds a connection string


def address_of(reference: str) -> str:
    """What a spec takes for a connection: of a connection's id, or of ``variable:NAME``.

    Raises:
        WindlassError: there is nothing of that name.
    """
    if reference.startswith(VARIABLE):
        return _variable(reference.removeprefix(VARIABLE))
    return conninfo_of(reference)


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
    # Airflow masks variables by their names alone, and this one's does not say that it is secret.
    for secret in (text, *_passwords(text)):
        mask_secret(secret)
    return text


def _passwords(url: str) -> set[str]:
    """As written, and decoded."""
    written = urlsplit(url).password if "://" in url else None
    return {form for form in (written, unquote(written or "")) if form}


def conninfo_of(conn_id: str) -> str:
    """A libpq conninfo string for a connection's id; its extras are libpq's own words.

    Raises:
        WindlassError: there is no such connection, or it is not one to PostgreSQL.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise WindlassError(
            f"there is no Airflow connection {conn_id!r}",
            hint="make it under Admin, Connections, of type Postgres",
        ) from None
    if (found.conn_type or "").lower() not in _POSTGRES:
        raise WindlassError(
            f"connection {conn_id!r} is of type {found.conn_type}", hint="it has to be Postgres"
        )
    return _conninfo(found)


def _conninfo(connection: Connection) -> str:
    from psycopg.conninfo import make_conninfo

    words = {
        "host": connection.host,
        "port": connection.port,
        "dbname": connection.schema,
        "user": connection.login,
        "password": connection.password,
    }
    given = {key: value for key, value in words.items() if value not in (None, "")}
    extra = connection.extra_dejson
    return make_conninfo("", **{**{k: v for k, v in extra.items() if k not in _NOT_LIBPQ}, **given})
