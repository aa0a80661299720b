"""pg_dump's archive as statements, and the phase in which each entry runs.

pg_dump owns PostgreSQL's DDL. Its table of contents gives each entry's text, the objects it
depends on and its owner; what pg_restore would print around it (ALTER ... OWNER TO, the
tablespace, the access method: _printTocEntry in pg_backup_archiver.c) is added here.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

import pgdumplib
from psycopg import sql

from windlass.engines import scratch
from windlass.engines.postgres.pg_dump import PgDump
from windlass.engines.postgres.session import ProgramAccess
from windlass.engines.postgres.syntax import Node, split, to_text, tree_of
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.following import STREAM
from windlass.model.relation import Name
from windlass.model.statement import Phase


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the archive. `catalog` and `oid` identify the catalog row that it describes."""

    id: int
    kind: str
    schema: str
    tag: str  # "orders", "orders orders_pkey", "total(integer)"
    owner: str
    definition: str
    drop: str
    tablespace: str
    access_method: str
    catalog: int
    oid: int
    depends_on: tuple[int, ...]


# entries about the archive or the database itself, and data
_NOT_OURS = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES"}

_POST_DATA = {
    "CHECK CONSTRAINT": Phase.REST,
    "CONSTRAINT": Phase.KEYS,
    "EVENT TRIGGER": Phase.LAST,
    "FK CONSTRAINT": Phase.FOREIGN_KEYS,
    "INDEX": Phase.KEYS,
    "INDEX ATTACH": Phase.ATTACH,
    "POLICY": Phase.REST,
    "PUBLICATION": Phase.REST,
    "PUBLICATION TABLE": Phase.REST,
    "PUBLICATION TABLES IN SCHEMA": Phase.REST,
    "ROW SECURITY": Phase.REST,
    "RULE": Phase.REST,
    "STATISTICS": Phase.KEYS,  # so that the relation's ANALYZE fills them
    "TRIGGER": Phase.REST,
}
# on the database itself, by its name on the source: see `windlass.engines.postgres.database`
_OF_DATABASE = {"ACL", "COMMENT", "SECURITY LABEL"}
_GRANTS = {"ACL", "DEFAULT ACL"}
# entries that are an attribute or a part of the objects they depend on
PARTS = {
    "ACL", "CHECK CONSTRAINT", "COMMENT", "CONSTRAINT", "DEFAULT", "FK CONSTRAINT", "INDEX",
    "INDEX ATTACH", "POLICY", "PUBLICATION TABLE", "ROW SECURITY", "RULE", "SECURITY LABEL",
    "SEQUENCE OWNED BY", "STATISTICS", "TABLE ATTACH", "TRIGGER", "USER MAPPING",
}  # fmt: skip
# kinds that belong to whatever they depend on
ATTRIBUTES = {"ACL", "COMMENT", "SECURITY LABEL", "SEQUENCE OWNED BY"}
RELATION_KINDS = {"TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE"}


# libpq's messages, in English, as pg_dump is started with that
_HUNG_UP = re.compile(
    "server closed the connection|connection to server .* failed|could not receive data from server"
    "|could not send data to server|no connection to the server|connection has been closed"
    "|terminating connection"
)


NO_ROOM = "out of shared memory"
_UNKNOWN = re.compile("syntax error in service file .*, line ([0-9]+)")
_SERVICE = "windlass"
_LONGEST_LINE = 255  # that every libpq reads


def end_dumps() -> None:
    """Kill every pg_dump of this process, from any thread; whoever waits for one gets an error."""
    for dumping in list(Dumping.running):
        dumping.kill()


class Dumping:
    """A pg_dump that runs in parallel and is read when it has finished."""

    running: ClassVar[WeakSet[Dumping]] = WeakSet()

    def __init__(
        self,
        pg_dump: PgDump,
        access: ProgramAccess,
        snapshot_id: str = "",
        leave_out: Iterable[Name] = (),
    ) -> None:
        """Start it. Without a snapshot it takes its own."""
        self.pg_dump, self.snapshot_id = pg_dump, snapshot_id
        self.leave_out = frozenset(leave_out)
        self._entries: list[Entry] | None = None
        self._service = _write_service(access.service)
        self._path = self._service.with_suffix(".dump")
        command = [
            str(pg_dump.path),
            "--schema-only",
            "--format=custom",
            "--compress=0",
            "--encoding=UTF8",
            "--no-password",  # never prompts for a password: it gets the one we have
            "--no-subscriptions",  # their connection strings hold passwords
            *([f"--snapshot={snapshot_id}"] if snapshot_id else []),
            f"--file={self._path}",
            *(f"--exclude-table={_pattern(name)}" for name in sorted(self.leave_out)),
            "--exclude-schema=windlass",
        ]
        self._process = subprocess.Popen(
            command,
            env={
                **_without_place(os.environ),
                **access.variables,
                "PGSERVICEFILE": str(self._service),
                "PGSERVICE": _SERVICE,
                "LC_ALL": "C",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self.running.add(self)

    def entries(self) -> list[Entry]:
        """Wait for pg_dump; returns the archive's entries in its order, which respects
        dependencies. Cached.

        Raises:
            ConnectionLost: the server hung up on pg_dump.
            WindlassError: with pg_dump's last messages.
        """
        if self._entries is not None:
            return self._entries
        try:
            _, errors = self._process.communicate()
            if self._process.returncode:
                raise self._failure(errors)
            found = pgdumplib.load(str(self._path)).entries
            self._entries = [one for one in map(_entry, found) if not _is_of_stream(one)]
            return self._entries
        finally:
            self.close()

    def _failure(self, errors: str) -> WindlassError:
        if found := _UNKNOWN.search(errors):
            line = self._service.read_text().splitlines()[int(found[1]) - 1]
            return WindlassError(
                f"the libpq of pg_dump {self.pg_dump} does not know {line.partition('=')[0]}",
                hint="install newer PostgreSQL client programs, or leave that parameter out",
                side="source",
            )
        if NO_ROOM in errors:  # retryable: other sessions may have released their locks
            return ConnectionLost(
                f"pg_dump failed: {NO_ROOM}, which holds its locks",
                hint="raise max_locks_per_transaction on the server",
                side="source",
            )
        kind = ConnectionLost if _HUNG_UP.search(errors) else WindlassError
        return kind(f"pg_dump failed: {_last_words(errors)}", side="source")

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    def close(self) -> None:
        self.running.discard(self)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        scratch.let_go(self._path, self._service)


def _write_service(parameters: Mapping[str, str]) -> Path:
    """Write a service file with the parameters that have no environment variable in every libpq.
    The folder is private.

    Raises:
        WindlassError: a value that such a file cannot hold.
    """
    lines = [f"{name}={value}" for name, value in parameters.items()]
    for name, value in parameters.items():
        whole = f"{name}={value}"
        if whole != whole.rstrip() or "\n" in whole or len(whole.encode()) > _LONGEST_LINE:
            raise WindlassError(
                f"{name} cannot be handed to pg_dump: it is too long, or has a line break or a"
                " space at its end",
                hint="give it another value",
            )
    path = scratch.folder() / f"{secrets.token_hex(8)}.conf"
    path.touch(mode=0o600)
    path.write_text("\n".join([f"[{_SERVICE}]", *lines, ""]))
    return path


def _without_place(variables: Mapping[str, str]) -> dict[str, str]:
    """Remove what would lead pg_dump elsewhere: to libpq a service overrides any other variable."""
    astray = {"PGSERVICE", "PGHOSTADDR", "PGTARGETSESSIONATTRS", "PGOPTIONS", "PGCLIENTENCODING"}
    return {name: value for name, value in variables.items() if name not in astray}


def _pattern(name: Name) -> str:
    """A name as pg_dump's pattern language takes it literally."""
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in (name.schema, name.name))


def _last_words(errors: str) -> str:
    lines = [line.removeprefix("pg_dump: ") for line in errors.splitlines() if line.strip()]
    return "; ".join(lines[:3]) or "no error message"


def _is_of_stream(entry: Entry) -> bool:
    """Whether it belongs to a run that follows this database."""
    return entry.kind in _OF_STREAMS and STREAM.match(entry.tag) is not None


_OF_STREAMS = {"EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE"}


def _entry(found: pgdumplib.models.Entry) -> Entry:
    return Entry(
        id=found.dump_id,
        kind=found.desc,
        schema=found.namespace or "",
        tag=found.tag or "",
        owner=found.owner or "",
        definition=without_private_options(found.defn or ""),
        drop=found.drop_stmt or "",
        tablespace=found.tablespace or "",
        access_method=found.tableam or "",
        catalog=int(found.table_oid or 0),
        oid=int(found.oid or 0),
        depends_on=tuple(found.dependencies),
    )


def phases(entries: Iterable[Entry]) -> dict[int, Phase]:
    """The phase of each entry that runs, by id.

    pg_dump sorts pre-data before post-data, so a view or function after the first post-data entry
    was postponed because it needs one (a view grouped by a primary key). Nothing runs in an earlier
    phase than its dependencies; a comment runs with its object, after the rows.
    """
    found: dict[int, Phase] = {}
    before, seen_relation = True, False
    order = list(Phase)
    for entry in entries:
        if entry.kind in _NOT_OURS or entry.kind.endswith(" DATA") or not entry.definition:
            continue
        if entry.kind in _OF_DATABASE and entry.tag.startswith("DATABASE "):
            continue
        if entry.kind in _POST_DATA:
            before = False
        seen_relation = seen_relation or entry.kind in RELATION_KINDS
        needs = [found[id_] for id_ in entry.depends_on if id_ in found]
        own = _own_phase(entry, before, seen_relation, needs)
        latest = max(needs, key=order.index, default=Phase.SCHEMA)
        found[entry.id] = max(own, latest, key=order.index)
    return found


def _own_phase(entry: Entry, before: bool, seen_relation: bool, needs: list[Phase]) -> Phase:
    if entry.kind in _POST_DATA:
        return _POST_DATA[entry.kind]
    if entry.kind in _GRANTS:
        return Phase.GRANTS
    if entry.kind in ("COMMENT", "SECURITY LABEL"):
        late = any(phase not in (Phase.SCHEMA, Phase.TABLES) for phase in needs)
        return Phase.REST if late or seen_relation else Phase.SCHEMA
    if not before:
        return Phase.REST
    return Phase.TABLES if seen_relation else Phase.SCHEMA


_OWNED_BY_TAG = {
    "COLLATION", "CONVERSION", "DOMAIN", "FOREIGN TABLE", "MATERIALIZED VIEW", "SEQUENCE",
    "STATISTICS", "TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW",
    "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SERVER", "PROCEDURAL LANGUAGE", "PUBLICATION",
    "SCHEMA",
}  # fmt: skip
_OWNED_BY_DROP = {
    "AGGREGATE", "FUNCTION", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE",
}  # fmt: skip


def owner_statement(entry: Entry) -> str:
    """ALTER ... OWNER TO, or nothing for what has no separate owner (_getObjectDescription)."""
    if not entry.owner or not entry.drop:
        return ""
    if entry.kind in _OWNED_BY_DROP:
        what = entry.drop.strip().removesuffix(";").removeprefix("DROP ")
    elif entry.kind in _OWNED_BY_TAG:
        parts = (entry.schema, entry.tag) if entry.schema else (entry.tag,)
        what = f"{entry.kind} {sql.Identifier(*parts).as_string(None)}"
    else:
        return ""
    return f"ALTER {what} OWNER TO {sql.Identifier(entry.owner).as_string(None)};\n"


_PARTITIONED = re.compile(r"^PARTITION BY ", re.MULTILINE)


def script(entry: Entry, *, owner: bool, tablespace: bool, access_method: bool = True) -> str:
    """The entry's complete text: where it lives, what it is, whose it is."""
    lines = [entry.definition]
    if entry.tablespace and tablespace:
        lines = _with_setting("default_tablespace", entry.tablespace, "", lines)
    if entry.access_method and access_method and _PARTITIONED.search(entry.definition):
        lines.append(_access_method(entry))
    elif access_method and entry.access_method not in ("", "heap"):
        lines = _with_setting("default_table_access_method", entry.access_method, "heap", lines)
    if owner:
        lines.append(owner_statement(entry))
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines if line)


def _access_method(entry: Entry) -> str:
    """A partitioned table has no storage, so the setting that CREATE TABLE uses has no effect on
    it. This sets the access method for its future partitions (17 and newer)."""
    statement = sql.SQL("ALTER TABLE {} SET ACCESS METHOD {};\n").format(
        sql.Identifier(entry.schema, entry.tag), sql.Identifier(entry.access_method)
    )
    return statement.as_string(None)


def _with_setting(name: str, value: str, usual: str, lines: list[str]) -> list[str]:
    """The lines under a setting, which is then reset to what `session_settings` has."""
    statement = sql.SQL("SET LOCAL {} = {};")
    there, back = (
        statement.format(sql.Identifier(name), sql.Literal(word)).as_string(None)
        for word in (value, usual)
    )
    return [there, *lines, back]


_PRIVATE_OPTION = "pg_attver"


def without_private_options(definition: str) -> str:
    """The definition without `pg_attver`, a stamp that some minor releases keep among column
    options (Debian's 15.20 does). Others refuse it, and a pg_dump of another branch shows it.
    """
    if _PRIVATE_OPTION not in definition:
        return definition
    kept = []
    for text in split(definition):
        if _PRIVATE_OPTION in text and (tree := tree_of(text)).tag == "AlterTableStmt":
            tree.cmds = tuple(filter(_without_private_option, tree.cmds))
            text = to_text(tree) if tree.cmds else ""
        kept += [f"{text};\n"] if text else []
    return "".join(kept)


def _without_private_option(command: Node) -> bool:
    """Remove the option from a command; False if it has no other."""
    if not isinstance(command.def_, tuple):
        return True
    command.def_ = tuple(one for one in command.def_ if one.defname != _PRIVATE_OPTION)
    return bool(command.def_)
