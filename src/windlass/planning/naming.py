"""The names of objects on the target: of new ones, and of those that `--existing replace` keeps."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from windlass.model.relation import Name

MOST_BYTES = 63  # of a name, unless the server was compiled with another limit
_BACKUP = re.compile(r"windlass_\d{8}_\d{4}_[0-9a-f]{4}_")


def backup_name(run: str, name: str) -> str:
    """The backup schema for a schema, or the backup name of an object that is in no schema;
    different for each run and name.

    A name that would be too long is cut, and a digest of all of it makes it unique.
    """
    found = f"windlass_{run}_{name}"
    if len(found.encode()) <= MOST_BYTES:
        return found
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{found.encode()[: MOST_BYTES - 9].decode(errors='ignore')}_{digest}"


def is_backup(schema: str) -> bool:
    """Whether a run has set something aside into the schema."""
    return _BACKUP.match(schema) is not None


def target_name(name: Name, schemas: Mapping[str, str]) -> Name:
    """A relation's name on the target, in the schema that it goes into."""
    return Name(schemas.get(name.schema, name.schema), name.name)
