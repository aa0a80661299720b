"""Features in dumps of older versions that newer versions of PostgreSQL no longer accept.

Only what every server of that version refuses; what depends on its build is in
`windlass.planning.postgres.build`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from windlass.engines.postgres.trial import TryOut
from windlass.model.plan import Server
from windlass.model.report import Problem
from windlass.model.statement import Statement
from windlass.planning.postgres.build import in_schema

_FUNCTION = re.compile(r"^\s*M?\w*FUNC = (\S+?),?$", re.MULTILINE)
_NO_FUNCTION = "42883"
_ANYCOMPATIBLE = (
    "version 14 changed the types of array_append and similar functions: create it by hand on the"
    " target, with anycompatiblearray and anycompatible, and drop it on the source"
)


def removed_problems(
    statements: Sequence[Statement], source: Server, target: Server, try_out: TryOut
) -> list[Problem]:
    """Statements that the target would refuse although the source has what they create."""
    if not source.major < 14 <= target.major:
        return []
    return [*_postfix(statements), *_aggregates(statements, try_out)]


def _postfix(statements: Iterable[Statement]) -> Iterator[Problem]:
    for one in statements:
        if one.kind == "OPERATOR" and "RIGHTARG = " not in one.sql:
            message = "is a postfix operator, which no version since 14 has"
            yield Problem(str(one), message, "drop it on the source, with what uses it")


def _aggregates(statements: Iterable[Statement], try_out: TryOut) -> Iterator[Problem]:
    """Only PostgreSQL's own functions are checked, because the user's do not exist yet."""
    scripts = {
        one: f"{in_schema(one.name.schema)}{one.sql}"
        for one in statements
        if one.kind == "AGGREGATE" and not any("." in name for name in _FUNCTION.findall(one.sql))
    }
    refused = try_out(scripts.values())
    for one, script in scripts.items():
        reason = refused.get(script)
        if reason and reason.state == _NO_FUNCTION:
            message = f"cannot be created on the target: {reason.message}"
            yield Problem(str(one), message, _ANYCOMPATIBLE)
