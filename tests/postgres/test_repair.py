"""A repair makes the target's rows equal to the source's: only what differs, and without firing
triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from comparing import Sides, open_sides
from servers import Pair as Databases
from servers import Server
from windlass.errors import ConstraintViolated, WindlassError
from windlass.verifying.postgres import repair as repairing
from windlass.verifying.postgres.repair import Repaired


@pytest.fixture(scope="module")
def databases(server: Callable[[int], Server]) -> Iterator[Databases]:
    """16 and 18; each test makes its own schema."""
    made = [server(version).create_database() for version in (16, 18)]
    yield Databases(*made)
    for database in made:
        database.server.drop_database(database)


def both(databases: Databases, *statements: str) -> None:
    """In a schema `s` that is created again."""
    for database in (databases.source, databases.target):
        database.run("drop schema if exists s cascade", "create schema s", *statements)


MANY = (
    "create table s.t (id int primary key, a text unique, b int)",
    "insert into s.t select g, 'value ' || g, g from generate_series(1, 1000) g",
)


def repair(sides: Sides, name: str = "s.t") -> Repaired:
    """And claim that the two sides are equal afterwards."""
    pair = sides.pair(name)
    done = sides.repair(pair)
    one, other = sides.fingerprints(pair)
    assert one == other
    return done


def test_only_what_differs_is_written(databases: Databases) -> None:
    both(databases, *MANY)
    target = databases.target
    target.run(
        "delete from s.t where id in (1, 500)",
        "insert into s.t values (-3, 'new', 1)",
        "update s.t set b = -b where id between 100 and 109",
    )
    before = target.rows("select id, xmin::text, ctid::text from s.t where id > 109")
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(deleted_rows=11, copied_rows=12)
    after = target.rows("select id, xmin::text, ctid::text from s.t where id > 109 and id <> 500")
    assert sorted(before) == sorted(after)


def test_a_repair_of_equal_relations_writes_nothing(databases: Databases) -> None:
    both(databases, *MANY)
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired()


def test_rows_that_swapped_a_unique_value_are_put_right(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across batches: all of them are deleted before the first is copied."""
    monkeypatch.setattr(repairing, "KEYS_AT_ONCE", 3)
    both(databases, *MANY)
    databases.target.run(
        "update s.t set a = 'aside ' || id where id <= 10",
        "update s.t set a = 'value ' || 11 - id where id <= 10",
    )
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(10, 10)


def test_an_emptied_relation_is_filled_again_in_batches(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "KEYS_AT_ONCE", 300)
    both(databases, *MANY)
    databases.target.run("truncate s.t")
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(0, 1000)


def test_copies_of_rows_without_a_key_become_as_many_as_on_the_source(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "HASHES_AT_ONCE", 2)
    both(
        databases,
        "create table s.t (a int, b text)",
        "insert into s.t select g % 10, null from generate_series(1, 100) g",
    )
    databases.target.run(
        "insert into s.t values (3, null), (3, null), (99, 'new')",
        "delete from s.t where a in (4, 5)",
        "delete from s.t where ctid in (select ctid from s.t where a = 6 limit 7)",
        "update s.t set b = '' where a = 7",
    )
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(deleted_rows=13, copied_rows=37)


def test_rows_without_columns_are_counted_right(databases: Databases) -> None:
    both(databases, "create table s.more ()", "create table s.less ()")
    for _ in range(3):
        databases.source.run("insert into s.more default values")
        databases.target.run("insert into s.less default values")
    with open_sides(databases) as sides:
        assert repair(sides, "s.more") == Repaired(0, 3)
        assert repair(sides, "s.less") == Repaired(3, 0)


def test_a_key_that_the_target_has_twice_is_there_once_afterwards(databases: Databases) -> None:
    both(databases, *MANY)
    databases.target.run(
        "alter table s.t drop constraint t_pkey, drop constraint t_a_key, alter id drop not null",
        "insert into s.t select * from s.t where id = 4",
        "insert into s.t values (5, 'another', 0), (null, 'without', 0)",
    )
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(deleted_rows=5, copied_rows=2)


def test_identity_and_generated_columns_get_the_source_s_values(databases: Databases) -> None:
    both(
        databases,
        "create table s.t (id int generated always as identity primary key, a int,"
        " twice int generated always as (a * 2) stored)",
        "insert into s.t (a) select g from generate_series(1, 100) g",
    )
    databases.target.run("delete from s.t where id > 90", "update s.t set a = 0 where id < 10")
    with open_sides(databases) as sides:
        repair(sides)
    rows = "select id, a, twice from s.t order by id"
    assert databases.source.rows(rows) == databases.target.rows(rows)


# An enum's hash is that of its object id, which each server gives out by itself.
HASHED = (
    "create table s.root (m s.mood, v int) partition by hash (m)",
    "create table s.t partition of s.root for values with (modulus 2, remainder 0)",
    "create table s.u partition of s.root for values with (modulus 2, remainder 1)",
)
LAYOUTS = {
    "hash": HASHED,
    "hash, keyed": (*HASHED, "alter table s.root add primary key (v, m)"),
    "hash in list": (
        "create table s.top (m s.mood, v int) partition by list (v)",
        "create table s.root partition of s.top default partition by hash (m)",
        *HASHED[1:],
    ),
    "list in hash": (
        HASHED[0],
        *(
            f"create table s.half_{at} partition of s.root"
            f" for values with (modulus 2, remainder {at}) partition by list (v)"
            for at in range(2)
        ),
        "create table s.t partition of s.half_0 default",
        "create table s.u partition of s.half_1 default",
    ),
}


def make_layout(databases: Databases, layout: tuple[str, ...], elsewhere: set[str]) -> None:
    """On the target, exactly the rows of these labels are in the other partition."""
    mood = "create type s.mood as enum ('a', 'b', 'c')"
    halves = (
        "with made as (insert into s.root select m, g from generate_series(1, 50) g,"
        " unnest(enum_range(null::s.mood)) m returning m::text, tableoid::regclass::text)"
        " select distinct * from made"
    )
    both(databases, mood, *layout)
    here = dict(databases.source.rows(halves))
    there = dict(databases.target.rows(halves))
    while {label for label in here if here[label] != there[label]} != elsewhere:
        databases.target.run("drop schema s cascade", "create schema s", mood, *layout)
        there = dict(databases.target.rows(halves))


@pytest.mark.parametrize("elsewhere", ["", "a", "bc", "abc"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_that_each_server_puts_in_another_partition_are_distinguished_at_the_root(
    databases: Databases, layout: str, elsewhere: str
) -> None:
    make_layout(databases, LAYOUTS[layout], set(elsewhere))
    databases.target.run(
        "delete from s.root where v = 7 and m = 'a'", "update s.root set v = 0 where v = 9"
    )
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(deleted_rows=3, copied_rows=4)
        assert sides.differences(sides.pair("s.u")) == []
    rows = "select m::text, v from s.root order by m, v"
    assert databases.source.rows(rows) == databases.target.rows(rows)


FAMILY = (
    "create table s.parent (id int primary key, a text)",
    "create table s.child (id int primary key,"
    " parent int references s.parent on delete cascade on update cascade)",
    "insert into s.parent select g, 'value' from generate_series(1, 10) g",
    "insert into s.child select g, g % 10 + 1 from generate_series(1, 100) g",
)


def test_foreign_keys_do_not_cascade(databases: Databases) -> None:
    both(databases, *FAMILY)
    databases.target.run("update s.parent set a = 'other'")
    before = databases.target.rows("select id, xmin::text from s.child order by id")
    with open_sides(databases) as sides:
        assert repair(sides, "s.parent") == Repaired(10, 10)
    assert databases.target.rows("select id, xmin::text from s.child order by id") == before


def test_no_trigger_and_no_rule_acts_and_all_are_as_before(databases: Databases) -> None:
    states = ("enable", "enable always", "enable replica", "disable")
    both(
        databases,
        *MANY,
        "create function s.refuse() returns trigger language plpgsql"
        " as $$begin raise 'refused'; end$$",
        "create rule keep as on delete to s.t do instead nothing",
        "alter table s.t enable always rule keep",
        *[
            f"create trigger on_{number} before insert or update or delete on s.t"
            f" for each row execute function s.refuse()"
            for number, _ in enumerate(states)
        ],
        *[f"alter table s.t {state} trigger on_{at}" for at, state in enumerate(states)],
    )
    catalog = (
        "select tgname, tgenabled from pg_trigger where tgrelid = 's.t'::regclass"
        " union all select rulename, ev_enabled from pg_rewrite where ev_class = 's.t'::regclass"
    )
    before = databases.target.rows(catalog)
    with open_sides(databases) as sides, sides.target.transaction():
        sides.target.execute("alter table s.t disable trigger user, disable rule keep")
        sides.target.execute("update s.t set b = 0 where id < 10")
        for name, enabled in before:
            word = {"O": "", "A": "always", "R": "replica"}.get(enabled)
            kind = "rule" if name == "keep" else "trigger"
            if word is not None:
                statement = f"alter table s.t enable {word} {kind} {name}"
                sides.target.execute(statement.encode())
    with open_sides(databases) as sides:
        assert repair(sides) == Repaired(9, 9)
    assert sorted(databases.target.rows(catalog)) == sorted(before)


def test_published_relations_without_an_identity_are_repaired(databases: Databases) -> None:
    both(databases, "create table s.t (a int)", "insert into s.t values (1), (2)")
    databases.target.run("insert into s.t values (3)", "create publication p for all tables")
    try:
        with open_sides(databases) as sides:
            assert repair(sides) == Repaired(1, 0)
        identity = "select relreplident from pg_class where oid = 's.t'::regclass"
        assert databases.target.value(identity) == "d"
    finally:
        databases.target.run("drop publication p")


@pytest.fixture
def plain_user(databases: Databases) -> Iterator[str]:
    """A role of the target that owns schema `s` and what is in it, and is no superuser."""
    target = databases.target
    password = target.server.admin.connect().info.password
    target.run(f"create role plain_user login password '{password}'")
    yield "plain_user"
    target.run(
        "drop schema if exists s cascade", "drop owned by plain_user", "drop role plain_user"
    )


def give(databases: Databases, *names: str) -> None:
    databases.target.run(
        "grant all on schema s to plain_user",
        *[f"alter table s.{name} owner to plain_user" for name in names],
    )


def test_a_user_who_may_not_disable_foreign_keys_is_refused_and_nothing_changes(
    databases: Databases, plain_user: str
) -> None:
    both(databases, *FAMILY)
    databases.target.run("update s.parent set a = 'other' where id = 1")
    give(databases, "parent", "child")
    before = databases.target.rows("select * from s.parent order by id")
    with (
        open_sides(databases, plain_user) as sides,
        pytest.raises(WindlassError, match=r"s\.parent would set off") as caught,
    ):
        sides.repair(sides.pair("s.parent"))
    assert "session_replication_role" in caught.value.hint
    assert databases.target.rows("select * from s.parent order by id") == before


def test_an_owner_repairs_what_has_triggers_but_no_foreign_keys(
    databases: Databases, plain_user: str
) -> None:
    both(
        databases,
        *MANY,
        "create function s.refuse() returns trigger language plpgsql"
        " as $$begin raise 'refused'; end$$",
        "create trigger on_insert before insert on s.t for each row execute function s.refuse()",
    )
    databases.target.run("delete from s.t where id = 5")
    give(databases, "t")
    with open_sides(databases, plain_user) as sides:
        assert repair(sides) == Repaired(0, 1)
    enabled = "select tgenabled from pg_trigger where tgname = 'on_insert'"
    assert databases.target.value(enabled) == "O"


def test_a_repair_that_fails_changes_nothing(databases: Databases) -> None:
    both(databases, *MANY)
    databases.target.run(
        "update s.t set b = -b where id <= 10",
        "alter table s.t add constraint negative check (b < 0 or id <> 7) not valid",
    )
    before = databases.target.rows("select * from s.t order by id")
    with open_sides(databases) as sides:
        with pytest.raises(ConstraintViolated, match=r"repairing s\.t") as caught:
            sides.repair(sides.pair("s.t"))
        assert sides.source.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert caught.value.where["side"] == "target"
    assert databases.target.rows("select * from s.t order by id") == before


def test_a_repair_fires_no_event_trigger(databases: Databases) -> None:
    """Quieting a trigger is DDL."""
    both(
        databases,
        *MANY,
        "create function s.refuse() returns trigger language plpgsql"
        " as $$begin raise 'refused'; end$$",
        "create trigger on_insert before insert on s.t for each row execute function s.refuse()",
        "alter table s.t enable always trigger on_insert",
    )
    databases.target.run(
        "delete from s.t where id = 5",
        "create function s.refuse_ddl() returns event_trigger language plpgsql"
        " as $$begin raise 'refused'; end$$",
        "create event trigger refuse on ddl_command_start execute function s.refuse_ddl()",
    )
    try:
        with open_sides(databases) as sides:
            assert repair(sides) == Repaired(0, 1)
    finally:
        databases.target.run("set session_replication_role = replica", "drop event trigger refuse")
