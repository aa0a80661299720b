"""The frozen `RewriteSpec`: which rows of a table are changed, how, and what is kept of before.

What it does not decide: whether the database can do it (`windlass.inplace.check`).
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class Frame(StrEnum):
    """What a function is given, and gives back."""

    PANDAS = "pandas"
    POLARS = "polars"
    ARROW = "arrow"


class Delete(StrEnum):
    SELECTED = "selected"
    ALL_WITH_KEY = "all_with_key"


class Backup(StrEnum):
    FULL = "full"
    TOUCHED = "touched"
    NONE = "none"


Value = None | bool | int | float | datetime | date | str | list[Any] | dict[str, Any]
Name = Annotated[str, Field(min_length=1)]


class Change(BaseModel):
    """What a column becomes: a constant, or an SQL expression over the row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Value = None
    sql: str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Change:
        if ("value" in self.model_fields_set) == (self.sql is not None):
            raise ValueError("give either value or sql")
        return self


class Addition(BaseModel):
    """A column that the table may lack. Without value and sql, the function fills it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Value = None
    sql: str | None = None
    type: str | None = None

    @model_validator(mode="after")
    def _says_one_thing_at_most(self) -> Addition:
        given = "value" in self.model_fields_set
        if given and self.sql is not None:
            raise ValueError("give either value or sql")
        if not given and self.sql is None and self.type is None:
            raise ValueError("a column that the function fills needs a type")
        if (
            given
            and self.type is None
            and not isinstance(self.value, bool | int | float | str | date)
        ):
            raise ValueError("the type of this value cannot be known; give type")
        return self

    @property
    def is_given(self) -> bool:
        return "value" in self.model_fields_set or self.sql is not None


class RewriteSpec(BaseModel):
    """A rewrite: of which table, which rows, how."""

    flow: ClassVar = "rewrite"

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    connection: SecretStr | None = None
    """`postgresql://` URL, libpq conninfo string or service name. Default: $WINDLASS_TARGET."""
    schema_: Name = Field(default="public", alias="schema")
    """The table's schema."""
    table: Name
    """The table."""
    backup_schema: Name = "backup"
    """Where the backup is kept, under the table's name; made where it is missing."""
    select: Name = "exported_at = '9999-12-31'"
    """SQL condition: which rows are rewritten."""
    set_: dict[str, Change] = Field(default_factory=dict, alias="set")
    """Columns that the table has: `column: {value: ...}` or `column: {sql: ...}`."""
    add: dict[str, Addition] = Field(default_factory=dict)
    """The same for columns that the table may lack; `type` where it cannot be known."""
    function: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    """`package.module:name` of a Python function over batches of rows, after `set` and `add`."""
    frame: Frame = Frame.PANDAS
    """What the function takes and returns: a pandas or polars frame, or an Arrow table."""
    batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """The most rows that the function is given at once."""
    key: Name = "base"
    """The column by which rows belong together; see `delete`."""
    id: Name = "message_id"
    """The column that names a row."""
    stamp: Name | None = "exported_at"
    """The column that is set to the time of the run when a row is written; null: none."""
    drop_duplicates: bool | Annotated[list[Name], Field(min_length=1)] = False
    """Of rows that are equal after the change, keep the first: in all columns, or in these."""
    delete: Delete = Delete.SELECTED
    """`selected`: only duplicates go. `all_with_key`: so do the rows that have the `key` of a
    selected row and were not selected themselves; they are in the backup."""
    backup: Backup = Backup.FULL
    """`full`: the whole table; `touched`: the rows that are rewritten or deleted; `none`."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RewriteSpec:
        both = sorted(set(self.set_) & set(self.add))
        if both:
            raise ValueError(f"set and add both name {', '.join(both)}")
        if self.stamp is not None and self.stamp in {*self.set_, *self.add}:
            raise ValueError(f"stamp {self.stamp} is set by the run itself")
        unfilled = sorted(name for name, one in self.add.items() if not one.is_given)
        if unfilled and self.function is None:
            raise ValueError(f"add: nothing fills {', '.join(unfilled)}")
        return self

    @property
    def jobs(self) -> int:
        """Its steps come one after another."""
        return 1

    def essence(self) -> dict[str, Any]:
        """What makes it the same rewrite, without secrets."""
        return self.model_dump(mode="json", exclude={"connection", "batch_rows"})
