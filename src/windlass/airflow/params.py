"""The trigger forms, and what is made of them: the words of a spec.

The names are those of the DAGs that this package replaces; where a default was harmful there, the
better one, and the help says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from windlass.errors import BadSpec
from windlass.model.report import ACCEPTABLE

Given = Mapping[str, Any]


ONLY_READ = "The database to move; it is only read."


def connection_params(source_conn_id: str, target_conn_id: str) -> dict[str, Param]:
    return {
        "source_conn_id": connection(source_conn_id, ONLY_READ),
        "target_conn_id": connection(target_conn_id, "The database that it moves to."),
    }


def connection(conn_id: str, help_: str) -> Param:
    return Param(
        conn_id,
        type="string",
        minLength=1,
        description=f"Airflow connection of type Postgres. {help_}",
        section="Databases",
    )


def schema_params() -> dict[str, Param]:
    return {
        "source_schema": Param(
            None,
            type=["null", "string"],
            description="Schemas to migrate, separated by commas. Empty: all user schemas.",
            section="What",
        ),
        "target_schema": Param(
            None,
            type=["null", "string"],
            description="The schema's name on the target; with several source schemas as many"
            " names, in the same order. Empty: as on the source.",
            section="What",
        ),
        "exclude_tables": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            description="Shell patterns on the relation's name, or on schema.relation, one in each"
            " line: what matches one is left out.",
            section="What",
        ),
        "include_tables": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            description="The same: only what matches one is taken. Empty: everything.",
            section="What",
        ),
    }


def migration_params() -> dict[str, Param]:
    return {
        **schema_params(),
        "drop_existing_tables": Param(
            False,
            type="boolean",
            description="Off: relations that the target has already stop the run before anything is"
            " written. On: they are moved into a backup schema, and windlass rollback puts them"
            " back.",
            section="What",
        ),
        "fill_existing_tables": Param(
            False,
            type="boolean",
            description="Load into relations that the target has already, if they are empty.",
            section="What",
        ),
        "accept": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": [one.value for one in ACCEPTABLE]},
            description="Classes of losses to accept, one in each line: "
            + ", ".join(ACCEPTABLE)
            + ". Without the class of a loss, the plan is refused.",
            section="What",
        ),
        "partition_threshold": Param(
            1_000_000,
            type="integer",
            minimum=100_000,
            description="Rows, by the server's estimate, from which a relation is split into"
            " partitions that are copied side by side.",
            section="How",
        ),
        "max_partitions": Param(
            64,
            type="integer",
            minimum=2,
            maximum=100_000,
            description="The most partitions of one relation. It gets one for every 64 MB: with few"
            " of a large relation, a lost worker costs much.",
            section="How",
        ),
        "chunk_size": Param(
            100_000,
            type="integer",
            minimum=100,
            maximum=100_000_000,
            description="The fewest rows of a partition.",
            section="How",
        ),
        "use_unlogged_tables": Param(
            "auto",
            # Airflow's page shows a switch for a boolean, which is off where it is unset. A text
            # with examples is shown as it is, and true and false are taken as well.
            type=["string", "boolean", "null"],
            pattern="^(auto|always|never)$",
            examples=["auto", "always", "never"],
            description="Fill unlogged relations, and make them logged before their indexes are"
            " built: auto, always or never. auto: only where it helps, which is a target with"
            " wal_level = minimal; elsewhere it takes longer.",
            section="How",
        ),
        "jobs": Param(
            4,
            type="integer",
            minimum=1,
            maximum=256,
            description="Statements that one task has the servers work on side by side: creating"
            " tables, keys, statistics. Also the fewest mapped tasks, if there are as many pieces."
            " Copying is bounded by the pool.",
            section="How",
        ),
        "one_snapshot": Param(
            False,
            type="boolean",
            description="Stop rather than continue with a second snapshot when the first is lost.",
            section="How",
        ),
        "allow_empty_source": Param(
            False,
            type="boolean",
            description="Go ahead although the source has nothing, and the target has something.",
            section="What",
        ),
        "verify": Param(
            "full",
            type="string",
            enum=["full", "counts", "none"],
            description="What is compared before the run is called done: the content of every row,"
            " or row counts; definitions and sequences with both.",
            section="Proof",
        ),
        "trigger_validation": Param(
            True,
            type="boolean",
            description="Let the validation DAG compare both sides again, in the same snapshot.",
            section="Proof",
        ),
        **approval_param(),
    }


def approval_param() -> dict[str, Param]:
    return {
        "require_approval": Param(
            False,
            type="boolean",
            description="Show the plan, and wait for a person to approve it, before anything is"
            " written.",
            section="Proof",
        )
    }


def validation_params() -> dict[str, Param]:
    return {
        **schema_params(),
        "level": Param(
            "full",
            type="string",
            enum=["full", "counts", "schema"],
            description="full: definitions, sequences and every row's content; counts: rows are"
            " only counted; schema: definitions only.",
            section="What",
        ),
        "snapshot": Param(
            None,
            type=["null", "string"],
            description="An exported snapshot of the source to read in, which somebody else holds."
            " Empty: a new one.",
            section="What",
        ),
    }


def migration_words(params: Given, given: Given) -> dict[str, Any]:
    """The spec of the form; `given` wins."""
    unlogged = params["use_unlogged_tables"]
    drops, fills = params["drop_existing_tables"], params["fill_existing_tables"]
    if drops and fills:
        raise BadSpec(["drop_existing_tables and fill_existing_tables exclude each other"])
    existing = "replace" if drops else "fill" if fills else "refuse"
    return {
        **_selection(params),
        "jobs": params["jobs"],
        "chunk_by": "ctid",
        "existing": existing,
        "chunk_threshold": params["partition_threshold"],
        "max_chunks": params["max_partitions"],
        "min_chunk_rows": params["chunk_size"],
        "unlogged": {None: "auto", True: "always", False: "never"}.get(unlogged, unlogged),
        "one_snapshot": params["one_snapshot"],
        "allow_empty_source": params["allow_empty_source"],
        "accept": params["accept"] or [],
        "verify": params["verify"],
        **given,
    }


def validation_words(params: Given, given: Given) -> dict[str, Any]:
    """The spec of the form; `given` wins."""
    level = params["level"]
    verify = {"schema_only": True} if level == "schema" else {"verify": level}
    return {**_selection(params), **verify, "snapshot": params["snapshot"] or "", **given}


def spec_words(params: Given, given: Given) -> dict[str, Any]:
    """A spec as it stands, with the form's connections."""
    return {
        **given,
        "source": params["source_conn_id"],
        "target": params["target_conn_id"],
        **({"snapshot": params["snapshot"]} if params.get("snapshot") else {}),
    }


def rewrite_params(connection: str) -> dict[str, Param]:
    return {
        "db_conn_id": Param(
            connection,
            type="string",
            minLength=1,
            description="The database: the id of an Airflow connection of type Postgres, or"
            " variable: and the name of a variable that holds its URL.",
            section="Database",
        )
    }


def rewrite_words(params: Given, given: Given) -> dict[str, Any]:
    """The spec as it stands, with the form's connection."""
    return {**given, "connection": params["db_conn_id"]}


def export_words(params: Given, given: Given) -> dict[str, Any]:
    """An export's spec as it stands, with the form's source."""
    return {**given, "source": params["source_conn_id"]}


def _selection(params: Given) -> dict[str, Any]:
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
        "schema": schemas,
        "map_schema": {old: new for old, new in renamed.items() if old != new},
        "exclude": [_qualified(pattern) for pattern in params["exclude_tables"] or []],
        "include": [_qualified(pattern) for pattern in params["include_tables"] or []],
    }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _qualified(pattern: str) -> str:
    """A pattern without a dot is on the relation's name alone."""
    return pattern if "." in pattern else f"*.{pattern}"


_FORM = {
    "--existing replace": "drop_existing_tables",
    "--existing fill": "fill_existing_tables",
    "--accept ": "accept: ",
    "--restart undoes the run and begins": "a new run after windlass rollback begins",
    " (or --restart to begin again)": "",
    ": PGPASSWORD, the password file or the URL": " of the Airflow connection",
}
_SPEC = {
    **_FORM,
    "--existing replace": "existing: replace",
    "--existing fill": "existing: fill",
}


def in_form_words(text: str, *, has_spec: bool) -> str:
    """A hint that names options of the command line, in the words of the form or of the spec."""
    for option, words in (_SPEC if has_spec else _FORM).items():
        text = text.replace(option, words)
    return re.sub(r"(?<!\S)--([a-z][a-z-]+)", lambda found: found[1].replace("-", "_"), text)
