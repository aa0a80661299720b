"""Every kind of object is set aside by `--existing replace`, and comes back with `rollback`."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import DONE, migrate, verify, windlass
from corpora import corpora
from oracle import contents, schema_dump
from servers import Database, Pair

FILES = corpora("*", 15, 18)


ACCEPTED = [
    word
    for kind in ("values", "constraints", "objects", "behaviour", "settings", "secrets")
    for word in ("--accept", kind)
]


def state(database: Database) -> object:
    return schema_dump(database), contents(database)


def differences(pair: Pair) -> object:
    return verify(pair).result["differences"]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((15, 15), id="15", marks=pytest.mark.full),
        pytest.param((18, 18), id="18"),
    ],
    indirect=True,
)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_replaced_and_rolled_back_twice(pair: Pair, path: Path) -> None:
    empty = state(pair.target)
    pair.source.load(path)
    first = migrate(pair, *ACCEPTED).expect(DONE).result["run"]
    before, differed = state(pair.target), differences(pair)
    second = migrate(pair, "--existing", "replace", *ACCEPTED).expect(DONE).result["run"]
    assert differences(pair) == differed
    windlass("rollback", second, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before
    windlass("rollback", first, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == empty
