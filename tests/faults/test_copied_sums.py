"""A run that lost its snapshot after the copy is compared with what it read, not with the source's
present rows: no false alarm, and real errors are found."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from awaiting import EVENTS, WAITING, await_true, until
from command import DIFFERENT, DONE, Running, migrate, start, verify
from oracle import content_difference
from servers import Pair

ROWS = (
    "create schema s",
    "create table s.big (id int primary key, note text)",
    "insert into s.big select n, repeat(md5(n::text), 4) from generate_series(1, 40000) n",
    "create table s.small (id int primary key, v int)",
    "insert into s.small select n, n from generate_series(1, 100) n",
    "create table s.keyless (v int)",
    "insert into s.keyless select n from generate_series(1, 100) n",
    "create function s.nothing() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger last on ddl_command_start execute function s.nothing()",
    "analyze",
)
WRITTEN = (
    "update s.big set note = 'later' where id % 3 = 0",
    "delete from s.small where id < 50",
    "insert into s.keyless values (1), (2)",
)


def moments(result: dict[str, Any]) -> list[str]:
    """When the snapshots were taken, as a sentence has it."""
    return [f"{one['taken_at'][:19].replace('T', ' ')} UTC" for one in result["snapshots"]]


@contextmanager
def stopped_after_the_copy(pair: Pair, *words: str) -> Iterator[Running]:
    """All rows are in, and the run waits at its last definition; then the process dies, and its
    snapshot with it."""
    with pair.target.connect() as gate, gate.transaction():
        gate.execute(f"lock table {EVENTS} in share mode")
        process = start("migrate", "--chunk-size", "1MB", *words, pair=pair)
        try:
            await_true(pair, f"select exists ({WAITING})")
            yield process
        finally:
            process.kill()
            process.wait()


def killed_after_the_copy(pair: Pair, *words: str) -> None:
    """The next snapshot will be of another second, as messages tell them apart by that."""
    pair.source.run(*ROWS)
    with stopped_after_the_copy(pair, *words):
        pass
    taken = pair.target.value("select max(taken_at)::text from windlass.snapshot")
    later = f"select date_trunc('second', now()) > timestamptz '{taken}'"
    until(lambda: pair.source.value(later), "the next second begins")


@pytest.mark.parametrize("words", [(), ("--one-snapshot",)])
def test_what_was_written_since_the_copy_is_no_difference(pair: Pair, words: tuple[str]) -> None:
    killed_after_the_copy(pair, *words)
    pair.source.run(*WRITTEN)
    done = migrate(pair, *words).expect(DONE).result
    assert {one["verified"] for one in done["relations"]} == {"full"}
    first, second = moments(done)
    (notice,) = [one for one in done["notices"] if "snapshot" in one]
    said = notice.partition("compared with the source as of ")[2]
    assert first in said and second not in said
    assert "s.big, s.keyless and 1 more" in said


def test_a_row_that_is_wrong_on_the_target_is_found_among_what_was_written(pair: Pair) -> None:
    killed_after_the_copy(pair)
    pair.source.run(*WRITTEN)
    pair.target.run("update s.big set note = 'wrong' where id = 7")
    done = migrate(pair).expect(DIFFERENT).result
    assert {one["object"] for one in done["differences"]} == {"s.big"}
    assert {"id": "7"} in [one["key"] for one in done["differences"]]
    (content,) = [one for one in done["differences"] if one["kind"] == "content"]
    assert moments(done)[0] in content["message"]
    assert any("rows of s.big are named by comparison" in one for one in done["notices"])
    assert {one["source"]: one["differs"] for one in done["relations"]} == {
        "s.big": "rows", "s.small": "", "s.keyless": ""
    }  # fmt: skip


def test_a_run_that_began_without_verifying_says_what_it_was_compared_with(pair: Pair) -> None:
    killed_after_the_copy(pair, "--verify", "none")
    done = migrate(pair).expect(DONE).result
    assert done["verified"] == "full"
    (notice,) = [one for one in done["notices"] if "snapshot" in one]
    assert "the comparison of rows" in notice
    said = notice.partition("compared with the source as of ")[2]
    first, second = moments(done)
    assert second in said and first not in said
    assert content_difference(pair.source, pair.target) == []


def test_a_run_of_an_earlier_version_which_noted_nothing_is_compared_as_it_was(pair: Pair) -> None:
    killed_after_the_copy(pair)
    with pair.target.connect() as target:
        (packed,) = target.execute("select plan from windlass.run").fetchone() or ()
        plan = json.loads(zlib.decompress(packed))
        assert plan["how"].pop("notes_sums")
        target.execute(
            "update windlass.run set plan = %s", [zlib.compress(json.dumps(plan).encode())]
        )
        noted = target.execute("update windlass.line set note = null where note ? 'source'")
        assert noted.rowcount > 3
    done = migrate(pair).expect(DONE).result
    assert {one["verified"] for one in done["relations"]} == {"full"}
    said = str(done["notices"]).partition("compared with the source as of ")[2]
    first, second = moments(done)
    assert second in said and first not in said


def test_the_source_is_read_for_its_fingerprint_once(pair: Pair) -> None:
    pair.source.run(*ROWS[:1], "create table s.keyless (v int)", *ROWS[6:7], "analyze")
    scans = "select seq_scan from pg_stat_user_tables where relname = 'keyless'"
    ((before,),) = pair.source.rows(scans)
    migrate(pair).expect(DONE)
    ((after,),) = pair.source.rows(scans)
    assert after - before == 2  # the copy, and the fingerprint


@pytest.mark.parametrize("began_with", ["full", "counts"])
def test_counts_are_those_of_the_copy(pair: Pair, began_with: str) -> None:
    killed_after_the_copy(pair, "--verify", began_with)
    pair.source.run(*WRITTEN)
    done = migrate(pair, "--verify", "counts").expect(DONE).result
    assert {one["verified"] for one in done["relations"]} == {"counts"}


def test_a_count_that_is_wrong_is_found_whatever_the_source_has_become(pair: Pair) -> None:
    killed_after_the_copy(pair, "--verify", "counts")
    pair.source.run("delete from s.small where id < 50")
    pair.target.run("delete from s.small where id < 50")
    done = migrate(pair, "--verify", "counts").expect(DIFFERENT).result
    assert {one["object"] for one in done["differences"]} == {"s.small"}


@pytest.mark.parametrize("began_with", ["none", "counts"])
def test_content_that_was_not_noted_is_compared_with_the_source_as_it_is_and_says_so(
    pair: Pair, began_with: str
) -> None:
    killed_after_the_copy(pair, "--verify", began_with)
    pair.source.run(*WRITTEN)
    done = migrate(pair).expect(DIFFERENT).result
    _, second = moments(done)
    (said,) = [one for one in done["notices"] if "among the differences" in one]
    assert f"compared with the source as of {second}" in said
    assert "s.big, s.keyless and 1 more are compared" in said


def test_a_comparison_in_the_second_snapshot_knows_what_was_read_in_the_first(pair: Pair) -> None:
    killed_after_the_copy(pair)
    pair.source.run(*WRITTEN)
    with stopped_after_the_copy(pair):
        snapshots = "select id from windlass.snapshot order by number"
        *_, (second,) = pair.target.rows(snapshots)
        for words in ((), ("--verify", "counts")):
            verify(pair, "--schema", "s", "--snapshot", second, *words).expect(DONE)
        pair.target.run("update s.small set v = -1 where id = 77")
        found = verify(pair, "--schema", "s", "--snapshot", second).expect(DIFFERENT).result
        assert {one["object"] for one in found["differences"]} == {"s.small"}
