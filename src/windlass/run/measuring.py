"""A run's metrics, if its spec asks for them: checked before the run begins, sent when it has
ended.

Metrics that cannot be written are a problem before the run, and only a notice after it: the run did
what it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from windlass.engines.names import name_of
from windlass.errors import Refused
from windlass.metrics.families import Samples, after, is_of
from windlass.metrics.file import MetricsFile
from windlass.metrics.pushgateway import Pushgateway
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.spec.model import SpecModel

LONGEST = 200  # characters of a label


def measured(flow: str, spec: SpecModel, run: Callable[[], Outcome]) -> Outcome:
    """Run it, and send how it ended to where the spec says. If that cannot work, it is refused and
    does not run."""
    if not is_measured(spec):
        return run()
    problems = tuple(problems_of(spec))
    refused = Outcome("", State.REFUSED, reason=Reason(problems=problems))
    outcome = refused if problems else run()
    faults = send(flow, spec, outcome)
    return replace(outcome, notices=(*outcome.notices, *(() if problems else faults)))


def is_measured(spec: SpecModel) -> bool:
    return bool(spec.metrics_file or spec.pushgateway)


def problems_of(spec: SpecModel) -> Iterator[Problem]:
    """Why metrics could not be sent, as far as that is known before the run."""
    if spec.metrics_file and (fault := _file(spec).fault()):
        hint = "give a file in a folder that exists and can be written into"
        yield Problem(word("metrics-file"), f"{spec.metrics_file}: {fault}", hint)
    if spec.pushgateway and (fault := Pushgateway(spec.pushgateway).fault()):
        yield Problem(word("pushgateway"), fault, "set a user and a password, or a token")


def check(spec: SpecModel) -> None:
    """Check that metrics can be sent.

    Raises:
        Refused: metrics cannot be sent.
    """
    if problems := list(problems_of(spec)):
        raise Refused(problems)


def send(flow: str, spec: SpecModel, outcome: Outcome) -> tuple[str, ...]:
    """Send how a run of this flow ended; returns a notice for each place that did not accept it."""
    labels = labels_of(flow, spec)
    now = time.time()

    def mine(before: Samples) -> Samples:
        return after(outcome, labels, before, now)

    def added(before: Samples) -> Samples:
        others = {key: value for key, value in before.items() if not is_of(key, labels)}
        return {**others, **mine(before)}

    notices = []
    if spec.metrics_file and (fault := _file(spec).change(added)):
        notices.append(f"the metrics were not written into {spec.metrics_file}: {fault}")
    if spec.pushgateway and (fault := _pushed(Pushgateway(spec.pushgateway), mine, labels)):
        notices.append(f"the metrics were not pushed to {spec.pushgateway}: {fault}")
    return tuple(notices)


def _pushed(
    gateway: Pushgateway, changed: Callable[[Samples], Samples], labels: Mapping[str, str]
) -> str:
    return gateway.fault() or gateway.change(changed, labels)


def labels_of(flow: str, spec: SpecModel) -> dict[str, str]:
    """Names of both sides, without logins. The target is the last database given besides the
    source: a warehouse rather than the files on the way to it."""
    sides = {name: name_of(address) for name, address in spec.addresses}
    source = sides.pop("source", "")
    target = next(reversed(sides.values()), "")
    if spec.part:
        target = f"{spec.part} in {target}"
    labels = {"flow": flow, "source": source, "target": target, "name": spec.metrics_name}
    return {name: _plain(value) for name, value in labels.items()}


def _plain(text: str) -> str:
    """A shortened label without characters that a terminal would interpret."""
    return "".join(char if char.isprintable() else "?" for char in text)[:LONGEST]


def _file(spec: SpecModel) -> MetricsFile:
    return MetricsFile(Path(spec.metrics_file))
