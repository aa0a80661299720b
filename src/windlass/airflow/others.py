"""Airflow connections of engines other than PostgreSQL, as URLs; and what several tasks cannot do.
Extras of a connection are those of Airflow's own hooks; an extra that the URL cannot express is
refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from windlass.errors import BadSpec, WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from windlass.model.flow import Flow

MYSQL, SQLITE = ("mysql", "mariadb"), ("sqlite",)
# how Airflow's hook reads, which does not affect Windlass
_OF_HOOK = {"charset", "client", "cursor", "local_infile", "aws_conn_id", "iam"}
_MODES = {
    "DISABLED": "disabled",
    "REQUIRED": "required",
    "VERIFY_CA": "verify-ca",
    "VERIFY_IDENTITY": "verify-identity",
}
_FILES = {"ca": "ssl-ca", "cert": "ssl-cert", "key": "ssl-key"}
_OPTIONS = {
    "unix_socket": "socket",
    "connect_timeout": "connect-timeout",
    "ssl-ca": "ssl-ca",
    "ssl-cert": "ssl-cert",
    "ssl-key": "ssl-key",
}


def url_of(conn_id: str, connection: Connection) -> str:
    """The URL of a database of MySQL, MariaDB or SQLite. May contain a password.

    Raises:
        WindlassError: the connection lacks something, or has what cannot be kept.
    """
    kind = (connection.conn_type or "").lower()
    if kind in SQLITE:
        return _file_url(conn_id, connection)
    from airflow.sdk.log import mask_secret

    extra = dict(connection.extra_dejson)
    if extra.get("iam") and not connection.password:
        raise WindlassError(
            f"connection {conn_id!r} asks for a cloud token, with its extra 'iam'",
            hint="give it a password: Windlass does not fetch tokens",
        )
    if not connection.schema:
        hint = "its schema is the name of the database"
        raise WindlassError(f"connection {conn_id!r} names no database", hint=hint)
    login = quote(connection.login or "", safe="")
    if connection.password:
        written = quote(connection.password, safe="")
        mask_secret(written)
        login += f":{written}"
    host = connection.host or "localhost"
    host = f"[{host}]" if ":" in host else host
    port = f":{connection.port}" if connection.port else ""
    options = dict(_options(conn_id, extra))
    query = f"?{urlencode(options)}" if options else ""
    place = f"{host}{port}/{quote(connection.schema, safe='')}{query}"
    return f"mysql://{f'{login}@' if login else ''}{place}"


def _options(conn_id: str, extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    unknown = []
    mode = str(extra.get("ssl_mode") or "").upper().replace("-", "_")
    files = extra.get("ssl")
    if mode and mode not in _MODES:
        raise WindlassError(
            f"connection {conn_id!r}: ssl_mode {mode} may do without TLS",
            hint=f"use one of {', '.join(_MODES)}",
        )
    if mode or files:
        found = _MODES.get(mode) or ("verify-ca" if _has(files, "ca") else "required")
        yield "ssl", found
    for key, value in extra.items():
        if key in _OF_HOOK or key == "ssl_mode":
            continue
        if key == "ssl" and isinstance(value, Mapping) and not value.keys() - _FILES:
            yield from ((_FILES[one], str(path)) for one, path in value.items())
        elif key in _OPTIONS:
            yield _OPTIONS[key], str(value)
        else:
            unknown.append(key)
    if unknown:
        raise WindlassError(
            f"connection {conn_id!r} has extras that are not known: {', '.join(sorted(unknown))}",
            hint=f"known are ssl_mode, ssl (ca, cert, key) and {', '.join(_OPTIONS)}",
        )


def _has(files: object, key: str) -> bool:
    return isinstance(files, Mapping) and bool(files.get(key))


def _file_url(conn_id: str, connection: Connection) -> str:
    """The URL of a SQLite file. Airflow's hook takes the file's path as host; in a URI it comes
    after the third slash."""
    path = connection.host or ""
    if connection.schema:
        path = f"{path}/{connection.schema}"
    if not path.startswith("/"):
        raise WindlassError(
            f"connection {conn_id!r} names no file by its whole path",
            hint="its host is the path of the file, from the root",
        )
    return f"sqlite:///{quote(path.lstrip('/'))}"


# flows whose steps cannot be tasks, and what does them in one
ONE_TASK = {
    "cutover": "CutoverOperator",
    "follow": "follow_dag, or MigrateOperator",
    "translate": "translation_dag, or MigrateOperator",
    "convert": "MigrateOperator",
}
_FOLLOWING = {
    "migrate": "one process copies and follows; use follow_dag (the DAG windlass_follow), or"
    " MigrateOperator",
    "validate": "both sides have to be compared as of one moment; use VerifyFollowingOperator, or"
    " VerifyOperator",
}


def check_follow(flow: Flow[Any], follow: object) -> None:
    """Check that the flow's steps do what the option `follow` of its spec asks for.

    Raises:
        BadSpec: it is on, and they would ignore it.
    """
    if follow is True and flow.name in _FOLLOWING:
        raise BadSpec([f"follow: {_FOLLOWING[flow.name]}"])


def check_shared(flow: Flow[Any], spec: Any) -> None:
    """Check that the flow's steps can be tasks.

    Raises:
        BadSpec: a side is of another engine, whose snapshot several tasks cannot share; or the spec
            says `follow`.
    """
    check_follow(flow, getattr(spec, "follow", False))
    is_other = getattr(spec, "is_translated", False) or getattr(spec, "is_converted", False)
    if is_other and flow.name in ("migrate", "validate", "repair"):
        side = "source" if spec.is_translated else "target"
        hint = (
            "use translation_dag (flow: translate in a YAML file), MigrateOperator or"
            " VerifyOperator, which do it in one task"
        )
        message = f"{side}: is of another engine, which several tasks cannot read in one snapshot"
        raise BadSpec([message], hint=hint)
