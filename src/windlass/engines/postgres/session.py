"""Connections: where a server is, and what every session of ours has set.

`psycopg` (and libpq under it) resolves URLs, service names, password files, sslmode and
environment; the asyncpg sessions for bulk bytes are made from what libpq resolved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ssl import SSLContext, create_default_context
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import urlencode

import psycopg
from psycopg import conninfo

from windlass.engines.postgres.errors import explain
from windlass.errors import BadSpec

if TYPE_CHECKING:
    import asyncpg

Connection = psycopg.Connection[tuple[object, ...]]


class Role(Enum):
    """What a session is for decides its settings."""

    SOURCE = "source"
    TARGET = "target"


# One meaning of text on both sides, no time-outs of the server's own, names always qualified.
_COMMON = {
    "client_encoding": "UTF8",
    "search_path": "",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "client_min_messages": "warning",
    "jit": "off",
}
_BY_ROLE = {
    Role.SOURCE: {
        "default_transaction_read_only": "on",
        "row_security": "off",
        # a scan that starts in the middle would not be in ctid order
        "synchronize_seqscans": "off",
    },
    Role.TARGET: {
        "default_transaction_read_only": "off",
        "check_function_bodies": "off",
        "default_tablespace": "",
        "default_table_access_method": "heap",
        # A chunk and its journal line share a commit record, so a server crash keeps or loses
        # both. The run's last line is committed synchronously, which flushes all before it.
        "synchronous_commit": "off",
    },
}
_SINCE = {140000: {"idle_session_timeout": "0"}, 170000: {"transaction_timeout": "0"}}


def session_settings(role: Role, version: int) -> dict[str, str]:
    """Settings by name for a session; `version` is server_version_num."""
    newer = {k: v for since, more in _SINCE.items() if version >= since for k, v in more.items()}
    return _COMMON | _BY_ROLE[role] | newer


# A session that waits for hours (the snapshot's, the lock's) is not forgotten on the way, and a
# server that is gone is noticed in a minute and a half.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}

_TLS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
_VARIABLES = {
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. ``repr`` and ``str`` never show a password."""

    side: str  # "source" or "target", for messages
    _conninfo: str

    @classmethod
    def parse(cls, side: str, text: str) -> Address:
        """A ``postgresql://`` URL, a conninfo string, or the name of a libpq service.

        A SQLAlchemy driver suffix (``postgresql+psycopg2://``) is ignored.

        Raises:
            BadSpec: it is none of these; the text is not repeated, as it may hold a password.
        """
        text = re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", text.strip())
        if re.fullmatch(r"[\w.-]+", text):
            text = conninfo.make_conninfo(service=text)
        try:
            conninfo.conninfo_to_dict(text)
        except psycopg.ProgrammingError:
            raise BadSpec(
                [f"{side}: not a postgresql:// URL, a conninfo string or a service name"],
                hint="for example postgresql://user@host:5432/database",
            ) from None
        return cls(side, text)

    @property
    def words(self) -> dict[str, str]:
        """What the text says by itself, without its password."""
        found = conninfo.conninfo_to_dict(self._conninfo)
        return {key: str(value) for key, value in found.items() if value and key != "password"}

    def __str__(self) -> str:
        words = conninfo.conninfo_to_dict(self._conninfo)
        place = words.get("service") or f"{words.get('host', 'local')}:{words.get('port', 5432)}"
        return f"{self.side} {place}/{words.get('dbname', '')}".rstrip("/")

    __repr__ = __str__

    def connect(self, role: Role, purpose: str, *, autocommit: bool = True) -> Connection:
        """A psycopg session with our settings. `purpose` shows in pg_stat_activity.

        Raises:
            WindlassError: named by its cause; retryable where trying again can help.
        """
        given = conninfo.conninfo_to_dict(self._conninfo)
        alive = {key: value for key, value in _KEEPALIVES.items() if given.get(key) is None}
        try:
            connection = psycopg.connect(
                conninfo.make_conninfo(self._conninfo, **alive),
                autocommit=True,
                application_name=purpose[:63],
                connect_timeout=self._connect_timeout(),
            )
            try:
                apply_settings(connection, session_settings(role, connection.info.server_version))
            except psycopg.Error:
                connection.close()
                raise
        except psycopg.Error as error:
            raise explain(error, str(self), side=self.side) from error
        connection.autocommit = autocommit
        return connection

    def _connect_timeout(self) -> int:
        return int(conninfo.conninfo_to_dict(self._conninfo).get("connect_timeout") or 15)

    def _resolved(self, like: Connection) -> dict[str, str]:
        """What libpq made of the address, its service, the environment and the password file."""
        given = conninfo.conninfo_to_dict(self._conninfo)
        secret = {key: str(given[key]) for key in ("sslpassword",) if given.get(key)}
        return {**like.info.get_parameters(), **secret}

    async def connect_async(self, like: Connection, role: Role, purpose: str) -> asyncpg.Connection:
        """An asyncpg session to the very server that `like` reached, with the same credentials."""
        import asyncpg

        info, words = like.info, self._resolved(like)
        tls = {key: words[key] for key in _TLS if key in words}
        context = _system_context(tls) if tls.get("sslrootcert") == "system" else None
        try:
            connection = await asyncpg.connect(
                dsn=f"postgresql:///?{urlencode(tls)}" if tls and not context else None,
                ssl=context,
                host=_host(like, words) or None,
                port=info.port,
                user=info.user,
                password=info.password or None,
                database=info.dbname,
                timeout=self._connect_timeout(),
                statement_cache_size=0,
                server_settings={
                    "application_name": purpose[:63],
                    **({"options": words["options"]} if "options" in words else {}),
                },
            )
            try:
                await _apply_async(connection, session_settings(role, info.server_version))
            except BaseException:
                connection.terminate()
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise explain(error, str(self), side=self.side) from error
        return connection

    def conninfo(self, like: Connection, purpose: str) -> str:
        """For another driver over libpq, to the very server that `like` reached. Holds the
        password."""
        words = {**self._resolved(like), "application_name": purpose[:63]}
        return conninfo.make_conninfo("", **words, password=like.info.password or None)

    def environment(self, like: Connection) -> dict[str, str]:
        """libpq variables for a child process (pg_dump): the password stays out of its arguments.

        Host and port are those that `like` reached, so a snapshot is found where it was exported.
        """
        words = self._resolved(like)
        variables = {
            "PGHOST": like.info.host,
            "PGHOSTADDR": like.info.hostaddr,
            "PGPORT": str(like.info.port),
            "PGUSER": like.info.user,
            "PGDATABASE": like.info.dbname,
            "PGPASSWORD": like.info.password,
            **{name: words.get(keyword) for keyword, name in _VARIABLES.items()},
        }
        return {key: str(value) for key, value in variables.items() if value}


def _host(like: Connection, words: Mapping[str, str]) -> str:
    """The address where one was given, unless a certificate has to bear the host's name."""
    by_name = words.get("sslmode") == "verify-full" or "hostaddr" not in words
    return like.info.host if by_name else like.info.hostaddr


def _system_context(tls: Mapping[str, str]) -> SSLContext:
    """asyncpg takes `sslrootcert` for a file's name; libpq also for the system's own roots."""
    context = create_default_context()
    if "sslcert" in tls:
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), tls.get("sslpassword"))
    return context


async def _apply_async(connection: asyncpg.Connection, settings: Mapping[str, str]) -> None:
    calls = ["pg_catalog.set_config($%d, $%d, false)"] * len(settings)
    await connection.execute(
        "select " + ", ".join(calls) % tuple(range(1, 2 * len(settings) + 1)),
        *(word for pair in settings.items() for word in pair),
    )


def apply_settings(connection: Connection, settings: dict[str, str]) -> None:
    """Set all in one round trip, for the session."""
    call: LiteralString = "pg_catalog.set_config(%s, %s, false)"
    calls: LiteralString = "select " + ", ".join([call] * len(settings))
    connection.execute(calls, [word for pair in settings.items() for word in pair])
