"""An input whose progress is reported while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, RawCsv
from windlass.model.load import Field, Identity

if TYPE_CHECKING:
    import pyarrow as pa


class Watched:
    """Calls `report` with the bytes of each block or batch; in all with no more than the input has:
    batches may take more room than the file."""

    def __init__(self, source: Input, report: Callable[[int], None]) -> None:
        self._source, self._report = source, report
        self._left = 0
        self.place = source.place
        self.fields: Sequence[Field] = source.fields

    @property
    def identity(self) -> Identity:
        return self._source.identity

    def batches(self) -> Iterator[pa.RecordBatch]:
        self._left = max(self.identity.size_bytes, 0)
        for batch in self._source.batches():
            self._passed(batch.nbytes)
            yield batch

    def setting_aside(self, aside: Aside) -> Watched:
        """See `windlass.engines.aside`."""
        return Watched(setting_aside(self._source, aside), self._report)

    def raw(self) -> RawCsv | None:
        found = self._source.raw()
        return found and replace(found, blocks=self._blocks(found.blocks))

    def line_of(self, record: int) -> int:
        return self._source.line_of(record)

    def _blocks(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        self._left = max(self.identity.size_bytes, 0)
        for block in blocks:
            self._passed(len(block))
            yield block

    def _passed(self, size_bytes: int) -> None:
        counted = min(size_bytes, self._left)
        self._left -= counted
        if counted:
            self._report(counted)
