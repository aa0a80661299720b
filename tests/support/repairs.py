"""A repair of rows that differ from the source's, and its rollback."""

from __future__ import annotations

from collections.abc import Sequence

from command import BAD_SPEC, DIFFERENT, DONE
from translating import Move


def rows_of(move: Move, queries: Sequence[str]) -> list[list[tuple[object, ...]]]:
    return [move.target.rows(one) for one in queries]


def expect_repair(
    move: Move, queries: Sequence[str], as_moved: list[list[tuple[object, ...]]], *words: str
) -> None:
    """Of rows that are missing, extra and changed: `queries` then give what they gave before."""
    spoiled = rows_of(move, queries)
    assert spoiled != as_moved
    found = move.command("verify", *words).expect(DIFFERENT).result["differences"]
    assert {one["kind"] for one in found} >= {"missing", "extra", "changed"}
    refused = move.command("verify", *words, "--repair")
    assert refused.code == BAD_SPEC and "--yes" in refused.said
    assert rows_of(move, queries) == spoiled
    done = move.command("verify", *words, "--repair", "--yes").expect(DONE).result
    assert done["repaired"] and done["differences"] == []
    assert rows_of(move, queries) == as_moved
    move.command("verify", *words).expect(DONE)
    move.command("rollback", done["run"], "--yes").expect(DONE)
    assert rows_of(move, queries) == spoiled
    move.command("verify", *words, "--repair", "--yes").expect(DONE)
    assert rows_of(move, queries) == as_moved
