"""What stops a migration from another engine, at the command: it says so, and the same command ends
it; and rows of a size or width that few have."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, finish, start
from mariadb_server import MariaServer
from servers import QUOTED_PASSWORD, Database
from translating import Move, Source, mariadb_shop, sqlite_shop

COPIED = "select count(*) from windlass.line where step = 'copy_chunks'"
BEGUN = "select count(*) from pg_tables where schemaname = 'windlass' and tablename = 'line'"
WORDS = ("migrate", "--chunk-size", "64kB", "--jobs", "1")
WIDTH = 300
LARGE = 3 << 20  # under the server's limit for a row


def _until_some_have_arrived(move: Move) -> None:
    until(lambda: move.target.value(BEGUN) and move.target.value(COPIED), "a chunk")


@pytest.mark.full
def test_a_server_that_dies_under_a_migration_costs_nothing_but_time(
    own_mariadb: MariaServer, database: Callable[[int], Database]
) -> None:
    shop = mariadb_shop(own_mariadb, own_mariadb.create_database(), items=300_000)
    move = Move(shop, database(16))
    running = start(*WORDS, env=move.env)
    _until_some_have_arrived(move)
    own_mariadb.stop(signal.SIGKILL)
    stopped = finish(running).expect(STOPPED)
    assert "MariaDB" in stopped.said or "MySQL" in stopped.said
    own_mariadb.start()
    found = move.command(*WORDS).expect(DONE).result
    assert found["resumed"] and found["verified"] == "full"
    assert move.target.value(f"select count(*) from {move.table('items')}") == 300_000


@pytest.mark.full
def test_sessions_that_are_killed_under_a_migration_cost_nothing_but_time(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database()
    move = Move(mariadb_shop(mariadb, name, items=300_000), database(16))
    running = start(*WORDS, env=move.env)
    _until_some_have_arrived(move)
    ours = f"select id from information_schema.processlist where db = '{name}' and user = 'app'"
    for (number,) in mariadb.run("mysql", ours):
        mariadb.run("mysql", f"kill {int(number or 0)}")
    ran = finish(running)
    assert ran.code in (DONE, STOPPED), ran.said
    found = move.command(*WORDS).expect(DONE).result
    assert found["verified"] == "full"
    assert move.target.value(f"select count(*) from {move.table('items')}") == 300_000


def test_a_wrong_password_is_named_and_not_shown(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    url = mariadb.url(maria_database()).replace(QUOTED_PASSWORD, "wr0ng-Secret")
    move = Move(Source(url, lambda: None, ""), database(16))
    refused = move.command("migrate")
    assert refused.code in (REFUSED, STOPPED), refused.said
    assert "denied" in refused.said and "wr0ng-Secret" not in refused.said
    assert not move.target.value(BEGUN)


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
def test_wide_and_large_rows_arrive(
    engine: str,
    tmp_path: Path,
    database: Callable[[int], Database],
    request: pytest.FixtureRequest,
) -> None:
    columns = ", ".join(f"c{at} int" for at in range(WIDTH))
    values = ", ".join(map(str, range(WIDTH)))
    large = "replace(hex(zeroblob({0} / 2)), '00', 'ab')"
    if engine == "mariadb":
        large = "repeat('ab', {0} / 2)"
    more = (
        f"create table wide ({columns})",
        f"insert into wide values ({values})",
        "create table large (id int primary key, v {})".format(
            "text" if engine == "sqlite" else "longtext"
        ),
        f"insert into large values (1, {large.format(LARGE)}), (2, '')",
    )
    if engine == "sqlite":
        source = sqlite_shop(tmp_path / "shop.db", *more, items=10)
    else:
        server, name = (request.getfixturevalue(one) for one in ("mariadb", "maria_database"))
        source = mariadb_shop(server, name(), *more, items=10)
    move = Move(source, database(16))
    assert move.command("migrate").expect(DONE).result["verified"] == "full"
    last = move.target.value(f"select c{WIDTH - 1} from {move.table('wide')}")
    assert last == WIDTH - 1
    same = f"select v = repeat('ab', {LARGE // 2}) from {move.table('large')} where id = 1"
    assert move.target.value(same)
