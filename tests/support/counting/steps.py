"""The steps of a count."""

from __future__ import annotations

from counting.context import Counting
from windlass.errors import Refused
from windlass.model.flow import Item, Result
from windlass.model.report import Problem


def look(run: Counting, _: Item) -> Result:
    if not run.path.is_file():
        raise Refused([Problem(str(run.path), "is not there")])
    return {}


def count_lines(run: Counting, _: Item) -> Result:
    run.has_begun = True
    return {"lines": len(run.path.read_text().splitlines())}
