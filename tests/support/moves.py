"""Stand-ins for flows, so that the shell around them can be tested alone."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest

import windlass
from sample_plan import LOSS, SOURCE, TARGET
from windlass.model.event import Emit, Noticed
from windlass.model.outcome import Course, Outcome, Proof, RelationOutcome, State, Totals
from windlass.model.past import Foreseen
from windlass.model.snapshot import Snapshot
from windlass.spec.migrate import Spec

QUOTED = "Sw0rdfish-%C3%BCnseen%2F%2541"
URL = f"postgresql://app:{QUOTED}@h"
SIDES = ("--source", f"{URL}/shop", "--target", f"{URL}/new")

RELATIONS = tuple(
    RelationOutcome(f"shop.r{n}", f"store.r{n}", 1000 * n, n << 20, 1, 0.5, (1,), "full")
    for n in range(30)
)
OUTCOME = Outcome(
    run="20260101-120000",
    state=State.DONE,
    seconds=41.3,
    relations=RELATIONS,
    losses=(LOSS,),
    snapshots=(Snapshot(1, "00000003-1", "2026-01-01T12:00:00+00:00", "0/1A2B3C4D"),),
    source=str(SOURCE),
    target=str(TARGET),
    proof=Proof("full"),
    totals=Totals(sequences=9),
    course=Course({"copy_tables": 21.3, "create_indexes": 12.2, "verify": 4.1}),
)


class Moves(ModuleType):
    """Stands in for the flows: answers with what it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("windlass.api")
        self.answer: Any = OUTCOME
        self.specs: list[Spec] = []
        self.words: dict[str, Any] = {}

    def _do(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def plan(self, spec: Spec, emit: Emit) -> Any:
        self.specs.append(spec)
        return self._do()

    def migrate(self, spec: Spec, emit: Emit, **words: Any) -> Any:
        self.specs.append(spec)
        self.words = {key: value for key, value in words.items() if key != "differing"}
        emit(Noticed("something to know"))
        return self._do()

    verify = migrate

    def status(self, target: str) -> Any:
        return self._do()

    def foresee_rollback(self, target: str, run: str) -> Any:
        return Foreseen("drops 1 table (1 row, 8 kB)")

    def rollback(
        self, target: str, run: str, emit: Emit, *, force: bool, skip_changed: bool
    ) -> Any:
        assert not skip_changed
        self.words = {"target": target, "run": run, "force": force}
        return self._do()


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    found = Moves()
    monkeypatch.setitem(sys.modules, "windlass.api", found)
    monkeypatch.setattr(windlass, "api", found, raising=False)  # where the real one is loaded
    for name in ("WINDLASS_SOURCE", "WINDLASS_TARGET", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return found


Capture = pytest.CaptureFixture[str]


def stdout_json(capsys: Capture) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found
