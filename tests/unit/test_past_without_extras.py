"""Past runs of a database file are read with what a load needs, and nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# the interpreter of somebody who installed windlass-db[load] alone
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sqlglot":
            raise ModuleNotFoundError("No module named 'sqlglot'", name="sqlglot")
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "sqlglot" else found(name, *more)
from windlass.cli.main import main
main()
"""


def test_runs_are_listed_without_what_only_migrations_need(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    target = ["--target", f"sqlite:///{tmp_path / 'a.db'}"]
    words = ["load", "a.csv", "--into", "a", "--load", "append", "--create"]
    for call in ([*words, "--type", "id=INTEGER", *target], ["status", *target]):
        ran = subprocess.run(
            [sys.executable, "-c", WITHOUT, *call], capture_output=True, text=True, cwd=tmp_path
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
    assert "a.csv" in ran.stdout
