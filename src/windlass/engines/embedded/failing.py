"""Keeps rows that break an expectation in a table of the file, if the user wants to see them."""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from windlass.engines.embedded.books import Books
from windlass.engines.embedded.checking import FileChecking
from windlass.engines.embedded.dialect import fetch
from windlass.engines.embedded.file import File
from windlass.engines.embedded.names import FAILING, done_inputs
from windlass.engines.incoming.names import INPUT, RECORD
from windlass.engines.incoming.shape import assigned
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.load import Load


def keep_failing(file: File, books: Books, staged: Path, run: str, load: Load) -> None:
    """Keep the failing rows, in place of those of an earlier check of the run."""
    with file.writing(f"keeping rows of {load.name} that fail", staged) as session:
        books.create(session)
        kept = names(file.schema, FAILING)
        session.execute(
            statement("delete from {kept} where run = ? and load = ?", kept=kept), [run, load.name]
        )
        places = dict(fetch(session, statement("select number, place from {d}", d=done_inputs())))
        row = listed(part for one in assigned(load) for part in (sql.Literal(one), names("s", one)))
        for one in FileChecking(load, places, session, file.dialect).broken():
            if not one.rows:
                continue
            add = statement(
                "insert into {kept} (run, load, expectation, input, record, fields)"
                " select ?, ?, ?, (select place from {done} where number = s.{input}),"
                " s.{record}, json_object({row}) {rows}",
                kept=kept, done=done_inputs(), input=names(INPUT), record=names(RECORD), row=row,
                rows=verbatim(one.rows),
            )  # fmt: skip
            words = [run, load.name, one.finding.expectation.described]
            session.execute(add, [*words, *one.given])
