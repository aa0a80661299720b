"""Parts of a definition that only the text of the CREATE statement has: checks, expressions,
collations, names of constraints. SQLite has accepted the text, so it is well-formed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from windlass.engines.sqlite.origin.tokens import (
    Sort,
    Token,
    clear,
    group_end,
    parts_of,
    tokens_of,
    written,
)

_OF_TABLES = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
_BEGINNINGS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "NOT"}


@dataclass
class Foreign:
    """Parts of a foreign key that no pragma reports."""

    columns: tuple[str, ...]
    name: str = ""
    is_deferrable: bool = False
    is_deferred: bool = False


@dataclass
class Definition:
    """The definition of a table. Columns' names are in lower case where they are keys."""

    checks: list[tuple[str, str]] = field(default_factory=list)  # name, expression
    generated: dict[str, str] = field(default_factory=dict)
    collations: dict[str, str] = field(default_factory=dict)
    uniques: dict[tuple[str, ...], str] = field(default_factory=dict)  # names, by columns
    foreign: list[Foreign] = field(default_factory=list)
    primary_key: str = ""  # its name
    counts_up: bool = False  # AUTOINCREMENT
    conflicts: list[tuple[str, str]] = field(default_factory=list)  # column; constraint as written


def read_table(sql: str, columns: Collection[str]) -> Definition:
    found = Definition()
    tokens = tokens_of(sql)
    opening = next((at for at, one in enumerate(tokens) if one.text == "("), len(tokens))
    body = tokens[opening + 1 : group_end(tokens, opening)] if opening < len(tokens) else []
    for part in parts_of(body):
        if part:
            is_column = part[0].upper not in _OF_TABLES
            column = part[0].name.lower() if is_column else ""
            _Part(sql, part, column, columns, found).read(1 if is_column else 0)
    return found


class _Part:
    """A column with its constraints, or constraints of the table."""

    def __init__(
        self,
        sql: str,
        tokens: Sequence[Token],
        column: str,
        columns: Collection[str],
        into: Definition,
    ) -> None:
        self._sql, self._tokens, self._column = sql, tokens, column
        self._columns, self._into = columns, into
        self._name = ""  # the name of the next constraint
        self._begin = 0  # of the constraint that is being read
        self._referring: tuple[str, ...] = (column,)

    def read(self, at: int) -> None:
        while at < len(self._tokens):
            if self._word(at) in _BEGINNINGS and not self._name:
                self._begin = at
            at = self._one(at)

    def _one(self, at: int) -> int:
        """Read the part that begins here; returns the position of the next."""
        into = self._into
        match self._word(at):
            case "CONSTRAINT":
                self._name = self._tokens[at + 1].name
                return at + 2
            case "CHECK":
                end = group_end(self._tokens, at + 1)
                into.checks.append((self._taken(), self._inside(at + 1, end)))
                return end + 1
            case "AS" if self._column:
                end = group_end(self._tokens, at + 1)
                into.generated[self._column] = self._inside(at + 1, end)
                return end + 1
            case "COLLATE" if self._column:
                into.collations[self._column] = self._tokens[at + 1].name.upper()
                return at + 2
            case "DEFAULT" if self._word(at - 1) != "SET":
                self._taken()
                return self._after_default(at + 1)
            case "PRIMARY":
                into.primary_key = self._taken()
                return at + 2
            case "AUTOINCREMENT":
                into.counts_up = True
            case "UNIQUE":
                into.uniques[self._listed(at + 1)] = self._taken()
            case "FOREIGN":
                self._referring = self._listed(at + 2)
                return group_end(self._tokens, at + 2) + 1
            case "REFERENCES":
                into.foreign.append(Foreign(self._referring, self._taken()))
                return at + 2
            case "DEFERRABLE" if into.foreign and self._word(at - 1) != "NOT":
                into.foreign[-1].is_deferrable = True
            case "DEFERRED" if into.foreign and into.foreign[-1].is_deferrable:
                into.foreign[-1].is_deferred = True
            case "NOT":
                self._taken()
            case "ON" if self._word(at + 1) == "CONFLICT":
                if self._word(at + 2) != "ABORT":  # what every database does
                    text = written(self._sql, self._tokens[self._begin : at + 3])
                    column = self._tokens[0].name if self._column else ""
                    into.conflicts.append((column, text))
                return at + 3
        if self._tokens[at].text == "(":  # of a type's arguments, or a list of columns
            return group_end(self._tokens, at) + 1
        return at + 1

    def _word(self, at: int) -> str:
        return self._tokens[at].upper if 0 <= at < len(self._tokens) else ""

    def _taken(self) -> str:
        name, self._name = self._name, ""
        return name

    def _inside(self, opening: int, closing: int) -> str:
        return clear(self._sql, self._tokens[opening + 1 : closing], self._columns)

    def _listed(self, at: int) -> tuple[str, ...]:
        """The columns in the parentheses that begin here; without parentheses, the part's own
        column."""
        if at >= len(self._tokens) or self._tokens[at].text != "(":
            return (self._column,)
        inside = self._tokens[at + 1 : group_end(self._tokens, at)]
        return tuple(part[0].name.lower() for part in parts_of(inside) if part)

    def _after_default(self, at: int) -> int:
        if self._tokens[at].text == "(":
            return group_end(self._tokens, at) + 1
        return at + (2 if self._tokens[at].text in ("+", "-") else 1)


def read_default(text: str) -> str:
    """A default from the catalog, as an expression. A name without a meaning is a text."""
    tokens = tokens_of(text)
    if len(tokens) == 1:
        (token,) = tokens
        if token.upper == "NULL":
            return ""
        if token.sort is Sort.WORD and not _is_constant(token.upper):
            return "'{}'".format(token.text.replace("'", "''"))
    return clear(text, tokens, ())


def _is_constant(word: str) -> bool:
    return word in ("TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP")


@dataclass(frozen=True, slots=True)
class IndexText:
    parts: tuple[str, ...]  # without directions
    where: str = ""


def read_index(sql: str, columns: Collection[str]) -> IndexText:
    tokens = tokens_of(sql)
    on = next(at for at, one in enumerate(tokens) if one.upper == "ON")
    opening = next(at for at in range(on, len(tokens)) if tokens[at].text == "(")
    closing = group_end(tokens, opening)
    parts = []
    for part in parts_of(tokens[opening + 1 : closing]):
        kept = part[:-1] if part[-1].upper in ("ASC", "DESC") else part
        parts.append(clear(sql, kept, columns))
    rest = tokens[closing + 1 :]
    where = clear(sql, rest[1:], columns) if rest and rest[0].upper == "WHERE" else ""
    return IndexText(tuple(parts), where)


def read_view(sql: str) -> str:
    """The query of a view."""
    tokens = tokens_of(sql)
    at = next(at for at, one in enumerate(tokens) if one.upper == "AS")
    return sql[tokens[at].end :].strip().rstrip(";").strip()
