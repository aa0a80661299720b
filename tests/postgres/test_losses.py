"""Losses are named by class, and stop a run unless they are accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from command import DIFFERENT, DONE, REFUSED, Ran, migrate, windlass
from corpora import corpus
from oracle import schema_dump
from servers import Pair


def classes(ran: Ran) -> set[str]:
    return {loss["class"] for loss in ran.result["losses"]}


@pytest.fixture
def lossy(pair: Pair) -> Pair:
    """Two tables of which a selection of one loses a foreign key, and a child with its own order
    of columns."""
    pair.source.run(
        "create table parent (id int primary key)",
        "create table one (id int primary key, parent int references parent)",
        "create table base (a int)",
        "create table child (b int, a int)",
        "alter table child inherit base",
    )
    return pair


ONLY = ("--exclude", "public.parent")


def test_a_plan_with_losses_is_refused_with_all_of_them_and_what_would_let_it_pass(
    lossy: Pair,
) -> None:
    before = schema_dump(lossy.target, "--exclude-schema=none")
    ran = migrate(lossy, *ONLY).expect(REFUSED)
    found = {one["object"]: one["hint"] for one in ran.result["problems"]}
    assert found == {
        "fk constraint public.one one_parent_fkey": "--accept constraints to proceed anyway",
        "public.child": "--accept behaviour to proceed anyway",
    }
    assert schema_dump(lossy.target, "--exclude-schema=none") == before
    planned = windlass("plan", "--json", *ONLY, pair=lossy).expect(REFUSED).result
    assert {loss["class"] for loss in planned["losses"]} == {"constraints", "behaviour"}


def test_a_class_that_is_accepted_leaves_the_others_refused(lossy: Pair) -> None:
    ran = migrate(lossy, *ONLY, "--accept", "behaviour").expect(REFUSED)
    assert [one["hint"] for one in ran.result["problems"]] == [
        "--accept constraints to proceed anyway"
    ]


def test_accepted_losses_are_in_the_headline_of_a_run_that_is_done(lossy: Pair) -> None:
    words = (*ONLY, "--accept", "constraints", "--accept", "behaviour")
    ran = windlass("migrate", *words, pair=lossy).expect(DONE)
    headline = ran.stdout.splitlines()[0]
    assert headline.startswith("✓ ")
    assert headline.endswith("with 2 losses (1 of constraints, 1 of behaviour)")


def test_a_spec_file_accepts(lossy: Pair, tmp_path_factory: pytest.TempPathFactory) -> None:
    spec = tmp_path_factory.mktemp("spec") / "move.yaml"
    spec.write_text("exclude: public.parent\naccept: [constraints, behaviour]\n")
    assert classes(migrate(lossy, "-f", str(spec)).expect(DONE)) == {"constraints", "behaviour"}


def test_a_loss_that_only_the_rows_bring_about_is_exit_1(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys_broken"))
    ran = windlass("migrate", pair=pair).expect(DIFFERENT)
    assert "with 1 loss (1 of constraints)" in ran.stdout.splitlines()[0]
    assert "--accept constraints" in ran.stdout
    (status,) = windlass("status", "--json", pair=pair).expect(DONE).result["runs"]
    assert status["state"] == "done, with losses"


def test_a_loss_that_the_rows_bring_about_may_be_accepted(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys_broken"))
    ran = migrate(pair, "--accept", "constraints").expect(DONE)
    assert classes(ran) == {"constraints"}


def test_a_materialised_view_that_cannot_be_refreshed_is_exit_1(pair: Pair) -> None:
    pair.source.run(
        "create table here (a int)",
        "insert into here values (1)",
        "create function f() returns int language plpgsql as"
        " $$begin return 1 / (select count(*) from pg_settings"
        f" where name = 'port' and setting = '{pair.source.server.port}'); end$$",
        "create materialized view m as select f() as a from public.here",
    )
    ran = migrate(pair).expect(DIFFERENT)
    assert ran.result["state"] == "done, with losses"
    assert [loss["object"] for loss in ran.result["losses"]] == ["materialized view public.m"]
    assert classes(ran) == {"values"}


def test_owners_and_grants_of_roles_that_the_target_lacks_are_notices(pair: Pair) -> None:
    pair.source.server.admin.run(
        "drop role if exists only_here, only_reads_here",
        "create role only_here",
        "create role only_reads_here",
    )
    pair.source.run(
        "create table t (id int primary key)",
        "alter table t owner to only_here",
        "grant select on t to only_reads_here",
    )
    ran = windlass("migrate", pair=pair).expect(DONE)
    assert ran.stdout.splitlines()[0].endswith("with 2 losses (1 of owners, 1 of grants)")


def test_what_is_only_a_notice_cannot_be_accepted(pair: Pair) -> None:
    windlass("plan", "--accept", "owners", pair=pair).expect(2)


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        (["-j", "500"], None, "500 jobs take up to 1002 connections"),
        ([], "template1", "the target is template1"),
    ],
)
def test_what_is_hardly_ever_meant_is_noticed(
    pair: Pair, options: list[str], name: str | None, said: str
) -> None:
    pair.source.run("create table t (id int primary key)", "insert into t values (1)")
    url = replace(pair.target, name=name or pair.target.name).url
    ran = windlass("plan", *options, "--target", url, pair=pair).expect(DONE)
    assert said in " ".join(ran.said.split())


@pytest.mark.parametrize("pair", [(15, 16), (15, 18)], indirect=True)
def test_not_null_that_a_child_has_not_got_from_its_parent_is_a_loss(pair: Pair) -> None:
    pair.source.run(
        "create table p (a int, b int not null)",
        "create table c (d int) inherits (p)",
        "alter table only p alter a set not null",
        "insert into c values (1, 2, 3)",
    )
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "public.c" and "column a may be NULL" in problem["message"]
    (loss,) = migrate(pair, "--accept", "behaviour").expect(DONE).result["losses"]
    assert loss["class"] == "behaviour"
