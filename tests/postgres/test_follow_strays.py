"""What others wrote to the side that is only followed blocks a cutover until it is undone, and a
comparison has found both sides equal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from awaiting import until
from command import DIFFERENT, DONE, REFUSED, windlass
from pursued import TABLES, following, phase, write
from servers import Database, Pair

VERIFY = ("verify", "--follow", "--json")
WIDE = ("--yes", "--json", "--max-lag", "10s", "--max-freeze", "20s")
NAME = "select name from shop.accounts where id = 7"
OTHER = "update shop.accounts set name = 'other' where id = 7"
UNDONE = "update shop.accounts set name = 'account 7' where id = 7"
REPORTED = "select (detail->>'reported_at')::float8 from windlass.following"
REGARDLESS = "set default_transaction_read_only = off"


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    found = Pair(logical(16), logical(18))
    found.source.run(*TABLES)
    return found


def test_what_was_undone_blocks_no_more_and_is_never_applied(pair: Pair) -> None:
    with following(pair):
        _rehearse(pair)
        pair.target.run(OTHER)
        until(lambda: _strays(pair), "the stray write")
        _is_refused(pair, "target")
        windlass(*VERIFY, pair=pair).expect(DIFFERENT)
        _is_refused(pair, "target")
        pair.target.run(UNDONE)
        part = windlass(*VERIFY, "--include", "shop.days", pair=pair).expect(DONE)
        assert "still blocks a cutover" in str(part.said)
        _is_refused(pair, "target")
        ran = windlass(*VERIFY, pair=pair).expect(DONE)
        assert "no longer blocks a cutover" in str(ran.said)
        until(lambda: not _strays(pair), "no stray write")

        windlass("cutover", *WIDE, pair=pair).expect(DONE)
        write(pair.target, 3)
        pair.source.run(REGARDLESS, OTHER)
        until(lambda: _strays(pair), "the late write")
        windlass(*VERIFY, pair=pair).expect(DIFFERENT)
        _is_refused(pair, "source", "--back")
        pair.source.run(REGARDLESS, UNDONE)
        windlass(*VERIFY, pair=pair).expect(DONE)
        windlass("cutover", "--back", *WIDE, pair=pair).expect(DONE)

        assert phase(pair) == "following"
        write(pair.source, 5)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
        assert pair.target.value(NAME) == "account 7"


def test_what_came_after_the_comparison_blocks_again(pair: Pair) -> None:
    """Also with a process that follows which was killed in between."""
    with following(pair):
        _rehearse(pair)
        pair.target.run(OTHER, UNDONE)
        until(lambda: _strays(pair), "the stray write")
    before = pair.target.value(REPORTED)
    with following(pair):
        until(lambda: pair.target.value(REPORTED) > before, "a report of the one that follows now")
        until(lambda: _strays(pair), "the stray write that is still there")
        windlass(*VERIFY, pair=pair).expect(DONE)
        until(lambda: not _strays(pair), "no stray write")
        pair.target.run(OTHER)
        until(lambda: _strays(pair), "the next stray write")
        _is_refused(pair, "target")


def _rehearse(pair: Pair) -> None:
    """As soon as a marker has arrived."""
    until(lambda: windlass("cutover", "--rehearse", *WIDE, pair=pair).code == DONE, "a rehearsal")


def _strays(pair: Pair) -> list[str]:
    found = windlass("status", "--json", pair=pair).expect(DONE).result
    return list(found["runs"][0]["following"]["strays"])


def _is_refused(pair: Pair, side: str, *words: str) -> None:
    ran = windlass("cutover", *words, *WIDE, pair=pair).expect(REFUSED)
    (problem,) = ran.result["problems"]
    assert problem["object"] == side
    assert "others have written to it: shop.accounts at " in problem["message"]


def _rows(database: Database) -> object:
    return database.rows(
        "select (select md5(string_agg(t::text, ',' order by id)) from shop.transfers t),"
        " (select md5(string_agg(a::text, ',' order by id)) from shop.accounts a)"
    )
