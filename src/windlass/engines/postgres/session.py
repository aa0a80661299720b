"""Connections: the address of a server, and the settings of our sessions.

`psycopg`, using libpq, resolves URLs, service names, password files, sslmode and the environment.
asyncpg sessions, which move rows, are made from what libpq resolved, if they support it
(`windlass.engines.postgres.parameters`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

import psycopg
from psycopg import conninfo, pq

from windlass.engines.postgres import keepalive, pooling, tls
from windlass.engines.postgres.connecting import explain_connecting
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.parameters import libpq_reasons, refused
from windlass.errors import BadSpec, WindlassError

if TYPE_CHECKING:
    import asyncpg

    from windlass.model.relation import Name

Connection = psycopg.Connection[tuple[object, ...]]


class Role(Enum):
    """The purpose of a session, which decides its settings."""

    SOURCE = "source"
    TARGET = "target"


# The same text format on both sides, no server time-outs, names always qualified.
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
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",  # reads after locking
    "default_transaction_deferrable": "off",
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
        # otherwise a scan could start in the middle, and not be in ctid order
        "synchronize_seqscans": "off",
    },
    Role.TARGET: {
        "check_function_bodies": "off",
        "default_tablespace": "",
        "default_table_access_method": "heap",
        # A chunk and its journal line share a commit record, so a server crash keeps both or loses
        # both. The run's last line is committed synchronously, which flushes everything before it.
        "synchronous_commit": "off",
    },
}
_SINCE = {140000: {"idle_session_timeout": "0"}, 170000: {"transaction_timeout": "0"}}


# Notices a dead client while a statement runs. Other systems refuse any value except 0.
_ON_LINUX = "client_connection_check_interval"
_WATCHING = {_ON_LINUX: "10000"}


def session_settings(role: Role, version: int) -> dict[str, str]:
    """Settings by name for a session; `version` is server_version_num."""
    newer = {k: v for since, more in _SINCE.items() if version >= since for k, v in more.items()}
    return _COMMON | _BY_ROLE[role] | newer


CONNECT_SECONDS = 15
_LEAST_CONNECT_SECONDS = 2  # libpq's own

# what every libpq since 12 reads from the environment; everything else goes into a service file
_VARIABLES = {
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "requirepeer": "PGREQUIREPEER",
}
# given in another way, or meaningless once the server is chosen
_ELSEWHERE = {
    "host", "hostaddr", "port", "user", "dbname", "password", "passfile", "service", "servicefile",
    "application_name", "fallback_application_name", "client_encoding", "sslcompression",
    "target_session_attrs", "load_balance_hosts",
}  # fmt: skip
# libpq reports its default although nobody set it, and older versions do not know it
_DEFAULT = ("sslcertmode", "allow")


@dataclass(frozen=True, slots=True, repr=False)
class ProgramAccess:
    """How a PostgreSQL client program connects to the same server as a session, without anything in
    its arguments. `service` belongs into a file that nobody else can read."""

    variables: dict[str, str]
    service: dict[str, str]


_EXAMPLE = "for example postgresql://user@host:5432/database"


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r" *[0-9]{1,5} *", text)) and 0 < int(text) < 65536


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. ``repr`` and ``str`` never show a password."""

    side: str  # "source" or "target", for messages
    _conninfo: str
    _more: Mapping[str, str] = field(default_factory=dict)

    def with_settings(self, more: Mapping[str, str]) -> Address:
        """The same address, whose sessions get these settings in addition to ours. They may be
        secrets."""
        return replace(self, _more=more)

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
            ports = str(conninfo.conninfo_to_dict(text).get("port") or "")
        except psycopg.ProgrammingError:
            raise BadSpec(
                [f"{side}: not a postgresql:// URL, a conninfo string or a service name"],
                hint=_EXAMPLE,
            ) from None
        if not all(map(_is_port, filter(None, ports.split(",")))):  # one for each host
            raise BadSpec([f"{side}: its port is not a number from 1 to 65535"], hint=_EXAMPLE)
        return cls(side, text)

    @property
    def words(self) -> dict[str, str]:
        """The parameters in the text itself, without the password."""
        found = conninfo.conninfo_to_dict(self._conninfo)
        return {key: str(value) for key, value in found.items() if value and key != "password"}

    def assets(self, relation: Name) -> list[dict[str, str]]:
        """The assets of a relation. Empty for a service or a socket, which only mean something on
        this machine."""
        words = self.words
        if not words.get("host"):
            return []
        return [
            {
                "place": f"{words['host']}:{words.get('port', 5432)}",
                "database": words.get("dbname") or words.get("user", ""),
                "schema": relation.schema,
                "table": relation.name,
            }
        ]

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        words = conninfo.conninfo_to_dict(self._conninfo)
        place = words.get("service") or f"{words.get('host', 'local')}:{words.get('port', 5432)}"
        return f"{place}/{words.get('dbname', '')}".rstrip("/")

    def __str__(self) -> str:
        return f"{self.side} {self.place}"

    __repr__ = __str__

    def connect(self, role: Role, purpose: str, *, autocommit: bool = True) -> Connection:
        """Open a psycopg session with our settings. `purpose` shows in pg_stat_activity.

        Raises:
            WindlassError: with the cause; retryable where retrying can help.
        """
        given = self._given()
        self._check(given)
        ours = {"connect_timeout": str(CONNECT_SECONDS), **keepalive.DEFAULTS}
        lacking = {name: value for name, value in ours.items() if name not in given}

        def connect(purpose: str) -> Connection:
            text = conninfo.make_conninfo(self._conninfo, **lacking)
            return psycopg.connect(text, autocommit=True, application_name=purpose[:63])

        try:
            connection = connect(purpose)
            try:
                server_pid = apply_settings(connection, self._settings(role, connection))
                if not pooling.is_direct(connection, server_pid):
                    self._check_pooler(connection, lambda: connect("windlass pooler check"))
            except (psycopg.Error, WindlassError):
                connection.close()
                raise
        except psycopg.Error as error:
            raise explain_connecting(error, self.place, side=self.side) from error
        connection.autocommit = autocommit
        return connection

    def _given(self) -> dict[str, str]:
        """The address with its service and the environment resolved, without connecting. With an
        invalid socket folder, libpq stops before it does anything."""
        nowhere = conninfo.make_conninfo(self._conninfo, host="/", hostaddr="")
        attempt = pq.PGconn.connect_start(nowhere.encode())
        try:
            found = {one.keyword.decode(): one.val for one in attempt.info}
        finally:
            attempt.finish()
        return {name: value.decode() for name, value in found.items() if value}

    def _check(self, given: Mapping[str, str]) -> None:
        if names := refused(given):
            raise WindlassError(
                f"{self.place}: {names[0]} is for replication, and Windlass needs SQL",
                hint=f"leave {names[0]} out",
                side=self.side,
            )
        if key := tls.locked_key(given):
            raise WindlassError(
                f"{self.place}: the key {key} is encrypted, and sslpassword is not given",
                hint="give sslpassword in the service file, or a key without a password",
                side=self.side,
            )

    def _check_pooler(self, connection: Connection, beside: Callable[[], Connection]) -> None:
        if pooling.is_shared(connection, beside):
            raise WindlassError(
                f"{self.place} is a connection pooler in transaction or statement mode, where"
                " settings, locks and snapshots do not last",
                hint="name the server itself, or a pool with pool_mode = session",
                side=self.side,
            )
        if lost := pooling.lost_options(connection, resolved(connection).get("options", "")):
            raise WindlassError(
                f"{self.place} is a connection pooler that drops the options of the connection:"
                f" {', '.join(lost)}",
                hint="name the server itself, or leave the options out",
                side=self.side,
            )

    def _settings(self, role: Role, like: Connection) -> dict[str, str]:
        ends = keepalive.server_settings(resolved(like), sends_rows=role is Role.SOURCE)
        version = like.info.server_version
        watching = _WATCHING if role is Role.TARGET and version >= 140000 else {}
        return session_settings(role, version) | ends | watching | dict(self._more)

    def at(self, like: Connection) -> Address:
        """The same server that `like` reached, if the address allows several."""
        info = like.info
        place = {"host": info.host, "hostaddr": info.hostaddr, "port": str(info.port)}
        return replace(self, _conninfo=conninfo.make_conninfo(self._conninfo, **place))

    async def connect_async(self, like: Connection, role: Role, purpose: str) -> asyncpg.Connection:
        """An asyncpg session to the same server that `like` reached, with the same credentials, and
        with TLS exactly if `like` has it."""
        import asyncpg

        info, given = like.info, resolved(like)
        token = keepalive.KEPT.set(keepalive.socket_options(given))
        try:
            connection = await asyncpg.connect(
                host=info.hostaddr or info.host,
                port=info.port,
                user=info.user,
                password=info.password,  # even if empty: only libpq looks for passwords
                database=info.dbname,
                ssl=tls.context(given, info.host) if like.pgconn.ssl_in_use else False,
                direct_tls=False,
                target_session_attrs="any",
                timeout=_connect_seconds(given),
                statement_cache_size=0,
                server_settings={
                    "application_name": purpose[:63],
                    **({"options": given["options"]} if "options" in given else {}),
                },
            )
            try:
                await _apply_async(connection, self._settings(role, like))
            except asyncpg.InternalClientError as error:  # as in `AsyncpgBulk`
                connection.terminate()
                raise ConnectionResetError("the server has ended the session") from error
            except BaseException:
                connection.terminate()
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise explain(error, str(self), side=self.side) from error
        finally:
            keepalive.KEPT.reset(token)
        return connection

    def conninfo(self, like: Connection, purpose: str) -> str:
        """For another libpq driver, to the same server that `like` reached. Contains the
        password."""
        info = like.info
        return conninfo.make_conninfo(
            "",
            **_beyond_place(resolved(like)),
            host=info.host or None,
            hostaddr=info.hostaddr or None,
            port=info.port,
            user=info.user,
            dbname=info.dbname,
            password=info.password or None,
            application_name=purpose[:63],
        )

    def program_access(self, like: Connection) -> ProgramAccess:
        """For a child process (pg_dump), to the same server that `like` reached, where the snapshot
        was exported."""
        info, given = like.info, resolved(like)
        variables = {
            "PGHOST": info.host,
            "PGHOSTADDR": info.hostaddr,
            "PGPORT": str(info.port),
            "PGUSER": info.user,
            "PGDATABASE": info.dbname,
            "PGPASSWORD": info.password,
            "PGAPPNAME": "windlass pg_dump",
            **{name: given.get(keyword) for keyword, name in _VARIABLES.items()},
        }
        if _quotes_all(like):  # pg_dump would print function names differently
            words = variables.get("PGOPTIONS") or ""
            variables["PGOPTIONS"] = f"{words} -c quote_all_identifiers=off".strip()
        service = {k: v for k, v in _beyond_place(given).items() if k not in _VARIABLES}
        return ProgramAccess({k: str(v) for k, v in variables.items() if v}, service)


def cancel_active(connection: Connection) -> None:
    """Cancel the statement that another thread runs in it, if any."""
    if not connection.closed and connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=5)


def resolved(like: Connection) -> dict[str, str]:
    """The parameters that libpq resolved from the address, its service, the environment and the
    password file: those that differ from libpq's defaults, without the password."""
    return dict(like.info.get_parameters())


def why_libpq(like: Connection) -> list[str]:
    """Why asyncpg cannot connect exactly as `like` did; empty if it can."""
    given = resolved(like)
    reasons = libpq_reasons(given)
    if _is_gss(like):
        reasons.append("GSSAPI")
    if like.pgconn.ssl_in_use:
        try:
            tls.context(given, like.info.host)
        except (OSError, LookupError, ValueError):
            reasons.append("a certificate or key that only libpq reads")
    return reasons


def _beyond_place(given: Mapping[str, str]) -> dict[str, str]:
    """The parameters without those given in another way."""
    return {k: v for k, v in given.items() if k not in _ELSEWHERE and (k, v) != _DEFAULT}


def _connect_seconds(given: Mapping[str, str]) -> float | None:
    """The time-out of one attempt, as libpq counts; None is unlimited."""
    seconds = int(float(given.get("connect_timeout") or CONNECT_SECONDS))
    return max(seconds, _LEAST_CONNECT_SECONDS) if seconds > 0 else None


def _quotes_all(like: Connection) -> bool:
    """Whether quote_all_identifiers is on by default in this database; our sessions turn it off."""
    row = like.execute(
        "select reset_val = 'on' from pg_settings where name = 'quote_all_identifiers'"
    ).fetchone()
    return row == (True,)


def _is_gss(like: Connection) -> bool:
    """Whether the session uses GSSAPI. Queried only if this libpq supports GSSAPI; libpq itself
    does not report it."""
    default = next(o.compiled for o in pq.Conninfo.get_defaults() if o.keyword == b"gssencmode")
    if default == b"disable":
        return False
    row = like.execute(
        "select gss_authenticated or encrypted from pg_stat_gssapi where pid = pg_backend_pid()"
    ).fetchone()
    return row is not None and bool(row[0])


async def _apply_async(connection: asyncpg.Connection, settings: Mapping[str, str]) -> None:
    calls = [_call(name, f"${2 * at + 1}", f"${2 * at + 2}") for at, name in enumerate(settings)]
    await connection.execute(
        "select " + ", ".join(calls), *(word for pair in settings.items() for word in pair)
    )


def apply_settings(connection: Connection, settings: dict[str, str]) -> object:
    """Set all for the session in one round trip; returns the pid of the server process."""
    calls = ", ".join(_call(name, "%s", "%s") for name in settings).encode()
    values = [word for pair in settings.items() for word in pair]
    row = connection.execute(b"select pg_backend_pid(), " + calls, values).fetchone()
    return row and row[0]


def _call(name: str, *placeholders: str) -> str:
    if name == _ON_LINUX:
        return _SET_ON_LINUX.format(*placeholders)
    return _SET.format(*placeholders)


_SET = "pg_catalog.set_config({}, {}, false)"
_SET_ON_LINUX = (
    "pg_catalog.set_config({},"
    " case when pg_catalog.strpos(pg_catalog.version(), 'linux') > 0 then {} else '0' end, false)"
)
