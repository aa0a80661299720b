"""Assertions of all test files rewritten once in a run, though all its workers need them.

Workers collect the same files at the same time, so none finds what another has compiled; and to
rewrite takes longer than all else about collecting. Each worker begins with a part of the files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from paths import TESTS


def rewrite_part(config: pytest.Config, part: int, parts: int) -> None:
    """Leave the compiled files where every worker looks for them."""
    if not sys.dont_write_bytecode:
        for file in sorted(TESTS.rglob("test_*.py"))[part::parts]:
            _rewrite(config, file)


def _rewrite(config: pytest.Config, file: Path) -> None:
    """As `rewrite.AssertionRewritingHook` does before it runs a module."""
    folder = rewrite.get_cache_dir(file)
    compiled = folder / (file.stem + rewrite.PYC_TAIL)
    state = config.stash[rewrite.assertstate_key]
    if rewrite._read_pyc(file, compiled, state.trace) is None and rewrite.try_makedirs(folder):
        source, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(state, code, source, compiled)
