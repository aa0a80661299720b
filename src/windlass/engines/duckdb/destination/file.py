"""The DuckDB file that a migration writes: its sessions, and what is in it. While it is open here,
no other process can open it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from windlass.engines.duckdb.destination import asides
from windlass.engines.duckdb.kept_file import KeptFile
from windlass.engines.duckdb.landing.file import DIALECT
from windlass.engines.duckdb.memory import CLOSE_STEPS_MB, LEAST_MB, Memory, limit
from windlass.engines.duckdb.session import explaining, has_too_little_memory
from windlass.engines.embedded.converting.file import TargetFile, flush
from windlass.engines.stopping import Stops
from windlass.errors import WindlassError
from windlass.model.conversion import SetAside
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word

Result = TypeVar("Result")

LEAST_VERSION = 2  # older ones alter no table that others refer to
_MOST_LOG_BYTES = 16 << 20  # DuckDB's own threshold for a checkpoint
_USUALLY = "set wal_autocheckpoint = '16MB'"
IMMEDIATELY = "set wal_autocheckpoint = '1KB'"
"""Until the session ends: a commit writes into the file, and not into the log first, for which
DuckDB would hold a whole new index in memory once more."""
COMMIT_MB: int | None = None
"""DuckDB's own limit, as a commit that lacked memory cannot be repeated."""
_OBJECTS = """
    select 'schema', '', schema_name, null from duckdb_schemas()
     where database_name = current_database() and not internal and schema_name <> 'main'
     union all
    select 'table', schema_name, table_name, sql from duckdb_tables()
     where database_name = current_database() and not internal and not temporary
     union all
    select 'view', schema_name, view_name, sql from duckdb_views()
     where database_name = current_database() and not internal and not temporary
     union all
    select 'index', schema_name, index_name, sql from duckdb_indexes()
     where database_name = current_database()
     union all
    select 'sequence', schema_name, sequence_name, null from duckdb_sequences()
     where database_name = current_database()
     union all
    select 'type', schema_name, type_name, null from duckdb_types()
     where database_name = current_database() and not internal
     union all
    select distinct 'macro', schema_name, function_name, macro_definition
      from duckdb_functions() where database_name = current_database() and not internal"""
_SHARED = ("table", "view", "index", "sequence")  # what a plan makes, each with another name


def name_of(name: Name) -> str:
    """A table's name, as `objects` calls it."""
    return f"table {name}"


def objects(session: Any) -> Mapping[str, str | None]:
    """What is in the database, with its definitions; without our own tables."""
    return {
        f"{kind} {Name(schema, name) if schema else name}": text
        for kind, schema, name, text in session.execute(_OBJECTS).fetchall()
        if not name.startswith("_windlass_")
    }


class DuckDbFile(TargetFile):
    tails = (".wal",)

    def __init__(self, path: str) -> None:
        super().__init__(path, "DuckDB", DIALECT)
        self._kept = {one: KeptFile(str(one)) for one in (self.path, self.building)}
        self._stops, self.memory = Stops(), Memory()

    @contextmanager
    def session(self, path: Path, doing: str) -> Iterator[Any]:
        kept = self._kept[path]
        with (
            explaining(self.place, doing, self._stops),
            self._stops.during(kept.cancel),
            kept.session(f"{self.memory.settings}; {_USUALLY}") as session,
        ):
            yield session

    @contextmanager
    def transaction(self, path: Path, doing: str) -> Iterator[Any]:
        """An error closes the session, which rolls back."""
        with self.session(path, doing) as session:
            session.execute("begin")
            yield session
            session.execute(limit(COMMIT_MB))
            self._commit(session, path, doing)
            with suppress(duckdb.OutOfMemoryException):  # what it holds may be more
                session.execute(self.memory.settings)
            log = Path(f"{path}.wal")
            if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
                session.execute("checkpoint")  # or whoever opens the file needs as much memory

    def _commit(self, session: Any, path: Path, doing: str) -> None:
        """Raises:
        WindlassError: DuckDB lacks memory. It then takes the rows for duplicates when they are
            inserted again, also in another process, so no attempt with more memory can help.
        """
        try:
            session.execute("commit")
        except duckdb.Error as error:
            if not has_too_little_memory(error):
                raise
            raise WindlassError(
                f"{path}: {doing}: DuckDB lacks memory for the commit, and cannot insert these rows"
                " any more",
                hint=f"free memory on this machine; then undo the run, or {word('restart')}",
            ) from None

    def with_memory(self, call: Callable[[], Result]) -> Result:
        return self.memory.enough(call, LEAST_MB, CLOSE_STEPS_MB)

    def found(self, session: Any) -> tuple[frozenset[str], list[Problem]]:
        found = session.execute(_OBJECTS).fetchall()
        names = [f"{schema}.{name}" for kind, schema, name, _ in found if kind in _SHARED]
        return frozenset(one.lower() for one in names), []

    def make(self) -> None:
        """Raises:
        WindlassError: this version of DuckDB cannot do what a migration needs.
        """
        if int(duckdb.__version__.partition(".")[0]) < LEAST_VERSION:
            raise WindlassError(
                f"DuckDB {duckdb.__version__} cannot change tables that others refer to",
                hint=f"pip install 'duckdb>={LEAST_VERSION}'",
            )
        with self.transaction(self.building, "making the file"):
            """Opening it makes it."""

    def complete(self) -> None:
        with self.session(self.building, "ending the file") as session:
            session.execute("checkpoint")
        self._kept[self.building].close()

    # a file that another one replaces

    def aside_of(self, run: str) -> Path:
        return self.path.with_name(f"{self.path.name}-windlass-{run}")

    def place_it(self, run: str) -> None:
        """As for any file; one that the run replaces keeps another name.

        Raises:
            WindlassError: the file has got more since the plan.
        """
        set_aside = self._set_aside(run)
        if not set_aside or not self.path.exists():
            super().place_it(run)
            return
        self.complete()
        flush(self.building)
        with self._settled(f"setting {self.path} aside") as session:
            asides.check(objects(session), set_aside)
            self._keep(self.aside_of(run))
            self.building.replace(self.path)
        flush(self.path.parent)

    def _keep(self, aside: Path) -> None:
        """Give the file its other name as well; if the file system has no hard links, instead."""
        if aside.exists() and aside.samefile(self.path):
            return  # killed after that
        try:
            aside.hardlink_to(self.path)
        except FileExistsError:
            raise
        except OSError:
            self.path.rename(aside)
        flush(self.path.parent)

    def _set_aside(self, run: str) -> list[SetAside]:
        found = self.read(run)
        planned = found.plan.get("set_aside", ()) if found else ()
        return [SetAside(**one) for one in planned]

    @contextmanager
    def _settled(self, doing: str) -> Iterator[Any]:
        """A session with the file in its place, which keeps other processes out, and with nothing
        in a log: a log would be taken for the next file's."""
        try:
            with self.session(self.path, doing) as session:
                session.execute("checkpoint")
                if Path(f"{self.path}.wal").exists():
                    raise WindlassError(f"{self.path} has a log that DuckDB does not write into it")
                yield session
        finally:
            self._kept[self.path].close()

    def remove(self, run: str) -> None:
        """Remove the run's file, or put back what it has replaced, in one step."""
        aside = self.aside_of(run)
        if not aside.exists():
            super().remove(run)
        elif self.is_building:
            super().remove(run)
            if not self.path.exists():
                aside.rename(self.path)
            elif aside.samefile(self.path):
                aside.unlink()
        else:
            with self._settled("putting the earlier file back"):
                aside.replace(self.path)
        flush(self.path.parent)

    def close(self) -> None:
        for one in self._kept.values():
            one.close()

    def cancel(self) -> None:
        self._stops.cancel()
        for one in self._kept.values():
            one.cancel()
