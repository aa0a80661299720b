"""What happens to one table on its way: its name, its rows, its columns. A part of a migration's
spec.

`windlass.planning.postgres.mapped` decides whether the source and its objects allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from windlass.model.mask import Mask
from windlass.spec.choices import Frame
from windlass.spec.columns import ColumnSpec
from windlass.spec.model import SpecPart, with_underscores

_FUNCTION = Field(pattern=r"^[\w.]+:[\w.]+$")


class MappedColumnSpec(ColumnSpec):
    """Of a column of the source: its name on the target. Of a column of the target: how it gets its
    values."""

    function: Annotated[str, _FUNCTION] | None = None
    """A Python function, package.module:name, that makes the column, of `from` or of the column
    that it replaces. It gets batches of rows, and returns at least this column."""
    target_sql: Annotated[str, Field(alias="target-sql")] = ""
    """SQL of the target over the columns that arrive, by their names there."""

    _choices: ClassVar[str] = (
        "is one of to, drop, sql, target-sql and value, or from, with mask or function"
    )

    def _ways(self) -> Sequence[object]:
        *others, from_ = super()._ways()
        return (*others, self.target_sql, from_ or self.function)

    @model_validator(mode="after")
    def _is_masked_once(self) -> MappedColumnSpec:
        if self.function and self.mask:
            raise ValueError("has a mask and a function: leave one of them out")
        return self


class MappingSpec(SpecPart):
    """How a table of the source arrives. What is not named arrives as it is."""

    into: str = ""
    """Its name on the target: `schema.table`, or `table` in the schema that it would go into."""
    where: str = ""
    """Only rows for which this SQL condition of the source holds."""
    columns: dict[str, MappedColumnSpec] = Field(default_factory=dict)
    """Columns, and their other names: `mail: email`; `note: null` drops the column. Or columns of
    the target, and how they are computed: `{sql: 'upper(name)'}` in the source's SQL, `{target-sql:
    'upper(name)'}` in the target's, `{value: DE}`, `{from: mail, mask: hash}`, or `{from: mail,
    function: 'masks:mail'}`; masks are `hash`, with the key in $WINDLASS_HASH_KEY, and `null`."""
    types: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Columns of the target, and their types there, in its SQL. Values that do not fit are counted
    before anything is written."""
    frame: Frame = Frame.PANDAS
    """What functions take and return: a pandas or polars frame, or an Arrow table."""
    batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """The most rows that a function gets at once."""
    samples: Annotated[int, Field(ge=0, le=100)] = 0
    """How many rows the plan shows, with the values that functions and SQL of the target take and
    return. The plan is kept on the target, with these values."""

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
    def has_functions(self) -> bool:
        """Whether Python makes a column."""
        return any(rule.function for rule in self.columns.values())

    @property
    def hashes(self) -> bool:
        """Whether a column is hashed with the key of the environment."""
        return any(rule.mask is Mask.HASH for rule in self.columns.values())
