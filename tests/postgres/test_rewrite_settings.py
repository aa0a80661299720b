"""The user's SQL of a rewrite means what it means in psql."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions import calling
from hostile import Hostile, hostile_role
from rewrites import done, fill, problems, rows
from servers import Database

FUNCTION = "create function {}.wanted(text) returns boolean language sql return $1 = 'body {}'"


@pytest.fixture
def messages(database: Callable[[int], Database]) -> Database:
    return fill(database(16))


@pytest.fixture
def low(messages: Database) -> Iterator[Hostile]:
    with hostile_role(messages) as role:
        yield role


def setting(database: Database, name: str, value: str) -> None:
    database.run(f'alter database "{database.name}" set {name} to {value}')


def selecting(condition: str) -> dict[str, Any]:
    return {"select": condition, "set": {"body": {"value": "changed"}}, "id": None, "stamp": None}


def changed(database: Database) -> list[Any]:
    return [one for (one,) in rows(database, "message_id", "body = 'changed'")]


def test_names_are_looked_up_in_the_path_of_the_role(messages: Database) -> None:
    messages.run("create schema lib", FUNCTION.format("lib", 2), FUNCTION.format("public", 4))
    setting(messages, "search_path", "lib, public")
    done(messages, selecting("wanted(body)"))
    assert changed(messages) == [2]


def test_the_schema_of_the_table_is_looked_in_without_being_in_the_path(messages: Database) -> None:
    messages.run("create schema s", "alter table message set schema s", FUNCTION.format("s", 6))
    done(messages, {**selecting("wanted(body)"), "schema": "s"})
    assert messages.rows("select message_id from s.message where body = 'changed'") == [(6,)]


def test_dates_are_read_in_the_order_of_the_role(messages: Database) -> None:
    messages.run("update message set exported_at = '2026-02-01' where message_id = 8")
    setting(messages, "datestyle", "'ISO, DMY'")
    done(messages, selecting("exported_at = '01/02/2026'"))
    assert changed(messages) == [8]


@pytest.mark.parametrize("calls", [False, True], ids=["alone", "with a function"])
def test_a_time_is_of_the_zone_of_the_role(calls: bool, messages: Database) -> None:
    setting(messages, "timezone", "'Asia/Tokyo'")
    words = {"add": {"at": {"value": "2026-02-01 09:00", "type": "timestamptz"}}}
    with calling() as given:
        called = given(lambda batch: batch) if calls else {}
        done(messages, {**words, **called})
    query = "select distinct at at time zone 'UTC' from message where at is not null"
    assert [str(one) for (one,) in messages.rows(query)] == ["2026-02-01 00:00:00"]


@pytest.mark.parametrize("path", ["lib, public", "lib, public, pg_catalog"])
@pytest.mark.parametrize("name", ["lower", "wanted"])
def test_another_roles_function_in_the_path_is_refused(
    name: str, path: str, messages: Database, low: Hostile
) -> None:
    """It would be run instead of PostgreSQL's own, or of ours in a schema that comes later."""
    messages.run(FUNCTION.format("public", 2))
    low.run(
        "create schema lib",
        f"create function lib.{name}(text) returns text language plpgsql as"
        f" $${low.attack}return 'a'; end$$",
    )
    setting(messages, "search_path", path)
    said = problems(messages, selecting(f"{name}(body)::text = 'a'"))
    assert f"function lib.{name}(text): belongs to {low.name}" in said
    assert ("in the place of public.wanted(text)" in said) == (name == "wanted")
    assert not low.has_won


def test_a_function_of_another_role_that_hides_nothing_is_called(
    messages: Database, low: Hostile
) -> None:
    low.run("create schema lib", FUNCTION.format("lib", 2))
    setting(messages, "search_path", "lib, public")
    messages.run("grant usage on schema lib to public")
    done(messages, selecting("wanted(body)"))
    assert changed(messages) == [2]


def test_a_relation_that_is_called_like_one_of_the_catalog_is_not_read(
    messages: Database, low: Hostile
) -> None:
    """Even where the path has PostgreSQL's own schema at its end."""
    low.run("create schema lib", "create table lib.pg_class (oid oid)")
    messages.run("grant usage on schema lib to public")
    setting(messages, "search_path", "lib, pg_catalog, public")
    done(messages, selecting("message_id = 2"))
    assert changed(messages) == [2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"select": "message_id = 2) or (true"}, "select: syntax error"),
        ({"select": "true order by message_id"}, "select: syntax error"),
        ({"set": {"body": {"sql": "'a'), (select 'b'"}}}, "set body: syntax error"),
        ({"set": {"body": {"sql": "max(body)"}}}, "aggregate functions are not allowed in an ex"),
        ({"set": {"body": {"sql": "row_number() over ()::text"}}}, "window functions are not all"),
        ({"add": {"more": {"sql": "count(*)"}}}, "aggregate functions are not allowed in an ex"),
    ],
)
def test_what_is_no_condition_or_expression_over_one_row_is_refused(
    given: dict[str, Any], said: str, messages: Database
) -> None:
    """PostgreSQL itself would refuse them in an UPDATE."""
    words = {"id": None, "stamp": None, "set": {"body": {"value": "changed"}}, **given}
    assert said in problems(messages, words)


def test_an_expression_may_ask_for_what_it_likes_in_brackets(messages: Database) -> None:
    words = {"set": {"body": {"sql": "(select max(body) from message m) -- of all of them"}}}
    done(messages, words)
    assert set(rows(messages, "body", "message_id % 2 = 0")) == {("body 9",)}
