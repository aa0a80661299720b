"""Airflow's connections to clouds as credentials of stores and warehouses.

They are resolved in the worker, and never stored. Connections of the types `google_cloud_platform`,
`aws`, `wasb` and `snowflake` are read as Airflow's own hooks would read them, without these being
installed. A setting that is not known here is refused: credentials are never taken from somewhere
else instead.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from windlass.airflow.connections import connection_of
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Connection

Words = dict[str, str]
GOOGLE = "google_cloud_platform"
SNOWFLAKE = "snowflake"
# options of an export or a load on Airflow that name a connection of a cloud
STORE, WAREHOUSE = "store_login", "warehouse_login"

# extras for services other than a store, or for Airflow's own hooks
_NEEDLESS = {
    GOOGLE: {"project", "scope", "num_retries", "quota_project_id"},
    "aws": {"verify"},
    "wasb": set[str](),
    SNOWFLAKE: {"json_result_force_utf8_decoding"},
}


def with_logins(words: Mapping[str, Any], store: str = "") -> dict[str, Any]:
    """The options of an export or a load, with the credentials from the connections that they name.
    `store` is the store's address, if it is not that of an export's files."""
    found = dict(words)
    if conn_id := found.pop(STORE, ""):
        given = dict(found.get("store_options") or {})
        url = store or str(found["to"])
        found["store_options"] = {**store_login(conn_id, url), **given}
    if conn_id := found.pop(WAREHOUSE, ""):
        url = str(found["warehouse"])
        login = snowflake_login if url.startswith("snowflake://") else bigquery_login
        found["warehouse"] = login(conn_id, url)
    return found


def store_login(conn_id: str, url: str) -> Words:
    """The options of the store at a URL.

    Raises:
        WindlassError: there is no such connection, it is for another kind of store, or asks for
        what is not known here.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _STORES:
        raise WindlassError(f"connection {conn_id!r}: {scheme}:// takes none")
    kind, read = _STORES[scheme]
    return _masked(read(conn_id, _connection(conn_id, kind, f"{scheme}://")))


def bigquery_login(conn_id: str, url: str) -> str:
    """The URL of a BigQuery warehouse with a connection's credentials.

    Raises:
        WindlassError: as `store_login`.
    """
    given = _masked(_google(conn_id, _connection(conn_id, GOOGLE, "bigquery://")))
    if path := given.get("application_credentials"):
        word = f"credentials_path={quote(path, safe='')}"
    elif info := given.get("service_account_key"):
        packed = b64encode(info.encode()).decode()
        _masked({"credentials": packed})
        word = f"credentials_base64={quote(packed, safe='')}"
    else:
        return url
    return f"{url}{'&' if '?' in url else '?'}{word}"


def snowflake_login(conn_id: str, url: str) -> str:
    """The URL of a Snowflake warehouse with a connection's user, password or key; and with its role
    and warehouse, unless the URL has others.

    Raises:
        WindlassError: as `store_login`; or it is for another account.
    """
    found = _connection(conn_id, SNOWFLAKE, "snowflake://")
    known = {
        "account", "authenticator", "database", "host", "port", "private_key_content",
        "private_key_file", "region", "role", "warehouse",
    }  # fmt: skip
    extra = _extra(conn_id, found, SNOWFLAKE, known)
    parts, there = urlsplit(url), _account(extra)
    if there and (parts.hostname or "") != there.lower():
        raise WindlassError(
            f"connection {conn_id!r} is for the account {there}, the warehouse's URL for"
            f" {parts.hostname}",
            hint="name the same account in both",
        )
    kept = ("host", "port", "role", "warehouse")
    words: Words = {key: str(extra[key]) for key in kept if key in extra}
    password = str(found.password or "")
    method = str(extra.get("authenticator") or "").lower()
    if method not in ("", "snowflake", "snowflake_jwt"):
        raise WindlassError(
            f"connection {conn_id!r}: Windlass does not support its authenticator, {method}",
            hint="use a connection with a password, or with a private key",
        )
    if "private_key_file" in extra or "private_key_content" in extra:
        words |= _key(extra, password)
        password = ""
    _masked({"password": password} if password else {})
    user = quote(str(found.login or ""), safe="")
    login = f"{user}:{quote(password, safe='')}" if password else user
    given = dict(parse_qsl(parts.query))
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{login}@{place}", query=urlencode({**words, **given})).geturl()


def _account(extra: Mapping[str, Any]) -> str:
    region = extra.get("region")
    return f"{extra.get('account') or ''}{f'.{region}' if region else ''}"


def _key(extra: Mapping[str, Any], passphrase: str) -> Words:
    """The password of such a connection is its key's passphrase."""
    found = {
        "private_key_path": str(extra.get("private_key_file") or ""),
        "private_key_base64": str(extra.get("private_key_content") or ""),
        "private_key_passphrase": passphrase,
    }
    return _masked({key: value for key, value in found.items() if value})


def _connection(conn_id: str, kind: str, what: str) -> Connection:
    found = connection_of(conn_id, kind)
    if (found.conn_type or "").lower() != kind:
        raise WindlassError(
            f"connection {conn_id!r} is of type {found.conn_type}",
            hint=f"use a connection of type {kind} for {what}",
        )
    return found


def _extra(conn_id: str, connection: Connection, kind: str, known: set[str]) -> dict[str, Any]:
    """The connection's extras, without the prefix that older forms gave them.

    Raises:
        WindlassError: some are not known.
    """
    prefix = re.compile(f"^extra__{kind}__")
    given = {prefix.sub("", key): value for key, value in connection.extra_dejson.items()}
    asked = {key: value for key, value in given.items() if value not in (None, "", False, {}, [])}
    if unknown := sorted(set(asked) - known - _NEEDLESS[kind]):
        raise WindlassError(
            f"connection {conn_id!r} has settings that Windlass does not support:"
            f" {', '.join(unknown)}",
            hint=f"use a connection with: {', '.join(sorted(known))}",
        )
    return asked


def _google(conn_id: str, connection: Connection) -> Words:
    known = {"keyfile_dict", "key_path", "credential_config_file"}
    extra = _extra(conn_id, connection, GOOGLE, known)
    if len(set(extra) & known) > 1:
        raise WindlassError(f"connection {conn_id!r} has more than one of {', '.join(known)}")
    if path := extra.get("key_path"):
        return {"application_credentials": str(path)}
    info = extra.get("keyfile_dict") or extra.get("credential_config_file")
    if isinstance(info, str) and not info.lstrip().startswith("{"):
        return {"application_credentials": info}
    if isinstance(info, dict):
        info = json.dumps(info)
    return {"service_account_key": info} if info else {}


def _aws(conn_id: str, connection: Connection) -> Words:
    known = {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name",
        "endpoint_url",
    }  # fmt: skip
    extra = _extra(conn_id, connection, "aws", known)
    words = {
        "access_key_id": connection.login or extra.get("aws_access_key_id"),
        "secret_access_key": connection.password or extra.get("aws_secret_access_key"),
        "session_token": extra.get("aws_session_token"),
        "region": extra.get("region_name"),
        "endpoint": extra.get("endpoint_url"),
    }
    return {key: str(value) for key, value in words.items() if value}


def _azure(conn_id: str, connection: Connection) -> Words:
    known = {"connection_string", "sas_token", "shared_access_key", "tenant_id"}
    extra = _extra(conn_id, connection, "wasb", known)
    if text := extra.get("connection_string"):
        return _connection_string(conn_id, str(text))
    host = str(connection.host or "")
    account = re.sub(r"^https?://", "", host).partition(".")[0]
    words: dict[str, Any] = {"account_name": account or connection.login}
    if extra.get("tenant_id"):
        words |= {
            "tenant_id": extra["tenant_id"],
            "client_id": connection.login,
            "client_secret": connection.password,
        }
    elif extra.get("sas_token"):
        words["sas_key"] = str(extra["sas_token"]).removeprefix("?")
    else:
        words["account_key"] = extra.get("shared_access_key") or connection.password
    return {key: str(value) for key, value in words.items() if value}


def _connection_string(conn_id: str, text: str) -> Words:
    """Azure's ``AccountName=...;AccountKey=...``."""
    found = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    names = {
        "AccountName": "account_name",
        "AccountKey": "account_key",
        "SharedAccessSignature": "sas_key",
        "BlobEndpoint": "endpoint",
    }
    words = {names[key]: value for key, value in found.items() if key in names and value}
    if "account_name" not in words:
        raise WindlassError(f"connection {conn_id!r}: its connection_string has no AccountName")
    return words


def _masked(words: Words) -> Words:
    """Hide these values in all logs from now on."""
    from airflow.sdk.log import mask_secret

    for key, value in words.items():
        if key not in _SHOWN:
            mask_secret(value)
    return words


_SHOWN = {"application_credentials", "region", "endpoint", "account_name", "tenant_id",
          "private_key_path"}  # fmt: skip
_STORES: dict[str, tuple[str, Callable[[str, Connection], Words]]] = {
    "gs": (GOOGLE, _google),
    "s3": ("aws", _aws),
    "az": ("wasb", _azure),
}
