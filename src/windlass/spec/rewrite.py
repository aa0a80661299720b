"""The frozen `RewriteSpec`: which rows of a table are changed, how, and what is kept of the old
rows.

`windlass.inplace.check` decides whether the database can do it.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, model_validator

from windlass.spec.choices import Backup, Delete, Frame, Order
from windlass.spec.fields.rewrite import REWRITE
from windlass.spec.model import SpecModel, SpecPart, made_from

Value = None | bool | int | float | datetime | date | str | list[Any] | dict[str, Any]
Name = Annotated[str, Field(min_length=1)]


class Change(SpecPart):
    """A column's new value: a constant, or an SQL expression over the row."""

    value: Value = None
    sql: str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Change:
        if ("value" in self.model_fields_set) == (self.sql is not None):
            raise ValueError("give either value or sql")
        return self


class Addition(SpecPart):
    """A column that the table may lack. Without value and sql, the function fills it."""

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


field = partial(made_from, REWRITE)


class RewriteSpec(SpecModel):
    """A rewrite: the table, the rows, and the changes."""

    flow: ClassVar = "rewrite"
    entries: ClassVar = REWRITE

    connection: SecretStr | None = field("connection")
    schema_: Name = field("schema")
    table: Name = field("table")
    backup_schema: Name = field("backup-schema")
    select: Name = field("select")
    set_: dict[str, Change] = field("set")
    add: dict[str, Addition] = field("add")
    function: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] | None = field("function")
    frame: Frame = field("frame")
    batch_rows: int = field("batch-rows")
    order: Order = field("order")
    key: Name | None = field("key")
    id: Name | None = field("id")
    stamp: Name | None = field("stamp")
    drop_duplicates: bool | Annotated[list[Name], Field(min_length=1)] = field("drop-duplicates")
    delete: Delete = field("delete")
    backup: Backup = field("backup")
    keep_backups: int = field("keep-backups")
    commit_rows: int = field("commit-rows")
    pause_seconds: float = field("pause-seconds")
    limit_rows: int | None = field("limit-rows")
    max_lag_seconds: float | None = field("max-lag-seconds")

    @property
    def written_database(self) -> SecretStr | None:
        """The database whose journal has the runs."""
        return self.connection

    @property
    def part(self) -> str:
        """The table."""
        return f"{self.schema_}.{self.table}"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RewriteSpec:
        both = sorted(set(self.set_) & set(self.add))
        if both:
            raise ValueError(f"set and add both name {', '.join(both)}")
        if self.stamp is not None and self.stamp in {*self.set_, *self.add}:
            raise ValueError(f"stamp {self.stamp} is set by the run itself")
        if self.stamp is not None and self.id is None:
            raise ValueError("stamp: give id too, the column that names a row")
        if self.delete is Delete.ALL_WITH_KEY and self.key is None:
            raise ValueError("delete: all_with_key needs key, the column that rows have in common")
        if self.limit_rows and (self.drop_duplicates or self.delete is Delete.ALL_WITH_KEY):
            raise ValueError(
                "limit-rows: a run that sees some of the rows can neither find their duplicates"
                " nor delete the others with their key"
            )
        unfilled = sorted(name for name, one in self.add.items() if not one.is_given)
        if unfilled and self.function is None:
            raise ValueError(f"add: nothing fills {', '.join(unfilled)}")
        return self

    @property
    def deletes(self) -> bool:
        """Whether it may delete rows."""
        return bool(self.drop_duplicates) or self.delete is Delete.ALL_WITH_KEY

    @property
    def jobs(self) -> int:
        """Always 1: the steps run one after another."""
        return 1
