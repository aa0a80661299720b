"""Tables, indexes, keys and views as MySQL's statements. Pure.

`windlass.engines.mysql.destination.writing` reads their first words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from psycopg import sql

from windlass.engines.converting.defaults import Call, call_of
from windlass.engines.mysql.destination.carrying import KEY_BYTES
from windlass.engines.mysql.destination.journal import PREFIX
from windlass.engines.mysql.destination.rows import literal
from windlass.engines.mysql.destination.server import Facts
from windlass.engines.mysql.quoting import Quoted, listed, part
from windlass.engines.statements import verbatim
from windlass.model.conversion import DraftColumn, Made, TableDraft
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import Check, ForeignKey, Index, IndexPart

Lost = list[tuple[str, LossClass]]
MOST_NAME = 64  # characters
_COUNTING = re.compile(r"(smallint|int|bigint)( unsigned)?")
_ENDLESS = ("longtext", "longblob")
_PREFIX = 191  # characters of a text in an index: 764 bytes
_SIZED = re.compile(r"(varchar|char|varbinary)\((\d+)\)( character set ascii)?")
_NAME = re.compile(r"`((?:[^`]|``)+)`")
_KEY = re.compile(
    r"foreign key \(((?:`(?:[^`]|``)+`(?:, )?)+)\) references (`(?:[^`]|``)+`)"
    r" \(((?:`(?:[^`]|``)+`(?:, )?)+)\)"
)
_COMMENT = 2_048  # characters of a table's comment; 1,024 of a column's


def name_problem(name: str) -> str:
    if name.lower().startswith(PREFIX):
        return f"names that begin with {PREFIX} are those of the journal"
    if len(name) > MOST_NAME:
        return f"a name of more than {MOST_NAME} characters"
    if not name or name.endswith(" ") or any(ord(one) > 0xFFFF for one in name):
        return "a name that MySQL does not take: empty, with a blank at its end, or beyond U+FFFF"
    return "the name of every primary key" if name.lower() == "primary" else ""


# which parts of a table can be made


def fitted(draft: TableDraft, known: Mapping[Name, TableDraft]) -> tuple[TableDraft, Lost]:
    """A table as MySQL can have it, and what is lost. `known` are tables that it may refer to."""
    lost: Lost = []
    counting = _counting(draft)
    is_read = counting in {name for one in draft.columns for name in _names(one.generated)}
    counting = "" if is_read else counting
    columns = []
    for one in draft.columns:
        if one.counts_up and one.plan.target != counting:
            why = "only an integer that is the first column of the primary key does in MySQL"
            why = "a computed column reads it, which MySQL does not allow" if is_read else why
            lost.append((f"column {one.plan.target} does not count up: {why}", LossClass.BEHAVIOUR))
            one = replace(one, counts_up=False)
        elif one.counts_up and one.increment != 1:
            sentence = f"column {one.plan.target} counts up by 1, not by {one.increment}"
            lost.append((sentence, LossClass.BEHAVIOUR))
        columns.append(one)
    keys = []
    for key in draft.foreign_keys:
        parent = draft if key.refers_to == draft.name else known.get(key.refers_to)
        if why := _unrelated(draft, key, parent):
            sentence = f"foreign key {key.name} is not enforced, as {why}"
            lost.append((sentence, LossClass.CONSTRAINTS))
            continue
        lost += [(f"foreign key {key.name} {one}", LossClass.BEHAVIOUR) for one in _otherwise(key)]
        if key.refers_to == draft.name and key.on_update in ("CASCADE", "SET NULL"):
            sentence = "refuses such updates instead, as it refers to its own table"
            lost.append((f"foreign key {key.name} {sentence}", LossClass.BEHAVIOUR))
        keys.append(key)
    checks = []
    for check in draft.checks:
        if counting and counting in _names(check.expression):
            why = f"it reads {counting}, which counts up, and MySQL does not allow that"
            lost.append((f"check {check.name} is not enforced, as {why}", LossClass.CONSTRAINTS))
        else:
            checks.append(check)
    made = replace(draft, columns=tuple(columns), foreign_keys=tuple(keys), checks=tuple(checks))
    return made, lost


def _counting(draft: TableDraft) -> str:
    """The one column that can count up."""
    first = draft.primary_key.columns[0] if draft.primary_key else ""
    for one in draft.columns:
        if one.counts_up and one.plan.target == first and can_count(one.plan.type):
            return first
    return ""


def can_count(type_: str) -> bool:
    return _COUNTING.fullmatch(type_) is not None


def _unrelated(draft: TableDraft, key: ForeignKey, parent: TableDraft | None) -> str:
    for ours, theirs in zip(key.columns, key.referred, strict=True):
        column = draft.column(ours)
        if column.plan.type in _ENDLESS:
            return f"{ours} is a text or bytes without a limit"
        if parent is None:
            continue
        other = parent.column(theirs)
        if _compared_as(column) != _compared_as(other):
            return f"{ours} is {column.plan.type}, and {theirs} is {other.plan.type}"
    return ""


def _compared_as(column: DraftColumn) -> tuple[str, str]:
    """Equal for columns that InnoDB accepts as a foreign key: texts may differ in length."""
    type_ = column.plan.type
    found = _SIZED.match(type_)
    if found:
        type_ = "bytes" if found[1] == "varbinary" else f"text{found[3] or ''}"
    return type_, column.plan.carried.collation


def _otherwise(key: ForeignKey) -> Iterator[str]:
    if key.is_deferrable:
        yield "is checked at once: it is not deferrable"
    if key.on_delete == "SET DEFAULT" or key.on_update == "SET DEFAULT":
        yield "refuses instead of setting defaults, which InnoDB does not do"


# statements


def create(draft: TableDraft, facts: Facts) -> str:
    parts: list[sql.Composable] = [_column(one) for one in draft.columns]
    if draft.primary_key is not None:
        parts.append(part("primary key ({})", listed(map(Quoted, draft.primary_key.columns))))
    parts += [_check(draft, one) for one in draft.checks]
    made = part(
        "create table {} (\n  {}\n) engine = InnoDB row_format = dynamic default character set"
        " utf8mb4 collate {}{}",
        Quoted(draft.name.name),
        sql.SQL(",\n  ").join(parts),
        verbatim(facts.collation),
        _comment(draft.comment, _COMMENT, " comment = "),
    )
    return made.as_string(None)


def _column(column: DraftColumn) -> sql.Composable:
    plan = column.plan
    name = Quoted(plan.target)
    parts: list[sql.Composable] = [name, _raw(plan.type)]
    if plan.carried.collation:
        parts.append(_raw(f"collate {plan.carried.collation}"))
    if column.generated:
        kind = "stored" if column.is_stored else "virtual"
        parts.append(_raw(f"generated always as ({column.generated}) {kind}"))
    else:
        parts.append(_raw("not null" if plan.not_null else "null"))
        if column.counts_up:
            parts.append(_raw("auto_increment"))
        elif column.default:
            parts.append(_raw(f"default {column.default}"))
    if column.comment:
        parts.append(_comment(column.comment, _COMMENT // 2, "comment "))
    checks = [plan.carried.check] if plan.carried.check else []
    if column.generated and plan.not_null:  # MariaDB allows no NOT NULL there
        checks.append("{0} is not null")
    if checks:
        made = listed([verbatim(one).format(name) for one in checks], " and ")
        parts.append(part("check ({})", made))
    return listed(parts, " ")


def _raw(text: str) -> sql.Composable:
    """SQL that is complete."""
    return verbatim(text)


def _comment(text: str, most: int, before: str) -> sql.Composable:
    if not text:
        return sql.SQL("")
    return _raw(before + _quoted(text[:most]))


def _quoted(text: str) -> str:
    """A literal for where a hexadecimal one is not allowed. A backslash is an ordinary character in
    our sessions."""
    return "'{}'".format(text.replace("'", "''"))


def _check(draft: TableDraft, check: Check) -> sql.Composable:
    name = Quoted(_unique(draft, check.name))
    return sql.Composed([part("constraint {} check (", name), _raw(check.expression), _raw(")")])


def _unique(draft: TableDraft, name: str) -> str:
    """A constraint's name that is unique in the database, as in MySQL; on the source, it is unique
    per table."""
    table = draft.name.name
    found = name if name.startswith(table) else f"{table}_{name}"
    return found[:MOST_NAME]


def foreign_keys(draft: TableDraft, taken: Collection[str]) -> list[Made]:
    """`taken` are names of foreign keys that the database has already, in lower case."""
    return [_foreign_key(draft, one, taken) for one in draft.foreign_keys]


def _foreign_key(draft: TableDraft, key: ForeignKey, taken: Collection[str]) -> Made:
    name = made = _unique(draft, key.name)
    number = 1
    while name.lower() in taken:
        number += 1
        name = f"{made[: MOST_NAME - 8]}_{number}"
    text = part(
        "alter table {} add constraint {} foreign key ({}) references {} ({})"
        " on update {} on delete {}",
        Quoted(draft.name.name),
        Quoted(name),
        listed(map(Quoted, key.columns)),
        Quoted(key.refers_to.name),
        listed(map(Quoted, key.referred)),
        _raw(_action(key.on_update)),
        _raw(_action(key.on_delete)),
    )
    return Made(name, "foreign key", text.as_string(None))


def referring(
    keys: Sequence[Made],
) -> Iterator[tuple[tuple[str, ...], tuple[str, tuple[str, ...]]]]:
    """The foreign keys: their columns, and the table and columns that they refer to."""
    for one in keys:
        found = _KEY.search(one.statement)
        assert found is not None, "a foreign key of ours"
        yield _names(found[1]), (_names(found[2])[0], _names(found[3]))


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.replace("``", "`") for one in _NAME.findall(text))


def _action(word: str) -> str:
    return "no action" if word == "SET DEFAULT" else word.lower()


def index(draft: TableDraft, one: Index, facts: Facts) -> Made | str:
    if one.where:
        return f"{facts.engine} has no partial indexes"
    if any(each.expression for each in one.parts) and facts.is_mariadb:
        return "MariaDB has no indexes on expressions"
    parts, cut = [], []
    for each in one.parts:
        size = 0 if each.expression else _prefix(draft.column(each.column), len(one.parts))
        if size and one.is_unique:
            return f"{each.column} is too long for a unique index"
        if size:
            cut.append(f"{each.column}, of which it has the first {size:,} characters")
        parts.append(_part(each, size))
    text = part(
        "create {}index {} on {} ({})",
        _raw("unique " if one.is_unique else ""),
        Quoted(one.name),
        Quoted(draft.name.name),
        listed(parts),
    )
    loss = f"finds less by {'; '.join(cut)}" if cut else ""
    return Made(one.name, "index", text.as_string(None), loss=loss)


def _part(one: IndexPart, size: int) -> sql.Composable:
    column = part("({})", _raw(one.expression)) if one.expression else Quoted(one.column)
    prefix = f"({size})" if size else ""
    return sql.Composed([column, _raw(f"{prefix}{' desc' if one.descends else ''}")])


def _prefix(column: DraftColumn, parts: int) -> int:
    """How many characters or bytes of a column an index covers; 0 means all."""
    type_ = column.plan.type
    if type_ in _ENDLESS:
        return min(_PREFIX, KEY_BYTES // 4 // parts)
    found = _SIZED.match(type_)
    if found is None:
        return 0
    wide = 1 if found[1] == "varbinary" or found[3] else 4
    most = KEY_BYTES // wide // parts
    return most if int(found[2]) > most else 0


def view(name: Name, columns: Sequence[str], query: str) -> str:
    head = part("create view {} ({}) as ", Quoted(name.name), listed(map(Quoted, columns)))
    return sql.Composed([head, _raw(query)]).as_string(None)


# defaults

_NOW = {
    "timestamptz": "(utc_timestamp(6))", "timestamp": "(localtimestamp(6))",
    "date": "(current_date())", "time": "(current_time(6))",
}  # fmt: skip
_UUID = (Call.RANDOM_UUID, Call.RANDOM_UUID_AS_TEXT)
# a UUID of version 4: https://www.rfc-editor.org/rfc/rfc9562#section-5.4
_RANDOM = (
    "(lower(concat(hex(random_bytes(4)), '-', hex(random_bytes(2)), '-4',"
    " substr(hex(random_bytes(2)), 2), '-', substr('89ab', ord(random_bytes(1)) % 4 + 1, 1),"
    " substr(hex(random_bytes(2)), 2), '-', hex(random_bytes(6)))))"
)


def default(text: str, base: str, type_: str, facts: Facts) -> str | None:
    """A default that calls a function with a counterpart: the current time, or a random UUID."""
    call = call_of(text)
    if base in _NOW and call is Call.NOW and not type_.startswith(("longtext", "varchar")):
        return "current_timestamp(6)" if type_ == "timestamp(6)" else _NOW[base]
    is_uuid = facts.has_random and base in ("uuid", "text", "varchar")
    if is_uuid and call in _UUID:
        return _RANDOM
    return None


def default_literal(value: object) -> str:
    """A literal in parentheses, as an expression: texts without a limit accept no other default."""
    text = _quoted(value) if isinstance(value, str) else literal(value)
    return f"({text})"
