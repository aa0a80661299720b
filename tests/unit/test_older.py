"""Output of a pg_dump newer than the target, translated to the target's syntax."""

from __future__ import annotations

import pytest

from windlass.engines.postgres.older import in_older_words
from windlass.engines.postgres.syntax import split

CHILD = """CREATE TABLE a.kept (
    b integer,
    NOT NULL a,
    NOT NULL "B c"
)
INHERITS (a.p);
"""


@pytest.mark.parametrize(
    ("kind", "text", "major", "expected"),
    [
        (
            "TABLE",
            CHILD,
            17,
            [
                "CREATE TABLE a.kept (b int) INHERITS (a.p)",
                'ALTER TABLE ONLY "a"."kept" ALTER COLUMN "a" SET NOT NULL',
                'ALTER TABLE ONLY "a"."kept" ALTER COLUMN "B c" SET NOT NULL',
            ],
        ),
        ("TABLE", CHILD, 18, split(CHILD)),
        (
            "FOREIGN TABLE",
            "CREATE FOREIGN TABLE a.f (\n    NOT NULL a\n)\nINHERITS (a.p)\nSERVER s;\n",
            12,
            [
                "CREATE FOREIGN TABLE a.f () INHERITS (a.p) SERVER s",
                'ALTER TABLE ONLY "a"."f" ALTER COLUMN "a" SET NOT NULL',
            ],
        ),
        (
            "TABLE",
            "CREATE TABLE a.t (\n    b text DEFAULT '\n    NOT NULL a'\n);\n",
            17,
            ["CREATE TABLE a.t (\n    b text DEFAULT '\n    NOT NULL a'\n)"],
        ),
    ],
)
def test_not_null_of_a_child_is_said_as_the_target_knows_it(
    kind: str, text: str, major: int, expected: list[str]
) -> None:
    assert split(in_older_words(text, kind=kind, major=major)) == expected
