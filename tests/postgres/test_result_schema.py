"""The published schema of the JSON result describes what commands really print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, STOPPED, migrate, verify, windlass
from exporting import export
from paths import DOCS
from result_schema import faults
from rewrites import fill, write_spec
from servers import Database, Pair
from windlass.cli import result_schema
from windlass.cli.show import outcome_json
from windlass.model.outcome import Outcome, State

MADE_BY = "run: python -m windlass.cli.result_schema docs"
SHOP = (
    "create table item (id int primary key, name text)",
    "insert into item select n, 'item ' || n from generate_series(1, 50) n",
    "create table without_key (name text)",
    "insert into without_key values ('a')",
    "create sequence tickets",
    "select lo_from_bytea(7, 'large')",
)
SPOIL = (
    "update item set name = 'other' where id = 7",
    "delete from item where id = 8",
    "insert into item values (99, null)",
    "insert into without_key values ('b')",
    "select setval('tickets', 40)",
    "select lo_put(7, 0, 'LARGE')",
    "create index on item (name)",
)


@pytest.fixture
def shop(pair: Pair) -> Pair:
    pair.source.run(*SHOP)
    return pair


@pytest.fixture
def moved(shop: Pair) -> dict[str, Any]:
    return migrate(shop).expect(DONE).result


def test_the_published_schema_is_that_of_the_code() -> None:
    written = json.loads((DOCS / result_schema.SCHEMA_FILE).read_text())
    assert written == result_schema.schema(), MADE_BY


def test_the_page_of_the_result_is_that_of_the_code() -> None:
    assert (DOCS / result_schema.PAGE_FILE).read_text() == result_schema.page(), MADE_BY


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(result_schema.schema())


def test_every_field_says_what_it_is() -> None:
    silent = [
        f"{name}.{key}"
        for name, definition in result_schema.schema()["$defs"].items()
        for key, field in definition.get("properties", {}).items()
        if not field.get("description")
    ]
    assert silent == []


def test_a_migration_follows_the_schema(moved: dict[str, Any]) -> None:
    assert {one["source"] for one in moved["relations"]} == {"public.item", "public.without_key"}
    assert moved["snapshots"]
    assert faults(moved) == []


def test_a_migration_that_was_finished_before_follows_the_schema(
    shop: Pair, moved: dict[str, Any]
) -> None:
    again = migrate(shop).expect(DONE).result
    assert again["already"]
    assert faults(again) == []


@pytest.mark.parametrize("options", [[], ["--show-values"], ["--verify", "counts"]])
def test_differences_follow_the_schema(
    options: list[str], shop: Pair, moved: dict[str, Any]
) -> None:
    shop.target.run(*SPOIL)
    found = verify(shop, *options).expect(DIFFERENT).result
    assert found["differences"]
    assert faults(found) == []


def test_a_repair_and_a_rollback_follow_the_schema(shop: Pair, moved: dict[str, Any]) -> None:
    shop.target.run(*SPOIL[:3])
    repaired = verify(shop, "--repair", "--yes").expect(DONE).result
    undone = windlass("rollback", moved["run"], "--yes", "--force", "--json", pair=shop)
    assert repaired["repaired"]
    assert faults(repaired) == []
    assert faults(undone.expect(DONE).result) == []


def test_losses_follow_the_schema(shop: Pair) -> None:
    shop.source.run(
        "create role of_the_source_only", "alter table item owner to of_the_source_only"
    )
    try:
        found = migrate(shop).expect(DONE).result
    finally:
        shop.source.run("reassign owned by of_the_source_only to current_user")
        shop.source.run("drop role of_the_source_only")
    assert found["losses"]
    assert faults(found) == []


def test_a_refusal_follows_the_schema(shop: Pair, moved: dict[str, Any]) -> None:
    shop.target.run("create table stranger (id int)")
    shop.source.run("create table stranger (id int)")
    found = migrate(shop, "--restart").expect(REFUSED).result
    assert found["problems"]
    assert faults(found) == []


def test_bad_options_follow_the_schema(shop: Pair) -> None:
    found = migrate(shop, "--jobs", "0", "--chunk-size", "x").expect(BAD_SPEC).result
    assert len(found["problems"]) == 2
    assert faults(found) == []


def test_a_server_that_is_not_there_follows_the_schema(shop: Pair) -> None:
    nowhere = {"WINDLASS_TARGET": "postgresql://app@127.0.0.1:9/shop"}
    found = windlass("migrate", "--json", pair=shop, env=nowhere).expect(STOPPED).result
    assert faults(found) == []


def test_a_rewrite_follows_the_schema(database: Callable[[int], Database], tmp_path: Path) -> None:
    messages = fill(database(16))
    file = str(write_spec(tmp_path, "set: {body: {sql: upper(body)}}"))
    ran = windlass("rewrite", "-f", file, "--json", env={"WINDLASS_TARGET": messages.url})
    found = ran.expect(DONE).result
    assert found["counts"]
    assert faults(found) == []


def test_an_export_follows_the_schema(shop: Pair, tmp_path: Path) -> None:
    found = export(shop.source, tmp_path, relations="public.*").expect(DONE).result
    assert found["relations"]
    assert faults(found) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"state": "finished"},
        {"exit_code": 6},
        {"seconds": "long"},
        {"losses": [{"object": "a", "message": "b", "kind": "values"}]},
        {"differences": [{"kind": "changed"}]},
        {"more": 1},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_what_does_not_follow_the_schema_is_found(spoilt: dict[str, Any]) -> None:
    good = json.loads(json.dumps(outcome_json(Outcome("r", State.DONE))))
    assert faults(good) == []
    assert faults({**good, **spoilt}) != []
