"""Steps as people read them: most by their name, some by what they do."""

from __future__ import annotations

_TITLES = {
    "transfer_table_data": "copying tables",
    "transfer_partition": "copying chunks",
    "transfer_large_objects": "copying large objects",
    "validate_content": "comparing rows",
    "find_differences": "finding differences",
    "validate_schema": "comparing definitions",
    "validate_sequences": "comparing sequences",
    "validate_large_objects": "comparing large objects",
    "extract_source_schema": "reading both databases",
}


def title(step: str) -> str:
    """``copying chunks``, ``create indexes``."""
    return _TITLES.get(step) or step.replace("_", " ")
