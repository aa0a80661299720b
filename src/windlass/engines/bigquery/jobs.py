"""Jobs whose names are made from source, run, relation and table. BigQuery accepts each name only
once.

A retry that finds its own job waits for it. A failed job has changed nothing, so the next one gets
the next number. A job that replaces what an earlier extract of the run has loaded also gets the
next number, but only once the earlier job is over. Labels show which extract a job has loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as faults
from google.auth import exceptions as auth

from windlass.engines.bigquery.errors import SERIALIZED, explaining, said
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.digest import digest
from windlass.model.export import Export, Manifest

ATTEMPTS = 50  # names for the jobs of one load, each after a failed one
_EXTRACT, ROWS = "windlass_extract", "windlass_rows"  # labels of a job: what it has loaded


def labels(manifest: Manifest) -> dict[str, str]:
    return {_EXTRACT: manifest.id, ROWS: str(manifest.rows)}


def is_of(job: Any, manifest: Manifest) -> bool:
    """Whether a job loaded exactly this extract."""
    return bool(job.labels.get(_EXTRACT) == manifest.id)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one data set. `find` looks a job up by its id."""

    place: str
    project: str
    dataset: str
    find: Callable[[str], Any]

    def digest(self, export: Export, run: str, step: str) -> str:
        """Job names are unique per project, so the digest covers data set, source and relation."""
        dataset, relation = (self.project, self.dataset), (export.source, export.name)
        return digest(*dataset, export.table, *relation, run, step)[:20]

    def name(self, export: Export, run: str, step: str) -> str:
        label = re.sub(r"[^\w-]", "_", f"windlass_{run}_{export.table}"[:200], flags=re.ASCII)
        return f"{label}_{step}_{self.digest(export, run, step)}"

    def once(
        self,
        name: str,
        start: Callable[[str], Any],
        doing: str,
        is_mine: Callable[[Any], bool],
    ) -> Any:
        """Run a job under its name, or wait for the existing one. The next number is used after a
        job that failed or did something else.

        Raises:
            WindlassError: the job failed, with BigQuery's message.
            ConnectionLost: the outcome is unknown.
        """
        for number in range(1, ATTEMPTS + 1):
            id_ = f"{name}_{number}"
            with explaining(self.place, doing):
                is_new = True
                try:
                    job = start(id_)
                except faults.Conflict:
                    is_new = False
                    job = self.find(id_)
                fault = self._fault_of(job, doing)
                if fault is None and (is_new or is_mine(job)):
                    return job
                if fault is not None and is_new:
                    raise self._failed(job, fault, doing) from fault
        raise WindlassError(
            f"{self.place}: {doing}: this run has had {ATTEMPTS} jobs",
            hint=f"see the jobs {name}_1 and following, and begin another run",
        )

    def _fault_of(self, job: Any, doing: str) -> BaseException | None:
        """Wait for a job. Returns why it failed; empty if it did not.

        Raises:
            ConnectionLost: the request failed; the job itself continues.
        """
        try:
            job.result()
        except faults.GoogleAPICallError as error:
            if not job.error_result:
                with suppress(faults.GoogleAPIError, auth.GoogleAuthError, OSError):
                    job.reload(retry=None, timeout=30)
            if not job.error_result and isinstance(error, faults.Forbidden | faults.Unauthorized):
                raise
            if not job.error_result:
                raise ConnectionLost(
                    f"{self.place}: {doing}: asking for the job {job.job_id}: {said(error)}",
                    hint="the job continues, and the same run finds it",
                ) from error
            return error
        return None

    def _failed(self, job: Any, error: BaseException, doing: str) -> WindlassError:
        messages = [str(one.get("message", "")) for one in job.errors or []] or [said(error)]
        reason = (job.error_result or {}).get("reason", "")
        message = f"{self.place}: {doing}: {'; '.join(dict.fromkeys(messages))[:1000]}"
        if reason in ("backendError", "internalError", "rateLimitExceeded"):
            return ConnectionLost(message, hint="BigQuery's own fault; trying again can help")
        if SERIALIZED in message:
            return ConnectionLost(message, hint="others write the table; trying again can help")
        return WindlassError(message, hint=f"nothing was loaded; see the job {job.job_id}")
