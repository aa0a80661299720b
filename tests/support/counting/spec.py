"""The spec of a count."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from counting.fields import COUNT
from windlass.spec.model import SpecModel, made_from

field = partial(made_from, COUNT)


class CountSpec(SpecModel):
    flow: ClassVar = "count"
    entries: ClassVar = COUNT

    text_file: str = field("text-file")

    @property
    def jobs(self) -> int:
        return 1
