"""The shell around the flows: words in, exit codes and results out, and never a secret.

What the flows do is stood in for here; tests on real servers run the whole command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import windlass
from paths import TESTS
from sample_plan import LOSS, PROBLEM, SOURCE, TARGET, sample_plan
from windlass.cli import show
from windlass.cli.endings import EXIT_OF, Exit
from windlass.cli.main import run
from windlass.cli.voice import HIDDEN, Voice, mask, secrets_in
from windlass.engines.postgres.session import Address
from windlass.errors import (
    BadSpec,
    ConnectionLost,
    Interrupted,
    Refused,
    TargetFull,
    Unreachable,
    WindlassError,
)
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.unfinished import Planned
from windlass.flows.validate.outline import VALIDATE
from windlass.model.event import Emit, Noticed
from windlass.model.outcome import Outcome, RelationOutcome, RunStatus, State
from windlass.model.past import Foreseen
from windlass.model.report import Difference, DifferenceKind, Differs
from windlass.model.snapshot import Snapshot
from windlass.run.hints import way_on
from windlass.spec.migrate import Spec

PASSWORD = "Sw0rdfish-ünseen/%41"
QUOTED = "Sw0rdfish-%C3%BCnseen%2F%2541"
URL = f"postgresql://app:{QUOTED}@h"
SIDES = ("--source", f"{URL}/shop", "--target", f"{URL}/new")

RELATIONS = tuple(
    RelationOutcome(f"shop.r{n}", f"store.r{n}", 1000 * n, n << 20, 1, 0.5, (1,), "full")
    for n in range(30)
)
OUTCOME = Outcome(
    run="20260101-120000",
    state=State.DONE,
    seconds=41.3,
    relations=RELATIONS,
    losses=(LOSS,),
    snapshots=(Snapshot(1, "00000003-1", "2026-01-01T12:00:00+00:00", "0/1A2B3C4D"),),
    phases={"copy_tables": 21.3, "create_indexes": 12.2, "verify": 4.1},
    verified="full",
    sequences=9,
    source=str(SOURCE),
    target=str(TARGET),
)
DIFFERENCES = tuple(
    Difference(
        DifferenceKind.CHANGED,
        "shop.r1",
        "the row differs",
        {"id": str(n)},
        ("name",),
        {"name": "before"},
        {"name": None},
    )
    for n in range(50)
)
STATUS = RunStatus(
    run="20260101-120000",
    state=State.DONE,
    source="shop on 127.0.0.1:5416",
    started_at="2026-01-01T12:00:00+00:00",
    finished_at="2026-01-01T12:01:00+00:00",
    relations_done=30,
    relations=30,
    rows=435_000,
    bytes=400 << 20,
    bytes_planned=400 << 20,
    step="verify",
    set_aside=3,
)


class Moves(ModuleType):
    """Stands in for the flows: answers with what it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("windlass.api")
        self.answer: Any = OUTCOME
        self.specs: list[Spec] = []
        self.words: dict[str, Any] = {}

    def _do(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def plan(self, spec: Spec, emit: Emit) -> Any:
        self.specs.append(spec)
        return self._do()

    def migrate(self, spec: Spec, emit: Emit, **words: Any) -> Any:
        self.specs.append(spec)
        self.words = {key: value for key, value in words.items() if key != "differing"}
        emit(Noticed("something to know"))
        return self._do()

    verify = migrate

    def status(self, target: str) -> Any:
        return self._do()

    def foresee_rollback(self, target: str, run: str) -> Any:
        return Foreseen("drops 1 table (1 row, 8 kB)")

    def rollback(self, target: str, run: str, emit: Emit, *, force: bool) -> Any:
        self.words = {"target": target, "run": run, "force": force}
        return self._do()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of these tests may look for a server: what it connects to is stood in for."""

    def connect(*_: object, **__: object) -> None:
        pytest.fail("the command connects to a server")

    monkeypatch.setattr(Address, "connect", connect)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    found = Moves()
    monkeypatch.setitem(sys.modules, "windlass.api", found)
    monkeypatch.setattr(windlass, "api", found, raising=False)  # where the real one is loaded
    for name in ("WINDLASS_SOURCE", "WINDLASS_TARGET", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return found


Capture = pytest.CaptureFixture[str]


def stdout_json(capsys: Capture) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", ["migrate", "verify"])
def test_the_exit_code_tells_how_a_run_ended(
    moves: Moves, capsys: Capture, verb: str, state: State
) -> None:
    moves.answer = replace(OUTCOME, state=state)
    assert run([verb, *SIDES, "--json"]) == EXIT_OF[state]
    assert stdout_json(capsys)["exit_code"] == EXIT_OF[state]


ERRORS: list[tuple[BaseException, str, int]] = [
    (BadSpec(["jobs: no", "schema: no"]), "migrate", 2),
    (Refused([PROBLEM]), "migrate", 3),
    (Refused([PROBLEM]), "plan", 3),
    (Unreachable([PROBLEM]), "migrate", 4),
    (Unreachable([PROBLEM]), "plan", 4),
    (ConnectionLost("gone"), "plan", 4),
    (ConnectionLost("gone"), "status", 4),
    (WindlassError("no", hint="do this"), "migrate", 4),
    (Interrupted("stop"), "migrate", 130),
    (KeyboardInterrupt(), "plan", 130),
    (RuntimeError("a fault of ours"), "migrate", 4),
    (RuntimeError("a fault of ours"), "plan", 4),
]


@pytest.mark.parametrize(("error", "verb", "code"), ERRORS)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_error_has_its_exit_code_and_no_traceback(
    moves: Moves, capsys: Capture, error: BaseException, verb: str, code: int, form: list[str]
) -> None:
    moves.answer = error
    sides = SIDES[2:] if verb == "status" else SIDES
    assert run([verb, *sides, *form]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    if form:
        assert json.loads(said.out)["exit_code"] == code
    else:
        assert said.err.startswith("windlass: ") or "windlass: " in said.err
        assert said.out == ""


USAGE = [
    (["migrate", "--chunk-sise", "1MB"], "--chunk-size"),
    (["migrate", "--verfy", "full"], "--verify"),
    (["migrat"], "migrate"),
    (["migrate", "--chunk-by", "rows"], "'ctid'"),
    (["migrate", "--jobs", "many"], "not a valid integer"),
    (["plan", "--map-schema", "a"], "not old=new"),
    (["rollback"], "RUN"),
    (["migrate"], "source"),
    (["migrate", "-f", "/nowhere.yaml"], "/nowhere.yaml"),
    (["plan", "--chunk-size", "64ZB", *SIDES], "64ZB"),
    (["status"], "target: not given"),
]


@pytest.mark.parametrize(("words", "named"), USAGE)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_mistake_on_the_command_line_is_2_and_says_what_is_meant(
    moves: Moves, capsys: Capture, words: list[str], named: str, form: list[str]
) -> None:
    assert run([*words, *form]) == 2
    said = capsys.readouterr()
    where = said.out if form else said.err
    assert named in where
    if form:
        assert json.loads(said.out)["state"] == "bad spec"


def test_every_fault_of_a_spec_is_said_at_once(moves: Moves, capsys: Capture) -> None:
    assert run(["migrate", "--jobs", "0", "--chunk-size", "x", "--json"]) == 2
    objects = [problem["object"] for problem in stdout_json(capsys)["problems"]]
    assert objects == ["source", "target", "jobs", "chunk-size"]


# ---------------------------------------------------------------------------------------- commands


def test_words_become_the_spec(moves: Moves) -> None:
    words = "--schema a --schema b --map-schema a=x -j 3 --chunk-by keyset --chunk-size 1MB"
    words += " --existing fill --verify counts --one-snapshot --data-only --exclude *.tmp"
    assert run(["migrate", *SIDES, *words.split(), "--restart"]) == 0
    spec = moves.specs[0]
    assert (spec.schemas, spec.map_schema, spec.jobs) == (("a", "b"), {"a": "x"}, 3)
    assert (spec.chunk_by, spec.chunk_size, spec.existing) == ("keyset", 1 << 20, "fill")
    assert (spec.verify_, spec.one_snapshot, spec.data_only) == ("counts", True, True)
    assert spec.exclude == ("*.tmp",)
    assert moves.words == {"restart": True, "reviewed": None}


def test_a_flag_that_is_not_given_does_not_undo_the_files(moves: Moves, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("schema-only: true\none-snapshot: true\n")
    assert run(["migrate", *SIDES, "-f", str(path)]) == 0
    assert (moves.specs[0].schema_only, moves.specs[0].one_snapshot) == (True, True)


def test_the_command_line_of_a_move_verifies_under_another_verb(moves: Moves) -> None:
    assert run(["verify", *SIDES, "--existing", "replace", "--one-snapshot", "--repair", "-y"]) == 0
    assert moves.words["repair"].allowed == {"update", "insert", "delete"}
    assert not moves.words["show_values"]


def test_verify_verifies_even_if_the_file_says_that_a_move_does_not(
    moves: Moves, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("verify: none\n")
    assert run(["verify", *SIDES, "-f", str(path)]) == 0
    assert moves.specs[0].verify_ == "full"


FORMS = [("text", "Plan\n"), ("markdown", "# Plan"), ("json", "{")]


@pytest.mark.parametrize(("form", "start"), FORMS)
def test_a_plan_comes_in_the_form_asked_for(
    moves: Moves, capsys: Capture, form: str, start: str
) -> None:
    moves.answer = Planned(sample_plan())
    assert run(["plan", *SIDES, "--format", form]) == 0
    assert capsys.readouterr().out.startswith(start)


def test_a_plan_with_problems_is_shown_and_refused(moves: Moves, capsys: Capture) -> None:
    moves.answer = Planned(replace(sample_plan(), problems=(PROBLEM,)))
    assert run(["plan", *SIDES]) == 3
    assert PROBLEM.hint in capsys.readouterr().out


def test_a_plan_ends_with_the_command_that_does_it(moves: Moves, capsys: Capture) -> None:
    moves.answer = Planned(sample_plan())
    run(["plan", "-q", "-f", "/dev/null", *SIDES, "--format", "text", "--jobs", "2"])
    last = capsys.readouterr().out.splitlines()[-1]
    url = f"'postgresql://app:{HIDDEN}@h/"
    sides = f"--source {url}shop' --target {url}new'"
    assert last.endswith(f": windlass migrate -f /dev/null {sides} --jobs 2")


def test_rollback_asks_and_takes_no_answer_for_no(
    moves: Moves, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["rollback", "r1", "--target", "t"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert moves.words == {}


def test_rollback_with_yes_does_not_ask(moves: Moves) -> None:
    moves.answer = replace(OUTCOME, state=State.ROLLED_BACK)
    assert run(["rollback", "r1", "--target", "t", "--yes"]) == 0
    assert moves.words == {"target": "t", "run": "r1", "force": False}


def test_status_lists_runs_and_how_to_undo_them(moves: Moves, capsys: Capture) -> None:
    moves.answer = [STATUS, replace(STATUS, run="r2", state=State.RUNNING, set_aside=0)]
    assert run(["status", "--target", "service-name"]) == 0
    said = capsys.readouterr().out
    assert "windlass rollback 20260101-120000 --target service-name" in said
    assert "killed" in said


def test_status_of_an_untouched_target_says_so(moves: Moves, capsys: Capture) -> None:
    moves.answer = []
    assert run(["status", "--target", "t"]) == 0
    assert "No runs" in capsys.readouterr().out


def test_the_spec_command_prints_an_example_or_the_schema(capsys: Capture) -> None:
    assert run(["spec"]) == 0
    assert "chunk-size: 64MB" in capsys.readouterr().out
    assert run(["spec", "--schema"]) == 0
    assert "chunk-size" in stdout_json(capsys)["properties"]


# ----------------------------------------------------------------------------------------- results


def shown(outcome: Outcome, width: int = 100) -> str:
    return show.outcome_text(
        outcome, MIGRATE.words, width=width, again="AGAIN", repair="REPAIR", rollback="ROLLBACK"
    )


def test_a_good_end_tells_what_was_moved_and_proven() -> None:
    said = shown(OUTCOME)
    for words in ("435,000", "435 MB", "41.3 s", "rows/s", "content of every row", "0/1A2B3C4D"):
        assert words in said
    assert LOSS.message in said
    assert "AGAIN" not in said
    assert "ROLLBACK" not in said


def test_what_was_not_verified_is_not_called_verified() -> None:
    assert "Not verified." in shown(replace(OUTCOME, verified=""))
    said = " ".join(shown(replace(OUTCOME, verified="counts")).split())
    assert "row counts are equal, apart from what is not carried over." in said
    assert "Content was not compared." in said


def test_what_was_set_aside_can_be_put_back() -> None:
    assert "ROLLBACK" in shown(replace(OUTCOME, set_aside=2))


def test_a_stopped_run_says_how_to_go_on() -> None:
    hint = way_on(TargetFull("no space left", hint="make space"))
    said = shown(replace(OUTCOME, state=State.STOPPED, message="no space left", hint=hint))
    for words in ("no space left", "make space", "AGAIN"):
        assert words in said


def test_differences_are_shown_up_to_a_limit_and_counted_beyond() -> None:
    said = shown(replace(OUTCOME, state=State.DIFFERENT, differences=DIFFERENCES))
    assert "50 differences" in said
    assert "(id=19)" in said
    assert "(id=20)" not in said
    assert "and 30 more" in said
    assert "name: 'before' → NULL" in said
    assert "REPAIR" in said


@pytest.mark.parametrize(
    ("count", "line", "total"),
    [(1, "1 table differs: shop.r0.", "1 differs"), (2, "2 tables differ: shop.r0", "2 differ")],
)
def test_one_table_differs_and_two_differ(count: int, line: str, total: str) -> None:
    items = [
        replace(item, source=f"shop.r{n}", differs=Differs.ROWS if n < count else Differs.NOT)
        for n, item in enumerate(OUTCOME.relations)
    ]
    found = replace(OUTCOME, state=State.DIFFERENT, differences=DIFFERENCES, relations=tuple(items))
    assert line in show.outcome_line(found, VALIDATE.words)
    assert f"30 compared, {total}\n" in shown(found)


def test_losses_of_one_kind_are_told_together() -> None:
    losses = tuple(replace(LOSS, object=f"shop.r{n}") for n in range(60))
    said = shown(replace(OUTCOME, losses=losses), width=400)
    assert "60 losses" in said
    assert said.count(LOSS.message) == 1
    assert "shop.r4 and 55 more" in said


def test_a_schema_difference_is_not_said_to_be_mended_by_copying() -> None:
    schema = replace(DIFFERENCES[0], kind=DifferenceKind.SCHEMA)
    assert "REPAIR" not in shown(replace(OUTCOME, state=State.DIFFERENT, differences=(schema,)))


def test_the_largest_relations_are_shown_and_the_others_counted() -> None:
    said = shown(OUTCOME)
    assert "shop.r29 → store.r29" in said
    assert "and 20 smaller" in said


def test_json_holds_everything_that_text_leaves_out(moves: Moves, capsys: Capture) -> None:
    moves.answer = replace(OUTCOME, state=State.DIFFERENT, differences=DIFFERENCES)
    assert run(["migrate", *SIDES, "--json"]) == 1
    found = stdout_json(capsys)
    assert (len(found["relations"]), len(found["differences"])) == (30, 50)
    assert (found["rows"], found["state"]) == (435_000, "different")


def test_a_refusal_lists_every_problem_with_what_to_do(moves: Moves, capsys: Capture) -> None:
    other = replace(PROBLEM, object="extension postgis", hint="install it")
    moves.answer = replace(OUTCOME, state=State.REFUSED, problems=(PROBLEM, other))
    assert run(["migrate", *SIDES]) == 3
    said = capsys.readouterr().err
    for words in ("2 problems", "nothing was written", PROBLEM.hint, "extension postgis"):
        assert words in said


def test_one_answer_to_many_problems_is_said_once(moves: Moves, capsys: Capture) -> None:
    many = tuple(replace(PROBLEM, object=f"shop.r{n}") for n in range(60))
    moves.answer = replace(OUTCOME, state=State.REFUSED, problems=many)
    assert run(["migrate", *SIDES]) == 3
    said = capsys.readouterr().err
    assert all(f"shop.r{n}: " in said for n in range(60))
    assert said.count(PROBLEM.hint) == 1


def test_progress_and_notices_go_to_stderr(moves: Moves, capsys: Capture) -> None:
    run(["migrate", *SIDES])
    said = capsys.readouterr()
    assert 'notice="something to know"' in said.err
    assert "something to know" not in said.out


def test_quiet_is_two_lines_and_no_progress(moves: Moves, capsys: Capture) -> None:
    run(["migrate", "--source", "old", "--target", "new", "-q"])  # no password to be warned of
    said = capsys.readouterr()
    assert said.err == ""
    assert len(said.out.splitlines()) == 2


@pytest.mark.parametrize("width", [40, 80, 120])
def test_sentences_fit_the_terminal(width: int) -> None:
    notice = "shop.r1 was read from two snapshots, because the first was lost on the way"
    said = shown(replace(OUTCOME, relations=(), notices=(notice,), losses=(LOSS,) * 3), width)
    lines = click.unstyle(said).splitlines()
    sentences = [line for line in lines if "→" not in line]
    assert max(len(line) for line in sentences) <= max(width, 34)


# ----------------------------------------------------------------------------------------- secrets


SPELLINGS = [
    f"postgresql://app:{PASSWORD}@host:5432/shop",
    f"postgresql://app:{QUOTED}@host/shop?sslmode=require",
    f"postgresql+psycopg2://app:{QUOTED}@host/shop",
    f"postgresql://:{QUOTED}@/shop",
    f"host=h password={PASSWORD} user=app",
    f"host=h password = '{PASSWORD}' user=app",
    f"postgresql://host/shop?user=app&password={QUOTED}",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_password_is_masked_however_it_is_written(text: str) -> None:
    said = mask(f"could not reach {text}: no", tuple(secrets_in(text)))
    assert PASSWORD not in said
    assert QUOTED not in said
    assert HIDDEN in said


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_password_is_masked_where_it_stands_alone(text: str) -> None:
    voice = Voice.of(["migrate", "--source", text], {})
    assert voice.masked(f"no entry with {PASSWORD}") == f"no entry with {HIDDEN}"


@given(st.text(st.characters(codec="utf-8", exclude_characters="/@"), min_size=4, max_size=20))
def test_no_password_of_a_url_reaches_the_next_command(password: str) -> None:
    voice = Voice.of(["plan", "--source", f"postgresql://u:{password}@h/d"], {})
    said = voice.command("migrate")
    assert said == f"windlass migrate --source 'postgresql://u:{HIDDEN}@h/d'"


INNOCENT = ["shop.orders: 12 rows", "password authentication failed for user app", "a@b.example"]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_password_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("form", [[], ["--json"], ["-v"], ["-vv"]])
@pytest.mark.parametrize("kind", [RuntimeError, WindlassError, ConnectionLost])
@pytest.mark.parametrize("verb", ["plan", "migrate"])
def test_no_error_shows_a_password(
    moves: Moves, capsys: Capture, verb: str, kind: Callable[[str], Exception], form: list[str]
) -> None:
    moves.answer = kind(f"cannot reach postgresql://app:{QUOTED}@h/shop with {PASSWORD}")
    run([verb, *SIDES, *form])
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    assert QUOTED not in said.out + said.err


def test_a_misplaced_url_is_not_repeated_with_its_password(moves: Moves, capsys: Capture) -> None:
    assert run(["migrate", SPELLINGS[0]]) == 2
    assert PASSWORD not in capsys.readouterr().err


def test_a_password_of_a_spec_file_or_a_variable_is_masked(
    moves: Moves, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("source: postgresql://app:of-a-file@h/shop\n")
    monkeypatch.setenv("WINDLASS_TARGET", "postgresql://app:of-a-variable@h/shop")
    monkeypatch.setenv("PGPASSWORD", "of-the-library")
    moves.answer = RuntimeError("of-a-file of-a-variable of-the-library")
    run(["migrate", "-f", str(path)])
    assert f"{HIDDEN} {HIDDEN} {HIDDEN}" in capsys.readouterr().err


def test_only_v_shows_where_a_fault_of_ours_is(moves: Moves, capsys: Capture) -> None:
    moves.answer = RuntimeError("a fault of ours")
    assert run(["migrate", *SIDES, "-v"]) == 4
    assert "Traceback (most recent call last)" in capsys.readouterr().err


# --------------------------------------------------------------------------------- as a process


def python(code: str, *words: str, **more: Any) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WINDLASS_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=TESTS,
        **more,
    )


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from windlass.cli.main import run
run(["--help"]); run(["migrate", "--help"]); run(["migrate", "--jbos", "2"])
print(sorted({"pydantic", "psycopg", "asyncpg", "rich", "yaml", "postgast"} & set(sys.modules)))
"""
    out, _ = python(code).communicate(timeout=30)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("patience", [1, 3])
def test_ctrl_c_ends_a_run_however_often_it_takes(number: signal.Signals, patience: int) -> None:
    code = f"""
import sys, threading, time
from types import ModuleType
moves = ModuleType("windlass.api")
def migrate(spec, emit, *, restart, reviewed, differing):
    threading.Thread(target=time.sleep, args=(60,)).start()
    for attempt in range({patience}):
        try:
            print("busy", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            if attempt == {patience} - 1:
                raise
moves.migrate = migrate
sys.modules["windlass.api"] = moves
from windlass.cli.main import main
sys.argv = ["windlass", "migrate", "--source", "a", "--target", "b"]
main()
"""
    process = python(code)
    assert process.stdout is not None
    for _ in range(patience):
        assert process.stdout.readline() == "busy\n"
        process.send_signal(number)
    started = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "run the same command again to resume" in err
    assert time.monotonic() - started < 10  # the thread that sleeps on is not waited for


def test_a_reader_that_goes_away_changes_nothing() -> None:
    code = "import sys; from windlass.cli.main import main; sys.argv[1:] = ['spec']; main()"
    process = python(code)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == Exit.DONE
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_no_words_at_all_are_answered_with_help() -> None:
    code = "import sys; from windlass.cli.main import main; sys.argv[1:] = []; main()"
    out, _ = python(code).communicate(timeout=30)
    assert "Commands:" in out


def test_shells_complete_commands_and_choices() -> None:
    asked = {"COMP_WORDS": "windlass migrate --chunk-by ", "COMP_CWORD": "3"}
    asked["_WINDLASS_COMPLETE"] = "bash_complete"
    process = subprocess.run(
        [sys.executable, "-m", "windlass"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.stdout.split() == ["plain,auto", "plain,ctid", "plain,keyset", "plain,whole"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["migrate", "--dry-run"], "windlass plan"),
        (["migrate", "--force"], "--existing"),
        (["migrate", "postgresql://a/b", "postgresql://c/d"], "--source and --target"),
    ],
)
def test_the_words_of_other_tools_are_answered_with_ours(
    words: list[str], said: str, capsys: Capture
) -> None:
    assert run(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [(["help"], "Usage: windlass"), (["help", "migrate"], "--existing"), (["version"], "windlass")],
)
def test_help_and_version_are_commands_too(words: list[str], said: str, capsys: Capture) -> None:
    assert run(words) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "hint"),
    [("include:\n\t- a.*\n", "indent with spaces"), ("include: [*.a]\n", "quote patterns")],
)
def test_a_slip_in_yaml_has_its_remedy(
    text: str, hint: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    assert run(["plan", "-f", str(path)]) == 2
    assert hint in capsys.readouterr().err
