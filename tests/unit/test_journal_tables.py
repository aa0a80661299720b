"""The tables in the journal's schema: what checks them and what recognises them knows the same."""

from __future__ import annotations

import re
from importlib import resources

from windlass.journal.door import ROOM


def test_a_source_that_was_a_target_is_recognised_by_all_tables_that_a_journal_may_have() -> None:
    """One that only the journal's own checks knew would make its schema a user's."""
    text = (resources.files("windlass.engines.postgres") / "sql" / "own_schemas.sql").read_text()
    assert re.findall(r"'(\^\(run\|.*?)'", text) == [ROOM.tables]
