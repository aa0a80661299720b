"""Connections to MySQL and MariaDB are encrypted where that is asked for, or are not made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from certificates import Authority
from command import DONE, REFUSED, STOPPED
from mariadb_server import MariaServer
from mysql_moves import RIGHTS, Move
from servers import Database
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.session import Session
from windlass.errors import WindlassError

CIPHER = "show session status like 'Ssl_cipher'"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "company")


@pytest.fixture(scope="module")
def encrypted(authority: Authority) -> Iterator[MariaServer]:
    """A server that its certificate names `db.example`, and not 127.0.0.1."""
    mine = authority.certify("db", "db.example")
    server = MariaServer()
    names = {"cert": mine.certificate, "key": mine.key, "ca": authority.root}
    words = []
    for name, path in names.items():
        copied = server.give(path)
        words.append(f"--ssl-{name}={copied}")
    try:
        yield server.start(*words)
    finally:
        server.remove()


def cipher(url: str) -> str:
    session = Session(read_address(url))
    try:
        return (session.one(CIPHER)[1] or b"").decode()
    finally:
        session.close()


def test_each_word_asks_for_what_it_says(
    encrypted: MariaServer, authority: Authority, tmp_path: Path
) -> None:
    name = encrypted.create_database()
    root, other = str(authority.root), str(Authority(tmp_path, "other").root)
    assert cipher(encrypted.url(name)) == ""
    assert cipher(encrypted.url(name, ssl="required"))
    assert cipher(encrypted.url(name, **{"ssl": "verify-ca", "ssl-ca": root}))
    for wrong in (
        {"ssl": "verify-ca", "ssl-ca": other},
        {"ssl": "verify-ca"},  # this machine trusts others only
        {"ssl": "verify-identity", "ssl-ca": root},
    ):
        with pytest.raises(WindlassError, match="certificate verify failed"):
            cipher(encrypted.url(name, **wrong))
    with pytest.raises(WindlassError, match="the certificate cannot be read") as caught:
        cipher(encrypted.url(name, **{"ssl": "verify-ca", "ssl-ca": "/nowhere"}))
    assert "ssl-ca" in caught.value.hint


def test_a_user_may_have_a_certificate(encrypted: MariaServer, authority: Authority) -> None:
    name = encrypted.create_database()
    encrypted.run("mysql", "alter user app@'127.0.0.1' require x509")
    try:
        with pytest.raises(WindlassError, match="Access denied"):
            cipher(encrypted.url(name, ssl="required"))
        mine = authority.certify("app")
        words = {"ssl-cert": str(mine.certificate), "ssl-key": str(mine.key)}
        assert cipher(encrypted.url(name, **words))
    finally:
        encrypted.run("mysql", "alter user app@'127.0.0.1' require none")


def test_a_server_without_encryption_is_refused_where_it_is_asked_for(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    name = maria_database()
    for word in ("required", "verify-ca"):
        with pytest.raises(WindlassError, match=r"SSL|encrypt|TLS"):
            cipher(mariadb.url(name, ssl=word))


def test_a_migration_into_a_server_that_requires_encryption(
    encrypted: MariaServer,
    authority: Authority,
    database: Callable[[int], Database],
    tmp_path: Path,
) -> None:
    source = database(16)
    source.run(
        "create table notes (id int primary key, note text)",
        "insert into notes select i, repeat('note ', i) from generate_series(1, 2000) i",
    )
    encrypted.run("mysql", "set global require_secure_transport = on")
    try:
        name = encrypted.create_database()
        encrypted.grant("app", name, RIGHTS)
        root = str(authority.root)

        class Encrypted(Move):
            words: ClassVar[dict[str, str]] = {}

            @property
            def url(self) -> str:
                return encrypted.url(name, **self.words)

        one = Encrypted(source, encrypted, name)
        assert "?ssl=required" in one.command("plan").expect(REFUSED).said
        for wrong in (
            {"ssl": "verify-identity", "ssl-ca": root},  # it has another name
            {"ssl": "verify-ca", "ssl-ca": str(Authority(tmp_path, "other").root)},
        ):
            Encrypted.words = wrong
            said = one.command("migrate").expect(STOPPED).said
            assert "certificate verify failed" in said and "ssl-ca" in said
            assert one.tables() == []
        Encrypted.words = {"ssl": "verify-ca", "ssl-ca": root}
        found = one.migrate()
        assert (found["verified"], found["rows"]) == ("full", 2000)
        one.command("rollback", found["run"], "--yes").expect(DONE)
    finally:
        encrypted.run("mysql", "set global require_secure_transport = off")
