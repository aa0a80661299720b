"""Features that the target's server lacks. Only features that the statements use are tried, each
separately, and rolled back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.trial import Refusal, TryOut
from windlass.model.relation import Name, Relation
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Statement
from windlass.planning.naming import target_name

_XML = re.compile(
    r"\b(?:xml(?:agg|attributes|comment|concat|element|exists|forest|parse|pi|root|serialize|table)"
    r"|xml_is_well_formed\w*|xpath|xpath_exists|(?:cursor|database|query|schema|table)_to_xml\w*)"
    r"\"?\s*\(",
    re.IGNORECASE,
)
_XML_TRIAL = "select xmlparse(content '<a/>')"
_CATALOG_COLLATION = re.compile(r'COLLATE pg_catalog\.("(?:[^"]|"")+"|[\w$]+)')
_LIBRARY = re.compile(r"^\s*AS ('(?:[^']|'')*'), ('(?:[^']|'')*')", re.MULTILINE)
_IN_C = re.compile(r"^\s*LANGUAGE c\b", re.MULTILINE)
_EXTENSION_SCHEMA = re.compile(r'WITH SCHEMA ("(?:[^"]|"")+"|[\w$]+);')
_NO_FILE = "F0000"  # a template that does not exist yet cannot be checked
_LABEL = "SECURITY LABEL"
_PROVIDER = re.compile(r'^SECURITY LABEL FOR ("(?:[^"]|"")+"|[\w$]+) ON ', re.MULTILINE)
_NOT_LOADED = "22023"  # the server checks this first
_PROBED = "use a target whose server has it, or leave them out"


@dataclass(frozen=True, slots=True)
class Trial:
    """A script whose failure is a problem of an object."""

    script: str
    object: str
    message: str
    hint: str
    state: str = ""  # SQLSTATE of the only failure that counts; "": any does

    def fails(self, refused: Mapping[str, Refusal]) -> bool:
        found = refused.get(self.script)
        if found is None or found.is_taken:
            return False
        return self.state in ("", found.state)


def build_problems(
    statements: Sequence[Statement],
    relations: Iterable[Relation],
    schemas: Mapping[str, str],
    try_out: TryOut,
) -> list[Problem]:
    """`relations` are those of the source whose rows are copied, `schemas` those that are
    renamed."""
    trials = [*_of_statements(statements), *_of_columns(relations, schemas)]
    refused = try_out(trial.script for trial in trials)
    return [
        Problem(trial.object, f"{trial.message}: {refused[trial.script].message}", trial.hint)
        for trial in trials
        if trial.fails(refused)
    ]


def unlabelled(
    statements: Sequence[Statement], try_out: TryOut
) -> tuple[tuple[Statement, ...], tuple[Loss, ...]]:
    """Remove security labels whose provider is not loaded in any session of the target, and return
    them as losses."""
    labels = {one: _PROVIDER.findall(one.sql) for one in statements if one.kind == _LABEL}
    trials = {
        name: f"SECURITY LABEL FOR {name} ON SCHEMA pg_catalog IS NULL"
        for names in labels.values()
        for name in names
    }
    refused = try_out(trials.values())
    absent = {
        name
        for name, script in trials.items()
        if script in refused and refused[script].state == _NOT_LOADED
    }
    lost = {one: sorted(absent & {*names}) for one, names in labels.items() if absent & {*names}}
    losses = (
        Loss(
            str(one), f"provider {', '.join(names)} is not loaded on the target", LossClass.OBJECTS
        )
        for one, names in lost.items()
    )
    return tuple(one for one in statements if one not in lost), tuple(losses)


def _of_statements(statements: Iterable[Statement]) -> Iterator[Trial]:
    for statement in statements:
        text, about = statement.sql, str(statement)
        if statement.kind == "COLLATION":
            script = f"{in_schema(statement.name.schema)}{text}"
            yield Trial(script, about, "cannot be created on the target", _PROBED)
        elif statement.kind == "EXTENSION":
            yield Trial(
                _extension(text),
                about,
                "cannot be created on the target",
                "install or create it there first",
            )
        elif statement.kind == "TEXT SEARCH DICTIONARY":
            yield Trial(
                f"{in_schema(statement.name.schema)}{text}",
                about,
                "cannot be created on the target",
                "install the file in tsearch_data on the target's server",
                _NO_FILE,
            )
        elif statement.kind in ("FUNCTION", "PROCEDURE") and _IN_C.search(text):
            for library, symbol in _LIBRARY.findall(text):
                hint = "install its library on the target's server"
                yield Trial(_in_c(library, symbol), about, "cannot be created on the target", hint)
        for collation in dict.fromkeys(_CATALOG_COLLATION.findall(text)):
            script = f"select '' collate pg_catalog.{collation}"
            yield Trial(script, about, f"uses collation {collation}", _PROBED)
        if _XML.search(text):
            yield Trial(_XML_TRIAL, about, "uses XML functions", _PROBED)


def _of_columns(relations: Iterable[Relation], schemas: Mapping[str, str]) -> Iterator[Trial]:
    for relation in relations:
        for column in relation.columns:
            if column.type in ("xml", "xml[]"):
                name: Name = target_name(relation.name, schemas)
                message = f"column {column.name} is of type xml"
                yield Trial(_XML_TRIAL, str(name), message, _PROBED)


def in_schema(schema: str) -> str:
    """Creates the schema first, so that its objects can be tried before it exists."""
    if not schema or schema.startswith("pg_"):
        return ""
    return sql.SQL("create schema if not exists {};\n").format(sql.Identifier(schema)).as_string()


def extension_schema(text: str) -> str:
    """The schema of pg_dump's CREATE EXTENSION; empty if the extension determines it."""
    found = _EXTENSION_SCHEMA.search(text)
    name = found[1] if found else ""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _extension(text: str) -> str:
    found = _EXTENSION_SCHEMA.search(text)
    schema = found[1] if found else ""
    head = f"create schema if not exists {schema};\n" if schema and schema[:3] != "pg_" else ""
    create, _, rest = text.partition(";")
    return f"{head}{create} CASCADE;{rest}"


def _in_c(library: str, symbol: str) -> str:
    """A function of any signature makes the server load its library."""
    return f"create function pg_temp.windlass_trial() returns int language c as {library}, {symbol}"
