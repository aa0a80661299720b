"""What is new where applications write, and not followed, is never left behind by a cutover; what
the run leaves out blocks none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, finish, windlass
from cutovers import variables
from follow_runs import FOLLOW, following, until_lag_known
from killing import kill
from servers import Database, Pair
from windlass.api import cutover
from windlass.engines.postgres.queries import load
from windlass.model.outcome import State
from windlass.spec.cutover import CutoverSpec
from windlass.spec.model import validated

TABLES = (
    "create schema shop",
    "create table shop.accounts (id bigint primary key, name text not null)",
    "create table shop.notes (id int primary key, account bigint, body text)",
    "create table shop.days (day date primary key, total int) partition by range (day)",
    "create table shop.days_1 partition of shop.days for values from ('2026-01-01')"
    " to ('2026-07-01')",
    "insert into shop.accounts select n, 'no ' || n from generate_series(1, 50) n",
    "insert into shop.notes select n, n, 'note' from generate_series(1, 50) n",
    "insert into shop.days select date '2026-01-01' + n, n from generate_series(0, 50) n",
)


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    """A source with a few tables, and an empty target."""
    found = Pair(logical(16), logical(18))
    found.source.run(*TABLES)
    return found


def blockers(pair: Pair) -> str:
    (run,) = windlass("status", "--json", pair=pair).expect(DONE).result["runs"]
    return str(run["following"]["blockers"])


WIDE = ("--max-lag", "10s", "--max-freeze", "20s")
NEW = {
    "shop.logged": "create unlogged table shop.logged (id int)",
    "shop.parts": "create table shop.parts (id int) partition by list (id)",
    "shop.numbers": "create sequence shop.numbers",
    "later.fresh": "create table later.fresh (id int)",
}


def test_what_is_new_where_applications_write_is_never_left_behind(pair: Pair) -> None:
    """Of every kind that has rows or counts, in both directions, and also in the last second."""
    pair.source.run("create unlogged table shop.carts (id int)")
    made = [*NEW.values(), "create table shop.parts_1 partition of shop.parts for values in (1)"]
    with following(pair) as follower:
        until_lag_known(pair, follower)
        pair.source.run("create schema later", *made)
        refused = windlass("cutover", "--yes", pair=pair).expect(REFUSED)
        assert all(f"{name}: is new on the source" in refused.said for name in NEW), refused.said
        pair.source.run("alter table shop.carts set logged")
        until(lambda: "shop.carts: is no longer" in blockers(pair), "it is named")
        assert "make it so again on the source" in blockers(pair)
        pair.source.run("alter table shop.carts set unlogged")
        until(lambda: "shop.carts" not in blockers(pair), "it is gone")
        pair.target.run("create schema later", *made)
        there = windlass("cutover", "--yes", "--json", *WIDE, pair=pair).expect(DONE)
        assert all(name in str(there.result["notices"]) for name in NEW), there.result
        pair.target.run("create table shop.after (id int)", "insert into shop.after values (1)")
        pair.target.run("alter table shop.accounts add column extra int default 5")
        back = windlass("cutover", "--back", "--yes", pair=pair).expect(REFUSED)
        said = " ".join(back.said.split())
        assert "shop.after: is new on the target, and not followed" in said
        assert "column extra is only on the target" in said and "on the source" in said
        pair.target.run("drop table shop.after", "alter table shop.accounts drop column extra")
        windlass("cutover", "--back", "--yes", *WIDE, pair=pair).expect(DONE)


def test_what_a_run_leaves_out_or_windlass_has_made_does_not_block_a_cutover(
    pair: Pair, tmp_path: Path
) -> None:
    """Tables of every day that are excluded, a backup of a rewrite, what a run has set aside. What
    only looks like a backup, and a partition of a table that had none, do block it."""
    pair.source.run(
        "create table shop.log_1 (id int)",
        "create table shop.parts (id int) partition by list (id)",
        "create role plain_maker",
    )
    aside = "windlass_20260101_0101_abcd_shop"
    comment = "comment on table shop.fake is 'Backup of shop.notes by windlass run x.'"
    spec = tmp_path / "rewrite.yaml"
    spec.write_text(
        "{schema: shop, table: notes, backup_schema: shop_before, select: id < 9,"
        " set: {body: {value: new}}}"
    )
    try:
        with following(pair, "--exclude", "shop.log_*") as follower:
            until_lag_known(pair, follower)
            env = {"WINDLASS_TARGET": pair.source.url}
            windlass("rewrite", "-f", str(spec), env=env).expect(DONE)
            pair.source.run(
                "create table shop.log_2 (id int)",
                f"create schema {aside}",
                f"comment on schema {aside} is 'Set aside by windlass: by hand'",
                f"create table {aside}.old (id int)",
                "create table shop.fake (id int)",
                "alter table shop.fake owner to plain_maker",
                comment,
                "create table shop.parts_1 partition of shop.parts for values in (1)",
            )
            refused = windlass("cutover", "--yes", "--json", *WIDE, pair=pair).expect(REFUSED)
            named = [one["object"] for one in refused.result["problems"]]
            assert named == ["shop.fake", "shop.parts_1"], refused.why
            pair.source.run("drop table shop.fake", "drop table shop.parts_1")
            windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
            pair.target.run("create table shop.log_3 (id int)")
            windlass("cutover", "--back", "--yes", *WIDE, pair=pair).expect(DONE)
    finally:
        pair.source.run("drop owned by plain_maker", "drop role plain_maker")


@pytest.mark.full
def test_what_is_created_before_a_killed_run_is_resumed_is_named(pair: Pair) -> None:
    """Also if nobody compares both sides, and there was nothing before but what is followed."""
    words = ("--verify", "none")
    kill("call windlass.flows.follow.source_side.begin_applied", [*FOLLOW, *words], variables(pair))
    pair.source.run("create table shop.fresh (id int)")
    with following(pair, *words) as follower:
        until(
            lambda: "shop.fresh" in blockers(pair) or follower.poll() is not None,
            "it is named",
        )
        assert follower.poll() is None, follower.said()


def test_only_what_is_not_followed_leaves_the_server(pair: Pair) -> None:
    """With 100,000 tables, a freeze has no time to read them all."""
    source = pair.source
    source.run(
        "create sequence shop.drawn",
        "alter table shop.notes add column number bigint default nextval('shop.drawn')",
        "create sequence shop.free",
        "create table shop.other (id serial)",
        "create table shop.days_2 partition of shop.days default",
        "create schema later",
        "create table later.fresh (id serial)",
    )
    names = ["accounts", "days_1"]
    ids = [source.value("select 'shop.notes'::regclass::oid")]
    query = load("rows_and_counters").as_string()
    with source.connect() as connection:
        cursor = psycopg.RawCursor(connection)
        found = {
            schemas: cursor.execute(query, [schemas, ["shop"] * 2, names, ids]).fetchall()
            for schemas in (None, "{later}")
        }
    free = ("shop", "drawn", True), ("shop", "free", True), ("shop", "other", False)
    fresh = ("later", "fresh", False)
    assert [row[:3] for row in found[None]] == [fresh, *free]
    assert [row[:3] for row in found["{later}"]] == [fresh, free[0]]
    assert [row[:2] for row in found[None] if row[-1]] == [("shop", "drawn")]


def test_the_sequence_of_a_column_that_was_added_is_set_in_both_directions(pair: Pair) -> None:
    """Where applications continue to count, in whichever direction they have come."""
    added = "alter table shop.notes alter column id add generated by default as identity"
    body = "insert into shop.notes (body) values ('x') returning id"
    with following(pair) as follower:
        pair.source.run(added, "select setval('shop.notes_id_seq', 5000)", "delete from shop.days")
        finish(follower).expect(STOPPED)
    pair.target.run(added)
    with following(pair) as follower:
        until_lag_known(pair, follower)
        made = "create sequence shop.numbers start 7"

        def ask(_: object) -> None:
            """A person decides, and in the meantime both sides get a sequence."""
            pair.source.run(made)
            pair.target.run(made)

        sides = {"source": pair.source.url, "target": pair.target.url}
        spec = validated(CutoverSpec, {**sides, "max_lag": "10s", "max_freeze": "20s"})
        outcome = cutover(spec, ask=ask)
        assert outcome.state is State.TAKEN_BACK
        assert "shop.numbers: created on both sides" in outcome.reason.message
        pair.source.run("select nextval('shop.numbers') from generate_series(1, 5)")
        windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
        assert pair.target.value(body) == 5001
        assert pair.target.value("select nextval('shop.numbers')") == 12
        windlass("cutover", "--back", "--yes", *WIDE, pair=pair).expect(DONE)
        assert pair.source.value(body) == 5002
