"""What happens to a field, or how a column gets its values: a part of a load's and of a migration's
spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from windlass.model.mask import Mask
from windlass.spec.model import SpecPart, or_text


def _or_text_or_null(schema: dict[str, Any], model: type[BaseModel]) -> None:
    or_text(schema, model)
    schema["anyOf"].append({"type": "null"})


class ColumnSpec(SpecPart):
    """Of a field: the column that it goes into. Of a column: how it gets its values."""

    model_config = ConfigDict(json_schema_extra=_or_text_or_null)

    to: str = ""
    """The column that the field goes into; a plain text is short for this."""
    drop: bool = False
    """Leave the field out; `null` is short for this."""
    from_: Annotated[str, Field(alias="from")] = ""
    """The field that the column comes from; by default that of the same name."""
    sql: str = ""
    """SQL of the target over the fields of the row."""
    value: bool | int | float | str | None = None
    """The same value for every row."""
    mask: Mask | None = None
    """`hash`: an HMAC with the key in $WINDLASS_HASH_KEY, as exports write it; `null`: no value."""
    compare: bool = True
    """False: a row does not differ by this column alone; it is set in new and in changed rows."""

    _choices: ClassVar[str] = "is one of to, drop, sql and value, or from and mask"

    def _ways(self) -> Sequence[object]:
        """The mutually exclusive ways to get its values; those not used are empty."""
        fixed = "value" in self.model_fields_set
        return (self.to, self.drop, self.sql, fixed, self.from_ or self.mask)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if data is None or data == "":
            return {"drop": True}
        if isinstance(data, dict) and "mask" in data and data["mask"] is None:
            return {**data, "mask": "null"}  # as YAML reads it without quotes
        return {"to": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _says_one_thing(self) -> ColumnSpec:
        if sum(map(bool, self._ways())) != 1:
            raise ValueError(self._choices)
        if self.drop and not self.compare:
            raise ValueError("a field that is left out is never compared: leave out compare")
        return self
