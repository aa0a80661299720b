"""A Django project whose database is moved: asked about its models, and to make their tables.

Its interpreter answers; the target's address is in the environment of that process alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.relation import CatalogRelation
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.trial import printed_types
from windlass.flows.translate.hold import TranslateHold
from windlass.model.chunk import Whole
from windlass.model.translation import Answers, Reading, SourceSchema
from windlass.planning.postgres.translated.modelled import (
    MIGRATIONS,
    Described,
    ModelColumn,
    ModelTable,
)
from windlass.run.project import Project
from windlass.spec.migrate import Spec

DATABASE = "default"  # the alias under which the project finds the target


def project_of(spec: Spec) -> Project:
    folder = Path(spec.django_folder or ".").absolute()
    usual = [folder / name / "bin" / "python" for name in ("venv", ".venv")]
    python = next((str(one) for one in usual if one.exists()), sys.executable)
    return Project(
        str(folder), spec.django, spec.django_python or python, DATABASE, shares_environment=True
    )


def describe(spec: Spec, hold: TranslateHold, schema: SourceSchema, there: Catalog) -> Described:
    """What the project says about its database on the target. Writes nothing.

    Raises:
        BadSpec: the project cannot be set up.
        Refused: the models are ahead of the migrations, or these cannot be applied.
        WindlassError: its interpreter cannot be started, or has not what is needed.
    """
    if hold.known.project is not None:
        return _read(hold.known.project, hold, there)
    request = {"step": "describe", "database": DATABASE, "applied": _applied(hold, schema)}
    return _read(project_of(spec).ask(request, _conninfo(hold)), hold, there)


def _read(answer: Mapping[str, Any], hold: TranslateHold, there: Catalog) -> Described:
    known = {one.name.name: one for one in there.relations if one.name.schema == answer["schema"]}
    tables = [_table(one, known.get(one["name"])) for one in answer["tables"]]
    return Described(
        schema=answer["schema"],
        zone=answer["zone"],
        behind=tuple(answer["behind"]),
        migrations=tuple(answer["migrations"]),
        is_making=answer["is_making"],
        tables={one.name: one for one in _as_printed(hold.control, tables)},
        there=frozenset(known),
    )


def make_tables(spec: Spec, hold: TranslateHold) -> None:
    """Apply the migrations that the target lacks. What is there then is planned with next.

    Raises:
        Refused: they cannot be applied, or another process does it.
        WindlassError: one failed.
    """
    applied = _applied(hold, hold.schema())
    request = {"step": "make_tables", "database": DATABASE, "applied": applied}
    hold.known.project = project_of(spec).ask(request, _conninfo(hold))


def _conninfo(hold: TranslateHold) -> str:
    return hold.target.conninfo(hold.control, "windlass django")


def _table(one: Mapping[str, Any], there: CatalogRelation | None) -> ModelTable:
    """The table's columns, with the types that they have if the table exists."""
    types = {each.name: each.type for each in there.columns} if there else {}
    columns = tuple(
        ModelColumn(**{**each, "type": types.get(each["name"], each["type"])})
        for each in one["columns"]
    )
    return ModelTable(one["name"], one["model"], columns, one["is_made"])


def _applied(hold: TranslateHold, schema: SourceSchema) -> list[tuple[str, str]]:
    """The source's migrations, as pairs of application and name."""
    table = next((one for one in schema.tables if one.name.name == MIGRATIONS), None)
    if table is None or not {"app", "name"} <= {one.name for one in table.columns}:
        return []
    fit = hold.origin.fit(table, Answers({"app": "text", "name": "text"}))
    fields = [one for one in fit.fields if one.name in ("app", "name")]
    fields.sort(key=lambda one: one.name)
    reading = Reading(table.name, tuple(fields))
    lines = b"".join(hold.origin.lines(reading, Whole())).decode().splitlines()
    return [(app, name) for app, name in (line.split("\t") for line in lines)]


def _as_printed(session: Connection, tables: Sequence[ModelTable]) -> Iterator[ModelTable]:
    """The tables, with types as the server prints them."""
    printed = printed_types(session, [each.type for one in tables for each in one.columns])
    for one in tables:
        columns = tuple(replace(each, type=printed[each.type]) for each in one.columns)
        yield replace(one, columns=columns)
