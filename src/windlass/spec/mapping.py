"""What becomes of one table on its way: its name, its rows, its columns. A part of a migration's
spec.

Whether the source and its objects allow it, `windlass.planning.postgres.mapped` decides.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from windlass.model.mask import Mask
from windlass.spec.inputs import ColumnSpec
from windlass.spec.model import describe_attributes
from windlass.spec.tables import with_underscores


class MappingSpec(BaseModel):
    """How a table of the source arrives. What is not named arrives as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=describe_attributes)

    into: str = ""
    """Its name on the target: `schema.table`, or `table` in the schema that it would go into."""
    where: str = ""
    """Only rows for which this SQL condition of the source holds."""
    columns: dict[str, ColumnSpec] = Field(default_factory=dict)
    """Columns to other names: `mail: email`; `note: null` drops the column. Or columns of the
    target to how they are computed: `{sql: 'upper(name)'}` in the source's SQL, `{value: DE}`, or
    `{from: mail, mask: hash}`; masks are `hash`, with the key in $WINDLASS_HASH_KEY, and `null`."""
    types: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Columns of the target to their types there, in its SQL. Values that do not fit are counted
    before anything is written."""

    @model_validator(mode="before")
    @classmethod
    def _dashes_are_underscores(cls, data: Any) -> Any:
        return with_underscores(data)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> MappingSpec:
        for name, rule in self.columns.items():
            if not rule.compare:
                raise ValueError(f"columns: {name}: compare is for loads: leave it out")
        return self

    @property
    def hashes(self) -> bool:
        """Whether a column is hashed with the key of the environment."""
        return any(rule.mask is Mask.HASH for rule in self.columns.values())
