"""Sessions of the replication protocol: for one slot, or one stream.

They support no parameters and no prepared statements. Their settings are sent when connecting, and
determine how values are written in the stream: they are the settings of the server's own receiver,
and otherwise those with which our sessions copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import conninfo

from windlass.engines.postgres import keepalive
from windlass.engines.postgres.connecting import explain_connecting
from windlass.engines.postgres.session import Address, Connection, resolved

SENDER_TIMEOUT_SECONDS = 60  # the server ends a stream after this without a message from us

_SETTINGS = {
    "search_path": "",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_SINCE = {140000: {"idle_session_timeout": "0"}, 170000: {"transaction_timeout": "0"}}


def connect(
    address: Address, like: Connection, purpose: str, settings: Mapping[str, str] | None = None
) -> Connection:
    """A session of the replication protocol to the server and database that `like` reached.

    Raises:
        WindlassError: with the cause; retryable where retrying can help.
    """
    given = resolved(like)
    ours = {**_SETTINGS, **keepalive.server_settings(given, sends_rows=True), **(settings or {})}
    for since, more in _SINCE.items():
        if like.info.server_version >= since:
            ours |= more
    options = [given.get("options", ""), *(f"-c {name}={ours[name]}" for name in ours)]
    text = conninfo.make_conninfo(
        address.conninfo(like, purpose),
        replication="database",
        client_encoding="UTF8",
        options=" ".join(options).strip(),
    )
    try:
        return psycopg.connect(text, autocommit=True)
    except psycopg.Error as error:
        place = f"{address.place} for replication"
        raise explain_connecting(error, place, side=address.side) from error
