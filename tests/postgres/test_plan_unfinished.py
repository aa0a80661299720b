"""`windlass plan` with an unfinished run of the same migration: shows what `migrate` would do."""

from __future__ import annotations

import json
from pathlib import Path

from command import DONE, REFUSED, migrate, windlass
from servers import Pair
from stopping import BETTER, OPTIONS, run_of, stopped
from windlass.engines.postgres.lock import control_name, name_session, try_lock

__all__ = ["stopped"]  # fixtures


def test_an_unfinished_run_is_what_the_plan_shows(stopped: Pair) -> None:
    run = run_of(stopped)
    said = windlass("plan", *OPTIONS, pair=stopped).expect(DONE).stdout
    assert "exists on the target" not in said
    assert f"Run {run} is unfinished" in said
    assert "What is left" in said
    resume, restart = said.splitlines()[-2:]
    assert resume.endswith(f"windlass migrate {' '.join(OPTIONS)}")
    assert restart.endswith(f"windlass migrate {' '.join(OPTIONS)} --restart")


def test_a_program_reads_what_is_left(stopped: Pair) -> None:
    plan = windlass("plan", "--format", "json", *OPTIONS, pair=stopped).expect(DONE).result
    assert (plan["problems"], plan["exit_code"]) == ([], 0)
    left = plan["unfinished"]
    assert (left["run"], left["state"], left["active"]) == (run_of(stopped), "stopped", False)
    steps = {one["name"]: (one["done"], one["items"]) for one in left["steps"]}
    assert steps["copy_tables"] == (2, 2)
    assert steps["create_indexes"] == (0, 1)
    said = windlass("plan", "--format", "markdown", *OPTIONS, pair=stopped).expect(DONE).stdout
    assert f"Run {run_of(stopped)} is unfinished" in said


def test_its_plan_can_be_written_and_resumes_it(stopped: Pair, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    windlass("plan", "-o", str(file), *OPTIONS, pair=stopped).expect(DONE)
    assert json.loads(file.read_text())["run"] == run_of(stopped)
    stopped.source.run(BETTER)
    stopped.target.run(BETTER)
    done = migrate(stopped, "--plan", str(file)).expect(DONE).result
    assert (done["run"], done["resumed"]) == (run_of(stopped), True)


def test_what_keeps_it_from_being_resumed_is_a_problem(stopped: Pair) -> None:
    stopped.source.run("alter table public.t add column later int")
    plan = windlass("plan", "--format", "json", *OPTIONS, pair=stopped).expect(REFUSED).result
    (problem,) = plan["problems"]
    assert problem["object"] == f"run {run_of(stopped)}"
    assert "public.t: column later is new" in problem["message"]
    assert "--restart" in problem["hint"]


def test_other_options_are_refused_as_migrate_refuses_them(stopped: Pair) -> None:
    ran = windlass("plan", "--format", "json", "--include", "t", pair=stopped)
    (problem,) = ran.expect(REFUSED).result["problems"]
    assert "was started with other options" in problem["message"]


def test_a_run_at_work_is_waited_for(stopped: Pair) -> None:
    with stopped.target.connect() as other:
        assert try_lock(other)
        name_session(other, control_name(run_of(stopped)))
        ran = windlass("plan", "--format", "json", *OPTIONS, pair=stopped)
        (problem,) = ran.expect(REFUSED).result["problems"]
        assert "in progress" in problem["message"]
        assert "exists" not in ran.said


def test_a_finished_migration_is_reported_as_migrate_reports_it(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)", "insert into t values (1)")
    run = migrate(pair).expect(DONE).result["run"]
    said = windlass("plan", pair=pair).expect(DONE).stdout
    assert f"Run {run} finished this migration" in said
    assert windlass("plan", "--json", pair=pair).expect(DONE).result["already"] is True
