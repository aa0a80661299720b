"""The report of a run as a file, in a folder that Airflow's object storage can reach."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


def write_report(
    context: Context, result: Mapping[str, Any], folder: str, public_url: str = ""
) -> str:
    """Write it as JSON into a folder: a path, or s3://, gs:// and the like.

    Returns the link to it: below `public_url` if that is given, else the file's own path.
    """
    from airflow.sdk import ObjectStoragePath

    ti = context["ti"]
    name = re.sub(r"[^\w.-]+", "_", f"{ti.dag_id}_{ti.run_id}") + ".json"
    path = ObjectStoragePath(folder)
    path.mkdir(parents=True, exist_ok=True)
    file = path / name
    file.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
    return f"{public_url.rstrip('/')}/{name}" if public_url else str(file)
