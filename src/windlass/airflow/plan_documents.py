"""A plan as JSON in an XCom, from which the page within Airflow makes what a person approves."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from windlass.airflow.page_links import PLAN_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
MOST_PUSHED = 4 << 20  # characters of an XCom, which is in Airflow's database
MOST_BYTES = 64 << 20  # unpacked


def push_plan(context: Context, document: Mapping[str, Any] | None) -> None:
    """Push it, packed: that of 5,000 tables has megabytes. If it is too large, the approval still
    shows the plan as text."""
    if document is None:
        return
    text = packed(document)
    if len(text) > MOST_PUSHED:
        log.warning("the plan is too large to be shown as a page: %d MB", len(text) >> 20)
        return
    context["ti"].xcom_push(key=PLAN_KEY, value=text)


def packed(document: Mapping[str, Any]) -> str:
    return base64.b85encode(zlib.compress(json.dumps(document).encode())).decode()


def unpacked(value: object) -> dict[str, Any] | None:
    """The plan in an XCom; None if it is something else."""
    if not isinstance(value, str):
        return None
    try:
        text = zlib.decompressobj().decompress(base64.b85decode(value), MOST_BYTES)
        found = json.loads(text)
    except (ValueError, zlib.error):
        return None
    return found if isinstance(found, dict) else None
