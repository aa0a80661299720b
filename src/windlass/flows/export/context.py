"""The context of the flow `export`: what is exported, in which snapshot, to where.

Nothing is journalled on the source, which is only read: what an extract has done stands in its
manifest, what a load has done in the warehouse.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import re
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from pydantic import TypeAdapter

from windlass.engines.objects.store import ObjectStore
from windlass.engines.postgres import catalog
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.extract import (
    Described,
    Dialect,
    column_of,
    describe,
    from_item,
    select,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.snapshot import SnapshotHolder, enter
from windlass.engines.warehouse.base import OURS, Warehouse
from windlass.engines.warehouse.opening import open_warehouse
from windlass.errors import BadSpec, Interrupted, Refused, SnapshotLost, Unreachable, WindlassError
from windlass.flows.export.outline import EXPORT
from windlass.flows.migrate.context import new_run_id, when_up
from windlass.model.event import Emit, Event, FlowPlanned, Noticed, ignore
from windlass.model.export import Export, Manifest
from windlass.model.flow import Handover, Item, Result
from windlass.model.outcome import Outcome, RelationOutcome, State
from windlass.model.relation import Kind as RelationKind
from windlass.model.relation import Relation
from windlass.model.report import Difference, Loss, LossClass, Problem
from windlass.model.snapshot import Snapshot
from windlass.planning.postgres.select import matches
from windlass.spec.choices import Unmatched
from windlass.spec.export import ExportSpec, RelationSpec

_EXPORTS = TypeAdapter(tuple[Export, ...])
_MANIFEST = TypeAdapter(Manifest)
MANIFEST = "manifest.json"
_SPELLING = "check the spelling; `unmatched: ignore` lets such patterns pass"
_TIME = re.compile(r"timestamp|date$")  # types of a watermark that a moment can be compared with
_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
# what a pattern means without being asked for by name; a partition's rows are its root's
_PLAIN = (RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW)


class Exporting:
    """One process's part in an export. Use as a context manager."""

    def __init__(
        self,
        spec: ExportSpec,
        emit: Emit = ignore,
        *,
        caller: str = "",
        patient: bool = False,
        run: str = "",
    ) -> None:
        """Connects to nothing yet. A run is that of its `caller`, or has its own id.

        Raises:
            BadSpec: source or warehouse cannot be read, or the run's name cannot be a folder's.
        """
        if run and not _RUN.fullmatch(run):
            raise BadSpec([f"run: {run!r} is not one word of letters, digits, `_`, `-` and `.`"])
        if spec.source is None:
            raise BadSpec(["no source: give --source, or set WINDLASS_SOURCE"])
        self.spec, self._emit, self._patient = spec, emit, patient
        self.address = Address.parse("source", spec.source.get_secret_value())
        self.store = ObjectStore(spec.to, spec.store_options)
        self.warehouse: Warehouse | None = None
        if spec.warehouse is not None:
            self.warehouse = open_warehouse(spec.warehouse.get_secret_value(), spec.into)
        self._named = bool(run) and not patient  # by a person, who may have mistyped it
        self.run = run or (run_of(caller, self._destination) if caller else new_run_id())
        self.exports: tuple[Export, ...] = ()
        self.steps: tuple[str, ...] = ()
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)
        self.snapshot = Snapshot(0, "", "", "")
        self.notices: list[str] = []
        self._holder: SnapshotHolder | None = None
        self._lock = threading.Lock()
        self._open: list[Any] = []  # what `cancel` stops
        self._cancelled = False
        self._started = time.perf_counter()
        self._source_name = str(self.address)
        self._source_identity = ""
        self._relations: Sequence[Relation] = ()
        self._settled = ("", "UTC")  # before this moment nothing is stamped; and its time zone

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        if self._holder:
            self._holder.close()
        if self.warehouse is not None:
            self.warehouse.__exit__(*fault)

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.spec.warehouse_kind or "files")

    def export(self, name: str) -> Export:
        return next(one for one in self.exports if one.name == name)

    def folder(self, export: Export) -> str:
        """Of one relation and run: two never mix, not even where their sources' or warehouses'
        runs have the same name."""
        return f"{slug(export.name)}/{self.run}-{_short(export.source, self._destination)[:8]}"

    @property
    def _destination(self) -> str:
        return f"{self.warehouse.place} {self.spec.into}" if self.warehouse else ""

    def assets(self, export: Export) -> list[dict[str, str]]:
        """Where a scheduler's other work finds what has arrived."""
        url = self.spec.warehouse.get_secret_value() if self.spec.warehouse else ""
        match self.spec.warehouse_kind:
            case "bigquery":
                parts = urlsplit(url)
                return [{"uri": f"bigquery://{parts.netloc}{parts.path}/{export.table}"}]
            case "duckdb":
                schema = self.spec.into or "main"
                path = urlsplit(url).path.lstrip("/")
                return [{"uri": f"duckdb:///{path}/{schema}/{export.table}"}]
            case "postgres":
                words = Address.parse("warehouse", url).words
                if not words.get("host"):  # by a service, or a socket: a place of this machine's
                    return []
                place = f"{words['host']}:{words.get('port', 5432)}"
                database = words.get("dbname") or words.get("user", "")
                return [
                    {
                        "place": place,
                        "database": database,
                        "schema": self.spec.into or "public",
                        "table": export.table,
                    }
                ]
        return []

    def manifest(self, export: Export) -> Manifest | None:
        """What the extract of this run has written, if it is through."""
        found = self.store.get(f"{self.folder(export)}/{MANIFEST}")
        return _MANIFEST.validate_json(found) if found else None

    def write_manifest(self, export: Export, manifest: Manifest) -> None:
        text = json.dumps(asdict(manifest), indent=1).encode()
        self.store.put(f"{self.folder(export)}/{MANIFEST}", text)

    @contextmanager
    def reading(self, export: Export) -> Iterator[Connection]:
        """A session of this thread's in the run's snapshot."""
        connection = self.address.connect(Role.SOURCE, f"windlass export {self.run}")
        with connection, self.stoppable(connection.cancel_safe):
            enter(connection, self.snapshot.id)
            yield connection

    @property
    def has_begun(self) -> bool:
        return bool(self.exports)

    @property
    def run_id(self) -> str:
        return self.run

    @property
    def ended(self) -> State | None:
        """An export has no journal: its files say what is done."""
        return None

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def end(self, state: State, outcome: Outcome) -> None:
        """As `ended`."""

    def hand_over(self) -> Handover:
        return Handover({"run": self.run}, "resuming in a new snapshot")

    def watching(self) -> AbstractContextManager[None]:
        """It reads, and locks nothing that others read or write."""
        return nullcontext()

    @contextmanager
    def stoppable(self, stop: Any) -> Iterator[None]:
        """While it lasts, `cancel` calls `stop`."""
        with self._lock:
            if self._cancelled:
                raise Interrupted("stopped on request")
            self._open.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(stop)

    # the beginning

    def begin(self) -> None:
        """Take the snapshot, and find out everything that would be in the way.

        Raises:
            Refused: with every problem; nothing was written.
            Unreachable: nothing but that the source cannot be reached for now.
        """
        if self.exports:
            return
        problems: list[Problem] = []
        passing = 0  # of the problems
        exports: list[Export] = []
        try:
            self._hold()
        except WindlassError as error:
            if self._patient and error.retryable:
                raise
            problems.append(Problem("source", str(error), error.hint))
            passing += error.retryable
        else:
            exports, found = self._plan()
            problems += found
        try:
            self.store.check()
        except WindlassError as error:
            problems.append(Problem("to", str(error), error.hint))
        if self.warehouse is not None:
            problems += self.warehouse.problems(exports)
        if problems and passing == len(problems):
            raise Unreachable(problems)
        if problems:
            raise Refused(problems)
        self.exports = tuple(self._with_watermarks(exports))
        self._lock_relations({one.relation for one in exports})
        self._tell_plan()
        if self._named:
            self._tell_whether_it_goes_on()

    def _tell_whether_it_goes_on(self) -> None:
        is_known = any(
            self.manifest(one) or (self.warehouse and self.warehouse.loaded(self.run, one))
            for one in self.exports
        )
        self.emit(Noticed(
            f"run {self.run} resumes: what it has not read yet is read in a new snapshot"
            if is_known
            else f"run {self.run} begins: it has left nothing to resume"
        ))  # fmt: skip

    def _hold(self, number: int = 1) -> None:
        if self._holder is None:
            if self.warehouse is not None and any(one.watermark for one in self.spec.relations):
                self._settled = when_up(self._read_settled)
            self._holder = when_up(lambda: SnapshotHolder(self.address, "windlass snapshot"))
        self.snapshot = self._holder.numbered(number)

    def _read_settled(self) -> tuple[str, str]:
        """A moment before which no running transaction can have stamped rows that the snapshot,
        which is taken after this, does not show; and the zone of stamps without one."""
        try:
            with self.address.connect(Role.SOURCE, "windlass watermark") as connection:
                row = connection.execute(_SETTLED).fetchone()
        except psycopg.Error as error:
            raise explain(error, "reading who is writing", side="source") from error
        assert row is not None
        moment, zone, is_blind, is_standby = row
        blind = [one for one in self.spec.relations if one.watermark and not one.overlap_seconds]
        if blind and (is_blind or is_standby):
            told = "who writes to a standby's primary" if is_standby else "since when others write"
            self.emit(Noticed(
                f"watermarks: {told} cannot be seen: a row that is committed later than it was"
                " stamped may be missed; give overlap-seconds"
                f"{'' if is_standby else ', or grant pg_read_all_stats'}"
            ))  # fmt: skip
        return str(moment), str(zone)

    def _plan(self) -> tuple[list[Export], list[Problem]]:
        assert self._holder is not None
        found = catalog.read_catalog(self._holder.connection)
        self._relations = found.relations
        self._source_name = str(found.server)
        self._source_identity = found.server.identity
        problems: list[Problem] = []
        chosen: dict[str, tuple[RelationSpec, Relation | None]] = {}
        for one in self.spec.relations or (RelationSpec(name="*"),):
            if one.query:
                chosen[one.name] = (one, None)
                continue
            matching = [r for r in found.relations if self._matches(one.name, r)]
            if not matching:
                problems.append(Problem(one.name, "names no relation of the source"))
            for relation in matching:
                chosen[str(relation.name)] = (one, relation)
        exports, seen, is_all_seen = [], [], True
        for name, (one, of) in chosen.items():
            try:
                described = self._described(name, one, of)
                seen += [(of.name.plain if of else name, column.name) for column in described]
                exports.append(self._export(name, one, of, described))
            except BadSpec as error:
                problems += [Problem(name, fault) for fault in error.faults]
            except WindlassError as error:
                problems.append(Problem(name, str(error), error.hint))
                is_all_seen = False
        problems += self._unmatched(found.relations, seen if is_all_seen else None)
        unreadable = [r for _, r in chosen.values() if r and r.name in found.unreadable]
        problems += [Problem(str(r.name), "may not be read", "grant select") for r in unreadable]
        hiding = [r for _, r in chosen.values() if r and r.name in found.hiding]
        problems += [
            Problem(str(r.name), "row security hides rows", "use a role with BYPASSRLS")
            for r in hiding
        ]
        if self.warehouse is not None:
            problems += [
                Problem(one.name, f"{one.table} is a name of windlass's own", "give `table`")
                for one in exports
                if one.table.lower().startswith(OURS)
            ]
        tables = Counter(one.table for one in exports)
        problems += [
            Problem(table, f"{count} relations would be loaded into this table", "give `table`")
            for table, count in tables.items()
            if count > 1 and self.warehouse is not None
        ]
        return exports, problems

    def _matches(self, pattern: str, relation: Relation) -> bool:
        if any(matches(relation.name, one) for one in self.spec.exclude):
            return False
        if relation.name.plain == pattern:
            return True
        is_plain = relation.kind in _PLAIN and relation.partition_of is None
        if relation.name.name.startswith(OURS):
            return False  # a source that is a warehouse itself has its own records
        return is_plain and matches(relation.name, pattern)

    def _unmatched(
        self, relations: Sequence[Relation], columns: Sequence[tuple[str, str]] | None
    ) -> Iterator[Problem]:
        """Words that name nothing: what was to be hidden would be exported in clear. `columns` are
        those of all relations that were chosen; None where some could not be looked at."""
        if self.spec.unmatched is Unmatched.IGNORE:
            return
        for pattern in self.spec.exclude:
            if not any(matches(one.name, pattern) for one in relations):
                yield Problem(f"exclude: {pattern}", "names no relation of the source", _SPELLING)
        if columns is None:
            return
        for word, patterns in (("mask", self.spec.mask), ("leave-out", self.spec.leave_out)):
            for pattern in patterns:
                if not any(_names((pattern,), *column) for column in columns):
                    yield Problem(
                        f"{word}: {pattern}", "names no column of these relations", _SPELLING
                    )

    def _described(
        self, name: str, one: RelationSpec, relation: Relation | None
    ) -> Sequence[Described]:
        """The columns that there are.

        Raises:
            WindlassError: the server cannot make sense of the query.
        """
        assert self._holder is not None
        every = select(self._bare(name, one, relation), [sql.SQL("*")])
        return describe(self._holder.connection, every, name)

    def _bare(self, name: str, one: RelationSpec, relation: Relation | None) -> Export:
        table = one.table or (relation.name.name if relation else name)
        item = _from_item(one, relation)
        return Export(name, table, item, (), "truncate", relation=name if relation else "")

    def _export(
        self,
        name: str,
        one: RelationSpec,
        relation: Relation | None,
        described: Sequence[Described],
    ) -> Export:
        """Raises:
        BadSpec: with every fault of the relation's own words.
        """
        bare = self._bare(name, one, relation)
        not_null = {c.name for c in relation.columns if c.not_null} if relation else set()
        names = [column.name for column in described]
        mark = (one.watermark,) if one.watermark else ()
        given = {"columns": one.columns, "text": one.text, "key": one.key, "watermark": mark}
        faults = _unknown(names, given)
        twice = [column for column, count in Counter(names).items() if count > 1]
        faults += [f"two columns are called {column}" for column in twice]
        plain = relation.name.plain if relation else name
        columns = [
            column_of(
                column,
                self.dialect,
                not_null=column.name in not_null,
                text=column.name in one.text,
                mask=_names(self.spec.mask, plain, column.name),
            )
            for column in described
            if not (one.columns and column.name not in one.columns)
            and not _names(self.spec.leave_out, plain, column.name)
        ]
        if one.columns:
            columns.sort(key=lambda column: one.columns.index(column.name))
        disposition = self.spec.disposition_of(one)
        key = one.key or (relation.keyset if relation else ())
        if disposition == "merge":
            if not key:
                faults.append("has no key to merge by: give `key`")
            kept = {column.name for column in columns if not column.mask}
            faults += [f"key: {part} is left out or masked" for part in key if part not in kept]
        types = {column.name: column.type for column in described}
        if one.overlap_seconds and not _TIME.match(types.get(one.watermark, "date")):
            faults.append(
                f"overlap-seconds: {one.watermark} is {types[one.watermark]}, not a time or date"
            )
        if not columns:
            faults.append("has no columns left to export")
        if faults:
            raise BadSpec(faults)
        require = one.require_rows if one.require_rows is not None else self.spec.require_rows
        return replace(
            bare,
            columns=tuple(columns),
            disposition=str(disposition),
            key=tuple(key) if disposition == "merge" else (),
            watermark=one.watermark,
            since=str(one.overlap_seconds) if one.watermark else "",
            require_rows=require,
            size_bytes=relation.size_bytes if relation else 0,
            rows=relation.rows if relation else -1,
            source=self._source_identity,
        )

    def _with_watermarks(self, exports: Sequence[Export]) -> Iterator[Export]:
        """Where the last run ended, and where this one will. As text: the source's own type.

        A mark of time ends where somebody may still be writing, and never in the future or at
        infinity, as nothing would come after that.
        """
        assert self._holder is not None
        for one in exports:
            if not one.watermark or self.warehouse is None:
                yield one
                continue
            overlap, last = float(one.since), self.warehouse.watermark(one)
            mark = sql.Identifier(one.watermark)
            item = from_item(replace(one, watermark=""))
            try:
                type_ = self._value(
                    sql.SQL("select pg_typeof(max({})) from {} where false").format(mark, item)
                )
                most = sql.SQL("max({})").format(mark)
                if _TIME.match(type_):
                    moment, zone = map(sql.Literal, self._settled)
                    settled = sql.SQL("{}::timestamptz").format(moment)
                    if not type_.endswith("with time zone"):
                        settled = sql.SQL("({} at time zone {})").format(settled, zone)
                    most = sql.SQL(
                        "case when {0} is not null then least({0}, {1}::{2}) end"
                    ).format(most, settled, sql.SQL(type_))
                highest = self._value(sql.SQL("select ({})::text from {}").format(most, item))
                if last and overlap:
                    last = self._value(
                        sql.SQL(
                            "select ({}::timestamptz - make_interval(secs => {}))::text"
                        ).format(sql.Literal(last), sql.Literal(overlap))
                    )
            except psycopg.Error as error:
                raise explain(
                    error, f"reading the watermark of {one.name}", side="source"
                ) from error
            yield replace(one, since=last, upto=highest or last)

    def _lock_relations(self, chosen: Collection[str]) -> None:
        """DROP and TRUNCATE are not covered by a snapshot: they wait until it is let go."""
        assert self._holder is not None
        names = {one.name for one in self._relations if str(one.name) in chosen}
        while more := {
            one.name for one in self._relations if one.partition_of in names
        } - names:  # fmt: skip
            names |= more
        kinds = (RelationKind.TABLE, RelationKind.PARTITIONED)
        self._holder.lock(
            one.name for one in self._relations if one.name in names and one.kind in kinds
        )

    def _value(self, query: sql.Composed) -> str:
        assert self._holder is not None
        row = self._holder.connection.execute(query).fetchone()
        return str(row[0]) if row and row[0] is not None else ""

    def _tell_plan(self) -> None:
        self.emit(
            FlowPlanned(
                self.run,
                {one.name: one.size_bytes for one in self.exports},
                {one.name: max(one.rows, 0) for one in self.exports},
                source=self._source_name,
                target=self.warehouse.place if self.warehouse else self.store.url,
                flow=EXPORT.name,
                doing=EXPORT.words.doing,
                steps=self.steps,
                copy_steps=EXPORT.copies,
            )
        )

    # what the runner and other processes ask for

    def emit(self, event: Event) -> None:
        if isinstance(event, Noticed):
            self.notices.append(event.message)
        self._emit(event)

    def finished(self, step: str) -> Mapping[str, Result]:
        """Each step looks for itself: at the manifest, at the warehouse."""
        return {}

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.results[step][item.id] = result

    def recover(self, error: WindlassError) -> None:
        """Every step opens what it needs again; but the snapshot has to live."""
        if isinstance(error, SnapshotLost):
            raise error
        if self._holder is not None and not self._holder.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            stops = list(self._open)
        for stop in stops:
            with suppress(Exception):  # what cannot be stopped ends by itself
                stop()
        if self.warehouse is not None:
            self.warehouse.cancel()

    def leave(self) -> None:
        """A worker's thread holds nothing between items."""

    def keep(self) -> None:
        """Raises:
        SnapshotLost: the source has ended the session that held it.
        """
        if self._holder is not None and not self._holder.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")

    @property
    def ticket(self) -> Result:
        plan = base64.b85encode(zlib.compress(_EXPORTS.dump_json(self.exports))).decode()
        return {"run": self.run, "plan": plan, "snapshot": asdict(self.snapshot)}

    def join(self, ticket: Result) -> None:
        """Work in the run of a ticket. That its snapshot is gone shows when it is read."""
        self.run = ticket["run"]
        self.exports = _EXPORTS.validate_json(zlib.decompress(base64.b85decode(ticket["plan"])))
        self.snapshot = Snapshot(**ticket["snapshot"])

    def stand_in(self, ticket: Result) -> None:
        """Read what is not extracted yet in a snapshot of this process's own."""
        self.join(ticket)
        self._hold(self.snapshot.number + 1)
        assert self._holder is not None
        self._relations = catalog.read_catalog(self._holder.connection).relations
        self._lock_relations({one.relation for one in self.exports})

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        return {}

    # the end

    @property
    def differences(self) -> list[Difference]:
        return [
            Difference.from_json(one)
            for result in self.results["check_rows"].values()
            for one in result.get("differences", ())
        ]

    def outcome(self, state: State, message: str = "", hint: str = "") -> Outcome:
        extracted, loaded = self.results["extract"], self.results["load"]
        proof = "rows" if self.warehouse else "files"
        losses = [
            Loss(f"{name}.{column}", what, LossClass.VALUES)
            for name, result in extracted.items()
            for column, what in result.get("losses", {}).items()
        ]
        return Outcome(
            run=self.run,
            state=state,
            seconds=time.perf_counter() - self._started,
            relations=tuple(
                RelationOutcome(
                    source=one.name,
                    target=one.table if self.warehouse else self.store.place(self.folder(one)),
                    rows=int(found.get("rows", 0)),
                    bytes=int(found.get("bytes", 0)),
                    chunks=int(found.get("files", 0)),
                    seconds=float(found.get("seconds", 0.0)),
                    snapshots=(int(found.get("snapshot", 1)),),
                    verified=proof if one.name in loaded else "",
                )
                for one in self.exports
                for found in (extracted.get(one.name, {}),)
            ),
            losses=tuple(losses),
            notices=tuple(self.notices),
            snapshots=(self.snapshot,),
            verified=proof if state is State.DONE else "",
            source=self._source_name,
            target=self.warehouse.place if self.warehouse else self.store.url,
            message=message,
            hint=hint,
        )


# In the session's own zone. Who may not see others' sessions has NULL for when they began.
_SETTLED = """
select least(clock_timestamp(), min(xact_start),
             (select min(prepared) from pg_prepared_xacts where database = current_database())
            )::text,
       (select reset_val from pg_settings where name = 'TimeZone'),
       coalesce(bool_or(query = '<insufficient privilege>'), false),
       pg_is_in_recovery()
  from pg_stat_activity
 where datname = current_database()
   and pid <> pg_backend_pid()
   and coalesce(backend_type, '') not in ('autovacuum worker', 'walsender')
"""


def _from_item(one: RelationSpec, relation: Relation | None) -> str:
    """What stands after FROM. Children of a relation are separate relations, unless they are
    its partitions."""
    if relation is None:
        text = sql.SQL("({}\n) as windlass_query").format(sql.SQL(one.query.rstrip("; \n")))
    else:
        only = "only " if relation.has_children and relation.kind is RelationKind.TABLE else ""
        name = sql.Identifier(relation.name.schema, relation.name.name)
        text = sql.SQL("{}{}").format(sql.SQL(only), name)
    if one.where:
        text = sql.SQL("(select * from {} where {}\n) as windlass_some").format(
            text, sql.SQL(one.where)
        )  # fmt: skip
    return text.as_string(None)


def _names(patterns: Sequence[str], relation: str, column: str) -> bool:
    """Shell patterns on ``schema.relation.column``, or on its end: without a dot on the column's
    name alone, as everywhere on a relation's."""
    whole = f"{relation}.{column}"
    return any(
        fnmatch.fnmatchcase(whole, pattern) or fnmatch.fnmatchcase(whole, f"*.{pattern}")
        if "." in pattern
        else fnmatch.fnmatchcase(column, pattern)
        for pattern in patterns
    )


def _unknown(names: Sequence[str], given: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"{word}: there is no column {one}"
        for word, some in given.items()
        for one in some
        if one not in names
    ]


def run_of(caller: str, destination: str) -> str:
    """A scheduler's own run always has the same id: a retry finds what was done. Two schedulers
    may have runs of the same name."""
    return f"run_{_short(caller, destination)[:16]}"


def _short(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def slug(name: str) -> str:
    """A relation's name as a folder's: told apart even where letters had to be replaced."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    mark = hashlib.sha256(name.encode()).hexdigest()[:6]
    return plain if plain == name else f"{plain}-{mark}"
