"""`plan -o` writes a plan, `migrate --plan` runs exactly that one or reports what has changed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from command import BAD_SPEC, DONE, REFUSED, windlass
from servers import Pair

SHOP = (
    "create schema s",
    "create table s.a (id int primary key, v text not null default 'x')",
    "insert into s.a select n, 'row ' || n from generate_series(1, 500) n",
    "create table s.left_out (id int)",
)


@pytest.fixture
def planned(pair: Pair, tmp_path: Path) -> Path:
    pair.source.run(*SHOP)
    path = tmp_path / "plan.json"
    windlass("plan", "--include", "s.a", "-o", str(path), pair=pair).expect(DONE)
    return path


def test_a_reviewed_plan_runs_with_its_own_options(pair: Pair, planned: Path) -> None:
    windlass("migrate", "--plan", str(planned), pair=pair).expect(DONE)
    assert pair.target.value("select count(*) from s.a") == 500
    assert pair.target.value("select to_regclass('s.left_out')") is None


def test_a_plan_says_what_it_is_and_only_its_owner_reads_it(planned: Path) -> None:
    found = json.loads(planned.read_text())
    assert found["options"]["include"] == ["s.a"]
    assert found["made_at"].endswith(" UTC")
    assert found["version"]
    assert found["run"]
    assert stat.S_IMODE(planned.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("alter table s.a add more int", "table s.a: has changed"),
        ("create index on s.a (v)", "index s.a_v_idx: is new"),
        ("alter table s.a alter v drop default", "table s.a: has changed"),
        ("alter table s.a drop constraint a_pkey", "would no longer be done"),
    ],
)
def test_what_changed_since_the_review_is_named_and_nothing_is_written(
    pair: Pair, planned: Path, change: str, named: str
) -> None:
    pair.source.run(change)
    ran = windlass("migrate", "--plan", str(planned), pair=pair).expect(REFUSED)
    assert named in ran.said
    assert pair.target.value("select to_regnamespace('windlass') is null")


def test_more_rows_do_not_change_a_plan(pair: Pair, planned: Path) -> None:
    pair.source.run("insert into s.a select n from generate_series(501, 600) n")
    windlass("migrate", "--plan", str(planned), pair=pair).expect(DONE)


def test_a_plan_for_another_target_is_refused(pair: Pair, planned: Path) -> None:
    other = pair.target.server.create_database()
    try:
        ran = windlass("migrate", "--plan", str(planned), "--target", other.url, pair=pair)
        assert "the plan was made for" in ran.expect(REFUSED).said
    finally:
        pair.target.server.drop_database(other)


def test_other_options_beside_a_plan_are_refused(pair: Pair, planned: Path) -> None:
    ran = windlass("migrate", "--plan", str(planned), "--include", "s.*", pair=pair)
    assert "--include: the plan in" in ran.expect(BAD_SPEC).said


def test_what_is_no_plan_is_refused(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("[" * 5000)
    ran = windlass("migrate", "--plan", str(path), pair=pair).expect(BAD_SPEC)
    assert "not the plan of a migration" in ran.said


def test_an_edited_plan_is_refused_and_a_reformatted_one_is_not(pair: Pair, planned: Path) -> None:
    found = json.loads(planned.read_text())
    planned.write_text(json.dumps({**found, "ddl": found["ddl"][:1]}))
    assert (
        "was edited" in windlass("migrate", "--plan", str(planned), pair=pair).expect(BAD_SPEC).said
    )
    assert pair.target.value("select to_regclass('s.a')") is None
    planned.write_text(json.dumps(found, sort_keys=True))
    windlass("migrate", "--plan", str(planned), pair=pair).expect(DONE)


def test_a_plan_shows_null_keys_and_defaults_beside_the_types(pair: Pair) -> None:
    pair.source.run(
        "create table t (id int generated always as identity primary key, at timestamptz not null"
        " default now(), twice int generated always as (id * 2) stored,"
        " long text default repeat('x', 10) || repeat('y', 20) || repeat('z', 30) || 'the end')"
    )
    (found,) = windlass("plan", "--json", pair=pair).expect(DONE).result["relations"]
    assert found["keyset"] == ["id"]
    assert {one["source"]: (one["not_null"], one["fills_itself"]) for one in found["columns"]} == {
        "id": (True, "identity"),
        "at": (True, "default now()"),
        "twice": (False, ""),
        "long": (False, found["columns"][3]["fills_itself"]),
    }
    assert found["columns"][3]["fills_itself"].endswith("'the end'::text)")
    said = windlass("plan", pair=pair).expect(DONE).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("    at "))
    assert line.split() == ["at", "timestamp", "with", "time", "zone", "not", "null,", "default",
                            "now()"]  # fmt: skip
    assert "computed by the target" in said
