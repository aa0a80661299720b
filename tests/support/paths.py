"""Where the repository and what its tests read are."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
EXAMPLE_DAGS = ROOT / "dags"
OUR_DAGS = TESTS / "airflow" / "dags"  # those that only tests run
CORPUS = SUPPORT / "corpus"
BUSY = SUPPORT / "busy.sql"
