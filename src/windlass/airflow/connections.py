"""Airflow's connections as addresses of ours. Resolved in the worker; nothing of them is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Connection

_POSTGRES = {"postgres", "postgresql", "pgsql"}
# what Airflow's own Postgres hook keeps among the extras for itself
_NOT_LIBPQ = {"cursor", "iam", "redshift", "aws_conn_id", "region_name", "client_log_level"}


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
