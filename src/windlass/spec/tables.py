"""How the table of a relation is stored in BigQuery: the keys of its entry in the spec."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from windlass.spec.choices import PartitionUnit
from windlass.spec.model import SpecPart, Words, with_underscores

Days = Annotated[int, Field(ge=1, le=36_500)]


class PartitionRange(SpecPart):
    """Ranges of whole numbers: from `start` to below `end`, each `step` wide."""

    start: int
    end: int
    step: Annotated[int, Field(ge=1)]


class BigQueryTable(SpecPart):
    """Used when a load creates the table; one that exists keeps what it has."""

    partition_by: str = ""
    """A column of time or date, or with `partition-range` of whole numbers; `_PARTITIONTIME` is the
    time of the load."""
    partition_unit: PartitionUnit | None = None
    """How much time a partition covers: hour, day (default), month or year."""
    partition_range: PartitionRange | None = None
    """The partitions of a column of whole numbers: `{start: 0, end: 1000, step: 10}`."""
    partition_expiration_days: Days | None = None
    """After how many days BigQuery deletes a partition."""
    cluster_by: Words = ()
    """Up to four columns by which rows are sorted within a partition."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the table."""
    expiration_days: Days | None = None
    """How many days after its creation BigQuery deletes the table."""

    @model_validator(mode="before")
    @classmethod
    def _dashes_are_underscores(cls, data: Any) -> Any:
        return with_underscores(data)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> BigQueryTable:
        given = {
            "partition-unit": self.partition_unit,
            "partition-range": self.partition_range,
            "partition-expiration-days": self.partition_expiration_days,
        }
        for word, value in given.items():
            if value is not None and not self.partition_by:
                raise ValueError(f"{word}: there is no partition-by")
        if self.partition_range is not None:
            for word in ("partition-unit", "partition-expiration-days"):
                if given[word] is not None:
                    raise ValueError(f"{word}: is of time, and partition-range of numbers")
        return self
