"""How a run came about and how it went in time: what a report needs besides the result itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do."""

    flow: str = ""  # such as migrate, validate, rewrite or export
    noun: str = ""  # for such a run, in a sentence: "migration"
    done: str = ""  # what it has done if it ends well, in a word: "Migrated"
    options: dict[str, Any] = field(default_factory=dict)  # not defaults, addresses and secrets
    fingerprint: str = ""  # of the plan that was carried out, if the flow makes one
    reviewed_at: str = ""  # when that plan was made, if it came from a file (`--plan`)
    approved_by: str = ""  # who approved that plan, if a scheduler asked somebody
    source: str = ""  # what its address calls the source, without login: "shop on old:5432"
    target: str = ""  # the same for what is written


@dataclass(frozen=True, slots=True)
class By:
    """Who ran it, and with what."""

    user: str = ""  # of the operating system
    host: str = ""  # the machine's name
    scheduler_user: str = ""  # who started the scheduler's run, if it knows
    external_run: str = ""  # the scheduler's run: "airflow DAG RUN_ID"
    external_url: str = ""  # of that, in a browser
    source_role: str = ""  # the role on the source, as far as it is known
    target_role: str = ""  # the same on the target
    version: str = ""  # of windlass
    python: str = ""  # its version
    system: str = ""  # the operating system and the processor: "Linux x86_64"


@dataclass(frozen=True, slots=True)
class StepSpan:
    """When one step was at work."""

    name: str  # of the step, as in `phases`
    after: tuple[str, ...] = ()  # the steps that it waited for
    start_seconds: float = 0.0  # from the run's start to that of its first item
    seconds: float = 0.0  # from there to the end of its last item
    busy_seconds: float = 0.0  # of its items, which ran side by side
    items: int = 0  # how many it has finished
    resumed: int = 0  # how many of these an earlier process had finished
    retries: int = 0  # how many attempts had to be repeated
    rows: int = 0  # of its items
    bytes: int = 0  # of its items


@dataclass(frozen=True, slots=True)
class Work:
    """A finished piece of work, at its place in time."""

    step: str
    start_seconds: float  # since the run's start
    end_seconds: float
    rows: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Throughput:
    """How much arrived in each interval of a run."""

    every_seconds: float = 0.0  # the length of an interval; the first begins with the run
    bytes: tuple[int, ...] = ()  # in each interval
    rows: tuple[int, ...] = ()  # in each interval


@dataclass(frozen=True, slots=True)
class Timeline:
    """How a run went in time. Of a resumed run: how its last process went."""

    started_at: str = ""  # in UTC: "2026-11-30T06:18:00Z"
    finished_at: str = ""  # in UTC; empty while it is running
    steps: tuple[StepSpan, ...] = ()  # in the order in which they began
    throughput: Throughput = field(default_factory=Throughput)  # of what arrived


@dataclass(frozen=True, slots=True)
class Commands:
    """Command lines that make sense now, without secrets; empty where one does not."""

    resume: str = ""  # continues a run that has stopped
    repair: str = ""  # makes the target match the source
    undo: str = ""  # puts back what was there before the run


@dataclass(frozen=True, slots=True)
class Account:
    """How a run came about and how it went in time."""

    asked: Asked = field(default_factory=Asked)  # what the run was asked to do
    by: By = field(default_factory=By)  # who ran it, and with what
    timeline: Timeline = field(default_factory=Timeline)  # how it went in time
    commands: Commands = field(default_factory=Commands)  # what can be done now
