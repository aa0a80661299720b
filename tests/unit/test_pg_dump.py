"""Which of the installed pg_dumps is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.engines.postgres import pg_dump
from windlass.engines.postgres.pg_dump import PgDump, find_pg_dump

INSTALLED = tuple(PgDump(Path(f"/opt/{major}/pg_dump"), (major, 4)) for major in (14, 15, 16, 18))


@pytest.mark.parametrize(
    ("source", "target", "in_few_trips", "expected"),
    [
        (15, 15, False, 15),
        (14, 16, False, 16),
        (14, 17, False, 16),
        (17, 15, False, 18),
        (12, 13, False, 14),
        (15, 15, True, 16),
        (14, 18, True, 18),
        (14, 17, True, 16),
        (17, 17, True, 18),
        (19, 19, False, None),
        (19, 19, True, None),
    ],
)
def test_the_one_that_fits(
    monkeypatch: pytest.MonkeyPatch,
    source: int,
    target: int,
    in_few_trips: bool,
    expected: int | None,
) -> None:
    monkeypatch.setattr(pg_dump, "installed", lambda: INSTALLED)
    found = find_pg_dump(source, target, in_few_trips=in_few_trips)
    assert (found and found.version[0]) == expected


def test_an_old_one_reads_over_a_slow_link_where_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pg_dump, "installed", lambda: INSTALLED[:2])
    found = find_pg_dump(14, 14, in_few_trips=True)
    assert found == INSTALLED[0]


def test_each_is_run_once_for_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/log\necho 'pg_dump (PostgreSQL) 77.1'")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert [find_pg_dump(77, 77) for _ in range(3)] == [PgDump(program, (77, 1))] * 3
    assert (tmp_path / "log").read_text() == "asked\n"
