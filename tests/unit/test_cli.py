"""The shell around the flows: words in, exit codes and results out, and never a secret.

What the flows do is stood in for here; tests on real servers run the whole command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moves import OUTCOME, SIDES, Capture, Moves, moves, stdout_json
from paths import TESTS
from sample_plan import PROBLEM, refused_plan, sample_plan
from windlass.cli.endings import EXIT_OF
from windlass.cli.exits import Exit
from windlass.cli.main import run
from windlass.engines.postgres.session import Address
from windlass.errors import (
    BadSpec,
    ConnectionLost,
    Interrupted,
    Refused,
    Unreachable,
    WindlassError,
)
from windlass.flows.migrate.unfinished import Planned
from windlass.model.hiding import HIDDEN
from windlass.model.outcome import Kept, Progress, RunStatus, State

__all__ = ["moves"]  # fixtures
STATUS = RunStatus(
    run="20260101-120000",
    state=State.DONE,
    source="shop on 127.0.0.1:5416",
    started_at="2026-01-01T12:00:00+00:00",
    finished_at="2026-01-01T12:01:00+00:00",
    progress=Progress(
        relations_done=30,
        relations=30,
        rows=435_000,
        bytes=400 << 20,
        bytes_planned=400 << 20,
        step="verify",
    ),
    kept=Kept(set_aside=3),
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of these tests may look for a server: what it connects to is stood in for."""

    def connect(*_: object, **__: object) -> None:
        pytest.fail("the command connects to a server")

    monkeypatch.setattr(Address, "connect", connect)


# ------------------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", ["migrate", "verify"])
def test_the_exit_code_shows_how_a_run_ended(
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
    (["migrate", "--maping", "x"], ". mapping can only be given in a spec file, with --file"),
    (["verify", "--mapping", "x"], "`windlass spec migrate` shows how"),
    (["plan", "--batch-row", "x"], "`windlass spec rewrite` shows how"),
    (["load", "--loads", "x"], ". loads can only be given in a spec file"),
    (["migrat"], "migrate"),
    (["migrate", "--chunk-by", "rows"], "'ctid'"),
    (["migrate", "--jobs", "many"], "not a valid integer"),
    (["plan", "--map-schema", "a"], "not old=new"),
    (["rollback"], "RUN"),
    (["migrate", "shop.orders"], ". Give tables with --include shop.orders"),
    (["export", "shop.orders"], ". Give tables with --include shop.orders"),
    (["export", "s3://lake/shop"], "--source and --to and --warehouse"),
    (["export", "--table", "shop.orders"], "Did you mean --include?"),
    (["export", "--target", "x"], "Did you mean --warehouse?"),
    (["export", "--query", "select 1"], "is not name=select"),
    (["export", "--query", "select 1 where 1=1", "--to", "file:///x"], "is not a name"),
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
    moves.answer = Planned(refused_plan())
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
    moves.answer = [STATUS, replace(STATUS, run="r2", state=State.RUNNING, kept=Kept())]
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


# what each needs of the package: a dataclass takes about 0.4 ms to make, a pydantic model 2 ms, so
# a module of nouns that slips in here is felt
VERSION = r"""windlass(\.version|\.errors
    |\.cli(\.exits|\.faults|\.group|\.main|\.program|\.spelling|\.voice)?
    |\.progress(\.wrapping)?|\.model(\.hiding|\.text|\.wording)?
)?"""
OPTIONS = r"""windlass\.(cli\.(options|reports|results|running)
    |flows(\.registry)?|model\.(flow|report|units)|spec(\.choices|\.fields(\.(entry|migrate))?)?
)"""
HELP = rf"""{VERSION}|{OPTIONS}|windlass\.(cli\.(commands|ending_commands|migrating|serving)
    |spec\.fields\.\w+|flows\.\w+(\.outline)?|model\.load_words
)"""
PLAN = rf"""{VERSION}|{OPTIONS}|windlass\.(cli\.(migrating|watch)|progress\.(lines|tally)
    |api|recorded|run(\.hints)?|spec\.(columns|mapping|migrate|model)
    |flows\.(holding|specs|(migrate|validate)(\.(outline|planned))?)
    |model\.(event|mask|snapshot)|engines(\.scratch|\.starting)?
    |engines\.postgres(\.(connecting|errors|hold|keepalive|locks?|parameters|pooling|queries
        |session|snapshot|tls))?
)"""


def loaded_by(arguments: Sequence[str], allowed: str) -> list[str]:
    """What of the package a command loads, and more of it than is allowed."""
    code = f"""
import sys
from windlass.cli.main import run
run({list(arguments)})
print(*(name for name in sys.modules if name.partition(".")[0] == "windlass"))
"""
    out, _ = python(code).communicate(timeout=30)
    loaded = out.splitlines()[-1].split()
    assert "windlass.cli.main" in loaded
    return [name for name in loaded if not re.fullmatch(allowed, name, re.VERBOSE)]


def test_the_version_loads_no_command() -> None:
    assert loaded_by(["--version"], VERSION) == []


@pytest.mark.parametrize("arguments", [["--help"], ["load", "--help"]])
def test_help_loads_none_of_what_runs(arguments: list[str]) -> None:
    assert loaded_by(arguments, HELP) == []


def test_a_plan_connects_before_it_loads_what_plans() -> None:
    code = """
import socket, sys, threading
from windlass.cli.main import run
listener = socket.create_server(("127.0.0.1", 0))
loaded = []
def accept():
    with listener.accept()[0]:
        loaded.extend(sys.modules)
    listener.close()
thread = threading.Thread(target=accept)
thread.start()
url = "postgresql://127.0.0.1:%d/shop" % listener.getsockname()[1]
run(["plan", "--source", url, "--target", url])
thread.join()
print(*loaded)
"""
    out, err = python(code).communicate(timeout=30)
    assert "source and target cannot be reached" in err
    loaded = out.splitlines()[-1].split()
    assert "psycopg" in loaded
    ours = [name for name in loaded if name.partition(".")[0] == "windlass"]
    assert [name for name in ours if not re.fullmatch(PLAN, name, re.VERBOSE)] == []
    assert {"asyncpg", "jinja2", "pyarrow", "rich", "tenacity", "yaml"} & set(loaded) == set()


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
