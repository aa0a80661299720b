"""Finds column types that hold every value of a collection, by a scan of all documents; and what
the user must decide or correct, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from windlass.engines.answers import read_type
from windlass.engines.mongodb.catalog import Found
from windlass.engines.mongodb.census import MOST_PATHS, Ids, Paths, described
from windlass.engines.mongodb.colliding import Keyed, Part, collisions
from windlass.engines.mongodb.elements import DOCUMENT, KINDS, NULL, UNDEFINED, Unfit, find
from windlass.engines.mongodb.extended import Notes, extended, path_of
from windlass.engines.mongodb.selecting import (
    Hashed,
    Origins,
    Read,
    filter_of,
    origins_of,
    reader_of,
    type_of_value,
)
from windlass.engines.mongodb.session import Session
from windlass.engines.mongodb.values import DOC, EXTENDED, ID, Misfit, can_be, reader
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    Answers,
    Field,
    Fit,
    Sort,
    SourceColumn,
    SourceTable,
    Type,
)
from windlass.model.units import plural
from windlass.model.wording import word

_LONGEST_KEY = 2_700  # bytes; a row of PostgreSQL's index has at most 2,704
_FIRST_CHARACTERS = 80  # of a key that is shown
_IN_DOC = "they stay in `doc` as they are"


@dataclass(slots=True)
class _Count:
    """Values of a kind, and the key of the first."""

    many: int = 0
    first: str = ""


@dataclass(slots=True)
class _Lifted:
    """A column that the user has asked for, and what reads it."""

    column: Field
    read: Read
    is_hashed: bool = False
    misfits: Counter[int] = field(default_factory=Counter)
    unfit: dict[str, _Count] = field(default_factory=dict)
    first: str = ""
    missing: int = 0
    null: int = 0


@dataclass(slots=True)
class _Scan:
    paths: Paths = field(default_factory=Paths)
    ids: Ids = field(default_factory=Ids)
    unfit: dict[str, _Count] = field(default_factory=dict)
    doubled: _Count = field(default_factory=_Count)
    ambiguous: _Count = field(default_factory=_Count)
    long: _Count = field(default_factory=_Count)
    rows: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Fitted:
    fit: Fit
    notice: str  # which paths there are


def fit_table(
    session: Session, table: SourceTable, found: Found, answers: Answers, hashed: Hashed | None
) -> Fitted:
    """Raises:
    BadSpec: an answer is no type.
    WindlassError: the mapping's condition cannot be read.
    """
    problems: list[Problem] = []
    origins = origins_of(table)
    asked = _Asked(table, origins, answers, hashed)
    fields = {one.name: asked.field(one, problems) for one in table.columns}
    lifted = asked.lifted
    name, scan = table.name.name, _Scan()
    in_snapshot, where = name not in found.unsafe, filter_of(table.selected)
    for data in session.documents(name, in_snapshot=in_snapshot, where=where):
        _look(scan, lifted, data)
    losses = list(found.losses.get(name, ()))
    problems += _problems(table, scan, answers, losses)
    for one in lifted:
        problems += _misfits(table, one)
        losses += _absent(table, one)
    ids = scan.ids.field()
    made = tuple(field or replace(ids, name=column) for column, field in fields.items())
    if not problems:
        keys = _keys(table, made, scan, origins, hashed)
        again = partial(session.documents, name, in_snapshot=in_snapshot, where=where)
        problems += collisions(table, keys, again, lambda data: str(_Key(data)))
    fit = Fit(made, scan.rows, scan.size_bytes, tuple(problems), tuple(losses))
    return Fitted(fit, _notice(table, scan, {one.column.form for one in lifted}))


class _Asked:
    """What the user has said about a table's columns."""

    def __init__(
        self, table: SourceTable, origins: Origins, answers: Answers, hashed: Hashed | None
    ) -> None:
        self._table, self._origins, self._answers = table, origins, answers
        self._hashed = hashed
        self.lifted: list[_Lifted] = []  # whose values are tried

    def field(self, column: SourceColumn, problems: list[Problem]) -> Field | None:
        """None: that of `_id`, by all of its values."""
        words = self._answers.types.get(column.name, "")
        about = f"{self._table.name}.{column.path or column.name}"
        type_ = read_type(words, about) if words else None
        place = self._origins.places.get(column.name, "")
        if column.name in self._origins.fixed:
            return self._fixed(column.name, type_, about, problems)
        if place == DOC:
            if type_ is not None and type_.sort is not Sort.JSON:
                hint = f"{word('types')} names a path in it: each becomes a column"
                problems.append(Problem(about, "is always jsonb", hint))
            return Field(column.name, Type(Sort.JSON))
        is_hashed = column.name in self._origins.hashed
        if type_ is not None and not (type_.sort is Sort.TEXT if is_hashed else can_be(type_)):
            hint = "MongoDB has no such values; choose timestamptz, text, numeric, jsonb or another"
            problems.append(Problem(about, f"no value can become {words}", hint))
            type_ = None
        elif type_ is None and place == ID and not is_hashed:
            return None
        made = self._origins.field(column.name, type_ or Type(Sort.TEXT))
        if words or is_hashed:
            read = reader_of(made, self._table.selected, self._hashed)
            self.lifted.append(_Lifted(made, read, is_hashed))
        return made

    def _fixed(self, name: str, type_: Type | None, about: str, problems: list[Problem]) -> Field:
        value = self._origins.fixed[name]
        made = Field(name, type_ or type_of_value(value))
        try:
            reader_of(made, self._table.selected, None)(b"")
        except (Misfit, KeyError, OverflowError):
            message = f"its value is not of the type {made.type.described}"
            problems.append(Problem(about, message, "give another value, or another type"))
        return made


def _look(scan: _Scan, lifted: Sequence[_Lifted], data: bytes) -> None:
    scan.rows += 1
    scan.paths.count(data)
    scan.ids.count(data)
    notes, key = Notes(), _Key(data)
    try:
        text = extended(data, DOCUMENT, 0, notes)
        scan.size_bytes += len(text)
    except Unfit as error:
        key.add(scan.unfit.setdefault(str(error), _Count()))
    if notes.doubled:
        key.add(scan.doubled)
    if notes.ambiguous:
        key.add(scan.ambiguous)
    if len(data) > _LONGEST_KEY and key.size_bytes > _LONGEST_KEY:
        key.add(scan.long)
    for one in lifted:
        _try(one, data, key)


def _try(one: _Lifted, data: bytes, key: _Key) -> None:
    try:
        if one.read(data) is None:
            if find(data, path_of(one.column.form)) is None:
                one.missing += 1
            else:
                one.null += 1
    except Misfit as error:
        one.misfits[error.kind] += 1
        one.first = one.first or str(key)
    except Unfit as error:
        key.add(one.unfit.setdefault(str(error), _Count()))


class _Key:
    """A document's `_id`, for people; only read when it is needed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __str__(self) -> str:
        try:
            text = reader(Field(ID, Type(Sort.TEXT), EXTENDED))(self._data)
        except Unfit:
            return "an `_id` that has the same fault"
        return f"_id = {'missing' if text is None else text[:_FIRST_CHARACTERS]}"

    @property
    def size_bytes(self) -> int:
        try:
            text = reader(Field(ID, Type(Sort.TEXT), EXTENDED))(self._data)
        except Unfit:
            return 0
        return len((text or "").encode())

    def add(self, to: _Count) -> None:
        to.many += 1
        to.first = to.first or str(self)


def _problems(
    table: SourceTable, scan: _Scan, answers: Answers, losses: list[Loss]
) -> Iterator[Problem]:
    name = str(table.name)
    for why, one in scan.unfit.items():
        documents = plural(one.many, "document")
        message = f"{documents} that jsonb cannot hold: {why} (first: {one.first})"
        yield Problem(name, message, "correct them on the source, or exclude the collection")
    if scan.long.many:
        message = f"{plural(scan.long.many, '_id')} of more than {_LONGEST_KEY:,} bytes, which no"
        message += f" index of PostgreSQL holds (first: {scan.long.first})"
        yield Problem(name, message, "shorten them on the source, or exclude the collection")
    for counted, what, becomes in (
        (scan.doubled, "with a key twice in an object", "jsonb keeps the last of each"),
        (
            scan.ambiguous,
            "with an object whose keys are those of Extended JSON's types, such as $oid",
            "in `doc` they look like a value of that type",
        ),
    ):
        if counted.many:
            message = f"{plural(counted.many, 'document')} {what}"
            if answers.accepts_values:
                losses.append(Loss(name, f"{message}: {becomes}", LossClass.VALUES))
            else:
                hint = f"{word('accept', str(LossClass.VALUES))}: {becomes}"
                yield Problem(name, f"{message} (first: {counted.first})", hint)


def _keys(
    table: SourceTable,
    fields: Sequence[Field],
    scan: _Scan,
    origins: Origins,
    hashed: Hashed | None,
) -> Iterator[Keyed]:
    """The keys that the target will have."""
    kinds = {path: set(found) - {NULL, UNDEFINED} for path, found in scan.paths.found()}
    kinds[ID] = set(scan.ids.kinds)
    by_name = {one.name: one for one in fields}

    def part(column: str) -> Part:
        found = by_name[column]
        known = set() if column in origins.fixed else kinds.get(origins.places.get(column, ""))
        read = reader_of(found, table.selected, hashed)
        return Part(found, read, known, is_ambiguous=bool(scan.ambiguous.many))

    if table.primary_key:
        yield Keyed("key", [part(one) for one in table.primary_key.columns])
    for index in table.indexes:
        columns = [one.column for one in index.parts]
        if index.is_unique and columns and all(one in by_name for one in columns):
            parts = [part(one) for one in columns]
            if all(one.field.type.sort is not Sort.JSON for one in parts):
                yield Keyed(f"key in unique index {index.name}", parts)


def _misfits(table: SourceTable, one: _Lifted) -> Iterator[Problem]:
    path = one.column.form
    about = f"{table.name}.{path}"
    if one.misfits:
        kinds = ", ".join(
            f"{many:,} {KINDS.get(kind, 'unknown')}" for kind, many in one.misfits.most_common()
        )
        values = plural(one.misfits.total(), "value")
        described_ = one.column.type.described
        message = f"{values} do not fit {described_}: {kinds} (first: {one.first})"
        hint = f"choose another type; jsonb holds any value, and {_IN_DOC}"
        if one.is_hashed:
            message = f"{values} cannot be hashed, as their text may vary: {kinds}"
            hint = "mask it with null, or correct them on the source"
        yield Problem(about, message, hint)
    for why, counted in one.unfit.items():
        message = f"{plural(counted.many, 'value')} with {why} (first: {counted.first})"
        yield Problem(about, message, "correct them on the source")


def _absent(table: SourceTable, one: _Lifted) -> Iterator[Loss]:
    """A loss if some documents lack the path and others have null: both become NULL, and only `doc`
    still distinguishes them."""
    if one.missing and one.null:
        message = (
            f"NULL in {plural(one.missing, 'document')} without it, and in {one.null:,} where it is"
            " null: only `doc` tells them apart"
        )
        yield Loss(f"{table.name}.{one.column.form}", message, LossClass.STORAGE)


def _notice(table: SourceTable, scan: _Scan, chosen: set[str]) -> str:
    """The notice of a census, from which users choose columns."""
    found = [
        (path, Counter({kind: n for kind, n in kinds.items() if kind not in (NULL, UNDEFINED)}))
        for path, kinds in scan.paths.found()
        if path != ID and path not in chosen
    ]
    if not found:
        return ""
    shown = [
        f"{path} ({described(kinds) if kinds else 'null'}{_share(kinds, scan.rows)})"
        for path, kinds in found[:MOST_PATHS]
    ]
    rest = len(found) - len(shown)
    more = f", and {rest:,} more" if rest else ""
    return (
        f"{table.name}: paths that can become columns, by {word('types')}: {', '.join(shown)}{more}"
    )


def _share(kinds: Mapping[int, int], rows: int) -> str:
    """How many documents have it, if not all of them do."""
    many = sum(kinds.values())
    return "" if many == rows or len(kinds) > 1 else f" {many:,}"
