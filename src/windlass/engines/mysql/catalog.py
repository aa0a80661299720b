"""The structure of a database of MySQL or MariaDB, from its catalog.

Decides what the notation of each server means for defaults and expressions; translates nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from windlass.engines.mysql.beyond import lost_of, lost_of_view, unseen_with
from windlass.engines.mysql.quoting import Quoted, part
from windlass.engines.mysql.rights import read_rights
from windlass.engines.mysql.session import Session
from windlass.model.relation import Name
from windlass.model.report import Loss
from windlass.model.translation import (
    Check,
    ForeignKey,
    Index,
    IndexPart,
    Key,
    SourceColumn,
    SourceSchema,
    SourceTable,
    SourceView,
)

IN_SNAPSHOT = ("InnoDB", "ROCKSDB")  # storage engines whose reads are in a transaction's snapshot
_CHECKS_SINCE = (8, 0, 16)
_EXPRESSIONS_SINCE = (8, 0, 13)
_KINDS = {"FULLTEXT": "full-text", "SPATIAL": "spatial", "RTREE": "spatial", "VECTOR": "vector"}
# _utf8mb4'x': the character set of a literal, which an expression carries
_INTRODUCER = re.compile(r"\b_utf8(?:mb3|mb4)?\s*(?=')")
_JSON = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)", re.IGNORECASE)
# as both servers write it: one definition a line, names always in backticks
_FOREIGN = re.compile(
    r"^ +CONSTRAINT (?P<name>`(?:[^`]|``)+`) FOREIGN KEY"
    r" \((?P<columns>(?:`(?:[^`]|``)+`(?:, )?)+)\)"
    r" REFERENCES (?P<to>(?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`)"
    r" \((?P<referred>(?:`(?:[^`]|``)+`(?:, )?)+)\)(?P<rules>[A-Z ]*)",
    re.MULTILINE,
)
_NAME = re.compile(r"`((?:[^`]|``)+)`")
_RULE = re.compile(r"ON (UPDATE|DELETE) (RESTRICT|CASCADE|SET NULL|SET DEFAULT|NO ACTION)")
_BARE = re.compile(
    r"(?:tiny|small|medium|big)?int|decimal|float|double|year|bit", re.IGNORECASE
)  # types whose defaults MySQL writes as they are

Fields = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """`unsafe` are tables that a snapshot does not cover, with their storage engines; `unseen`,
    what the user may not see of the database."""

    schema: SourceSchema
    unsafe: tuple[tuple[Name, str], ...]
    unseen: tuple[str, ...] = ()


def read_names(session: Session) -> tuple[Name, ...]:
    """The names of the database's tables."""
    return tuple(
        Name(session.address.database, one["name"])
        for one in _read(session, "tables")
        if one["kind"] != "SEQUENCE"
    )


def read_schema(session: Session) -> Found:
    """All that the database has."""
    database = session.address.database
    tables = _read(session, "tables")
    parts = _Parts(session)
    found: list[SourceTable] = []
    lost: list[tuple[Name, Loss]] = []
    for one in filter(_is_table, tables):
        name, text = Name(database, one["name"]), _definition(session, one["name"])
        found.append(_table(name, one, parts, text))
        columns = parts.columns[name.name]
        lost += [(name, loss) for loss in lost_of(name, text, columns, one["engine"])]
    views = [
        SourceView(
            Name(database, one["name"]),
            tuple(column["name"] for column in parts.columns[one["name"]]),
            _plain(one["query"]),
            tuple(_column(each, parts.is_mariadb, set()) for each in parts.columns[one["name"]]),
            tuple(lost_of_view(Name(database, one["name"]), one)),
        )
        for one in _read(session, "views")
    ]
    others = [(one["kind"], Name(database, one["name"])) for one in _read(session, "others")]
    others += [("view without text", one.name) for one in views if not one.query]
    others += parts.unenforced
    for one in tables:
        others += [(kind, Name(database, one["name"])) for kind in _beyond(one)]
    return Found(
        SourceSchema(
            tuple(found), tuple(one for one in views if one.query), tuple(others), tuple(lost)
        ),
        tuple(
            (Name(database, one["name"]), one["engine"])
            for one in tables
            if _is_table(one) and one["engine"] not in IN_SNAPSHOT
        ),
        unseen_with(_rights(session, database)),
    )


def _rights(session: Session, database: str) -> set[str]:
    return read_rights(
        lambda query: session.run(query),
        database,
        is_mariadb=session.is_mariadb,
        version=session.version,
    )


def _is_table(one: Fields) -> bool:
    return bool(one["kind"] != "SEQUENCE")


def _beyond(one: Fields) -> list[str]:
    """Features of a table that are not translated."""
    kinds = {"SEQUENCE": "sequence", "SYSTEM VERSIONED": "history of a system-versioned table"}
    beyond = [kinds[one["kind"]]] if one["kind"] in kinds else []
    return beyond + (["partitioning"] if one["is_partitioned"] == "1" else [])


class _Parts:
    """Parts of tables, by the table's name."""

    def __init__(self, session: Session) -> None:
        self.is_mariadb = session.is_mariadb
        self.columns = _by_table(_read(session, "columns"))
        has_expressions = not self.is_mariadb and session.version >= _EXPRESSIONS_SINCE
        kind = "mysql" if has_expressions else "mariadb"
        self.indexes = _by_table(_read(session, f"indexes_{kind}"))
        checks: list[Fields] = []
        if self.is_mariadb or session.version >= _CHECKS_SINCE:
            checks = _read(session, "checks_mariadb" if self.is_mariadb else "checks_mysql")
        self.unenforced = [
            ("check that is not enforced", Name(session.address.database, one["name"]))
            for one in checks
            if one["is_enforced"] != "1"
        ]
        self.checks = _by_table(one for one in checks if one["is_enforced"] == "1")


def _definition(session: Session, name: str) -> str:
    row = session.one(part("show create table {}", Quoted(session.address.database, name)))
    return (row[1] or b"").decode("utf-8", "surrogateescape")


def _foreign_keys(text: str, database: str) -> tuple[ForeignKey, ...]:
    """Read from SHOW CREATE TABLE: the catalog's views are empty for users that may only read the
    table."""
    return tuple(_foreign_key(found, database) for found in _FOREIGN.finditer(text))


def _foreign_key(found: re.Match[str], database: str) -> ForeignKey:
    *schema, table = _names(found["to"])
    rules = dict(_RULE.findall(found["rules"]))
    return ForeignKey(
        _names(found["name"])[0],
        _names(found["columns"]),
        Name(schema[0] if schema else database, table),
        _names(found["referred"]),
        rules.get("UPDATE", "NO ACTION"),
        rules.get("DELETE", "NO ACTION"),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.replace("``", "`") for one in _NAME.findall(text))


def _table(name: Name, one: Fields, parts: _Parts, text: str) -> SourceTable:
    checks = [(one["name"], _plain(one["expression"])) for one in parts.checks[name.name]]
    # MariaDB's JSON is longtext with this check
    json = {found[1].replace("``", "`") for _, text in checks if (found := _JSON.fullmatch(text))}
    columns = tuple(_column(each, parts.is_mariadb, json) for each in parts.columns[name.name])
    primary, uniques, indexes = _indexes(parts.indexes[name.name])
    pages = _pages(columns, primary, uniques)
    return SourceTable(
        name=name,
        columns=columns,
        primary_key=primary,
        uniques=uniques,
        foreign_keys=_foreign_keys(text, name.schema),
        checks=tuple(Check(*each) for each in checks if not _JSON.fullmatch(each[1])),
        indexes=indexes,
        comment=one["comment"],
        rows=int(one["rows"]),
        size_bytes=int(one["size_bytes"]),
        next_number=int(one["next_number"]),
        pages_by=pages,
    )


def _column(one: Fields, is_mariadb: bool, json: set[str]) -> SourceColumn:
    extra = one["extra"]
    on_update = re.search(r"on update (\S+)", extra)
    read_default = mariadb_default if is_mariadb else mysql_default
    is_json = one["name"] in json and one["type"] == "longtext"
    return SourceColumn(
        name=one["name"],
        type="json" if is_json else one["type"],
        not_null=one["not_null"] == "1",
        default=read_default(one["default"], one["type"], extra),
        generated=_plain(one["generated"]),
        is_stored="virtual" not in extra,
        counts_up="auto_increment" in extra,
        collation=one["collation"],
        comment=one["comment"],
        on_update=on_update[1] if on_update else "",
    )


def mariadb_default(default: str | None, type_: str, extra: str) -> str:
    """A default as MariaDB 10.2.7 and newer write it: an expression, also for NULL."""
    return "" if default is None or default.upper() == "NULL" else _plain(default)


def mysql_default(default: str | None, type_: str, extra: str) -> str:
    """A default as MySQL writes it: literals without quotes; since 8.0.13 expressions are
    marked."""
    if default is None:
        return ""
    if "default_generated" in extra:
        return _plain(default)
    if type_.startswith(("timestamp", "datetime")) and default.upper().startswith("CURRENT_TIME"):
        return default
    if _BARE.match(type_) or (type_.startswith(("binary", "varbinary")) and default[:2] == "0x"):
        return default
    return "'{}'".format(default.replace("\\", "\\\\").replace("'", "''"))


def _plain(expression: str) -> str:
    """The expression without the introducers of literals. In generated columns and checks, MySQL
    also escapes quotes."""
    if "\\'" in expression and re.search(r"_utf8mb[34]\\'", expression):
        expression = expression.replace("\\'", "'")
    return _INTRODUCER.sub("", expression)


def _indexes(
    parts: Sequence[Fields],
) -> tuple[Key | None, tuple[Key, ...], tuple[Index, ...]]:
    """The primary key, the unique constraints, and other indexes."""
    primary: Key | None = None
    uniques: list[Key] = []
    indexes: list[Index] = []
    for name, each in _grouped(parts, lambda one: str(one["name"])):
        columns = tuple(one["column"] for one in each)
        is_whole = all(one["column"] and one["prefix"] == "0" for one in each)
        if name == "PRIMARY" and is_whole:
            primary = Key(name, columns)
        elif each[0]["is_unique"] == "1" and is_whole:
            uniques.append(Key(name, columns))
        else:
            indexes.append(_index(name, each))
    return primary, tuple(uniques), tuple(indexes)


def _index(name: str, parts: Sequence[Fields]) -> Index:
    kind = _KINDS.get(parts[0]["kind"], "")
    return Index(
        name,
        tuple(
            IndexPart(
                one["column"],
                _plain(one["expression"]),
                int(one["prefix"]) if not kind else 0,  # a spatial one has 32 bytes of each box
                one["descends"] == "1",
            )
            for one in parts
        ),
        is_unique=parts[0]["is_unique"] == "1",
        kind=kind,
    )


def _pages(
    columns: Sequence[SourceColumn], primary: Key | None, uniques: Sequence[Key]
) -> tuple[str, ...]:
    """The first column of a key, if it is a whole number: ranges of it contain each row once."""
    by_name = {one.name: one for one in columns}
    for key in [*([primary] if primary else []), *uniques]:
        first = by_name[key.columns[0]]
        is_whole = re.match(r"(?:tiny|small|medium|big)?int\b", first.type)
        if is_whole and first.not_null:
            return (first.name,)
    return ()


def _by_table(rows: Iterable[Fields]) -> defaultdict[str, list[Fields]]:
    found: defaultdict[str, list[Fields]] = defaultdict(list)
    for one in rows:
        found[one["table"]].append(one)
    return found


def _grouped(rows: Iterable[T], key: Callable[[T], str]) -> list[tuple[str, list[T]]]:
    found: dict[str, list[T]] = {}
    for one in rows:
        found.setdefault(key(one), []).append(one)
    return list(found.items())


def _read(session: Session, name: str) -> list[Fields]:
    rows, columns = session.named(query(name))
    return [
        {
            column: None if value is None else value.decode("utf-8", "surrogateescape")
            for column, value in zip(columns, row, strict=True)
        }
        for row in rows
    ]


@cache
def query(name: str) -> str:
    """One of the files in `sql`."""
    place = files("windlass.engines.mysql") / "sql" / f"{name}.sql"
    return place.read_text(encoding="utf-8")
