"""Trigger forms, and the options of a spec that are made from them.

`windlass.airflow.form` decides which fields a form has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from windlass.airflow.checking import check_ids
from windlass.airflow.form import (
    APPROVAL,
    SELECTION,
    VALIDATION,
    FormField,
    connection_field,
    fields_of,
    migration_fields,
)
from windlass.errors import BadSpec
from windlass.spec.choices import ChunkBy
from windlass.spec.fields.migrate import MIGRATE

Given = Mapping[str, Any]


# A DAG runs repeatedly: what it leaves out need not exist every time.
STANDING: Mapping[str, Any] = {"allow_unmatched": True}
ONLY_READ = "The database to migrate; it is only read."


def connection_params(source_conn_id: str, target_conn_id: str) -> dict[str, Param]:
    """The fields for connections.

    Raises:
        BadSpec: an id is an address.
    """
    check_ids({"source_conn_id": source_conn_id, "target_conn_id": target_conn_id})
    return {
        "source_conn_id": connection(source_conn_id, ONLY_READ),
        "target_conn_id": connection(target_conn_id, "The database to migrate to."),
    }


def connection(conn_id: str, help_: str) -> Param:
    """The field for one connection.

    Raises:
        BadSpec: the id is an address.
    """
    check_ids({"connection": conn_id})
    about = f"Airflow connection of type Postgres. {help_}"
    return param(connection_field("", conn_id, about))


def migration_params() -> dict[str, Param]:
    return _params(migration_fields())


def approval_param() -> dict[str, Param]:
    return _params([APPROVAL])


def validation_params() -> dict[str, Param]:
    return _params(VALIDATION)


def rewrite_params(connection: str) -> dict[str, Param]:
    """The fields of a rewrite's form.

    Raises:
        BadSpec: the id is an address.
    """
    check_ids({"db_conn_id": connection})
    about = (
        "The database: the id of an Airflow connection of type Postgres, or variable: and the name"
        " of a variable that holds its URL."
    )
    return _params([connection_field("db_conn_id", connection, about)])


def with_params(own: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, Param]:
    """A form with other defaults for its fields, and with additional fields.

    Raises:
        BadSpec: a field does not take its new default.
    """
    found, faults = dict(own), []
    for name, value in given.items():
        if isinstance(value, Param):
            found[name] = value
        elif name not in own:
            found[name] = Param(value)
        else:
            found[name] = Param(value, description=own[name].description, schema=own[name].schema)
            try:
                found[name].resolve()
            except ParamValidationError as error:
                faults.append(f"params.{name}: {str(error).splitlines()[0]}")
    if faults:
        raise BadSpec(faults)
    return found


def _params(fields: Iterable[FormField]) -> dict[str, Param]:
    return {one.name: param(one) for one in fields}


def param(one: FormField) -> Param:
    """A field of a form as Airflow has it."""
    section = one.section.value
    return Param(one.default, description=one.about, section=section, **one.schema)


# Words that fields of the form pass on unchanged.
_PLAIN = {
    entry.key: fields[0].name
    for entry in MIGRATE.values()
    if len(fields := fields_of(entry)) == 1 and entry.word not in {*SELECTION, "unlogged"}
}


def migration_words(params: Given, given: Given) -> dict[str, Any]:
    """The options of a spec from the form; `given` takes precedence."""
    unlogged = params["use_unlogged_tables"]
    drops, fills = params["drop_existing_tables"], params["fill_existing_tables"]
    if drops and fills:
        raise BadSpec(["drop_existing_tables and fill_existing_tables exclude each other"])
    return {
        **{key: params[name] for key, name in _PLAIN.items() if params[name] is not None},
        **selection(params),
        "chunk_by": ChunkBy.CTID,
        "existing": "replace" if drops else "fill" if fills else "refuse",
        "unlogged": {None: "auto", True: "always", False: "never"}.get(unlogged, unlogged),
        **given,
    }


def validation_words(params: Given, given: Given) -> dict[str, Any]:
    """The options of a spec from the form; `given` takes precedence."""
    level = params["level"]
    verify = {"schema_only": True} if level == "schema" else {"verify": level}
    return {**selection(params), **verify, "snapshot": params["snapshot"] or "", **given}


def spec_words(params: Given, given: Given) -> dict[str, Any]:
    """A spec as it is, with the form's connections."""
    return {
        **STANDING,
        **given,
        "source": params["source_conn_id"],
        "target": params["target_conn_id"],
        **({"snapshot": params["snapshot"]} if params.get("snapshot") else {}),
    }


def rewrite_words(params: Given, given: Given) -> dict[str, Any]:
    """The spec as it is, with the form's connection."""
    return {**given, "connection": params["db_conn_id"]}


def given_words(params: Given, given: Given) -> dict[str, Any]:
    """A spec as it is, including its connections."""
    return dict(given)


def connected_words(params: Given, given: Given) -> dict[str, Any]:
    """A spec as it is, with a connection of the form for each database: `source` is
    `source_conn_id`."""
    end = "_conn_id"
    sides = {name.removesuffix(end): value for name, value in params.items() if name.endswith(end)}
    return {**given, **sides}


def selection(params: Given) -> dict[str, Any]:
    """The options for databases, schemas and tables."""
    schemas = _names(params["source_schema"])
    targets = _names(params["target_schema"])
    if targets and len(targets) != len(schemas):
        raise BadSpec(["target_schema: give as many names as in source_schema"])
    if len(set(schemas)) != len(schemas):
        raise BadSpec(["source_schema: names a schema twice"])
    renamed = dict(zip(schemas, targets, strict=False)) if targets else {}
    return {
        "source": params["source_conn_id"],
        "target": params["target_conn_id"],
        **STANDING,
        "schema": schemas,
        "map_schema": {old: new for old, new in renamed.items() if old != new},
        "exclude": [_qualified(pattern) for pattern in params["exclude_tables"] or []],
        "include": [_qualified(pattern) for pattern in params["include_tables"] or []],
    }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _qualified(pattern: str) -> str:
    """The pattern with a schema: one without a dot would match any relation of that name."""
    return pattern if "." in pattern else f"*.{pattern}"
