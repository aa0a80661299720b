"""What ended runs of loads have left in the file: before-images, refused rows, their lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from windlass.engines.embedded.books import Books
from windlass.engines.embedded.dialect import Session
from windlass.engines.embedded.file import File
from windlass.engines.embedded.names import stage_file, undo_table
from windlass.engines.incoming.past import check_ended, left_by
from windlass.engines.landing import APPLIED, STAGED
from windlass.engines.statements import names, statement
from windlass.errors import Refused
from windlass.model.load import LoadRun
from windlass.model.past import Left
from windlass.model.relation import Name
from windlass.model.report import Problem


def read_left(file: File, books: Books, run: str = "") -> list[Left]:
    """What all ended runs have left, or one of them.

    Raises:
        Refused: no such run is known, or it is unfinished.
    """
    runs = {}
    if file.is_there:
        with file.reading("reading its runs") as session:
            runs = {one.run: one for one in books.runs(session)}
    if run and run not in runs:
        raise Refused([Problem(f"run {run}", f"is not known in {file.place}")])
    if run:
        check_ended(run, runs[run].state)
    return left_by(runs.values(), run)


def clean(file: File, books: Books, lefts: Sequence[Left]) -> None:
    """Remove it, and forget the runs."""
    for one in lefts:
        with file.writing(f"cleaning up after run {one.run}") as session:
            found = books.read(session, one.run)
            if found is None:
                continue
            _drop(file, session, found)
            books.forget(session, one.run)


def _drop(file: File, session: Session, run: LoadRun) -> None:
    loads = set(run.lines.get(APPLIED, {}))
    for load in loads:
        name = Name(file.schema, undo_table(run.run, load))
        schema = run.lines[APPLIED][load]["table"][0]
        if file.dialect.columns(session, Name(schema, name.name)):
            session.execute(statement("drop table {t}", t=names(schema, name.name)))
    staged = {item.rpartition(" ")[0] for item in run.lines.get(STAGED, {})}
    for load in loads | staged:
        remove_staged(stage_file(file.path, run.run, load))


def remove_staged(staged: Path) -> None:
    for tail in ("", "-journal", "-wal", "-shm", ".wal"):
        Path(f"{staged}{tail}").unlink(missing_ok=True)
