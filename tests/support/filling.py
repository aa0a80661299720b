"""Rows that a run fills tables with, and rolling it back."""

from __future__ import annotations

from command import DONE, windlass
from servers import Pair

ROWS = (
    "create table t (id int primary key)",
    "insert into t select generate_series(1, 20)",
)
COUNT = "select count(*) from t"


def rollback(pair: Pair, run: str, *words: str, code: int = DONE) -> str:
    return windlass("rollback", run, "--yes", *words, pair=pair).expect(code).said
