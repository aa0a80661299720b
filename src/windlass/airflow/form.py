"""The fields of trigger forms as plain data, made from the entries of specs; and how messages name
them.

A field is named after its option, with two exceptions that are listed here. If an earlier DAG has
another name for it, the form keeps that name. If that DAG's default was harmful, the form has
another default, and its help says so. What a scheduler decides itself has no field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.model.wording import PASSWORD
from windlass.spec.choices import Existing
from windlass.spec.fields.entry import EVERY_FLOW, Entry, Kind, Section
from windlass.spec.fields.migrate import MIGRATE

TEXT_OR_NONE: Mapping[str, Any] = {"type": ["null", "string"]}
TEXTS: Mapping[str, Any] = {"type": ["null", "array"], "items": {"type": "string"}}
BOOLEAN: Mapping[str, Any] = {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field. `schema` is JSON schema. `choice` is the value of the option that the field stands
    for."""

    name: str
    default: Any
    about: str
    section: Section
    schema: Mapping[str, Any] = field(default_factory=dict)
    choice: str = ""


def fields_of(entry: Entry) -> tuple[FormField, ...]:
    """The fields for an option in the form of a migration."""
    return NAMED.get(entry.word, (made_from(entry),))


def migration_fields() -> Iterator[FormField]:
    """All fields of the form, section by section."""
    found = [*(one for entry in MIGRATE.values() for one in fields_of(entry)), *OF_THE_DAG]
    for section in Section:
        yield from (one for one in found if one.section is section)


def made_from(entry: Entry) -> FormField:
    """The field of an option without exceptions."""
    lines = " One per line." if entry.kind is Kind.LIST else ""
    choices = f" {', '.join(entry.choices)}." if lines and entry.choices else ""
    made = entry.default() if callable(entry.default) else entry.default
    return FormField(
        name=entry.key,
        default=list(made) if entry.kind is Kind.LIST else made,
        about=f"{entry.text.replace('`', '')}{lines}{choices}",
        section=entry.section,
        schema=_schema_of(entry),
    )


def _schema_of(entry: Entry) -> dict[str, Any]:
    choices = {"enum": [str(one) for one in entry.choices]} if entry.choices else {}
    match entry.kind:
        case Kind.FLAG:
            return {"type": "boolean"}
        case Kind.NUMBER:
            bounds = zip(("minimum", "maximum"), entry.bounds, strict=True)
            return {"type": "integer"} | {key: to for key, to in bounds if to is not None}
        case Kind.LIST:
            return {"type": ["null", "array"], "items": {"type": "string"} | choices}
        case Kind.PAIRS | Kind.OTHER:
            return {"type": ["null", "object"]}
        case Kind.CHOICE:
            return {"type": "string"} | choices
        case Kind.SIZE:
            return {"type": ["string", "integer"]}
        case Kind.TEXT:
            return dict(TEXT_OR_NONE)


SELECTION: Mapping[str, tuple[FormField, ...]] = {
    "schema": (
        FormField(
            name="source_schema",
            default=None,
            about="Schemas to migrate, separated by commas. Empty: all user schemas.",
            section=Section.WHAT,
            schema=TEXT_OR_NONE,
        ),
    ),
    "map-schema": (
        FormField(
            name="target_schema",
            default=None,
            about="The schema's name on the target; with several source schemas as many names, in"
            " the same order. Empty: as on the source.",
            section=Section.WHAT,
            schema=TEXT_OR_NONE,
        ),
    ),
    "exclude": (
        FormField(
            name="exclude_tables",
            default=[],
            about="Shell patterns on the relation's name, or on schema.relation, one per line:"
            " relations that match one are left out.",
            section=Section.WHAT,
            schema=TEXTS,
        ),
    ),
    "include": (
        FormField(
            name="include_tables",
            default=[],
            about="The same: only relations that match one are migrated. Empty: all.",
            section=Section.WHAT,
            schema=TEXTS,
        ),
    ),
}

# Options whose fields have other names or bounds, and options without a field: the two databases,
# which are connections; what is the same in every DAG run (block ranges, whose size follows from
# their number, and patterns that may match nothing today); what needs a separate DAG (half a
# migration, another session's snapshot); and where metrics go, as whoever may trigger a run could
# otherwise make a worker write anywhere, or send its login to any server.
NAMED: Mapping[str, tuple[FormField, ...]] = {
    **SELECTION,
    "source": (),
    "target": (),
    "schema-only": (),
    "data-only": (),
    "chunk-by": (),
    "chunk-size": (),
    "snapshot": (),
    "allow-unmatched": (),
    **{entry.word: () for entry in EVERY_FLOW},
    # The DAG's author names functions and expressions that a worker runs, not who triggers a run.
    "mapping": (),
    # The steps of other flows, which the tasks of this DAG do not have.
    **dict.fromkeys(("types", "django", "django-folder", "django-python"), ()),
    **dict.fromkeys(("follow", "no-reverse", "set-identity", "max-retained-wal", "apply-ddl"), ()),
    "existing": (
        FormField(
            name="drop_existing_tables",
            default=False,
            about="Off: if relations exist on the target, the run stops before anything is"
            " written. On: they are moved into a backup schema, and windlass rollback puts them"
            " back.",
            section=Section.WHAT,
            schema=BOOLEAN,
            choice=Existing.REPLACE,
        ),
        FormField(
            name="fill_existing_tables",
            default=False,
            about="Load into existing relations of the target, if they are empty.",
            section=Section.WHAT,
            schema=BOOLEAN,
            choice=Existing.FILL,
        ),
    ),
    "chunk-threshold": (
        FormField(
            name="partition_threshold",
            default=1_000_000,
            about="Split relations with at least this many rows, by the server's estimate, into"
            " chunks that are copied in parallel.",
            section=Section.HOW,
            schema={"type": "integer", "minimum": 100_000},
        ),
    ),
    "max-chunks": (
        FormField(
            name="max_partitions",
            default=64,
            about="The most chunks of one relation, which has one for every 64 MB. With few chunks"
            " of a large relation, losing a worker costs much time.",
            section=Section.HOW,
            schema={"type": "integer", "minimum": 2, "maximum": 100_000},
        ),
    ),
    "min-chunk-rows": (
        FormField(
            name="chunk_size",
            default=100_000,
            about="The fewest rows of a chunk.",
            section=Section.HOW,
            schema={"type": "integer", "minimum": 100, "maximum": 100_000_000},
        ),
    ),
    "unlogged": (
        FormField(
            name="use_unlogged_tables",
            default="auto",
            about="Fill unlogged relations, and make them logged before their indexes are built:"
            " auto, always or never. auto: only if the target has wal_level = minimal, as it takes"
            " longer otherwise.",
            section=Section.HOW,
            # Airflow's page shows a switch for a boolean, which is off if the value is not set. A
            # text with examples is shown unchanged, and accepts true and false as well.
            schema={
                "type": ["string", "boolean", "null"],
                "pattern": "^(auto|always|never)$",
                "examples": ["auto", "always", "never"],
            },
        ),
    ),
    "jobs": (
        FormField(
            name="jobs",
            default=4,
            about="Statements that one task runs in parallel: creating tables, keys, statistics."
            " Also the fewest mapped tasks of a step, if it has that many items. The pool limits"
            " copying.",
            section=Section.HOW,
            schema={"type": "integer", "minimum": 1, "maximum": 256},
        ),
    ),
}

APPROVAL = FormField(
    name="require_approval",
    default=False,
    about="Show the plan, and wait for a person to approve it, before anything is written.",
    section=Section.PROOF,
    schema=BOOLEAN,
)
# Fields that are not options of the spec.
OF_THE_DAG = (
    FormField(
        name="trigger_validation",
        default=True,
        about="Let the validation DAG compare both sides again, in the same snapshot.",
        section=Section.PROOF,
        schema=BOOLEAN,
    ),
    APPROVAL,
)

VALIDATION = (
    *(one for entry in MIGRATE.values() for one in SELECTION.get(entry.word, ())),
    FormField(
        name="level",
        default="full",
        about="full: definitions, sequences and every row's content; counts: rows are only counted;"
        " schema: definitions only.",
        section=Section.WHAT,
        schema={"type": "string", "enum": ["full", "counts", "schema"]},
    ),
    FormField(
        name="snapshot",
        default=None,
        about="An exported snapshot of the source to read in; another session holds it. Empty: a"
        " new one.",
        section=Section.WHAT,
        schema=TEXT_OR_NONE,
    ),
)


def connection_field(name: str, conn_id: str, about: str) -> FormField:
    """The field for a connection's id."""
    return FormField(
        name=name,
        default=conn_id,
        about=about,
        section=Section.DATABASES,
        schema={"type": "string", "minLength": 1},
    )


def as_key(name: str, value: str) -> str:
    """How a message names an option if the DAG has its own spec."""
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    key = name.replace("-", "_")
    return f"{key}: {value}" if value else key


def as_field(name: str, value: str) -> str:
    """How a message names an option if the DAG has a form."""
    fields = fields_of(MIGRATE[name]) if name in MIGRATE else ()
    if chosen := [one.name for one in fields if one.choice and one.choice == value]:
        return chosen[0]
    return as_key(fields[0].name if len(fields) == 1 else name, value)


# Options in messages that are neither in a spec nor in a form.
_ELSEWHERE = {
    PASSWORD: "the Airflow connection",
    "restart": "a new run after windlass rollback",
}
