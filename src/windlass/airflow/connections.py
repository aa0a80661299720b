"""Airflow's connections and variables as addresses of ours. Resolved in the worker; nothing of
them is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Connection

_POSTGRES = {"postgres", "postgresql", "pgsql"}
# What Airflow's own Postgres hook keeps among the extras for itself: its `ignored_extra_options`,
# and what it reads beside them.
_NOT_LIBPQ = {
    "aws_conn_id", "azure_conn_id", "client_log_level", "cluster-identifier",
    "cursor", "iam", "redshift", "redshift-serverless", "region_name", "sqlalchemy_query",
    "sqlalchemy_scheme", "workgroup-name",
}  # fmt: skip
_TOKENS = ("iam", "azure_conn_id")  # instead of a password, of a cloud


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
    return _conninfo(conn_id, found)


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
                f"connection {conn_id!r} asks for a token of a cloud, by its extra {key!r}",
                hint="give it a password: Windlass fetches no tokens",
            )
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    own = {key: value for key, value in extra.items() if key not in _NOT_LIBPQ}
    if unknown := sorted(set(own) - known):
        raise WindlassError(
            f"connection {conn_id!r} has extras that libpq does not know: {', '.join(unknown)}",
            hint="its extras are libpq's words, such as sslmode",
        )
    try:
        return make_conninfo("", **{**own, **given})
    except psycopg.Error:  # whose words repeat values
        raise WindlassError(
            f"connection {conn_id!r} is none that libpq understands",
            hint=f"check its extras: {', '.join(sorted(own))}" if own else "",
        ) from None
