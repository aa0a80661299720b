"""Rows that are hashed in blocks as they are copied: the target's rows have the same digest, and no
other rows do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from origin_tables import fitted, tables_of
from servers import Database
from sqlite_files import file_with, held
from translating import Move, sqlite_shop
from windlass import api
from windlass.engines import hashed_lines
from windlass.engines.hashed_lines import BlockDigest
from windlass.engines.origin import Orders
from windlass.engines.postgres.foreign.blocks import has_index, read_block_digest
from windlass.engines.postgres.foreign.digests import Part, Proven
from windlass.model.chunk import Whole
from windlass.model.event import Event, ItemStarted
from windlass.model.outcome import State
from windlass.model.relation import Name
from windlass.model.report import DifferenceKind
from windlass.model.translation import Digest, Hashed, Reading
from windlass.spec.migrate import Spec

TABLE = "create table t (a text, id integer primary key, r real)"
ROWS = (  # with gaps, and below zero
    "with recursive n (i) as (select -500 union all select i + 1 from n where i < 500)"
    " insert into t (id, a, r) select i * i * i, 'note ' || i, i / 8.0 from n"
    " where i % 7 <> 0"
)
STRAYS = (
    "insert into t values ('x', -9223372036854775808, 0)",
    "insert into t values ('x', 9223372036854775807, 0)",
    "insert into t values ('x', 9, 0)",
    "insert into t select 'x', 1000000000 + i, 0 from generate_series(1, 5000) as i",
    "delete from t where id = (select min(id) from t)",
    "delete from t where id = (select max(id) from t)",
    "delete from t where id = 8",
    "truncate t",
    "update t set a = null where id = 8",
    "update t set a = E'\\\\N' where id = 8",
    "update t set a = a || E'\\t1' where id = 8",
    "update t set a = a || E'\\n' where id = 8",
    "update t set r = -r where id = 8",
    "update t set r = null where id = 8",
    "update t set r = 0 where id = 8",
    "update t set r = r + 1e-15 where id = 8",
    "update t set a = (select o.a from t as o where o.id = 35 - t.id) where id in (8, 27)",
    "update t set id = 9 where id = 8",
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashed_lines, "BLOCK_BYTES", 2_000)


@contextmanager
def sent(folder: Path, there: Database) -> Iterator[tuple[Reading, Hashed]]:
    """The rows of the table, hashed as they were sent into the same one there."""
    with held(file_with(folder, TABLE, ROWS)) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        assert isinstance(origin, Orders)
        assert origin.ordered_by(reading) == "id"
        digest = BlockDigest(1, "id")
        blocks = list(origin.lines(replace(reading, is_hashed=True), Whole()))
    for block in blocks:
        digest.add(block)
    there.run("create table t (a text, id bigint primary key, r float8)")
    with there.connect() as session, session.cursor().copy(sql.SQL("copy t from stdin")) as copy:
        copy.write(b"".join(blocks))
    assert digest.hashed is not None
    yield reading, digest.hashed


def arrived(there: Database, reading: Reading, hashed: Hashed, of: int = 1) -> Digest:
    names = tuple(one.name for one in reading.fields)
    proven = Proven(Name("public", "t"), names, reading.fields, reading.key, "bits")
    with there.connect() as session:
        parts = [read_block_digest(session, proven, hashed, Part(at, of)) for at in range(of)]
    return sum(parts, Digest())


def test_the_target_has_the_digest_in_any_number_of_parts_and_no_other_rows_do(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    there = database(16)
    with sent(tmp_path, there) as (reading, hashed):
        assert len(hashed.lows) > 2
        for of in (1, 2, 3, 100):
            assert arrived(there, reading, hashed, of) == hashed.digest
        for stray in STRAYS:
            there.run("create table kept as select * from t", stray)
            assert arrived(there, reading, hashed, 2) != hashed.digest, stray
            there.run("truncate t", "insert into t select * from kept", "drop table kept")
        assert arrived(there, reading, hashed) == hashed.digest


def test_rows_where_none_were_sent_are_seen(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    there = database(16)
    with sent(tmp_path, there) as (reading, _):
        nothing = Hashed(Digest(), "id")
        assert arrived(there, reading, nothing).rows > 0
        there.run("truncate t")
        assert arrived(there, reading, nothing) == Digest()


@pytest.mark.parametrize(
    ("made", "is_one"),
    [
        ("create unique index on i (id)", True),
        ("create index on i (id, other)", True),
        ("create index on i (other, id)", False),
        ("create index on i (id) where id > 0", False),
        ("create index on i using hash (id)", False),
        ("create index on i ((id + 0))", False),
        ("create index on i (id); alter table i alter id drop not null", False),
        ("select", False),
    ],
)
def test_blocks_need_an_index_that_has_every_row(
    database: Callable[[int], Database], made: str, is_one: bool
) -> None:
    there = database(16)
    there.run("create table i (id bigint not null, other int)", *made.split("; "))
    proven = Proven(Name("public", "i"), ("id", "other"), (), ("id",), "bits")
    with there.connect() as session:
        assert has_index(session, proven, "id") is is_one


@pytest.mark.parametrize("lines", list(itertools.permutations([b"1\ta\n", b"2\tb\n", b"3\tc\n"])))
def test_blocks_that_do_not_ascend_have_no_digest(
    monkeypatch: pytest.MonkeyPatch, lines: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(hashed_lines, "BLOCK_BYTES", 1)
    digest = BlockDigest(0, "id")
    for one in lines:
        digest.add(one)
    assert (digest.hashed is not None) is (list(lines) == sorted(lines))


@pytest.mark.parametrize("is_wrong", [False, True])
def test_a_migration_compares_blocks_and_rows_only_if_they_differ(
    tmp_path: Path,
    database: Callable[[int], Database],
    monkeypatch: pytest.MonkeyPatch,
    is_wrong: bool,
) -> None:
    """A block whose lines came in another order is no difference."""
    move = Move(sqlite_shop(tmp_path / "shop.db"), database(16))
    if is_wrong:
        monkeypatch.setattr(
            BlockDigest, "_close", lambda self: self._open.update(b"?") or close(self)
        )
    found = api.migrate(
        Spec.model_validate({"source": move.source.url, "target": move.target.url, "jobs": 2})
    )
    assert found.state is State.DONE
    assert not found.proof.differences
    noted = "select count(*) from windlass.line where note -> 'blocks' ->> 'by' = 'Id'"
    assert move.target.value(noted) == 1


@pytest.mark.parametrize("verify", ["counts", "full"])
def test_rows_are_counted_though_one_block_has_too_many_and_another_too_few(
    tmp_path: Path, database: Callable[[int], Database], verify: str
) -> None:
    there = database(16)
    planted = [
        "delete from t where id = (select min(id) from t)",
        "insert into t select 'x', 1000 + i, 0 from generate_series(1, 60) as i",
    ]

    def emit(event: Event) -> None:
        if isinstance(event, ItemStarted) and event.step == "validate_content":
            there.run(*planted)
            planted.clear()

    url = file_with(tmp_path, TABLE, ROWS)
    spec = {"source": url, "target": there.url, "jobs": 1, "verify": verify}
    found = api.migrate(Spec.model_validate(spec), emit)
    assert found.state is State.DIFFERENT
    counts = [one.message for one in found.proof.differences if one.kind is DifferenceKind.COUNT]
    assert counts == ["has 858 rows on the source and 917 on the target"]


close = BlockDigest._close
