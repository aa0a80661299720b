"""Reports as tasks have left them: files beside their logs, or in the folder of reports.

Whoever writes a DAG can push any location. Only files that a DAG run may have written itself are
read for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow.configuration import conf

from windlass.airflow.page_links import SECTION
from windlass.airflow.reports import file_name

_PAGE = "report.html"


def report_at(place: str, dag_id: str, run_id: str) -> tuple[str, str]:
    """The page of a report, whose location a task of this DAG run has pushed; or why it cannot be
    read."""
    page = f"{place.removesuffix('.json')}.html"
    if not place.endswith(".json"):
        page = place
    if not any(_is_within(page, one) for one in _places(dag_id, run_id)):
        return "", f"The report is at {page}, which is not in [{SECTION}] report_folder."
    from airflow.sdk import ObjectStoragePath

    try:
        return str(ObjectStoragePath(page).read_text(encoding="utf-8")), ""
    except Exception as error:  # those of each store
        return "", f"The report at {page} cannot be read here: {type(error).__name__}."


def _places(dag_id: str, run_id: str) -> Iterator[tuple[str, str]]:
    """Where its reports may be: folders, and how names in them begin."""
    logs = conf.get("logging", "base_log_folder")
    yield f"{logs.rstrip('/')}/dag_id={dag_id}/run_id={run_id}", ""
    if folder := (conf.get(SECTION, "report_folder", fallback="") or "").rstrip("/"):
        yield folder, file_name(dag_id, run_id)


def _is_within(page: str, place: tuple[str, str]) -> bool:
    folder, start = place
    if ".." in page.split("/") or not page.endswith(".html"):
        return False
    if "://" in page:
        rest = page.removeprefix(f"{folder}/")
        return page.startswith(f"{folder}/") and "/" not in rest and rest.startswith(start)
    if "://" in folder or not Path(page).resolve().is_relative_to(Path(folder).resolve()):
        return False
    name = Path(page).name
    return name.startswith(start) if start else name == _PAGE
