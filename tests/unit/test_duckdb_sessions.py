"""DuckDB's sessions: they draw nothing on the standard output, and get more memory step by step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from windlass.engines.duckdb.memory import CLOSE_STEPS_MB, STEPS_MB, Memory
from windlass.errors import WindlassError

SETTING = "select current_setting('enable_progress_bar')"
OPENING = {
    "migrating": "from windlass.engines.duckdb.kept_file import KeptFile\n"
    "with KeptFile(path).session() as session: ask(session)",
    "reading": "from windlass.engines.duckdb.opening import open_to_read\n"
    "ask(open_to_read('source', path).cursor())",
    "proving": "from windlass.engines.duckdb.destination.proving import in_memory\n"
    "with in_memory() as session: ask(session)",
}


@pytest.mark.parametrize("opening", OPENING.values(), ids=OPENING)
def test_no_session_draws_a_bar(opening: str, tmp_path: Path) -> None:
    """DuckDB would, as this process has no script."""
    path = tmp_path / "shop.duckdb"
    duckdb.connect(str(path)).close()
    head = f"path = {str(path)!r}\ndef ask(one): print(one.execute({SETTING!r}).fetchone())\n"
    ran = subprocess.run(
        [sys.executable, "-c", head + opening], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "(False,)\n"


@pytest.mark.parametrize("steps", [STEPS_MB, CLOSE_STEPS_MB])
def test_a_call_is_repeated_with_the_next_step_after_what_it_had(
    steps: tuple[int | None, ...],
) -> None:
    memory, had = Memory(), []

    def call() -> str:
        memory.at_least(200)
        had.append(memory.settings)
        try:
            raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block")
        except duckdb.Error as error:
            raise WindlassError("too little") from error

    with pytest.raises(WindlassError, match="too little"):
        memory.enough(call, 32, steps)
    later = [one for one in steps if one is not None and one > 200]
    limits = [f"'{one}MB'" for one in (200, *later)]
    assert [one.split("memory_limit = ")[-1] for one in had[:-1]] == limits
    assert "reset memory_limit" in had[-1]
