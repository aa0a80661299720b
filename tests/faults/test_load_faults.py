"""Loads that are killed, interrupted or beside each other: the same command ends as if it had run
once."""

from __future__ import annotations

import random
import signal
import time

import pytest

from awaiting import until
from command import finish, kill_group, start
from killing import kill
from load_targets import LoadTarget, target
from sampling import choose_seed

__all__ = ["target"]  # fixtures

STEPS = ("stage_rows", "check_rows", "judge_rows", "apply_rows", "clean_up")
PLACES = [f"{when} {step}" for step in STEPS for when in ("before", "after")]
APPEND = ("more.csv", "--into", "orders", "--load", "append")
AFTER = ["1 10 a", "2 20 b", "3 30 c", "4 40 d", "5 50 e"]


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_any_step_the_same_command_adds_each_row_once(
    target: LoadTarget, place: str
) -> None:
    target.file("more.csv", "id,total,note\n4,40,d\n5,50,e\n")
    kill(place, ["load", *APPEND], target.env)
    ran = target.load(*APPEND).expect(0).result
    assert ran["counts"]["inserted"] == 2
    assert target.orders() == AFTER
    runs = target.windlass("status", "--json").expect(0).result["runs"]
    assert [one["state"] for one in runs] == ["done"]


def test_what_a_killed_run_has_loaded_is_not_loaded_again_if_another_file_changes(
    target: LoadTarget,
) -> None:
    target.run("create table lines (id integer, note varchar(10))")
    target.file("more.csv", "id,total,note\n4,40,d\n5,50,e\n")
    target.file("lines.csv", "id,note\n1,x\n")
    target.file(
        "loads.yaml",
        "load: append\nloads:\n  - {from: more.csv, into: orders}\n"
        "  - {from: lines.csv, into: lines}\n",
    )
    kill("after apply_rows", ["load", "-f", "loads.yaml"], target.env)
    assert target.orders() == AFTER and target.rows("select * from lines") == []
    target.file("lines.csv", "id,note\n1,x\n2,y\n")
    ran = target.load("-f", "loads.yaml").expect(0).result
    assert any("have changed since" in one for one in ran["notices"])
    assert target.orders() == AFTER
    assert target.orders("select id, note from lines order by id") == ["1 x", "2 y"]


def many(target: LoadTarget, rows: int = 30_000) -> str:
    lines = (f"{n},{n},n{n}" for n in range(1, rows + 1))
    return target.file("many.csv", "id,total,note\n" + "\n".join(lines) + "\n")


def test_killed_at_random_moments_it_ends_as_if_it_had_run_once(target: LoadTarget) -> None:
    words = (many(target), "--into", "orders", "--load", "mirror", "--key", "id")
    chance = random.Random(choose_seed())
    for _ in range(4):
        process = start("load", *words, env=target.env)
        time.sleep(chance.uniform(0.05, 0.8))  # any moment is right
        kill_group(process)
        process.wait()
        count = target.rows("select count(*) from orders")
        assert count in ([(3,)], [(30_000,)])
    target.load(*words).expect(0)
    found = target.rows("select count(*), sum(id), sum(total) from orders")
    assert [int(one) for one in found[0]] == [30_000, 450_015_000, 450_015_000]


def test_ctrl_c_ends_it_and_the_same_command_resumes(target: LoadTarget) -> None:
    words = (many(target, 200_000), "--into", "orders", "--load", "mirror", "--key", "id")
    process = start("load", "--json", *words, env=target.env)
    until(lambda: "step=stage_rows" in process.said()[1])
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code in (130, 0)  # it may have been over
    target.load(*words).expect(0)
    assert target.rows("select count(*) from orders") == [(200_000,)]


def test_two_at_once_load_each_row_once(target: LoadTarget) -> None:
    words = (many(target), "--into", "orders", "--load", "mirror", "--key", "id")
    both = [start("load", "--json", *words, env=target.env) for _ in range(2)]
    codes = sorted(finish(process).code for process in both)
    assert codes[0] == 0 and codes[1] in (0, 3, 4)  # refused, or one after the other
    assert target.rows("select count(*), count(distinct id) from orders") == [(30_000, 30_000)]
