"""libpq's connection parameters, one by one: which of them the fast copy keeps, and how.

psycopg and pg_dump use libpq, so they support all of them. asyncpg, which copies the rows, has its
own protocol and TLS. If it cannot do what libpq does, rows are copied through libpq, which is
slower. The same happens for any parameter that is not in this table, because a newer libpq may have
more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Way(StrEnum):
    """How a parameter is handled when rows are copied."""

    KEPT = "kept"  # asyncpg is given the same
    SET = "set by Windlass"  # set to our value in every session
    LIBPQ = "through libpq"  # rows are copied through libpq
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    way: Way
    note: str  # how it is kept, or what asyncpg does not support
    # values that asyncpg supports, of a parameter that otherwise goes through libpq
    kept_values: frozenset[str] = frozenset()
    is_shown: bool = False  # whether its value may be in a message


def _kept(name: str, note: str) -> Parameter:
    return Parameter(name, Way.KEPT, note)


def _set(name: str, note: str) -> Parameter:
    return Parameter(name, Way.SET, note)


def _libpq(name: str, note: str, *kept_values: str, is_shown: bool = True) -> Parameter:
    return Parameter(name, Way.LIBPQ, note, frozenset(kept_values), is_shown)


_RESOLVED = "resolved by libpq; the copy connects to the address that libpq reached"
_PROTOCOL = "asyncpg speaks version 3.0"
_GSS = "asyncpg has no GSSAPI encryption, and no GSSAPI login without another package"
_OAUTH = "asyncpg has no OAuth login"
_KEEPALIVE = "set on the socket; see below for the default"
_TLS = "given to the copy's own TLS"

PARAMETERS: dict[str, Parameter] = {
    one.name: one
    for one in (
        _kept("service", "resolved by libpq, with everything in it"),
        _kept("servicefile", "resolved by libpq"),
        _kept("user", "the same"),
        _kept("password", "the same; only sent where libpq would send it"),
        _kept("passfile", "resolved by libpq, by the host that was named"),
        _libpq("channel_binding", "asyncpg does not bind SCRAM to TLS", "prefer", "disable"),
        _kept("connect_timeout", "the same; 15 seconds by default, 0 or less waits as libpq does"),
        _kept("dbname", "the same"),
        _kept("host", _RESOLVED),
        _kept("hostaddr", _RESOLVED),
        _kept("port", _RESOLVED),
        _set("client_encoding", "UTF8"),
        _kept("options", "sent as they are"),
        _set("application_name", "windlass and what the session is for"),
        _set("fallback_application_name", "application_name is always given"),
        _kept("keepalives", "0 leaves the socket's keepalives off"),
        _kept("keepalives_idle", _KEEPALIVE),
        _kept("keepalives_interval", _KEEPALIVE),
        _kept("keepalives_count", _KEEPALIVE),
        _kept("tcp_user_timeout", _KEEPALIVE),
        _kept("sslmode", "the copy uses TLS exactly where libpq does, and never falls back"),
        _libpq("sslnegotiation", "left to libpq", "postgres"),
        _kept("sslcompression", "has no effect in libpq either"),
        _kept("sslcert", _TLS),
        _kept("sslkey", f"{_TLS}; through libpq where Python's TLS cannot read the key"),
        _libpq("sslcertmode", "left to libpq", "allow"),
        _kept("sslpassword", _TLS),
        _kept("sslrootcert", f"{_TLS}; also `system`"),
        _kept("sslcrl", _TLS),
        _libpq("sslcrldir", "left to libpq"),
        _libpq("sslsni", "left to libpq", "1"),
        _libpq("requirepeer", "asyncpg does not check who runs the server"),
        _libpq("require_auth", "asyncpg answers every password request of the server"),
        _libpq("min_protocol_version", _PROTOCOL, "3.0"),
        _kept("max_protocol_version", f"{_PROTOCOL}, which is never above it"),
        _kept("ssl_min_protocol_version", _TLS),
        _kept("ssl_max_protocol_version", _TLS),
        _libpq("gssencmode", _GSS, "disable", "prefer"),
        _libpq("krbsrvname", _GSS, "postgres"),
        _libpq("gsslib", _GSS),
        _libpq("gssdelegation", _GSS, "0"),
        Parameter("replication", Way.REFUSED, "such a session takes no SQL", is_shown=True),
        _kept("target_session_attrs", _RESOLVED),
        _kept("load_balance_hosts", _RESOLVED),
        _libpq("scram_client_key", "asyncpg needs the password itself", is_shown=False),
        _libpq("scram_server_key", "asyncpg needs the password itself", is_shown=False),
        _libpq("oauth_issuer", _OAUTH, is_shown=False),
        _libpq("oauth_client_id", _OAUTH, is_shown=False),
        _libpq("oauth_client_secret", _OAUTH, is_shown=False),
        _libpq("oauth_scope", _OAUTH, is_shown=False),
        _libpq("oauth_ca_file", _OAUTH, is_shown=False),
        _libpq("sslkeylogfile", "left to libpq", is_shown=False),
    )
}


def libpq_reasons(given: Mapping[str, str]) -> list[str]:
    """Why these parameters, as libpq resolved them, require the copy through libpq; empty if they
    do not."""
    return list(_reasons(given))


def _reasons(given: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        one = PARAMETERS.get(name)
        if one is None:
            yield name
        elif one.way is Way.LIBPQ and value and value not in one.kept_values:
            yield f"{name}={value}" if one.is_shown else name
    if given.get("host", "").startswith("@"):
        yield "an abstract socket"
    key = given.get("sslkey", "")
    if ":" in key and not Path(key).exists():
        yield "sslkey of a crypto engine"


def refused(given: Mapping[str, str]) -> list[str]:
    """Parameters that our sessions refuse, by name."""
    return [name for name in given if name in PARAMETERS and _is_refused(name, given[name])]


def _is_refused(name: str, value: str) -> bool:
    return PARAMETERS[name].way is Way.REFUSED and value not in ("", "off", "false", "no", "0")
