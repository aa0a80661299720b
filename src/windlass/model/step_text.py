"""What people read in place of a step's name. Logs, the journal and schedulers keep the name."""

from __future__ import annotations

_READ_AS = {
    "transfer_table_data": "copy tables",
    "transfer_partition": "copy chunks",  # of tables; nothing is partitioned
    "transfer_large_objects": "copy large objects",
}


def step_text(name: str) -> str:
    """``create indexes`` for ``create_indexes``."""
    return _READ_AS.get(name) or name.replace("_", " ")
