"""Expressions of another engine mean the same on the target, or are named as losses."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED
from mariadb_server import MariaServer
from servers import Database
from translating import Move, Source, mariadb_shop


@pytest.fixture
def sqlite_move(tmp_path: Path, database: Callable[[int], Database]) -> Callable[..., Move]:
    def make(*statements: str) -> Move:
        path = tmp_path / "some.db"

        def run(*more: str) -> None:
            with closing(sqlite3.connect(path)) as session, session:
                for one in more:
                    session.execute(one)

        run(*statements)
        return Move(Source(f"sqlite:///{path}", run, "public"), database(18))

    return make


def losses(move: Move, *words: str) -> dict[str, list[str]]:
    """Of the plan, by class."""
    found: dict[str, list[str]] = {}
    for one in move.command("plan", *words).result["losses"]:
        found.setdefault(one["class"], []).append(f"{one['object']}: {one['message']}")
    return found


def test_what_is_compared_with_0_and_1_is_compared_as_a_boolean(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, live boolean default 1 check (live in (0, 1)),"
        " old boolean check (old <> 1 or live = 0), many int)",
        "create index some on t (many) where live = 1 and 0 = old",
        "insert into t (live, old, many) values (1, 0, 5), (0, 1, 6), (null, null, 7)",
    )
    assert losses(move) == {}
    move.command("migrate").expect(DONE)
    move.target.run("insert into t (id, old) values (9, false)")
    assert move.target.value("select live from t where id = 9") is True
    assert "WHERE" in move.target.value("select indexdef from pg_indexes where indexname = 'some'")
    with pytest.raises(psycopg.errors.CheckViolation):
        move.target.run("insert into t (id, live, old) values (10, true, true)")


DEFAULTS = {
    "moment": "text default current_timestamp",
    "second": "datetime default (datetime('now'))",
    "exact": "text default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
    "day": "date default ( date( 'now' ) )",
    "today": "text default current_date",
    "clock": "text default (time('now'))",
    "number": "int default (strftime('%s', 'now'))",
    "epoch": "int default (unixepoch('now'))",
    "three": "int default (1 + 2)",
    "joined": "text default ('a' || 'b')",
    "raw": "blob default x'00ff'",
    "price": "decimal(30,20) default 0.12345678901234567890",
    "shown": "text default 1.50",
    "truth": "int default true",
    "quoted": "text default 'it''s'",
    "minus": "int default -7",
}


def test_a_default_gives_what_the_source_gives(sqlite_move: Callable[..., Move]) -> None:
    columns = ", ".join(f"{name} {words}" for name, words in DEFAULTS.items())
    move = sqlite_move(f"create table t (id integer primary key, {columns})")
    assert losses(move) == {}
    move.command("migrate").expect(DONE)
    names = [name for name in DEFAULTS if name not in ("price", "day", "second")]
    move.source.run("insert into t default values")
    move.target.run("insert into t default values")
    path = move.source.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as session:
        (theirs,) = session.execute(f"select {', '.join(names)} from t").fetchall()
    (ours,) = move.target.rows(f"select {', '.join(names)} from t")
    for name, one, other in zip(names, theirs, ours, strict=True):
        if name in ("moment", "exact", "today", "clock"):
            assert len(one) == len(other) and one[:2] == other[:2], name
            assert [c.isdigit() for c in one] == [c.isdigit() for c in other], name
        elif name in ("number", "epoch"):
            assert abs(int(one) - int(other)) < 60, name
        else:
            assert one == (bytes(other) if isinstance(one, bytes) else other), name
    assert move.target.value("select price::text from t") == "0.12345678901234567890"
    now = datetime.now(UTC).replace(tzinfo=None)
    assert abs((now - move.target.value("select second from t")).total_seconds()) < 60
    assert (now.date() - move.target.value("select day from t")).days in (0, 1)


OTHERS = {
    "chance": "(random())",  # an integer there, a fraction here
    "here": "(datetime('now', 'localtime'))",
    "of_year": "(strftime('%j', 'now'))",
    "julian": "(julianday('now'))",
    "hexed": "(hex(randomblob(4)))",
    "positive": "(abs(-3))",
}


def test_a_default_that_would_mean_something_else_is_named(
    sqlite_move: Callable[..., Move],
) -> None:
    columns = ", ".join(f"{name} text default {text}" for name, text in OTHERS.items())
    move = sqlite_move(f"create table t (id integer primary key, {columns})")
    said = losses(move)["behaviour"]
    assert all(
        f"column {name} has no default" in one for name, one in zip(OTHERS, said, strict=True)
    )
    assert all(text.strip("()")[:6] in one for text, one in zip(OTHERS.values(), said, strict=True))
    move.command("migrate").expect(REFUSED)
    move.command("migrate", "--accept", "behaviour").expect(DONE)
    move.target.run("insert into t (id) values (1)")
    assert move.target.rows(f"select {', '.join(OTHERS)} from t") == [(None,) * len(OTHERS)]


def test_what_computes_or_checks_otherwise_on_the_target_is_named_in_the_plan(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, a int, d decimal(9, 2), e decimal(9, 2),"
        " same int as (a + 1) stored, summed decimal as (d + e) stored, check (a < 100),"
        " check (d + e <> 0.3))",
        "insert into t (a, d, e) values (1, 0.1, 0.2), (2, 1, 2), (3, null, 4)",
    )
    found = losses(move)
    named = next(one for one in found["behaviour"] if "ordinary" in one)
    assert "column summed is an ordinary column" in named and "d + e" in named
    assert "1 row of the 3" in named
    (checked,) = found["constraints"]
    assert "d + e <> 0.3" in checked and "1 row of the 3" in checked
    words = ("--accept", "behaviour", "--accept", "constraints", "--accept", "values")
    ended = move.command("migrate", *words).expect(DONE).result
    assert ended["verified"] == "full"
    found_there = move.target.rows("select same, summed::text from t order by id")
    assert found_there == [(2, "0.30000000000000004"), (3, "3"), (4, None)]
    move.target.run("insert into t (id, a) values (9, 5)")
    assert move.target.rows("select same, summed from t where id = 9") == [(6, None)]
    with pytest.raises(psycopg.errors.CheckViolation):
        move.target.run("insert into t (id, a) values (10, 100)")


def test_the_option_of_a_hint_can_be_used_as_it_is(
    sqlite_move: Callable[..., Move], mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    move = sqlite_move(
        'create table "My Table" (id integer primary key, "a b" int)',
        """insert into "My Table" values (1, 5), (2, 'five')""",
    )
    _takes_the_hint(move)
    name = maria_database(
        "create table t (id int primary key, born date not null)",
        "set sql_mode = ''",
        "insert into t values (1, '0000-00-00')",
    )
    _takes_the_hint(Move(Source(mariadb.url(name), lambda: None, name), move.target))


def _takes_the_hint(move: Move) -> None:
    (problem,) = move.command("plan").expect(REFUSED).result["problems"]
    found = re.search(r"--type '[^']+'", problem["hint"])
    assert found, problem
    move.command("migrate", *shlex.split(found[0])).expect(DONE)


def test_what_a_table_that_is_filled_cannot_take_is_counted_before_anything_is_written(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, price decimal(12,3), name text, big int)",
        "insert into t values (1, 0.5, 'short', 7), (2, 0.125, 'much too long', 99999999999)",
    )
    made = "create table t (id int primary key, price numeric(10,2), name varchar(5), big int)"
    move.target.run(made)
    problems = move.command("migrate", "--existing", "fill").expect(REFUSED).result["problems"]
    assert [one["object"] for one in problems] == ["main.t.price", "main.t.name", "main.t.big"]
    assert all("1 value" in one["message"] for one in problems)
    assert move.target.value("select count(*) from t") == 0
    move.source.run("update t set price = 0.25, name = 'fits', big = 8 where id = 2")
    move.command("migrate", "--existing", "fill").expect(DONE)
    assert move.target.rows("select price::text, name, big from t order by id") == [
        ("0.50", "short", 7),
        ("0.25", "fits", 8),
    ]
    move.command("verify").expect(DONE)
    move.target.run("update t set price = 0.26 where id = 2")
    (found,) = move.command("verify").expect(DIFFERENT).result["differences"]
    assert found["columns"] == ["price"]


def test_keys_without_case_are_those_of_sqlite_where_all_letters_have_a_case(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, name text collate nocase unique, code text,"
        " low text as (lower(name)) stored)",
        "create unique index codes on t (lower(code))",
        "create unique index names on t (code collate nocase)",
        "insert into t (name, code) values ('É', 'Ä'), ('é', 'ä'), ('a', 'b')",
    )
    server = move.target.server
    server.admin.run("create database letters template template0 lc_ctype 'C.UTF-8'")
    letters = Database(server, "letters")
    try:
        assert letters.value("select lower('É')") == "é"
        found = replace(move, target=letters)
        assert set(losses(found)) == {"behaviour"}  # comparisons
        found.command("migrate", "--accept", "behaviour").expect(DONE)
        assert letters.rows("select low from t order by id") == [("É",), ("é",), ("a",)]
        for values in ("('A', 'x')", "('x', 'B')"):
            with pytest.raises(psycopg.errors.UniqueViolation):
                letters.run(f"insert into t (name, code) values {values}")
    finally:
        server.drop_database(letters)


def test_what_is_left_behind_is_named_unless_a_selection_leaves_it_out(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key)",
        "create table u (id integer primary key)",
        "create virtual table words using fts5 (x)",
    )
    named = {"objects": ["virtual table main.words: is not made on the target"]}
    assert losses(move) == losses(move, "--exclude", "main.u") == named
    assert losses(move, "--include", "main.t") == {}


def test_names_that_become_the_same_are_named_unless_they_are_left_out(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database(
        "create table Twin (id int primary key)",
        "create table twin (id int primary key)",
        "create table t (id int primary key)",
    )
    move = Move(Source(mariadb.url(name), lambda: None, name), database(18))
    (problem,) = move.command("plan").expect(REFUSED).result["problems"]
    assert f'{name}."Twin" and {name}.twin would all be {name}.twin' in problem["message"]
    found = move.command("migrate", "--exclude", f"{name}.twin").expect(DONE).result
    assert found["verified"] == "full"
    assert move.target.value("select count(*) from pg_class where relname = 'twin'") == 0


def test_a_column_that_cannot_count_up_any_more_is_named(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database(
        "create table t (id bigint unsigned primary key auto_increment)",
        "insert into t values (18446744073709551614)",
    )
    found = losses(Move(Source(mariadb.url(name), lambda: None, name), database(18)))
    message = "column id does not count up by itself, as it is numeric(20,0)"
    assert found == {"behaviour": [f"{name}.t: {message}"]}


def test_a_foreign_key_between_types_that_the_target_does_not_compare_is_named(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table parents (code text primary key, number decimal(9,0) unique)",
        "create table children (id integer primary key, code int references parents (code),"
        " number int references parents (number))",
        "insert into parents values ('7', 8)",
        "insert into children values (1, 7, 8)",
    )
    (lost,) = losses(move)["constraints"]
    assert "foreign key children_code_fkey is not made" in lost
    assert "code is integer of 64 bits, parents.code text" in lost
    move.command("migrate").expect(REFUSED)
    move.command("migrate", "--accept", "constraints").expect(DONE)
    keys = (
        "select conname from pg_constraint where contype = 'f' and conrelid = 'children'::regclass"
    )
    assert move.target.rows(keys) == [("children_number_fkey",)]


def test_an_index_that_is_not_made_is_named_with_its_text(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, name text)",
        "create index by_shape on t (printf('%5s', name) desc) where id > 3",
    )
    (said,) = losses(move)["storage"]
    assert "by_shape" in said and "(printf('%5s', name)) DESC) WHERE id > 3" in said


def test_what_a_conflict_does_and_how_keys_are_ordered_is_named_with_its_text(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key on conflict replace, Name text constraint named"
        " not null on conflict ignore check (Name <> ''), code text unique on conflict abort,"
        " other text unique /* odd */ on conflict rollback, a int, b int,"
        " constraint pair unique (a desc, b) on conflict fail)",
        "create table u (a int, primary key (a) on conflict ignore) without rowid",
        "pragma user_version = 7",
    )
    found = losses(move)
    said = "what a conflict does is not kept, it is an error: "
    assert found["behaviour"] == [
        f"main.t: column id: {said}primary key on conflict replace",
        f"main.t: column Name: {said}constraint named not null on conflict ignore",
        f"main.t: column other: {said}unique /* odd */ on conflict rollback",
        f"main.t: {said}constraint pair unique (a desc, b) on conflict fail",
        f"main.u: {said}primary key (a) on conflict ignore",
    ]
    assert found["storage"] == ["main.t: the index of key (a DESC, b) ascends on the target"]
    assert move.command("plan", "--exclude", "main.t").result["losses"][0]["object"] == "main.u"
    notices = move.command("plan").result["notices"]
    assert any("user_version = 7 of the file is not carried over" in one for one in notices)


def test_a_key_compares_texts_as_its_own_definition_says(sqlite_move: Callable[..., Move]) -> None:
    move = sqlite_move(
        "create table loose (a text, b int, unique (a collate nocase, b))",
        "create table exact (a text collate nocase, unique (a collate binary))",
        "insert into exact values ('x'), ('X')",
        "create table indexed (a text collate nocase, b text collate nocase)",
        "create unique index by_a on indexed (a)",
        "create unique index by_b on indexed (b collate binary)",
        "insert into indexed values ('1', 'x'), ('2', 'X')",
        "create table blanks (a text, unique (a collate rtrim))",
    )
    (lost,) = losses(move)["constraints"]
    assert lost == "main.blanks: key (a) compares a by RTRIM: the target compares all characters"
    words = ("--accept", "behaviour", "--accept", "constraints")
    assert move.command("migrate", *words).expect(DONE).result["verified"] == "full"
    move.target.run("insert into loose values ('a', 1), ('a', 2), ('B', 1)")
    for taken in ("insert into loose values ('A', 1)", "insert into indexed values ('1', 'y')"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            move.target.run(taken)
    move.target.run("insert into indexed values ('q', 'z'), ('r', 'Z')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        move.target.run("insert into indexed values ('Q', 'w')")


def test_a_foreign_key_that_sets_a_default_stays_deferred(
    sqlite_move: Callable[..., Move],
) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, parent int default 1 references t (id)"
        " on delete set default deferrable initially deferred)"
    )
    move.command("migrate").expect(DONE)
    key = (
        "select condeferrable, condeferred, confdeltype from pg_constraint"
        " where contype = 'f' and conrelid = 't'::regclass"
    )
    assert move.target.rows(key) == [(True, True, "d")]


def test_what_only_mariadb_has_is_named(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database(
        "create table t (id int primary key, hidden int invisible default 3,"
        " padded int(5) zerofill, key unused (padded) ignored,"
        " key noted (hidden) comment 'IGNORED, it''s said')",
        "create table spans (id int, s date, e date, period for app (s, e),"
        " unique (id, app without overlaps))",
        "create table own (a int) engine=MyISAM",
        "create table theirs (a int) engine=MRG_MyISAM union=(own)",
        "create view checked as select id from t where id > 3 with check option",
        "create sql security invoker view invoking as select id from t",
    )
    move = Move(Source(mariadb.url(name), lambda: None, name), database(18))
    found = losses(move)
    assert {kind: sorted(said) for kind, said in found.items()} == {
        "behaviour": [
            f"{name}.t: column hidden is INVISIBLE: on the target, select * and an INSERT without"
            " names of columns see it",
            f"{name}.t: column padded is int(5) unsigned zerofill: the target shows no zeros in"
            " front",
            f"{name}.theirs: its storage engine MRG_MyISAM has no rows of this table: what it"
            " shows when it is read is copied into an ordinary table",
            f"view {name}.invoking: SQL SECURITY INVOKER is not kept: on the target it reads with"
            " the rights of its owner",
        ],
        "constraints": [
            f"{name}.spans: key id (`id`,`app` WITHOUT OVERLAPS): the target accepts periods that"
            " overlap",
            f"{name}.spans: period app (`s`, `e`) is not made on the target, which does not check"
            " that it ends after its begin",
            f"view {name}.checked: WITH CASCADED CHECK OPTION is not kept: rows that it does not"
            " show can be written through it",
        ],
        "comments": [
            f"{name}.t: the comment of index noted is not carried over: 'IGNORED, it''s said'"
        ],
        "storage": [
            f"{name}.t: index unused is not used by the source, and is an ordinary one on the"
            " target"
        ],
    }
    notices = move.command("plan").result["notices"]
    assert "not looked for, as the user lacks the right to see them: events (EVENT)" in notices


def test_a_type_is_given_by_any_name_of_its_column(sqlite_move: Callable[..., Move]) -> None:
    move = sqlite_move("create table T (id integer primary key, C int)")
    words = ("--map-schema", "public=shop")
    for name in ("t.c", "MAIN.T.c", "shop.t.c"):
        plan = move.command("plan", *words, "--type", f"{name}=smallint").expect(DONE).result
        (table,) = plan["relations"]
        assert [one["target_type"] for one in table["columns"]] == ["bigint", "smallint"]
    (problem,) = move.command("plan", *words, "--type", "public.t.c=text").result["problems"]
    assert problem["object"] == "types: public.t.c"
    assert problem["hint"].endswith("main.t.c, t.c or shop.t.c")


def test_the_last_number_has_no_next_one(sqlite_move: Callable[..., Move]) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, x text)",
        "insert into t values (9223372036854775807, 'last')",
    )
    move.command("migrate").expect(DONE)
    with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
        move.target.run("insert into t (x) values ('next')")


def test_a_comparison_asks_nothing_about_definitions(sqlite_move: Callable[..., Move]) -> None:
    move = sqlite_move(
        "create table t (id integer primary key, name text collate nocase unique)",
        "insert into t (name) values ('a'), ('B')",
    )
    move.command("migrate").expect(REFUSED)
    move.command("migrate", "--accept", "behaviour").expect(DONE)
    move.command("verify").expect(DONE)


def test_rows_that_refer_to_none_keep_the_key_of_mariadb_from_being_validated(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    source = mariadb_shop(
        mariadb,
        maria_database(),
        "set foreign_key_checks = 0",
        "insert into Items (Id, Customer, Qty) values (900, 4711, 1)",
        items=10,
    )
    move = Move(source, database(16))
    (said,) = losses(move)["constraints"]
    assert "1 row refers to no row of Customers (Id)" in said and "4711" in said
    move.command("migrate").expect(REFUSED)
    move.command("migrate", "--accept", "constraints").expect(DONE)
    assert move.target.rows(
        "select convalidated from pg_constraint where contype = 'f' and conname like '%items%'"
    ) == [(False,)]


def test_the_local_time_of_mariadb_is_named(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database()
    source = mariadb_shop(mariadb, name, items=10)
    move = Move(source, database(16))
    mariadb.run(name, "set global time_zone = '+02:00'")
    try:
        (said,) = losses(move)["behaviour"]
        assert '"Customers".Created' in said and "+02:00" in said
        move.command("migrate").expect(REFUSED)
    finally:
        mariadb.run(name, "set global time_zone = '+00:00'")
    assert losses(move) == {}
