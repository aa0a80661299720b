"""The settings of databases that were replaced by those of a caller."""

from __future__ import annotations

from typing import Any

REPLACED: dict[str, dict[str, Any]] = {}  # by alias
