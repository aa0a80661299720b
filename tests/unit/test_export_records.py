"""Records of exports: what is not one is never acted on, and the newest is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("obstore")

from windlass.engines.objects.store import ObjectStore
from windlass.errors import Refused
from windlass.flows.export.past import ExportPast
from windlass.flows.export.records import Records, begun
from windlass.model.outcome import State
from windlass.model.past import Others


@pytest.mark.parametrize("folder", ["", "shop", "_windlass_runs", "shop/2024/january"])
def test_a_record_whose_folder_is_not_that_of_a_run_removes_nothing(
    folder: str, tmp_path: Path
) -> None:
    """The store's root, or a folder of other files, as a damaged record may have it."""
    store = ObjectStore(f"file://{tmp_path}")
    store.put("shop/2024/january/part-00001.parquet", b"precious")
    record = begun("monday", "hash", ("a", "b"), {"shop.orders": folder}, loads=False)
    Records(store).write(replace(record, state=State.DONE))
    with ExportPast(store) as past, pytest.raises(Refused, match="before the start"):
        past.roll_back("monday", Others.LOSE)
    assert store.get("shop/2024/january/part-00001.parquet") == b"precious"


def test_of_two_runs_within_a_second_the_newer_one_is_resumed(tmp_path: Path) -> None:
    """The name of a run says nothing about its age."""
    records = Records(ObjectStore(f"file://{tmp_path}"))
    for older, newer in [("a", "b"), ("d", "c")] * 5:
        for run, state in ((older, State.DONE), (newer, State.STOPPED)):
            record = begun(run, "hash", ("a", "b"), {}, loads=False)
            records.begin(replace(record, state=state))
        found = records.unfinished("hash")
        assert found is not None
        assert found.run == newer


class Counting(ObjectStore):
    """Counts what is requested."""

    requests = 0

    def get(self, path: str) -> bytes | None:
        self.requests += 1
        return super().get(path)

    def list(self, prefix: str) -> list[str]:
        self.requests += 1
        return super().list(prefix)


def test_the_run_to_resume_is_found_without_reading_those_before_it(tmp_path: Path) -> None:
    store = Counting(f"file://{tmp_path}")
    records = Records(store)
    for number in range(50):
        record = begun(f"r{number}", f"hash {number % 2}", ("a", "b"), {}, loads=False)
        records.begin(replace(record, state=State.DONE if number < 48 else State.STOPPED))
    store.requests = 0
    found = [records.unfinished(f"hash {number}") for number in range(3)]
    assert [one and one.run for one in found] == ["r48", "r49", None]
    assert store.requests <= 6
    assert len(records.all()) == 50


def test_a_scheduler_s_run_does_not_hide_the_run_to_resume(tmp_path: Path) -> None:
    records = Records(ObjectStore(f"file://{tmp_path}"))
    for run, external in (("mine", ""), ("its", "airflow dag run_1")):
        record = begun(run, "hash", ("a", "b"), {}, loads=False)
        records.begin(replace(record, state=State.STOPPED, external_run=external))
    found = records.unfinished("hash")
    assert found is not None and found.run == "mine"
