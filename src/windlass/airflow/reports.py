"""The report of a run as files in a folder that Airflow's object storage can reach: JSON for
programs, and a page for people."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<pre>{text}</pre>
<p><a href="{file}">All of it, as JSON</a></p>
"""
_LAST = ("each_relation", "differences", "assets")  # in the JSON, as they are long


def write_report(
    context: Context,
    result: Mapping[str, Any],
    lines: Sequence[str],
    folder: str,
    public_url: str = "",
    part: str = "",
) -> dict[str, str]:
    """Write both into a folder: a path, or s3://, gs:// and the like. `part` is the group or the
    task of the DAG run that it is about, if not all of it.

    Returns what to push to XCom: `report`, where the JSON is, and `report_url`, the page below
    `public_url`. Without that there is no link: a browser can open neither a worker's path nor
    s3://.
    """
    from airflow.sdk import ObjectStoragePath

    ti = context["ti"]
    about = [ti.dag_id, ti.run_id, *([part] if part else [])]
    name = re.sub(r"[^\w.-]+", "_", "_".join(about))
    path = ObjectStoragePath(folder)
    path.mkdir(parents=True, exist_ok=True)
    ordered = {key: result[key] for key in sorted(result, key=lambda key: (key in _LAST, key))}
    (path / f"{name}.json").write_text(json.dumps(ordered, indent=2) + "\n")
    words = {"title": ", ".join(about), "text": "\n".join(lines), "file": f"{name}.json"}
    page = _PAGE.format(**{key: html.escape(text) for key, text in words.items()})
    (path / f"{name}.html").write_text(page)
    url = {"report_url": f"{public_url.rstrip('/')}/{name}.html"} if public_url else {}
    return {"report": str(path / f"{name}.json"), **url}
