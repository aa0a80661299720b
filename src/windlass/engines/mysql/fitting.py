"""Types that hold every value of a table's columns, by a scan of all rows.

Decides what becomes NULL, is corrected, or is refused. Which types a type can become is decided in
`windlass.engines.mysql.types` and `windlass.engines.mysql.answering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from windlass.engines.mysql.answering import answered, offered
from windlass.engines.mysql.documents import Documents, read_documents
from windlass.engines.mysql.forms import BAD_DATE
from windlass.engines.mysql.keys import merged, orphans
from windlass.engines.mysql.quoting import Quoted, Whole, listed, part, rows_of
from windlass.engines.mysql.session import Session
from windlass.engines.mysql.types import ALWAYS_DECODES, charset_of, declared, first_guess
from windlass.engines.mysql.zones import local_times
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    Answers,
    Field,
    Fit,
    Sort,
    SourceColumn,
    SourceSchema,
    SourceTable,
    Type,
)
from windlass.model.units import plural
from windlass.model.wording import word

MOST_BIGINT = 2**63 - 1
_ACCEPT = word("accept", str(LossClass.VALUES))
_BESIDE = 16  # bytes that a field of a line has in addition to its text, at most


@dataclass(slots=True)
class _Column:
    """A column while it is fitted. `asked` are expressions that are true for values to count, by
    what is wrong with the values."""

    column: SourceColumn
    fitted: Field
    is_answered: bool = False
    is_short: bool = False  # a text of one of the server's rows, which have at most 65,535 bytes
    asked: dict[str, sql.Composable] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Findings:
    table: SourceTable
    accepts: bool
    problems: list[Problem] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def place(self, one: _Column) -> str:
        return f"{self.table.name}.{one.column.name}"

    def typed(self, one: _Column, words: str) -> str:
        """The option that gives the column this type."""
        return word("types", f"{self.table.name.plain}.{one.column.name}={words}")

    def problem(self, one: _Column, message: str, hint: str) -> None:
        self.problems.append(Problem(self.place(one), message, hint))

    def loss(self, one: _Column, message: str, kind: LossClass = LossClass.VALUES) -> None:
        self.losses.append(Loss(self.place(one), message, kind))

    def decide(self, one: _Column, becomes: str, message: str, hint: str) -> None:
        """Report a loss if losses of values are accepted, otherwise a problem that says so."""
        if self.accepts:
            self.loss(one, becomes)
        else:
            self.problem(one, message, f"{_ACCEPT}: {hint}")


def fit_table(session: Session, found: SourceTable, schema: SourceSchema, answers: Answers) -> Fit:
    """See `windlass.engines.origin.Origin.fit`."""
    findings = _Findings(found, answers.accepts_values)
    columns = []
    for column in found.columns:
        one = _started(column, answers, findings)
        if one is not None:
            is_stored = found.selected is None
            one.is_short = is_stored and declared(column.type).kind in ("char", "varchar")
            one.asked |= _asked(one, found, schema)
            columns.append(one)
    rows, longest = _count(session, found, columns)
    documents = read_documents(session, rows_of(found.name, found.selected), _json_names(columns))
    for one in columns:
        _judge(session, one, findings)
        if one.column.name in documents:
            _judge_documents(one, documents[one.column.name], findings)
    if longest:
        _lengthen(session, columns, longest)
    findings.problems += merged(session, found, [one.fitted for one in columns])
    orphaned = orphans(session, found, schema)
    findings.losses += orphaned.values()
    findings.losses += local_times(session, found, [one.fitted for one in columns])
    return Fit(
        tuple(one.fitted for one in columns),
        rows,
        found.size_bytes,
        tuple(findings.problems),
        tuple(findings.losses),
        tuple(orphaned),
    )


def _started(column: SourceColumn, answers: Answers, findings: _Findings) -> _Column | None:
    """The column with the type that the user chose, or with the first candidate."""
    guess, words = first_guess(column), answers.types.get(column.name, "")
    if guess is None:
        one = _Column(column, Field(column.name, Type(Sort.TEXT), "converted"), words == "text")
        if words != "text":
            hint = f"{findings.typed(one, 'text')} takes its text"
            findings.problem(one, f"the type {column.type} is not known", hint)
        return one
    one = _Column(column, guess)
    if not words:
        return one
    chosen = answered(guess, words)
    if chosen is None:
        choices = ", ".join(offered(guess))
        message = f"{column.type} cannot become {words}"
        findings.problem(one, message, f"{word('types')} offers {choices} here")
        return one
    one.fitted, one.is_answered = chosen.field, True
    if chosen.misfit is not None:
        one.asked["misfit"] = chosen.misfit
    return one


def _json_names(columns: Sequence[_Column]) -> list[str]:
    return [one.column.name for one in columns if one.fitted.type.sort is Sort.JSON]


def _asked(one: _Column, found: SourceTable, schema: SourceSchema) -> dict[str, sql.Composable]:
    column, known, sort = Quoted(one.column.name), declared(one.column.type), one.fitted.type.sort
    asked: dict[str, sql.Composable] = {}
    if one.fitted.form in BAD_DATE:
        asked["bad"] = part(BAD_DATE[one.fitted.form], column)
    if known.kind == "enum":
        asked["empty"] = part("{} + 0 = 0", column)
    if sort is Sort.TEXT and known.kind not in ("enum", "set") and one.column.collation:
        asked |= _asked_of_text(column, one)
    if one.fitted.form == "geometry":
        asked["placed"] = part("st_srid({}) <> 0", column)
    if one.is_answered:
        return asked
    if known.kind == "tinyint" and known.numbers == (1,):
        asked["beyond"] = part("{} not in (0, 1)", column)
    if sort is Sort.TIME:
        asked["long"] = part("({0} < '00:00:00' or {0} >= '24:00:00')", column)
    if sort is Sort.DECIMAL and known.kind == "bigint" and _counts(found, one.column, schema, ()):
        asked["big"] = part("{} > {}", column, Whole(MOST_BIGINT))
    return asked


def _asked_of_text(column: Quoted, one: _Column) -> dict[str, sql.Composable]:
    charset = charset_of(one.column.collation)
    utf8 = part("convert({} using utf8mb4)", column)
    asked: dict[str, sql.Composable] = {
        "nul": part("locate(x'00', cast({} as binary)) > 0", utf8),
    }
    if charset not in ALWAYS_DECODES:
        # through UTF-16, which has no half pairs: what changes on the way has no meaning
        asked["undecodable"] = part(
            "cast(convert(convert({0} using utf16) using {1}) as binary) <> cast({0} as binary)",
            column,
            sql.SQL(charset),
        )
    return asked


def _counts(
    found: SourceTable, column: SourceColumn, schema: SourceSchema, seen: tuple[object, ...]
) -> bool:
    """Whether it counts up, or refers to a column that does: both need the same type."""
    if column.counts_up:
        return True
    tables = {one.name: one for one in (*schema.tables, *found.parents)}
    for key in found.foreign_keys:
        pairs = dict(zip(key.columns, key.referred, strict=True))
        parent, name = tables.get(key.refers_to), pairs.get(column.name)
        if parent is None or name is None or (parent.name, name) in seen:
            continue
        referred = next(one for one in parent.columns if one.name == name)
        if _counts(parent, referred, schema, (*seen, (parent.name, name))):
            return True
    return False


def _count(session: Session, found: SourceTable, columns: Sequence[_Column]) -> tuple[int, int]:
    """Count what is asked, in one scan. Returns the number of rows, and the greatest size of a
    row's line in bytes (0 if no type allows large ones)."""
    asked = [(one, what) for one in columns for what in one.asked]
    sums = [part("coalesce(sum({}), 0)", one.asked[what]) for one, what in asked]
    query = part(
        "select count(*), {}, {} from {}",
        _longest(columns),
        listed([*sums, part("0")]),
        rows_of(found.name, found.selected),
    )
    rows, longest, *counts = session.one(query)
    for (one, what), many in zip(asked, counts, strict=False):
        one.counts[what] = int(float(many or 0))
    return int(rows or 0), int(longest or 0)


def _longest(columns: Sequence[_Column]) -> sql.Composable:
    parts: list[sql.Composable] = []
    for one in columns:
        column = Quoted(one.column.name)
        if not _is_endless(one.fitted) or one.is_short:
            continue
        if one.fitted.type.sort is Sort.BYTES:
            parts.append(part("coalesce(length({}), 0) * 2", column))
        else:  # each byte may be escaped
            utf8 = part("convert({} using utf8mb4)", column)
            parts.append(part("coalesce(length({}), 0) * 2", utf8))
    if not parts:
        return part("0")
    return part("coalesce(max({}), 0)", listed(parts, " + "))


def _is_endless(one: Field) -> bool:
    return one.type.sort in (Sort.TEXT, Sort.BYTES, Sort.JSON) and one.form != "plain"


def _lengthen(session: Session, columns: Sequence[_Column], longest: int) -> None:
    """If a row's line is too long for the server to build, the client builds the lines."""
    (most,) = session.one("select @@max_allowed_packet")
    if longest + 65_535 * 8 + _BESIDE * len(columns) <= int(most or 0):
        return
    for one in columns:
        if _is_endless(one.fitted) and not one.is_short and one.fitted.form != "geometry":
            one.fitted = replace(one.fitted, form=f"{one.fitted.form} long")


def _judge(session: Session, one: _Column, findings: _Findings) -> None:
    """The final field, by what was counted."""
    counts, fitted = one.counts, one.fitted
    if counts.get("misfit"):
        what = plural(counts["misfit"], "value")
        message = f"{what} cannot have the chosen type{_first(session, one, 'misfit', findings)}"
        findings.problem(one, message, f"{word('types')} offers {', '.join(offered(fitted))} here")
    if "beyond" in counts and not counts["beyond"]:
        one.fitted = replace(fitted, type=Type(Sort.BOOLEAN), form="flag")
    if "big" in counts and not counts["big"]:
        one.fitted = replace(fitted, type=Type(Sort.INTEGER, bits=64, least=0))
    if counts.get("long"):
        one.fitted = replace(fitted, type=replace(fitted.type, sort=Sort.INTERVAL))
    for what, name in (("bad", "date"), ("empty", "label")):
        if counts.get(what):
            _judge_absent(session, one, what, name, findings)
    if many := counts.get("undecodable", 0):
        values = plural(many, "value")
        first = _first(session, one, "undecodable", findings)
        message = f"{values} with bytes that are no {charset_of(one.column.collation)}{first}"
        becomes = f"{values}: bytes that do not decode become ?"
        findings.decide(one, becomes, message, "they become ?")
        one.fitted = replace(one.fitted, form="mended")
    if many := counts.get("nul", 0):
        values = plural(many, "value")
        first = _first(session, one, "nul", findings)
        message = f"{values} with U+0000, which PostgreSQL's text cannot hold{first}"
        findings.decide(one, f"U+0000 is left out of {values}", message, "it is left out")
        one.fitted = replace(one.fitted, form=f"{one.fitted.form} no-nul")
    if fitted.form == "geometry":
        findings.loss(one, "becomes bytea: well-known binary", LossClass.STORAGE)
    if many := counts.get("placed", 0):
        becomes = f"the SRID of {plural(many, 'value')} is left out"
        findings.decide(one, becomes, f"{becomes}: bytea has none", "it is left out")


def _judge_absent(
    session: Session, one: _Column, what: str, name: str, findings: _Findings
) -> None:
    """Report values that the target's type does not have, and that may become NULL."""
    many = one.counts[what]
    kinds = {
        "date": f"{plural(many, 'date')} such as 0000-00-00 or 2020-02-31",
        "label": f"{plural(many, 'value')} without a label ('')",
    }
    described = kinds[name]
    first = _first(session, one, what, findings)
    message = f"{described}, which PostgreSQL does not have{first}"
    as_text = f"{findings.typed(one, 'text')} keeps them as text"
    if one.fitted.type.sort is Sort.TEXT:  # text can hold them
        return
    if one.column.not_null:
        findings.problem(one, f"{message}; NOT NULL", f"{as_text}; or correct them on the source")
        return
    one.fitted = replace(one.fitted, form=f"{one.fitted.form} null-bad")
    findings.decide(one, f"NULL in place of {described}", message, f"they become NULL; {as_text}")


def _judge_documents(one: _Column, found: Documents, findings: _Findings) -> None:
    if found.refused:
        values = plural(found.refused, "value")
        message = f"{values} that jsonb refuses: {found.why}; the first in row {found.place}"
        findings.problem(one, message, f"{findings.typed(one, 'text')} keeps them as text")
    if found.doubled:
        values = plural(found.doubled, "value")
        becomes = f"of doubled keys in {values} the last stays"
        hint = f"the last of each stays; {findings.typed(one, 'text')} keeps them all"
        findings.decide(one, becomes, f"{values} with doubled keys", hint)
    if found.reprinted:
        values = plural(found.reprinted, "value")
        message = f"{values}: other blanks, order of keys or form of numbers"
        findings.loss(one, message, LossClass.STORAGE)


def _first(session: Session, one: _Column, what: str, findings: _Findings) -> str:
    """The key of the first row that has such a value, for people."""
    key = findings.table.primary_key or next(iter(findings.table.uniques), None)
    if key is None:
        return ""
    names = [Quoted(each) for each in key.columns]
    shown = listed(part("cast({} as char)", each) for each in names)
    query = part(
        "select {} from {} where {} order by {} limit 1",
        shown,
        rows_of(findings.table.name, findings.table.selected),
        one.asked[what],
        listed(names),
    )
    rows = session.run(query)
    if not rows:
        return ""
    texts = [(each or b"NULL").decode("utf-8", "replace") for each in rows[0]]
    pairs = zip(key.columns, texts, strict=True)
    return f" (first: {', '.join(f'{name} = {text}' for name, text in pairs)})"
