"""How a flow's tasks run on Airflow, and what happens when a run ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from windlass.airflow.notices import Notices
from windlass.airflow.pools import DEFAULT_POOL, PATIENCE

SECTION = "windlass"  # of airflow.cfg; the variables are called AIRFLOW__WINDLASS__POOL and so on


@dataclass(frozen=True)
class Tuning:
    """How a flow's tasks run. `pool` limits the load on the servers across all DAGs that share it;
    it must exist."""

    pool: str = DEFAULT_POOL
    max_parallel: int = 16  # mapped tasks of one step, in one run
    max_tasks: int = 256  # mapped tasks of one step; further items share them
    retries: int = 3
    retry_delay: timedelta = timedelta(seconds=30)
    retry_exponential_backoff: float = 2.0  # how the delay grows per retry; 0: not at all
    queue: str | None = None
    patience: timedelta = timedelta(minutes=10)  # how long a task waits for a server or the holder
    timeouts: Mapping[str, timedelta] = field(default_factory=dict)  # of a step's tasks
    pool_patience: timedelta = PATIENCE  # how long a run waits for its first slot in your pool
    hold_in: str = "worker"  # or "triggerer", where the holder of a run takes no worker slot

    def __post_init__(self) -> None:
        if self.hold_in not in ("worker", "triggerer"):
            raise ValueError(f"hold_in: {self.hold_in!r} is neither 'worker' nor 'triggerer'")

    def task_defaults(self) -> dict[str, Any]:
        """Default arguments of all tasks."""
        return {
            "retries": self.retries,
            "retry_delay": self.retry_delay,
            "retry_exponential_backoff": self.retry_exponential_backoff,
            **({"queue": self.queue} if self.queue else {}),
        }

    @classmethod
    def configured(cls, **options: Any) -> Tuning:
        """`pool` and `max_parallel` from the section ``windlass`` of Airflow's settings; `options`
        override them."""
        from airflow.sdk.configuration import conf

        found = {
            "pool": conf.get(SECTION, "pool", fallback=cls.pool),
            "max_parallel": conf.getint(SECTION, "max_parallel", fallback=cls.max_parallel),
        }
        return cls(**{**found, **options})


@dataclass(frozen=True)
class Ending:
    """What happens when a run ends."""

    notices: Notices | None = None
    deadline: timedelta | None = None
    report_folder: str = ""
    report_url: str = ""  # URL of the folder, for browsers
    # in addition to `notices`: Airflow's notifiers, or functions that take a context
    on_success: Sequence[Callable[..., Any]] = ()
    on_failure: Sequence[Callable[..., Any]] = ()

    def callbacks(self) -> dict[str, list[Any]]:
        """Callbacks for a DAG: what Airflow calls when a run has succeeded or failed."""
        found = self.notices.callbacks() if self.notices else {}
        own = {"on_success_callback": self.on_success, "on_failure_callback": self.on_failure}
        every = {key: [*found.get(key, ()), *more] for key, more in own.items()}
        return {key: callbacks for key, callbacks in every.items() if callbacks}

    @classmethod
    def configured(cls, **options: Any) -> Ending:
        """`report_folder` and `report_url` from the section ``windlass`` of Airflow's settings;
        `options` override them."""
        from airflow.sdk.configuration import conf

        keys = ("report_folder", "report_url")
        found = {key: conf.get(SECTION, key, fallback="") for key in keys}
        return cls(**{**found, **options})
