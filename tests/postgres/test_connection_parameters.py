"""Every libpq parameter, through both drivers: psycopg, and the one that copies rows.

The dangerous moment lies between the two: a server, or somebody who has taken its place, that asks
the first session for what it should and the second for less."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
from psycopg import pq

from certificates import Authority
from command import DONE, REFUSED, windlass
from needs import needs_version
from oracle import content_difference
from paths import BUSY, DOCS
from servers import PASSWORD, Database, Server
from tls import Tls
from windlass.engines.postgres.bulk import AsyncpgBulk, LibpqBulk, open_bulk
from windlass.engines.postgres.copy import Bulk, In, Out
from windlass.engines.postgres.keepalive import Loop
from windlass.engines.postgres.parameters import PARAMETERS, Parameter, Way, libpq_reasons
from windlass.engines.postgres.session import Address, Role
from windlass.errors import WindlassError
from windlass.model.relation import Name, Wire

KEY_PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    needs_version(15)  # Debian's; the wheel's are built without TLS
    folder = tmp_path_factory.mktemp("certificates")
    authority, strangers = Authority(folder, "ours"), Authority(folder, "strangers")
    server = Server(15)
    try:
        lists = folder / "lists"
        lists.mkdir()
        root = server.data / "root.crt"
        root.write_bytes(authority.root.read_bytes())
        certified = authority.certify("localhost", "localhost")
        for name, path in (("crt", certified.certificate), ("key", certified.key)):
            place = server.data / f"server.{name}"
            place.write_bytes(path.read_bytes())
            place.chmod(0o600)
            server._hand_over(place)
        server._hand_over(root)
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write("ssl = on\nssl_ca_file = 'root.crt'\n")
        server.start()
        yield Tls(server, authority, strangers, certified, lists)
    finally:
        server.remove()


@pytest.fixture
def tls(speaking: Tls) -> Tls:
    speaking.reset()
    return speaking


@pytest.fixture
def plain(server: Callable[[int], Server]) -> Server:
    return server(18)


def second(address: Address, before: Callable[[], None] = lambda: None) -> tuple[str, type[Bulk]]:
    """Open the first session, let something happen, then the second one: what it reads of a table
    with one row, and of which kind it is."""
    with address.connect(Role.TARGET, "test") as like:
        like.execute("create table if not exists public.t (a text)")
        like.execute("truncate public.t; insert into public.t values ('there')")
        before()
        return _run(address, like)


def _run(address: Address, like: object) -> tuple[str, type[Bulk]]:
    async def work() -> tuple[str, type[Bulk]]:
        bulk = await open_bulk(address, like, Role.TARGET, "test")  # type: ignore[arg-type]
        try:
            return await _round_trip(bulk), type(bulk)
        finally:
            bulk.terminate()

    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work())


async def _round_trip(bulk: Bulk) -> str:
    name, read = Name("public", "t"), bytearray()

    async def keep(block: bytes) -> None:
        read.extend(block)

    async def blocks() -> AsyncIterator[bytes]:
        yield bytes(read)

    await bulk.copy_out(Out(name, ["a"], Wire.TEXT), keep)
    assert await bulk.copy_in(In(name, ["a"], Wire.TEXT, False), blocks()) == 1
    assert await bulk.execute("select 1; select from public.t") == "SELECT 2"
    return read.decode().strip()


def test_every_parameter_of_this_libpq_is_in_the_table() -> None:
    known = {one.keyword.decode() for one in pq.Conninfo.get_defaults()}
    assert known - PARAMETERS.keys() == set()


def test_what_a_newer_libpq_adds_goes_through_libpq() -> None:
    assert libpq_reasons({"host": "h", "quantum_key": "secret"}) == ["quantum_key"]


def test_the_page_has_every_parameter_and_what_becomes_of_it() -> None:
    page = (DOCS / "connections.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert lines == [_row(one) for one in PARAMETERS.values()]


def _row(one: Parameter) -> str:
    values = ", ".join(f"`{value}`" for value in sorted(one.kept_values))
    kept = f"; {values}: kept" if values else ""
    return f"| `{one.name}` | {one.way}{kept} | {one.note} |"


def scram_keys(tls: Tls) -> dict[str, str]:
    """What SCRAM needs of a password, by RFC 5802."""
    verifier = tls.server.admin.value("select rolpassword from pg_authid where rolname='postgres'")
    _, rounds_and_salt, _ = verifier.split("$")
    rounds, salt = rounds_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(rounds))
    return {
        f"scram_{side}_key": base64.b64encode(
            hmac.digest(salted, f"{side.title()} Key".encode(), "sha256")
        ).decode()
        for side in ("client", "server")
    }


def certificate_words(tls: Tls, password: str = "", der: bool = False) -> dict[str, str]:
    tls.asks("hostssl all all 127.0.0.1/32 cert\n")
    certified = tls.authority.certify("postgres", password=password, der=der)
    return {
        "password": "",
        "sslcert": str(certified.certificate),
        "sslkey": str(certified.key),
        **({"sslpassword": password} if password else {}),
    }


def service_words(tls: Tls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    path = folder / "services"
    place = f"host=127.0.0.1\nport={tls.server.port}\nuser=postgres\ndbname=postgres\n"
    path.write_text(f"[s]\n{place}password={PASSWORD}\nconnect_timeout=20\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(path))
    names = ("host", "hostaddr", "port", "user", "password", "dbname", "sslmode", "connect_timeout")
    return {**dict.fromkeys(names, ""), "service": "s"}


def passfile_words(tls: Tls, folder: Path) -> dict[str, str]:
    path = folder / "passwords"
    path.write_text(f"127.0.0.1:*:*:*:wrong\nlocalhost:*:*:*:{PASSWORD}\n")
    path.chmod(0o600)
    return {"passfile": str(path), "password": ""}


Words = Mapping[str, str]
# of one parameter a value that works, and the way that it takes the rows
CASES: dict[str, tuple[Words, Way]] = {
    "channel_binding": ({"channel_binding": "require"}, Way.LIBPQ),
    "channel_binding, disable": ({"channel_binding": "disable"}, Way.KEPT),
    "connect_timeout": ({"connect_timeout": "0"}, Way.KEPT),
    "connect_timeout, negative": ({"connect_timeout": "-1"}, Way.KEPT),
    "connect_timeout, short": ({"connect_timeout": "1"}, Way.KEPT),
    "user, password, dbname, host, hostaddr, port": ({}, Way.KEPT),
    "host": ({"hostaddr": ""}, Way.KEPT),
    "hostaddr": ({"host": ""}, Way.KEPT),
    "client_encoding": ({"client_encoding": "LATIN1"}, Way.SET),
    "options": ({"options": "-c geqo=off"}, Way.KEPT),
    "application_name": ({"application_name": "mine"}, Way.SET),
    "fallback_application_name": ({"fallback_application_name": "mine"}, Way.SET),
    "keepalives": ({"keepalives": "0"}, Way.KEPT),
    "keepalives_idle": ({"keepalives_idle": "7"}, Way.KEPT),
    "keepalives_interval": ({"keepalives_interval": "7"}, Way.KEPT),
    "keepalives_count": ({"keepalives_count": "7"}, Way.KEPT),
    "tcp_user_timeout": ({"tcp_user_timeout": "7000"}, Way.KEPT),
    "sslmode, disable": ({"sslmode": "disable"}, Way.KEPT),
    "sslmode, allow": ({"sslmode": "allow"}, Way.KEPT),
    "sslmode, prefer": ({"sslmode": "prefer"}, Way.KEPT),
    "sslmode": ({"sslmode": "require"}, Way.KEPT),
    "sslrootcert": ({"sslmode": "verify-ca", "sslrootcert": "{root}"}, Way.KEPT),
    "sslrootcert, verify-full": ({"sslmode": "verify-full", "sslrootcert": "{root}"}, Way.KEPT),
    "sslnegotiation": ({"sslnegotiation": "postgres"}, Way.KEPT),
    "sslcompression": ({"sslcompression": "1"}, Way.KEPT),
    "sslcertmode": ({"sslcertmode": "disable"}, Way.LIBPQ),
    "sslcrl": ({"sslrootcert": "{root}", "sslcrl": "{lists}/list.crl"}, Way.KEPT),
    "sslcrldir": ({"sslrootcert": "{root}", "sslcrldir": "{lists}"}, Way.LIBPQ),
    "sslsni": ({"sslsni": "0"}, Way.LIBPQ),
    "require_auth": ({"require_auth": "scram-sha-256"}, Way.LIBPQ),
    "min_protocol_version": ({"min_protocol_version": "3.0"}, Way.KEPT),
    "max_protocol_version": ({"max_protocol_version": "3.0"}, Way.KEPT),
    "ssl_min_protocol_version": ({"ssl_min_protocol_version": "TLSv1.3"}, Way.KEPT),
    "ssl_max_protocol_version": ({"ssl_max_protocol_version": "TLSv1.2"}, Way.KEPT),
    "gssencmode": ({"gssencmode": "disable"}, Way.KEPT),
    "krbsrvname": ({"krbsrvname": "other"}, Way.LIBPQ),
    "gsslib": ({"gsslib": "gssapi"}, Way.LIBPQ),
    "gssdelegation": ({"gssdelegation": "1"}, Way.LIBPQ),
    "target_session_attrs": ({"target_session_attrs": "read-write"}, Way.KEPT),
    "load_balance_hosts": ({"load_balance_hosts": "random"}, Way.KEPT),
    "oauth_issuer, oauth_client_id, oauth_client_secret, oauth_scope": (
        {
            "oauth_issuer": "https://example.com",
            "oauth_client_id": "me",
            "oauth_client_secret": "secret",
            "oauth_scope": "all",
        },
        Way.LIBPQ,
    ),
}
# those that need more than a word
OTHERS = {
    "service", "passfile", "sslcert", "sslkey", "sslpassword", "requirepeer", "replication",
    "scram_client_key", "scram_server_key", "sslkeylogfile",
}  # fmt: skip
KINDS = {Way.LIBPQ: LibpqBulk, Way.KEPT: AsyncpgBulk, Way.SET: AsyncpgBulk}


def test_each_parameter_of_this_libpq_has_a_case() -> None:
    known = {one.keyword.decode() for one in pq.Conninfo.get_defaults()}
    tried = {name for case in CASES for name in case.split(", ")}
    assert known - tried - OTHERS == set()


@pytest.mark.parametrize("case", CASES)
def test_a_parameter_is_kept_where_rows_move(tls: Tls, case: str) -> None:
    words, way = CASES[case]
    names = {"root": str(tls.authority.root), "lists": str(tls.lists)}
    given = {name: value.format(**names) for name, value in words.items()}
    assert second(Address.parse("source", tls.conninfo(**given))) == ("there", KINDS[way])
    assert case.split(", ")[0] in PARAMETERS


def test_a_service_is_kept(tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address.parse("source", tls.conninfo(**service_words(tls, tmp_path, monkeypatch)))
    assert second(address) == ("there", AsyncpgBulk)


def test_a_service_with_channel_binding_goes_through_libpq(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = service_words(tls, tmp_path, monkeypatch)
    with (tmp_path / "services").open("a") as file:
        file.write("channel_binding=require\n")
    assert second(Address.parse("source", tls.conninfo(**words))) == ("there", LibpqBulk)


def test_a_password_file_is_read_by_the_name_of_the_host(tls: Tls, tmp_path: Path) -> None:
    address = Address.parse("source", tls.conninfo(**passfile_words(tls, tmp_path)))
    assert second(address) == ("there", AsyncpgBulk)


def test_a_password_that_libpq_does_not_send_is_not_sent(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has one for the address, but libpq goes by the name."""
    path = tmp_path / "passwords"
    path.write_text(f"127.0.0.1:*:*:*:{PASSWORD}\n")
    path.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(path))
    tls.asks("hostssl all all 127.0.0.1/32 trust\n")
    address = Address.parse("source", tls.conninfo(password=""))
    with pytest.raises(WindlassError, match="password"):
        second(address, lambda: tls.asks("hostssl all all 127.0.0.1/32 password\n"))


@pytest.mark.parametrize("password", ["", KEY_PASSWORD])
def test_a_client_key_is_used(tls: Tls, password: str) -> None:
    address = Address.parse("source", tls.conninfo(**certificate_words(tls, password)))
    assert second(address) == ("there", AsyncpgBulk)


def test_a_key_that_python_cannot_read_goes_through_libpq(tls: Tls) -> None:
    address = Address.parse("source", tls.conninfo(**certificate_words(tls, der=True)))
    assert second(address) == ("there", LibpqBulk)


def test_a_locked_key_without_its_password_is_refused_and_nobody_is_asked(tls: Tls) -> None:
    words = certificate_words(tls, KEY_PASSWORD) | {"sslpassword": ""}
    with pytest.raises(WindlassError, match="encrypted, and sslpassword is not given"):
        second(Address.parse("source", tls.conninfo(**words)))


def test_requirepeer_goes_through_libpq(plain: Server) -> None:
    place = f"host={plain.folder} port={plain.port} user=postgres dbname=postgres"
    owner = (plain.folder / f".s.PGSQL.{plain.port}").owner()
    address = Address.parse("source", f"{place} requirepeer={owner}")
    assert second(address) == ("there", LibpqBulk)


def test_a_newer_protocol_goes_through_libpq(plain: Server) -> None:
    url = plain.admin.url_for(min_protocol_version="3.2")
    assert second(Address.parse("source", url)) == ("there", LibpqBulk)


def test_keys_in_place_of_a_password_go_through_libpq(tls: Tls) -> None:
    address = Address.parse("source", tls.conninfo(password="", **scram_keys(tls)))
    assert second(address) == ("there", LibpqBulk)


def test_a_log_of_tls_keys_goes_through_libpq(tls: Tls, tmp_path: Path) -> None:
    words = {"sslkeylogfile": str(tmp_path / "keys")}
    assert second(Address.parse("source", tls.conninfo(**words))) == ("there", LibpqBulk)


def test_replication_is_refused(plain: Server) -> None:
    with pytest.raises(WindlassError, match="replication"):
        second(Address.parse("source", plain.admin.url_for(replication="database")))


def test_the_second_session_is_on_the_server_that_the_first_has_reached(
    tls: Tls, plain: Server
) -> None:
    """Of several hosts, the first is not up, and then it is."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = f"{closed.getsockname()[1]},{plain.port}"
    address = Address.parse(
        "source",
        f"host=localhost,localhost port={ports} user=postgres dbname=postgres password='{PASSWORD}'"
        " target_session_attrs=read-write load_balance_hosts=random",
    )
    with address.connect(Role.SOURCE, "test") as like:
        assert address.at(like).connect(Role.SOURCE, "test").info.port == plain.port


# between the first session and the second


ASKS_FOR_CLEAR = "hostssl all all 127.0.0.1/32 password\nhost all all 127.0.0.1/32 password\n"
ASKS_FOR_NOTHING = "hostssl all all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 trust\n"


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ({"channel_binding": "require"}, ASKS_FOR_CLEAR),
        ({"channel_binding": "require"}, ASKS_FOR_NOTHING),
        ({"require_auth": "scram-sha-256"}, ASKS_FOR_CLEAR),
        ({"require_auth": "scram-sha-256"}, ASKS_FOR_NOTHING),
        ({"require_auth": "!password"}, ASKS_FOR_CLEAR),
    ],
)
def test_a_weaker_login_is_refused_by_both_sessions(tls: Tls, words: Words, asks: str) -> None:
    address = Address.parse("source", tls.conninfo(**words))
    with pytest.raises(WindlassError, match=r"channel binding|authentic"):
        second(address, lambda: tls.asks(asks))
    with pytest.raises(WindlassError, match=r"channel binding|authentic"):
        address.connect(Role.SOURCE, "test")


def _revoked(tls: Tls) -> None:
    tls.authority.revoke(tls.lists / "list.crl", tls.certified.serial)
    tls.authority.revoke(tls.lists / f"{tls.authority.hashed_name}.r0", tls.certified.serial)


ROOT = {"sslrootcert": "{root}"}


@pytest.mark.parametrize(
    ("words", "happens"),
    [
        ({**ROOT, "sslcrl": "{lists}/list.crl"}, _revoked),
        ({**ROOT, "sslcrldir": "{lists}"}, _revoked),
        (
            {**ROOT, "sslmode": "verify-full"},
            lambda tls: tls.shows(tls.authority.certify("x", "elsewhere.example.com")),
        ),
        (
            {**ROOT, "sslmode": "verify-ca"},
            lambda tls: tls.shows(tls.strangers.certify("localhost", "localhost")),
        ),
        (ROOT, lambda tls: tls.shows(tls.strangers.certify("localhost", "localhost"))),
        ({"sslmode": "require"}, lambda tls: tls.sets("ssl", "off")),
        (
            {"ssl_min_protocol_version": "TLSv1.3"},
            lambda tls: tls.sets("ssl_max_protocol_version", "TLSv1.2"),
        ),
    ],
)
def test_a_server_that_may_be_another_is_refused_by_both_sessions(
    tls: Tls, words: Words, happens: Callable[[Tls], None]
) -> None:
    names = {"root": str(tls.authority.root), "lists": str(tls.lists)}
    given = {name: value.format(**names) for name, value in words.items()}
    address = Address.parse("source", tls.conninfo(**given))
    with pytest.raises(WindlassError):
        second(address, lambda: happens(tls))
    with pytest.raises(WindlassError):
        address.connect(Role.SOURCE, "test")


def test_what_prefers_tls_and_had_it_does_not_send_a_password_without(tls: Tls) -> None:
    address = Address.parse("source", tls.conninfo(sslmode="prefer"))
    with pytest.raises(WindlassError):
        second(address, lambda: tls.sets("ssl", "off"))


# whole runs


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_migration_through_libpq_says_so_in_its_plan(tls: Tls, side: str) -> None:
    tls.reset()
    source, target = tls.server.create_database(), tls.server.create_database()
    source.load(BUSY)
    words: dict[str, Words] = {"source": {}, "target": {}} | {side: {"channel_binding": "require"}}
    urls = _options(tls, source, target, words)
    plan = windlass("plan", "--json", *urls).expect(DONE).result
    said = f"{side}: channel_binding=require: rows are copied through libpq, which is slower"
    assert said in plan["notices"]
    ran = windlass("migrate", "--json", "--chunk-size", "256kB", *urls).expect(DONE)
    assert said in ran.result["notices"]
    assert content_difference(source, target) == []


def test_a_migration_with_a_locked_key_hands_its_password_to_pg_dump(tls: Tls) -> None:
    source, target = tls.server.create_database(), tls.server.create_database()
    source.run("create table t (a int)", "insert into t values (1)")
    key = certificate_words(tls, KEY_PASSWORD)
    ran = windlass("migrate", *_options(tls, source, target, {"source": key, "target": key}))
    ran.expect(DONE)
    assert KEY_PASSWORD not in ran.said
    assert tls.execute("select a from public.t", target.name) == (1,)


def test_a_pg_dump_whose_libpq_does_not_know_a_parameter_does_not_connect_without(
    tls: Tls, tmp_path: Path
) -> None:
    source, target = tls.server.create_database(), tls.server.create_database()
    words = {"source": {"sslkeylogfile": str(tmp_path / "keys")}, "target": {}}
    ran = windlass("plan", *_options(tls, source, target, words)).expect(REFUSED)
    assert "does not know sslkeylogfile" in ran.said


def _options(
    tls: Tls, source: Database, target: Database, words: Mapping[str, Words]
) -> tuple[str, ...]:
    return (
        "--source",
        tls.conninfo(dbname=source.name, **words["source"]),
        "--target",
        tls.conninfo(dbname=target.name, **words["target"]),
    )
