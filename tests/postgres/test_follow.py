"""A migration that follows its source: what is written there in the meantime arrives, once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from awaiting import until
from command import DONE, INTERRUPTED, REFUSED, STOPPED, finish, start, windlass
from follow_runs import VERSIONS
from killing import kill
from oracle import content_difference
from pursued import FOLLOW, TABLES, following, phase, write
from servers import PASSWORD, Database, Pair, verifier


@pytest.fixture
def followed(request: pytest.FixtureRequest, logical: Callable[[int], Database]) -> Pair:
    """A source with a few tables, and an empty target."""
    pair = Pair(*map(logical, getattr(request, "param", (16, 18))))
    pair.source.run(*TABLES)
    return pair


def await_equal(pair: Pair) -> None:
    """Everything that was written before has arrived."""
    until(lambda: not differences(pair), "the target is equal")


def differences(pair: Pair) -> list[str]:
    tables = ("accounts", "transfers", "days")
    found = []
    for name in tables:
        query = f"select md5(string_agg(t::text, ',' order by t::text)) from shop.{name} t"
        if pair.source.value(query) != pair.target.value(query):
            found.append(name)
    return found


def left(pair: Pair) -> list[Any]:
    """What is there of replication on either side."""
    found = []
    for side in (pair.source, pair.target):
        found += side.rows(
            "select slot_name from pg_replication_slots where database = current_database()"
        )
        found += side.rows("select pubname from pg_publication")
        found += side.rows("select evtname from pg_event_trigger")
    found += pair.source.rows("select nspname from pg_namespace where nspname = 'windlass'")
    return found


def test_what_is_written_during_and_after_the_copy_arrives(followed: Pair) -> None:
    follower = start(*FOLLOW, pair=followed)
    try:
        seed = 0
        while phase(followed) != "following":
            assert follower.poll() is None, follower.said()
            write(followed.source, seed := seed + 1)
        for more in range(seed, seed + 20):
            write(followed.source, more + 1)
        await_equal(followed)
        follower.send_signal(signal.SIGINT)
        ran = finish(follower).expect(INTERRUPTED)
    finally:
        follower.kill()
    assert seed > 1, "nothing was written during the copy"
    assert ran.result["verified"] == "full"
    others = content_difference(followed.source, followed.target, "windlass")
    assert [one for one in others if not one.startswith("sequence")] == []


def test_the_same_command_resumes_with_what_was_written_in_between(followed: Pair) -> None:
    with following(followed) as follower:
        write(followed.source, 1)
        await_equal(followed)
        follower.kill()
        follower.wait()
        write(followed.source, 2)
    with following(followed) as again:
        write(followed.source, 3)
        await_equal(followed)
        again.send_signal(signal.SIGTERM)
        ran = finish(again).expect(INTERRUPTED)
    assert ran.result["verified"] == "full"
    assert followed.target.value("select count(*) from windlass.run") == 1


def test_an_idle_source_moves_the_position_and_its_lag_is_known(followed: Pair) -> None:
    with following(followed):
        before = position(followed)
        until(lambda: position(followed) > before, "the position moves")
        status = windlass("status", "--json", pair=followed).expect(DONE).result["runs"][0]
        (stream,) = status["following"]["streams"]
        assert status["following"]["phase"] == "following"
        assert (stream["direction"], stream["applies"]) == ("forward", True)
        assert 0 < stream["lag_ms"] < 60_000
        assert stream["retained_bytes"] >= 0 and stream["wal_status"] == "reserved"
        # a marker that only measures the lag waits for other changes, 100 ms
        until(lambda: rehearsed(followed)["drain"] < 100, "a rehearsal as fast as a cutover")
        (run,) = windlass("status", "--json", pair=followed).expect(DONE).result["runs"]
        assert "to the target, predicts that writers are stopped" in run["following"]["rehearsed"]


def rehearsed(pair: Pair) -> dict[str, float]:
    ran = windlass("cutover", "--rehearse", "--json", "--max-lag", "1min", pair=pair).expect(DONE)
    parts = ran.result["cutover"]["parts_ms"]
    assert isinstance(parts, dict)
    return parts


def position(pair: Pair) -> int:
    query = "select (end_lsn - '0/0')::bigint from windlass.applied"
    return int(pair.target.value(query))


def test_abandon_ends_the_process_that_follows_and_leaves_nothing(followed: Pair) -> None:
    with following(followed) as follower:
        refused = windlass("finish", "--yes", pair=followed).expect(REFUSED)
        assert "has not been cut over" in refused.stderr
        refused = windlass("rollback", "--yes", run_of(followed), pair=followed).expect(REFUSED)
        assert f"windlass abandon {run_of(followed)}" in refused.stderr
        write(followed.source, 1)
        await_equal(followed)
        ran = windlass("abandon", "--yes", "--json", pair=followed).expect(DONE)
        assert ran.result["state"] == "abandoned"
        assert finish(follower).result["state"] == "abandoned"
    assert left(followed) == []
    assert differences(followed) == []
    refused = windlass("rollback", "--yes", run_of(followed), pair=followed).expect(REFUSED)
    assert "deleted since the copy, by following or by others, would be lost" in refused.stderr
    windlass("rollback", "--yes", "--force", run_of(followed), pair=followed).expect(DONE)
    assert followed.target.rows("select 1 from pg_namespace where nspname = 'shop'") == []


def run_of(pair: Pair) -> str:
    return str(pair.target.value("select run from windlass.run"))


def test_what_a_killed_process_left_is_abandoned_too(followed: Pair) -> None:
    with following(followed) as follower:
        follower.kill()
        follower.wait()
    windlass("abandon", "--yes", pair=followed).expect(DONE)
    assert left(followed) == []


def test_a_schema_of_earlier_runs_on_the_source_stays(
    followed: Pair, logical: Callable[[int], Database]
) -> None:
    elsewhere = Pair(logical(16), followed.source)
    elsewhere.source.run("create table public.note (id int primary key)")
    windlass("migrate", pair=elsewhere).expect(DONE)
    with following(followed, "--schema", "shop"):
        pass
    windlass("abandon", "--yes", pair=followed).expect(DONE)
    assert left(followed) == [("windlass",)]
    assert followed.source.value("select count(*) from windlass.run") == 1


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("create table shop.notes (text text)", "shop.notes: has no replica identity"),
    ],
)
def test_what_cannot_be_followed_is_refused_before_anything_is_written(
    followed: Pair, statement: str, message: str
) -> None:
    followed.source.run(statement)
    for command in ("plan", "migrate"):
        ran = windlass(command, "--follow", pair=followed).expect(REFUSED)
        assert message in " ".join(ran.said.split())
    assert left(followed) == []
    assert followed.target.rows("select 1 from pg_namespace where nspname = 'windlass'") == []


def test_a_conflict_stops_with_exit_code_4_and_the_same_command_goes_on(followed: Pair) -> None:
    with following(followed) as follower:
        followed.target.run("delete from shop.days where total = 7")
        followed.source.run("update shop.days set total = -7 where total = 7")
        ran = finish(follower).expect(STOPPED)
        assert ran.result["stopped_by"] == "conflict", ran.said
        assert "shop.days_1" in ran.result["message"]
        shown = windlass("status", pair=followed).expect(DONE).stdout
        assert "  stopped: shop.days_1" in shown and "  what to do: compare the table" in shown
    followed.target.run("insert into shop.days values (date '2026-01-01' + 7, 7)")
    with following(followed):
        await_equal(followed)


def test_a_partition_that_is_new_stops_until_the_target_has_it(followed: Pair) -> None:
    made = (
        "create table shop.days_3 partition of shop.days for values from ('2027-01-01')"
        " to ('2028-01-01')"
    )
    with following(followed) as follower:
        followed.source.run(made, "insert into shop.days values ('2027-02-02', 1)")
        ran = finish(follower).expect(STOPPED)
        assert ran.result["stopped_by"] == "schema_change"
        assert "shop.days_3" in ran.result["message"]
    followed.target.run(made)
    with following(followed):
        await_equal(followed)


def test_another_timeline_of_the_source_stops(followed: Pair) -> None:
    """As after a failover to a standby."""
    with following(followed) as follower:
        follower.kill()
        follower.wait()
    followed.target.run(
        "update windlass.following set detail = detail || jsonb_build_object('timeline', 7)"
    )
    ran = windlass(*FOLLOW, pair=followed).expect(STOPPED)
    assert ran.result["stopped_by"] == "timeline"
    assert "windlass verify --follow --repair" in ran.result["hint"]
    followed.source.run("delete from shop.days where total = 7")  # as if the standby had lacked it
    windlass("verify", "--follow", "--repair", "--yes", pair=followed).expect(DONE)
    with following(followed):
        write(followed.source, 3)
        await_equal(followed)


def test_a_slot_that_is_gone_stops_and_says_so(followed: Pair) -> None:
    with following(followed) as follower:
        follower.kill()
        follower.wait()
    followed.source.run("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    ran = windlass(*FOLLOW, pair=followed).expect(STOPPED)
    assert ran.result["stopped_by"] == "slot_lost"
    assert "windlass verify --follow --repair; or" in ran.result["hint"]
    assert "windlass abandon" in ran.result["hint"]


def test_a_slot_that_keeps_too_much_is_dropped(followed: Pair) -> None:
    with following(followed, "--max-retained-wal", "1") as follower:
        ran = finish(follower).expect(STOPPED)
    assert ran.result["stopped_by"] == "slot_lost"
    assert left(followed) != []
    assert followed.source.rows("select 1 from pg_replication_slots") == []


def test_no_snapshot_of_the_source_is_held_while_it_follows(followed: Pair) -> None:
    with following(followed):
        query = (
            "select application_name from pg_stat_activity where application_name ~ '^windlass'"
            " and backend_xmin is not null and backend_type = 'client backend'"
            " and pid <> pg_backend_pid()"
        )
        until(lambda: followed.source.rows(query) == [], "no snapshot is held")


@pytest.mark.parametrize("followed", VERSIONS, indirect=True)
def test_after_a_cutover_and_back_again_it_follows_on_and_leaves_nothing(followed: Pair) -> None:
    with following(followed) as follower:
        windlass("cutover", "--yes", pair=followed).expect(DONE)
        until(lambda: phase(followed) == "switched", "switched")
        write(followed.target, 1)
        await_equal(followed)
        refused = windlass("abandon", "--yes", pair=followed).expect(REFUSED)
        assert "applications write to the target" in refused.stderr
        windlass("cutover", "--back", "--yes", pair=followed).expect(DONE)
        write(followed.source, 2)
        await_equal(followed)
        windlass("abandon", "--yes", pair=followed).expect(DONE)
        finish(follower)
    assert left(followed) == []
    followed.target.run("update shop.accounts set name = 'open'")  # not closed any more


def test_finish_after_a_cutover_leaves_nothing(followed: Pair) -> None:
    with following(followed) as follower:
        windlass("cutover", "--yes", pair=followed).expect(DONE)
        write(followed.target, 1)
        await_equal(followed)
        cut = windlass("status", "--json", pair=followed).expect(DONE).result["runs"][0]
        assert "writers were stopped for" in cut["following"]["cut_over"]
        ran = windlass("finish", "--yes", "--json", pair=followed).expect(DONE)
        assert ran.result["state"] == "done"
        (closed,) = (one for one in ran.result["notices"] if "still read-only" in one)
        assert finish(follower).result["state"] == "done"
    assert left(followed) == []
    followed.source.run(*closed.partition("to open it: ")[2].split(";"))
    followed.source.run("delete from shop.days where total = 7")
    again = windlass("finish", "--yes", "--json", pair=followed).expect(DONE).result
    assert again["already"] and "nothing is left" in again["message"]


@pytest.mark.parametrize(
    "place",
    [
        "windlass.flows.follow.context.begin_stream",
        "windlass.engines.postgres.replication.publications.create",
        "windlass.engines.postgres.replication.slots.create",
        "windlass.flows.follow.source_side.begin_applied",
        "windlass.flows.follow.context.resume",
        "windlass.flows.migrate.rows._copy_load",
        "windlass.flows.follow.steps.end_copy",
        "windlass.flows.follow.pursuit._let_snapshot_go",
        "windlass.following.position:Position.commit 3",
    ],
)
def test_killed_at_any_mark_the_same_command_loses_nothing(followed: Pair, place: str) -> None:
    kill(f"call {place}", FOLLOW, variables(followed))
    write(followed.source, 1)
    with following(followed):
        write(followed.source, 2)
        await_equal(followed)
    windlass("abandon", "--yes", pair=followed).expect(DONE)
    assert left(followed) == []


def variables(pair: Pair) -> dict[str, str]:
    return {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}


def test_a_second_process_is_told_who_follows(followed: Pair) -> None:
    with following(followed):
        result = windlass(*FOLLOW, pair=followed).expect(REFUSED).result
    (problem,) = result["problems"]
    assert problem["message"].startswith("is followed already, by another process")
    assert problem["hint"] == "see windlass status"


@pytest.mark.parametrize("versions", VERSIONS)
def test_tables_that_are_there_have_to_fit_in_both_directions(
    logical: Callable[[int], Database], versions: tuple[int, int]
) -> None:
    """A run does not make them. What would stop their first row is in the plan."""
    pair = Pair(*map(logical, versions))
    kind = "virtual" if versions[1] >= 18 else "stored"
    pair.source.run(
        "create table more (id int primary key, n int)",
        "create table wide (id int primary key, n int, took interval)",
        "create table loose (id int primary key, n int)",
        "create table made (id int primary key, n int)",
        "create table same (id int primary key, n varchar(5))",
    )
    pair.target.run(
        "create table more (id int primary key, n int, extra text)",
        "create table wide (id int primary key, n bigint, took interval)",
        "create table loose (id int, n int)",
        f"create table made (id int primary key, n int generated always as (id) {kind})",
        "create table same (id int primary key, n varchar(5))",
    )
    words = ("plan", "--follow", "--existing", "fill", "--json")
    ran = windlass(*words, pair=pair).expect(REFUSED)
    problems = {one["object"]: one["message"] for one in ran.result["problems"]}
    assert "type integer, on the target bigint" in problems["public.wide"]
    assert "(id), which no unique index of the target has" in problems["public.loose"]
    assert "the source has no column extra" in problems["public.more"]
    assert "column n is no longer sent by the target" in problems["public.made"]
    assert set(problems) == {f"public.{name}" for name in ("wide", "loose", "more", "made")}
    infinite = f"infinite interval in public.wide.took: PostgreSQL {versions[0]}"
    assert (infinite in str(ran.result["notices"])) is (versions[1] >= 17)
    one_way = windlass(*words, "--no-reverse", pair=pair).expect(REFUSED).result
    assert {one["object"] for one in one_way["problems"]} == {"public.wide", "public.loose"}
    assert "infinite" not in str(one_way["notices"])


@pytest.mark.parametrize("versions", VERSIONS)
def test_partitioned_tables_that_are_there_may_be_divided_otherwise(
    logical: Callable[[int], Database], versions: tuple[int, int]
) -> None:
    pair = Pair(*map(logical, versions))
    for name in ("same", "other"):
        made = f"create table {name} (day date primary key, n int) partition by range (day)"
        part = f"create table {name}_1 partition of {name} for values from ('2026-01-01') to (%s)"
        pair.source.run(made, part.replace("%s", "'2027-01-01'"))
        pair.target.run(made, part.replace("%s", "'2027-01-01'" if name == "same" else "maxvalue"))
    pair.target.run("alter table other_1 rename to other_all")
    ran = windlass("plan", "--follow", "--existing", "fill", "--json", pair=pair)
    assert not [one for one in ran.result["problems"] if "row" in one["message"]], ran.why


@pytest.mark.parametrize("followed", VERSIONS, indirect=True)
def test_a_source_where_triggers_would_fire_has_no_way_back(followed: Pair) -> None:
    role = "goes_forth"
    followed.source.run(
        f"create role {role} login replication password '{verifier(PASSWORD)}'",
        f"grant create on database {followed.source.name} to {role}",
        f"alter schema shop owner to {role}",
        f"grant postgres to {role}",
    )
    pair = Database(followed.source.server, followed.source.name)
    env = {"WINDLASS_SOURCE": pair.url_for(role), "WINDLASS_TARGET": followed.target.url}
    try:
        ran = windlass("plan", "--follow", "--json", env=env)
        hints = [one["hint"] for one in ran.result["problems"] if role in one["object"]]
        assert hints and "session_replication_role" in hints[0] and "--no-reverse" in hints[0]
        there = windlass("plan", "--follow", "--no-reverse", "--json", env=env).result["problems"]
        assert not any(role in one["object"] for one in there)
    finally:
        followed.source.run(f"reassign owned by {role} to postgres", f"drop owned by {role}",
                            f"drop role {role}")  # fmt: skip
