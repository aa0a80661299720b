"""The frozen `Spec` of a move, from YAML, Python or command-line words. Unknown keys are refused.

What it does not decide: whether the databases can do it (`plan`), or how (`flows`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from windlass.errors import BadSpec
from windlass.model.report import ACCEPTABLE, LossClass


class ChunkBy(StrEnum):
    AUTO = "auto"
    CTID = "ctid"
    KEYSET = "keyset"
    WHOLE = "whole"


class Unlogged(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Existing(StrEnum):
    REFUSE = "refuse"
    REPLACE = "replace"
    FILL = "fill"


class Verify(StrEnum):
    NONE = "none"
    COUNTS = "counts"
    FULL = "full"


class Extent(StrEnum):
    """What of the selected relations is moved."""

    ALL = "all"
    SCHEMA = "schema-only"
    DATA = "data-only"


_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


LONGEST_SIZE = 30  # characters


def parse_bytes(text: object) -> int:
    """``64MB`` is 64 * 1024 * 1024: PostgreSQL's own units, as in its settings."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not isinstance(text, str) or len(text) > LONGEST_SIZE:
        raise ValueError("not a size such as 64MB")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?[bB]?)\s*", text)
    unit = match and match[2].upper()
    if unit in ("K", "M", "G", "T"):
        unit += "B"
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 64MB")
    return int(Decimal(match[1]) * _UNITS[unit])


Size = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(ge=1 << 16),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1 << 16},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[kKmMgGtT]?[bB]?\s*$"},
            ]
        }
    ),
]
_Words = Annotated[
    tuple[str, ...],
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
_CLASS = {"enum": [one.value for one in ACCEPTABLE]}


def _acceptable(one: LossClass) -> LossClass:
    if one.is_notice:
        raise ValueError(f"{one} are only ever noticed: leave it out")
    return one


Classes = Annotated[
    tuple[Annotated[LossClass, AfterValidator(_acceptable)], ...],
    WithJsonSchema({"anyOf": [_CLASS, {"type": "array", "items": _CLASS}]}),
]


class Spec(BaseModel):
    """A migration: from where to where, what of it, and how."""

    flow: ClassVar = "migrate"

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    source: SecretStr | None = None
    """`postgresql://` URL, libpq conninfo string or service name. Default: $WINDLASS_SOURCE."""
    target: SecretStr | None = None
    """The same for the target. Default: $WINDLASS_TARGET."""
    schemas: _Words = Field(default=(), alias="schema")
    """Schemas to migrate. Default: all user schemas."""
    include: _Words = ()
    """Shell patterns on `schema.table`; only what matches one is migrated."""
    exclude: _Words = ()
    """Shell patterns on `schema.table`; what matches one is left out."""
    map_schema: dict[str, str] = Field(default_factory=dict)
    """Schemas that get another name on the target: `old: new`."""
    jobs: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=lambda: os.cpu_count() or 1)
    """How many chunks are copied, or indexes built, side by side. Default: the cores."""
    chunk_by: ChunkBy = ChunkBy.AUTO
    """What large tables are split by. `auto`: nothing while other tables keep all jobs busy,
    up to eight chunks; else block ranges where the server can, else keys."""
    chunk_size: Size = 64 << 20
    """Size of a chunk, for example `64MB`."""
    partition_threshold: Annotated[int, Field(ge=0)] = 0
    """Tables with at least this many rows (by the server's estimate) are split into two chunks or
    more, others are not. 0: size alone decides."""
    max_partitions: Annotated[int, Field(ge=0)] = 0
    """The most chunks that one table is split into. 0: as many as its size asks for."""
    chunk_rows: Annotated[int, Field(ge=0)] = 0
    """No chunk is planned with fewer rows than this, by the server's estimate."""
    unlogged: Unlogged = Unlogged.AUTO
    """Whether tables are filled unlogged, and made logged before their indexes are built.
    `auto`: tables in several chunks, and only where the target has `wal_level = minimal`;
    elsewhere it takes longer, as all is written to the log afterwards."""
    schema_only: bool = False
    """Migrate definitions, no rows."""
    data_only: bool = False
    """Copy rows into tables that exist already."""
    existing: Existing = Existing.REFUSE
    """What to do with tables that the target has already: `refuse` stops before anything is
    written, `replace` sets them aside first (see rollback), `fill` loads into empty ones."""
    accept: Classes = ()
    """Classes of losses to accept: what the target will not have although the source has it. A
    loss of any other class stops the plan; `plan` names each with its class. Owners and grants of
    roles that the target lacks, and how rows are stored, are notices and need not be accepted."""
    verify_: Verify = Field(default=Verify.FULL, alias="verify")
    """What is compared after the copy."""
    one_snapshot: bool = False
    """Stop rather than continue with a second snapshot when the first is lost."""

    allow_empty_source: bool = False
    """Go ahead although the source has nothing, and the target has something. Refused otherwise, as
    the two may be swapped."""
    snapshot: str = ""
    """An exported snapshot of the source to read in, which another session holds."""

    @model_validator(mode="before")
    @classmethod
    def _one_word_is_a_list(cls, data: Any) -> Any:
        """`schema: shop` means `schema: [shop]`."""
        if isinstance(data, dict):
            for key in ("schema", "include", "exclude", "accept"):
                if isinstance(data.get(key), str):
                    data = {**data, key: [data[key]]}
        return data

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Spec:
        if self.schema_only and self.data_only:
            raise ValueError("schema-only and data-only exclude each other")
        if self.data_only and self.existing is Existing.REPLACE:
            raise ValueError("data-only fills relations that exist: it cannot replace them")
        if len(set(self.map_schema.values())) < len(self.map_schema):
            raise ValueError("map-schema gives two schemas the same new name")
        return self

    @property
    def extent(self) -> Extent:
        if self.schema_only:
            return Extent.SCHEMA
        return Extent.DATA if self.data_only else Extent.ALL

    def essence(self) -> dict[str, Any]:
        """What makes it the same move: everything but who runs it and how fast, without secrets.

        A stopped run is resumed only under the same essence.
        """
        keys = {"source", "target", "jobs", "verify_", "one_snapshot", "snapshot"}
        permitted = {"accept", "allow_empty_source"}
        cutting = {"chunk_by", "chunk_size", "partition_threshold", "max_partitions", "chunk_rows"}
        return self.model_dump(mode="json", exclude=keys | permitted | cutting | {"unlogged"})

    def options(self) -> dict[str, Any]:
        """What was asked for but for where the two sides are, by the keys of a spec file; defaults
        are left out."""
        given = self.model_dump(
            mode="json", by_alias=True, exclude={"source", "target"}, exclude_defaults=True
        )
        return {_word(key): value for key, value in given.items()}


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], data: Mapping[str, Any]) -> M:
    """What a user asked for, as this model has it.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [_explain(model, fault) for fault in error.errors()]
        raise BadSpec(faults) from None


def spec_keys(model: type[BaseModel] = Spec) -> list[str]:
    """Every key of a spec, as users write it: the words of the command line."""
    return [_word(field.alias or name) for name, field in model.model_fields.items()]


def _word(key: str) -> str:
    return key.replace("_", "-")


def _explain(model: type[BaseModel], fault: Any) -> str:
    first, *rest = (str(part) for part in fault["loc"]) if fault["loc"] else ("",)
    key = ".".join((_word(first), *rest))
    if fault["type"] == "extra_forbidden":
        last = _word(str(fault["loc"][-1]))
        near = difflib.get_close_matches(last, spec_keys(_inner(model, rest)), n=1)
        return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    message = fault["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if isinstance(fault.get("input"), int):
        message += f", not {fault['input']}"
    return f"{key}: {message}" if key else message


def _inner(model: type[BaseModel], rest: Sequence[str]) -> type[BaseModel]:
    """The model that holds an unknown key: a nested one where the fault is inside of it."""
    if not rest:
        return model
    types = [one for field in model.model_fields.values() for one in get_args(field.annotation)]
    nested = [one for one in types if isinstance(one, type) and issubclass(one, BaseModel)]
    return nested[0] if nested else model
